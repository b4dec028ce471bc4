//! [`Lease`]: what a DHCP server lends, and [`Kept`], how it is remembered from one run to the next.
//!
//! Getting one is the business of [`crate::dhcp`], using it that of [`crate::interface`].

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dhcp::message::Mac;
use crate::files;

/// An address and what comes with it. Everything in it has been checked: it may be given to the kernel and written to
/// files as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lease {
    /// The address, with the length of its network's prefix.
    pub address: Ipv4Net,
    pub server: Ipv4Addr,
    /// In the order in which they are to be added: an early one may be the way to a later one's gateway.
    pub routes: Vec<LeasedRoute>,
    pub nameservers: Vec<Ipv4Addr>,
    /// Domains in which short names are looked for.
    pub search: Vec<String>,
    pub hostname: Option<String>,
    pub mtu: Option<u16>,
    pub ntp: Vec<Ipv4Addr>,
    /// How long it is ours; none is for ever.
    pub lifetime: Option<Duration>,
    /// T1 and T2 of RFC 2131, from the moment in which the lease was asked for. Of no meaning where it is for ever.
    pub renew_after: Duration,
    pub rebind_after: Duration,
}

/// Where packets for `destination` go: to a gateway, or, without one, straight to their receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeasedRoute {
    pub destination: Ipv4Net,
    pub gateway: Option<Ipv4Addr>,
}

/// A lease in the file of leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The hardware address that it was lent to: a copy of this machine is another one.
    pub mac: Mac,
    pub lease: Lease,
    /// When it ends, in seconds of the system's clock (Unix time). None is never. A lease that was given back has ended,
    /// but its address is a good one to ask for again.
    pub ends: Option<u64>,
}

/// The kept leases by the names of their interfaces.
pub type Leases = BTreeMap<String, Kept>;

/// Why kept leases could not be read or written. The service goes on without them.
#[derive(Debug, Error)]
pub enum KeepLeasesError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} does not hold leases", .path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot keep the leases")]
    Write(#[source] files::WriteFileError),
}

impl Kept {
    /// Whether the lease is still ours at a time of the system's clock.
    pub fn holds_at(&self, unix_time: u64) -> bool {
        self.ends.is_none_or(|ends| unix_time < ends)
    }
}

/// Reads the file of leases. A missing one holds none.
pub fn load(path: &Path) -> Result<Leases, KeepLeasesError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Leases::new()),
        Err(source) => {
            return Err(KeepLeasesError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_str(&text).map_err(|source| KeepLeasesError::Parse {
        path: path.to_owned(),
        source,
    })
}

/// Writes the file of leases, and its folder where that is missing.
pub fn save(path: &Path, leases: &Leases) -> Result<(), KeepLeasesError> {
    let mut text = serde_json::to_string_pretty(leases).expect("the keys are strings");
    text.push('\n');
    files::replace(path, &text).map_err(KeepLeasesError::Write)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A lease of a day, as a router at home gives one.
    pub(crate) fn lease() -> Lease {
        Lease {
            address: "10.0.2.15/24".parse().unwrap(),
            server: Ipv4Addr::new(10, 0, 2, 2),
            routes: vec![LeasedRoute {
                destination: Ipv4Net::default(),
                gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
            }],
            nameservers: vec![Ipv4Addr::new(10, 0, 2, 3)],
            search: vec!["example.org".to_owned()],
            hostname: None,
            mtu: None,
            ntp: Vec::new(),
            lifetime: Some(Duration::from_secs(86_400)),
            renew_after: Duration::from_secs(43_200),
            rebind_after: Duration::from_secs(75_600),
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network/leases.json");
        assert_eq!(load(&path).unwrap(), Leases::new());
        let leases = Leases::from([(
            "eth0".to_owned(),
            Kept {
                mac: [2; 6],
                lease: lease(),
                ends: Some(1_800_000_000),
            },
        )]);
        save(&path, &leases).unwrap();
        assert_eq!(load(&path).unwrap(), leases);
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.json");
        fs::write(&path, "{\"eth0\": 1}").unwrap();
        let error = load(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("leases.json does not hold leases"),
            "{error}"
        );
    }

    #[test]
    fn a_lease_holds_until_its_end() {
        let check = |ends, expected| {
            let kept = Kept {
                mac: [2; 6],
                lease: lease(),
                ends,
            };
            assert_eq!(kept.holds_at(100), expected, "{ends:?}");
        };
        check(None, true);
        check(Some(101), true);
        check(Some(100), false);
        check(Some(0), false);
    }
}
