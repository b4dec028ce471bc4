//! What the configuration means: [`load`] reads `network.json`, [`plan`] says what becomes of an interface.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nodeos_spec::network::{Interface, NetworkSpec, ParseNetworkSpecError, Static};
use thiserror::Error;

use crate::dhcp::message::Mac;
use crate::link::{Kind, Link};

/// Why the configuration cannot be used; the service goes on with the defaults.
#[derive(Debug, Error)]
pub enum LoadConfigError {
    #[error("cannot read {}, so the defaults are used", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the defaults are used")]
    Parse(#[source] ParseNetworkSpecError),
}

/// What the service does with an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is switched on, which is all that the loopback interface needs.
    SwitchOn,
    Dhcp {
        mac: Mac,
    },
    Static(Static),
    LeaveAlone,
}

/// Reads the configuration. A missing file is an empty one.
pub fn load(path: &Path) -> Result<NetworkSpec, LoadConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(NetworkSpec::default()),
        Err(source) => {
            return Err(LoadConfigError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    NetworkSpec::parse(&text).map_err(LoadConfigError::Parse)
}

/// What becomes of an interface: as it is named in the configuration, else by what it is.
pub fn plan(spec: &NetworkSpec, link: &Link) -> Plan {
    match (spec.interfaces.get(&link.name), link.kind) {
        (_, Kind::Loopback) => Plan::SwitchOn,
        (Some(Interface::Off), _) | (None, Kind::Made { .. } | Kind::Other) => Plan::LeaveAlone,
        (Some(Interface::Static(addresses)), _) => Plan::Static(addresses.clone()),
        (Some(Interface::Dhcp) | None, _) => link
            .mac()
            .map_or(Plan::LeaveAlone, |mac| Plan::Dhcp { mac }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];

    fn check(text: &str, kind: Kind, expected: &Plan) {
        let spec = NetworkSpec::parse(text).unwrap();
        let link = Link {
            index: 2,
            name: "eth0".to_owned(),
            kind,
            is_up: false,
            has_carrier: false,
            mtu: 1500,
        };
        assert_eq!(plan(&spec, &link), *expected, "{text} {kind:?}");
    }

    #[test]
    fn cards_are_configured_by_dhcp_and_other_interfaces_when_they_are_named() {
        let (card, made) = (Kind::Ethernet { mac: MAC }, Kind::Made { mac: MAC });
        let dhcp = Plan::Dhcp { mac: MAC };
        check("{}", card, &dhcp);
        check("{}", made, &Plan::LeaveAlone);
        check("{}", Kind::Other, &Plan::LeaveAlone);
        check("{}", Kind::Loopback, &Plan::SwitchOn);
        check(r#"{"interfaces": {"eth0": "dhcp"}}"#, made, &dhcp);
        let off = r#"{"interfaces": {"eth0": "off"}}"#;
        check(off, card, &Plan::LeaveAlone);
        check(off, Kind::Loopback, &Plan::SwitchOn);
        let dhcp = r#"{"interfaces": {"eth0": "dhcp"}}"#;
        check(dhcp, Kind::Other, &Plan::LeaveAlone);
    }

    #[test]
    fn a_missing_file_is_an_empty_one_and_a_broken_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.json");
        assert_eq!(load(&path).unwrap(), NetworkSpec::default());
        fs::write(&path, "{\n  \"interface\": {}\n}").unwrap();
        let sentence = crate::log::sentence(&load(&path).unwrap_err());
        assert!(
            sentence.starts_with(
                "the defaults are used: network.json is not what it should be: unknown field `interface`"
            ),
            "{sentence}"
        );
        assert!(sentence.ends_with("at line 2 column 13"), "{sentence}");
    }
}
