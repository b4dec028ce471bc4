//! `ifconfig`: the same as `ip`, in the form that is older than it.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::applet::{Call, DONE, Stop};
use crate::ip::{self, NetworkError};
use crate::net::change::{self, LinkChange, Presence};
use crate::net::model::{Address, Direction, Family, Link, hardware};
use crate::net::prefix::{self, Prefix};
use crate::net::read;
use crate::net::socket::Netlink;

pub(crate) const HELP: &str = "\
Usage: ifconfig [-a] [DEVICE]
       ifconfig DEVICE ADDRESS [netmask MASK] [up|down]
       ifconfig DEVICE up|down

Shows the devices that are up, or one. Changes are for root's network service, which reads them from /etc/network.json; for
everybody else they fail.

ADDRESS may have the length of its network, as in 10.0.2.15/24. An IPv4 address takes the place of the one before.

Options:
  -a      Show devices that are down, too
  --help  Show this
";

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    all: bool,
    device: Option<String>,
    address: Option<Prefix>,
    up: Option<bool>,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let request = parse(std::mem::take(&mut call.args))?;
    let text = answer(&request).map_err(ip::failed)?;
    write!(call.out, "{text}")?;
    Ok(DONE)
}

fn parse(args: Vec<OsString>) -> Result<Request, Stop> {
    let mut request = Request::default();
    let mut args = args.into_iter();
    while let Some(argument) = args.next() {
        let word = argument.to_str().unwrap_or_default();
        match word {
            "--help" | "-h" => return Err(Stop::Help),
            "-a" => request.all = true,
            _ if word.starts_with('-') || word.is_empty() => {
                return Err(lexopt::Error::UnexpectedOption(
                    argument.to_string_lossy().into_owned(),
                )
                .into());
            }
            _ if request.device.is_none() => request.device = Some(word.to_owned()),
            "up" => request.up = Some(true),
            "down" => request.up = Some(false),
            "netmask" => {
                let mask = args.next().ok_or_else(|| Stop::missing("the mask"))?;
                let length = mask
                    .to_str()
                    .and_then(|text| text.parse().ok())
                    .and_then(prefix::length_of_mask);
                match (&mut request.address, length) {
                    (Some(address), Some(length)) if address.address.is_ipv4() => {
                        address.length = length;
                    }
                    _ => return Err(Stop::word("mask of an IPv4 address before it", mask)),
                }
            }
            _ => match address(word) {
                Some(address) if request.address.is_none() => request.address = Some(address),
                _ => return Err(Stop::word("address, netmask, up or down", argument)),
            },
        }
    }
    Ok(request)
}

/// An address. Without a length an IPv4 address has that of its class, as ifconfig always did.
fn address(word: &str) -> Option<Prefix> {
    let mut prefix: Prefix = word.parse().ok()?;
    if let (false, IpAddr::V4(address)) = (word.contains('/'), prefix.address) {
        prefix.length = length_of_class(address);
    }
    Some(prefix)
}

fn length_of_class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

fn answer(request: &Request) -> Result<String, NetworkError> {
    let netlink = Netlink::open().map_err(NetworkError::Read)?;
    let links = read::links(&netlink).map_err(NetworkError::Read)?;
    let addresses = read::addresses(&netlink).map_err(NetworkError::Read)?;
    let device = match &request.device {
        Some(name) => Some(ip::find(&links, name)?),
        None => None,
    };
    if let Some(link) = device
        && (request.address.is_some() || request.up.is_some())
    {
        perform(&netlink, link, &addresses, request)?;
        return Ok(String::new());
    }
    let shown = links.iter().filter(|link| match device {
        Some(device) => device.index == link.index,
        None => request.all || link.is_up(),
    });
    let mut text = String::new();
    for link in shown {
        show(&mut text, link, &addresses);
    }
    Ok(text)
}

fn perform(
    netlink: &Netlink,
    link: &Link,
    addresses: &[Address],
    request: &Request,
) -> Result<(), NetworkError> {
    let name = &link.name;
    if let Some(prefix) = request.address {
        let deed = || format!("give {name} the address {}", prefix.address);
        let old = addresses.iter().filter(|address| {
            prefix.address.is_ipv4()
                && address.device == link.index
                && address.family() == Family::V4
                && address.label.as_ref() == Some(name)
        });
        for old in old {
            let old = Prefix {
                address: old.local,
                length: old.prefix,
            };
            change::address(netlink, Presence::Delete, link.index, old, name).map_err(
                |source| NetworkError::Change {
                    deed: deed(),
                    source,
                },
            )?;
        }
        change::address(netlink, Presence::Add, link.index, prefix, name).map_err(|source| {
            NetworkError::Change {
                deed: deed(),
                source,
            }
        })?;
    }
    // A device that gets an address is for use.
    let change = LinkChange {
        up: Some(request.up.unwrap_or(true)),
        mtu: None,
    };
    change::link(netlink, link.index, change).map_err(|source| NetworkError::Change {
        deed: format!("change the device {name}"),
        source,
    })
}

/// Flags in the order of their bits, with the words of ifconfig(8). The newer ones above have never been shown.
const FLAGS: [&str; 16] = [
    "UP",
    "BROADCAST",
    "DEBUG",
    "LOOPBACK",
    "POINTOPOINT",
    "NOTRAILERS",
    "RUNNING",
    "NOARP",
    "PROMISC",
    "ALLMULTI",
    "MASTER",
    "SLAVE",
    "MULTICAST",
    "PORTSEL",
    "AUTOMEDIA",
    "DYNAMIC",
];

fn show(text: &mut String, link: &Link, addresses: &[Address]) {
    let flags = link.flags & 0xffff;
    let words: Vec<&str> = FLAGS
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags & 1 << bit != 0)
        .map(|(_, word)| *word)
        .collect();
    let _ = writeln!(
        text,
        "{}: flags={flags}<{}>  mtu {}",
        link.name,
        words.join(","),
        link.mtu
    );
    for address in addresses
        .iter()
        .filter(|address| address.device == link.index)
    {
        match address.local {
            IpAddr::V4(local) => {
                let _ = write!(
                    text,
                    "        inet {local}  netmask {}",
                    prefix::mask(address.prefix)
                );
                if let Some(broadcast) = address.broadcast {
                    let _ = write!(text, "  broadcast {broadcast}");
                }
                if let Some(peer) = address.peer {
                    let _ = write!(text, "  destination {peer}");
                }
                text.push('\n');
            }
            IpAddr::V6(local) => {
                let _ = writeln!(
                    text,
                    "        inet6 {local}  prefixlen {}  scopeid {}",
                    address.prefix,
                    scope_id(address)
                );
            }
        }
    }
    if link.kind_word() == "ether" {
        let _ = writeln!(
            text,
            "        ether {}  txqueuelen {}  (Ethernet)",
            hardware(&link.hardware),
            link.queue
        );
    } else if link.kind_word() == "loopback" {
        let _ = writeln!(
            text,
            "        loop  txqueuelen {}  (Local Loopback)",
            link.queue
        );
    } else {
        let _ = writeln!(
            text,
            "        {}  txqueuelen {}",
            link.kind_word(),
            link.queue
        );
    }
    let counts = &link.counts;
    packets(text, "RX", counts.received);
    let received = counts.received;
    let _ = writeln!(
        text,
        "        RX errors {}  dropped {}  overruns {}  frame {}",
        received.errors, received.dropped, received.overruns, counts.frame
    );
    packets(text, "TX", counts.sent);
    let sent = counts.sent;
    let _ = writeln!(
        text,
        "        TX errors {}  dropped {} overruns {}  carrier {}  collisions {}\n",
        sent.errors, sent.dropped, sent.overruns, counts.carrier, counts.collisions
    );
}

fn packets(text: &mut String, name: &str, direction: Direction) {
    let Direction { packets, bytes, .. } = direction;
    let _ = writeln!(
        text,
        "        {name} packets {packets}  bytes {bytes} ({})",
        rough(bytes)
    );
}

/// A number of bytes in the largest unit of 1024 that it fills.
fn rough(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    // Counters of packets are nowhere near the numbers that a double cannot hold.
    let mut number = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    format!("{number:.1} {unit}")
}

/// The scope in the kernel's own numbers for IPv6 (net/ipv6.h), and in words.
fn scope_id(address: &Address) -> &'static str {
    match address.scope_word().as_str() {
        "global" => "0x0<global>",
        "link" => "0x20<link>",
        "host" => "0x10<host>",
        "site" => "0x40<site>",
        _ => "0x0<unknown>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        match parse(line.split_whitespace().map(OsString::from).collect()) {
            Ok(request) => Ok(request),
            Err(Stop::Usage(error)) => Err(error.to_string()),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    #[test]
    fn an_address_has_a_network_in_one_way_or_another() {
        let check = |line: &str, address: &str, up: Option<bool>| {
            let request = parsed(line).unwrap();
            assert_eq!(request.device.as_deref(), Some("eth0"));
            assert_eq!(request.address, Some(address.parse().unwrap()), "{line}");
            assert_eq!(request.up, up, "{line}");
        };
        check("eth0 10.0.2.15", "10.0.2.15/8", None);
        check("eth0 192.168.1.2", "192.168.1.2/24", None);
        check("eth0 10.0.2.15/24 up", "10.0.2.15/24", Some(true));
        check(
            "eth0 10.0.2.15 netmask 255.255.0.0 down",
            "10.0.2.15/16",
            Some(false),
        );
        check("eth0 fd00::1/64", "fd00::1/64", None);
    }

    #[test]
    fn what_is_no_word_of_it_is_refused() {
        let check = |line: &str, expected: &str| assert_eq!(parsed(line).unwrap_err(), expected);
        check("eth0 10.0.2", "10.0.2 is no address, netmask, up or down");
        check(
            "eth0 netmask 255.0.0.0",
            "255.0.0.0 is no mask of an IPv4 address before it",
        );
        check(
            "eth0 1.2.3.4 netmask 255.0.255.0",
            "255.0.255.0 is no mask of an IPv4 address before it",
        );
        check("-x", "invalid option '-x'");
    }

    #[test]
    fn a_device_is_shown_as_it_always_was() {
        let link = Link {
            index: 1,
            name: "lo".to_owned(),
            flags: 0x10049,
            kind: 772,
            mtu: 65_536,
            queue: 1000,
            hardware: vec![0; 6],
            counts: crate::net::model::Counts {
                received: Direction {
                    packets: 5,
                    bytes: 1_572_864,
                    ..Direction::default()
                },
                ..Default::default()
            },
            ..Link::default()
        };
        let address = Address {
            device: 1,
            local: "127.0.0.1".parse().unwrap(),
            prefix: 8,
            peer: None,
            broadcast: None,
            scope: 254,
            flags: 0x80,
            label: Some("lo".to_owned()),
            valid: None,
            preferred: None,
        };
        let mut text = String::new();
        show(&mut text, &link, &[address]);
        let expected = "\
lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536
        inet 127.0.0.1  netmask 255.0.0.0
        loop  txqueuelen 1000  (Local Loopback)
        RX packets 5  bytes 1572864 (1.5 MiB)
        RX errors 0  dropped 0  overruns 0  frame 0
        TX packets 0  bytes 0 (0.0 B)
        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0

";
        assert_eq!(text, expected);
    }
}
