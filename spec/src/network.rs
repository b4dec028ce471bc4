//! `/etc/network.json` of root's home: interfaces, name servers, the machine's name, and where it gets its time.

mod raw;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use thiserror::Error;

use crate::network::raw::{RawInterface, RawNetworkSpec, RawNtp};

/// Where the file lies in root's home.
pub const PATH: &str = "/etc/network.json";

/// The name of a machine whose file has none.
pub const DEFAULT_HOSTNAME: &str = "nodeos";

/// What the kernel keeps of a machine's name (`__NEW_UTS_LEN`, uname(2)).
const MAX_HOSTNAME: usize = 64;
/// A label of a domain name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;
/// `IFNAMSIZ` without its NUL (netdevice(7)).
const MAX_INTERFACE: usize = 15;

/// A validated `network.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    pub hostname: Option<String>,
    /// Those that are named; the others are configured by DHCP.
    pub interfaces: BTreeMap<String, Interface>,
    /// They come before those that the network tells.
    pub nameservers: Vec<IpAddr>,
    pub ntp: Ntp,
}

/// How an interface is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Interface {
    /// Version 4 by DHCP, version 6 by router advertisement.
    #[default]
    Dhcp,
    /// It is left alone.
    Off,
    Static(Static),
}

/// What an interface is told, at least one address. A version without an address here has none, but for version 6
/// advertisements are listened to as always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Static {
    pub v4: Option<Network<Ipv4Addr>>,
    pub v6: Option<Network<Ipv6Addr>>,
}

/// An address in its network, and the way out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network<A> {
    pub address: A,
    /// How many of its bits are the network's.
    pub prefix: u8,
    pub gateway: Option<A>,
}

/// Where the time comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ntp {
    /// From the servers that the network tells, or else well-known ones.
    #[default]
    Automatic,
    /// From nowhere.
    Off,
    /// From these names or addresses.
    Hosts(Vec<String>),
}

/// Why a text is not a `network.json`.
#[derive(Debug, Error)]
pub enum ParseNetworkSpecError {
    #[error("network.json is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error(
        "network.json: {name:?} cannot be the name of a machine: it may have letters, digits, - and ., at most {MAX_HOSTNAME}"
    )]
    Hostname { name: String },
    #[error("network.json: {name:?} cannot be the name of a network interface")]
    InterfaceName { name: String },
    #[error(
        "network.json: {interface} is {given:?}: it can be \"dhcp\", \"off\" or an object with an address"
    )]
    Interface { interface: String, given: String },
    #[error("network.json: {interface} has neither an address nor an address6")]
    NoAddress { interface: String },
    #[error("network.json: {key} of {interface} is {given:?}, which is not like {example}")]
    Address {
        interface: String,
        key: &'static str,
        given: String,
        example: &'static str,
    },
    #[error("network.json: {key} of {interface} has no address beside it")]
    GatewayAlone {
        interface: String,
        key: &'static str,
    },
    #[error(
        "network.json: the gateway {gateway} of {interface} is not in the network of its address"
    )]
    GatewayElsewhere {
        interface: String,
        gateway: Ipv4Addr,
    },
    #[error("network.json: the name server {given:?} is no IP address")]
    Nameserver { given: String },
    #[error("network.json: the time server {given:?} is neither a name nor an address")]
    NtpHost { given: String },
}

impl NetworkSpec {
    /// Reads and validates the text of a `network.json`. Unknown keys are refused by name.
    pub fn parse(text: &str) -> Result<NetworkSpec, ParseNetworkSpecError> {
        let raw: RawNetworkSpec =
            serde_json::from_str(text).map_err(ParseNetworkSpecError::Json)?;
        NetworkSpec::try_from(raw)
    }

    /// How an interface is configured, named in the file or not.
    pub fn interface(&self, name: &str) -> Interface {
        self.interfaces.get(name).cloned().unwrap_or_default()
    }
}

/// Whether a text can be a machine's name (RFC 1123, 2.1), with its domain or without.
pub fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= MAX_HOSTNAME && name.split('.').all(is_label)
}

impl TryFrom<RawNetworkSpec> for NetworkSpec {
    type Error = ParseNetworkSpecError;

    fn try_from(raw: RawNetworkSpec) -> Result<NetworkSpec, ParseNetworkSpecError> {
        if let Some(name) = raw.hostname.as_ref().filter(|name| !is_hostname(name)) {
            let name = name.clone();
            return Err(ParseNetworkSpecError::Hostname { name });
        }
        let mut interfaces = BTreeMap::new();
        for (name, raw) in raw.interfaces {
            if !is_interface_name(&name) {
                return Err(ParseNetworkSpecError::InterfaceName { name });
            }
            let interface = interface(&name, raw)?;
            interfaces.insert(name, interface);
        }
        let nameservers = raw
            .nameservers
            .into_iter()
            .map(|given| {
                given
                    .parse()
                    .map_err(|_| ParseNetworkSpecError::Nameserver { given })
            })
            .collect::<Result<_, _>>()?;
        Ok(NetworkSpec {
            hostname: raw.hostname,
            interfaces,
            nameservers,
            ntp: raw.ntp.map_or(Ok(Ntp::Automatic), ntp)?,
        })
    }
}

fn is_interface_name(name: &str) -> bool {
    (1..=MAX_INTERFACE).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':')
}

fn interface(name: &str, raw: RawInterface) -> Result<Interface, ParseNetworkSpecError> {
    let raw = match raw {
        RawInterface::Static(raw) => raw,
        RawInterface::Word(word) if word == "dhcp" => return Ok(Interface::Dhcp),
        RawInterface::Word(word) if word == "off" => return Ok(Interface::Off),
        RawInterface::Word(given) => {
            let interface = name.to_owned();
            return Err(ParseNetworkSpecError::Interface { interface, given });
        }
    };
    let v4 = network::<Ipv4Addr>(
        name,
        ["address", "gateway"],
        [raw.address, raw.gateway],
        ["10.0.0.2/24", "10.0.0.1"],
    )?;
    let v6 = network::<Ipv6Addr>(
        name,
        ["address6", "gateway6"],
        [raw.address6, raw.gateway6],
        ["fd00::2/64", "fd00::1"],
    )?;
    if v4.is_none() && v6.is_none() {
        let interface = name.to_owned();
        return Err(ParseNetworkSpecError::NoAddress { interface });
    }
    if let Some(Network {
        address,
        prefix,
        gateway: Some(gateway),
    }) = v4
    {
        // The version-6 gateway is often link-local, which is in nobody's network; a version-4 one elsewhere cannot be reached.
        let differ = address.to_bits() ^ gateway.to_bits();
        if differ.checked_shr(32 - u32::from(prefix)).unwrap_or(0) != 0 {
            let interface = name.to_owned();
            return Err(ParseNetworkSpecError::GatewayElsewhere { interface, gateway });
        }
    }
    Ok(Interface::Static(Static { v4, v6 }))
}

/// An address with its prefix, and a gateway, by the names of their keys.
fn network<A: FromStr>(
    interface: &str,
    keys: [&'static str; 2],
    given: [Option<String>; 2],
    examples: [&'static str; 2],
) -> Result<Option<Network<A>>, ParseNetworkSpecError> {
    let bits = size_of::<A>() * 8;
    let wrong = |which: usize, given: String| ParseNetworkSpecError::Address {
        interface: interface.to_owned(),
        key: keys[which],
        given,
        example: examples[which],
    };
    let [address, gateway] = given;
    let Some(address) = address else {
        return match gateway {
            None => Ok(None),
            Some(_) => Err(ParseNetworkSpecError::GatewayAlone {
                interface: interface.to_owned(),
                key: keys[1],
            }),
        };
    };
    let parsed = address.split_once('/').and_then(|(address, prefix)| {
        let prefix: u8 = prefix.parse().ok()?;
        (usize::from(prefix) <= bits).then_some((address.parse().ok()?, prefix))
    });
    let Some((address, prefix)) = parsed else {
        return Err(wrong(0, address));
    };
    let gateway = match gateway {
        None => None,
        Some(given) => Some(given.parse().map_err(|_| wrong(1, given))?),
    };
    Ok(Some(Network {
        address,
        prefix,
        gateway,
    }))
}

fn ntp(raw: RawNtp) -> Result<Ntp, ParseNetworkSpecError> {
    let hosts = match raw {
        RawNtp::Off => return Ok(Ntp::Off),
        RawNtp::Hosts(hosts) => hosts,
    };
    let is_host = |host: &String| is_hostname(host) || host.parse::<IpAddr>().is_ok();
    match hosts.iter().find(|host| !is_host(host)) {
        Some(given) => Err(ParseNetworkSpecError::NtpHost {
            given: given.clone(),
        }),
        // To name none is to say the same as `false`.
        None if hosts.is_empty() => Ok(Ntp::Off),
        None => Ok(Ntp::Hosts(hosts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_every_interface_is_configured_by_dhcp() {
        let spec = NetworkSpec::parse("{}").unwrap();
        assert_eq!(spec, NetworkSpec::default());
        assert_eq!(spec.interface("eth0"), Interface::Dhcp);
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"{
            "hostname": "lab-3.example",
            "interfaces": {
                "eth0": {"address": "10.0.0.2/24", "gateway": "10.0.0.1", "address6": "fd00::2/64", "gateway6": "fe80::1"},
                "eth1": "off", "eth2": "dhcp"
            },
            "nameservers": ["10.0.0.1", "fd00::1"],
            "ntp": ["time.example", "10.0.0.1"]
        }"#;
        let spec = NetworkSpec::parse(text).unwrap();
        assert_eq!(spec.hostname.as_deref(), Some("lab-3.example"));
        let expected = Static {
            v4: Some(Network {
                address: Ipv4Addr::new(10, 0, 0, 2),
                prefix: 24,
                gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            }),
            v6: Some(Network {
                address: "fd00::2".parse().unwrap(),
                prefix: 64,
                gateway: Some("fe80::1".parse().unwrap()),
            }),
        };
        assert_eq!(spec.interface("eth0"), Interface::Static(expected));
        assert_eq!(spec.interface("eth1"), Interface::Off);
        assert_eq!(spec.interface("eth2"), Interface::Dhcp);
        assert_eq!(spec.nameservers.len(), 2);
        assert_eq!(
            spec.ntp,
            Ntp::Hosts(vec!["time.example".to_owned(), "10.0.0.1".to_owned()])
        );
        for off in [r#"{"ntp": false}"#, r#"{"ntp": []}"#] {
            assert_eq!(NetworkSpec::parse(off).unwrap().ntp, Ntp::Off);
        }
    }

    #[test]
    fn what_cannot_be_configured_is_refused_with_its_place() {
        let check = |text: &str, expected: &str| {
            let error = NetworkSpec::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("network.json: {expected}"));
        };
        let check_eth0 = |object: &str, expected: &str| {
            check(
                &format!(r#"{{"interfaces": {{"eth0": {object}}}}}"#),
                expected,
            );
        };
        check(
            r#"{"hostname": "a_b"}"#,
            "\"a_b\" cannot be the name of a machine: it may have letters, digits, - and ., at most 64",
        );
        check(
            r#"{"interfaces": {"../eth0": "dhcp"}}"#,
            "\"../eth0\" cannot be the name of a network interface",
        );
        check_eth0(
            "\"DHCP\"",
            "eth0 is \"DHCP\": it can be \"dhcp\", \"off\" or an object with an address",
        );
        check_eth0("{}", "eth0 has neither an address nor an address6");
        check_eth0(
            r#"{"address": "10.0.0.2"}"#,
            "address of eth0 is \"10.0.0.2\", which is not like 10.0.0.2/24",
        );
        check_eth0(
            r#"{"address": "10.0.0.2/33"}"#,
            "address of eth0 is \"10.0.0.2/33\", which is not like 10.0.0.2/24",
        );
        check_eth0(
            r#"{"address": "10.0.0.2/24", "gateway": "fd00::1"}"#,
            "gateway of eth0 is \"fd00::1\", which is not like 10.0.0.1",
        );
        check_eth0(
            r#"{"address": "10.0.0.2/24", "gateway": "10.0.1.1"}"#,
            "the gateway 10.0.1.1 of eth0 is not in the network of its address",
        );
        check_eth0(
            r#"{"address": "10.0.0.2/24", "gateway6": "fe80::1"}"#,
            "gateway6 of eth0 has no address beside it",
        );
        check(
            r#"{"nameservers": ["one.example"]}"#,
            "the name server \"one.example\" is no IP address",
        );
        check(
            r#"{"ntp": ["a b"]}"#,
            "the time server \"a b\" is neither a name nor an address",
        );
    }

    #[test]
    fn a_network_of_all_addresses_has_any_gateway() {
        let text =
            r#"{"interfaces": {"eth0": {"address": "10.0.0.2/0", "gateway": "192.168.0.1"}}}"#;
        assert!(NetworkSpec::parse(text).is_ok());
    }

    #[test]
    fn other_kinds_of_values_are_refused_with_line_and_column() {
        let check = |text: &str, expected: &str| {
            let error = NetworkSpec::parse(text).unwrap_err();
            let source = core::error::Error::source(&error).unwrap();
            assert_eq!(source.to_string(), expected);
        };
        check(
            r#"{"interfaces": {"eth0": 1}}"#,
            "invalid type: integer `1`, expected \"dhcp\", \"off\" or an object with an address at line 1 column 25",
        );
        check(
            r#"{"ntp": true}"#,
            "invalid value: boolean `true`, expected false or a list of time servers at line 1 column 12",
        );
        check(
            r#"{"interfaces": {"eth0": {"adress": ""}}}"#,
            "unknown field `adress`, expected one of `address`, `gateway`, `address6`, `gateway6` at line 1 column 33",
        );
    }

    #[test]
    fn names_of_machines_are_those_of_rfc_1123() {
        for name in ["nodeos", "3com", "a.b-c.d", &"x".repeat(63)] {
            assert!(is_hostname(name), "{name}");
        }
        for name in [
            "",
            ".",
            "a.",
            "-a",
            "a-",
            "a b",
            "a_b",
            "é",
            &"x".repeat(64),
        ] {
            assert!(!is_hostname(name), "{name:?}");
        }
    }
}
