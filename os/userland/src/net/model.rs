//! Devices, addresses and routes as values, and the words that everybody has for their numbers.

use std::net::IpAddr;

/// A device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `IFF_*` of netdevice(7).
    pub(crate) flags: u32,
    /// `ARPHRD_*` of linux/if_arp.h.
    pub(crate) kind: u16,
    pub(crate) mtu: u32,
    pub(crate) qdisc: String,
    pub(crate) state: &'static str,
    pub(crate) group: u32,
    pub(crate) queue: u32,
    /// The device behind this one, in this or another network namespace.
    pub(crate) behind: Option<u32>,
    pub(crate) hardware: Vec<u8>,
    pub(crate) hardware_broadcast: Vec<u8>,
    pub(crate) counts: Counts,
}

/// What a device has received and sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: Direction,
    pub(crate) sent: Direction,
    pub(crate) frame: u64,
    pub(crate) carrier: u64,
    pub(crate) collisions: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) dropped: u64,
    pub(crate) overruns: u64,
}

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) device: u32,
    pub(crate) local: IpAddr,
    pub(crate) prefix: u8,
    /// The other end of a line between two.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) broadcast: Option<IpAddr>,
    /// `RT_SCOPE_*` of rtnetlink(7).
    pub(crate) scope: u8,
    /// `IFA_F_*` of linux/if_addr.h.
    pub(crate) flags: u32,
    pub(crate) label: Option<String>,
    /// Seconds left; none is for ever.
    pub(crate) valid: Option<u32>,
    pub(crate) preferred: Option<u32>,
}

/// A way to somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) family: Family,
    /// None is everywhere else.
    pub(crate) destination: Option<IpAddr>,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) device: Option<u32>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: Option<u32>,
    /// `RTPROT_*` of rtnetlink(7).
    pub(crate) protocol: u8,
    pub(crate) scope: u8,
    /// `RTN_*` of rtnetlink(7).
    pub(crate) kind: u8,
    /// `RTNH_F_*` of linux/rtnetlink.h.
    pub(crate) flags: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(crate) const UP: u32 = 1;
const RUNNING: u32 = 1 << 6;

/// `IFF_*` in the order in which ip(8) shows them.
const LINK_FLAGS: &[(u32, &str)] = &[
    (1 << 3, "LOOPBACK"),
    (1 << 1, "BROADCAST"),
    (1 << 4, "POINTOPOINT"),
    (1 << 12, "MULTICAST"),
    (1 << 7, "NOARP"),
    (1 << 9, "ALLMULTI"),
    (1 << 8, "PROMISC"),
    (1 << 10, "MASTER"),
    (1 << 11, "SLAVE"),
    (1 << 2, "DEBUG"),
    (1 << 15, "DYNAMIC"),
    (1 << 14, "AUTOMEDIA"),
    (1 << 13, "PORTSEL"),
    (1 << 5, "NOTRAILERS"),
    (UP, "UP"),
    (1 << 16, "LOWER_UP"),
    (1 << 17, "DORMANT"),
    (1 << 18, "ECHO"),
];

const PERMANENT: u32 = 0x80;
/// `IFA_F_*` but the first, whose word depends on the family.
const ADDRESS_FLAGS: &[(u32, &str)] = &[
    (0x02, "nodad"),
    (0x04, "optimistic"),
    (0x08, "dadfailed"),
    (0x10, "home"),
    (0x20, "deprecated"),
    (0x40, "tentative"),
    (0x100, "mngtmpaddr"),
    (0x200, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
];

const ROUTE_FLAGS: &[(u32, &str)] = &[
    (1, "dead"),
    (2, "pervasive"),
    (4, "onlink"),
    (16, "linkdown"),
];

fn words(flags: u32, table: &[(u32, &'static str)]) -> Vec<&'static str> {
    table
        .iter()
        .filter(|(flag, _)| flags & flag != 0)
        .map(|(_, word)| *word)
        .collect()
}

/// The word for a number; the number itself where there is none.
fn word(number: u32, table: &[(u32, &str)]) -> String {
    table
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(|| number.to_string(), |(_, word)| (*word).to_owned())
}

impl Link {
    pub(crate) fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    pub(crate) fn flag_words(&self) -> Vec<&'static str> {
        let mut words = words(self.flags, LINK_FLAGS);
        if self.is_up() && self.flags & RUNNING == 0 {
            words.insert(0, "NO-CARRIER");
        }
        words
    }

    pub(crate) fn kind_word(&self) -> String {
        let table = [
            (1, "ether"),
            (512, "ppp"),
            (768, "ipip"),
            (772, "loopback"),
            (776, "sit"),
            (778, "gre"),
            (65_534, "none"),
        ];
        word(self.kind.into(), &table)
    }

    pub(crate) fn group_word(&self) -> String {
        word(self.group, &[(0, "default")])
    }
}

impl Address {
    pub(crate) fn family(&self) -> Family {
        Family::of(self.local)
    }

    pub(crate) fn scope_word(&self) -> String {
        scope(self.scope)
    }

    pub(crate) fn flag_words(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        if self.flags & 1 != 0 {
            all.push(match self.family() {
                Family::V4 => "secondary",
                Family::V6 => "temporary",
            });
        }
        all.extend(words(self.flags, ADDRESS_FLAGS));
        if self.flags & PERMANENT == 0 {
            all.push("dynamic");
        }
        all
    }
}

impl Route {
    pub(crate) fn destination_word(&self) -> String {
        let whole = match self.family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        match self.destination {
            None => "default".to_owned(),
            Some(address) if self.prefix == whole => address.to_string(),
            Some(address) => format!("{address}/{}", self.prefix),
        }
    }

    /// The kind, unless it is the usual one.
    pub(crate) fn kind_word(&self) -> Option<String> {
        let table = [
            (2, "local"),
            (3, "broadcast"),
            (4, "anycast"),
            (5, "multicast"),
            (6, "blackhole"),
            (7, "unreachable"),
            (8, "prohibit"),
            (9, "throw"),
        ];
        (self.kind != 1).then(|| word(self.kind.into(), &table))
    }

    pub(crate) fn protocol_word(&self) -> String {
        let table = [
            (1, "redirect"),
            (2, "kernel"),
            (3, "boot"),
            (4, "static"),
            (9, "ra"),
            (16, "dhcp"),
        ];
        word(self.protocol.into(), &table)
    }

    /// The scope, unless it is everywhere.
    pub(crate) fn scope_word(&self) -> Option<String> {
        (self.scope != 0).then(|| scope(self.scope))
    }

    pub(crate) fn flag_words(&self) -> Vec<&'static str> {
        words(self.flags, ROUTE_FLAGS)
    }
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Family::V4 => "inet",
            Family::V6 => "inet6",
        }
    }
}

fn scope(number: u8) -> String {
    let table = [
        (0, "global"),
        (200, "site"),
        (253, "link"),
        (254, "host"),
        (255, "nowhere"),
    ];
    word(number.into(), &table)
}

/// A hardware address as everybody writes it.
pub(crate) fn hardware(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}
