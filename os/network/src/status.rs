//! `network --status`: what the service wrote about its state, as a table or as it is.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::log;
use crate::timekeeper::Clock;

/// The state of the network, in the form of `--json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub interfaces: Vec<InterfaceStatus>,
    pub nameservers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub hostname: Option<String>,
    pub clock: Clock,
}

/// The state of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceStatus {
    pub name: String,
    pub by: By,
    pub carrier: bool,
    /// With the lengths of their prefixes.
    pub addresses: Vec<String>,
    pub gateways: Vec<IpAddr>,
    /// The DHCP server.
    pub server: Option<IpAddr>,
    /// When the lease ends, in Unix time.
    pub ends: Option<u64>,
}

/// How an interface is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    Kernel,
    Dhcp,
    Static,
    Off,
}

/// Why there is no state to show.
#[derive(Debug, Error)]
pub enum ReadStatusError {
    #[error("the network service does not run")]
    NotThere,
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not the state of this version of the service", .path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl Status {
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("its keys are strings");
        text.push('\n');
        text
    }
}

/// Reads what the service wrote.
pub fn read(path: &Path) -> Result<Status, ReadStatusError> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => ReadStatusError::NotThere,
        _ => ReadStatusError::Read {
            path: path.to_owned(),
            source,
        },
    })?;
    serde_json::from_str(&text).map_err(|source| ReadStatusError::Parse {
        path: path.to_owned(),
        source,
    })
}

/// Writes the table, as it is at the Unix time `now`.
pub fn table(status: &Status, now: Duration, out: &mut dyn Write) -> io::Result<()> {
    let mut rows =
        vec![["INTERFACE", "CARRIER", "BY", "ADDRESS", "GATEWAY", "LEASE"].map(str::to_owned)];
    for interface in &status.interfaces {
        let by = match interface.by {
            By::Kernel => "kernel",
            By::Dhcp => "dhcp",
            By::Static => "static",
            By::Off => "off",
        };
        let lease = match (interface.server, interface.ends) {
            (None, _) => String::new(),
            (Some(server), None) => format!("{server}, for ever"),
            (Some(server), Some(ends)) => {
                let left = Duration::from_secs(ends.saturating_sub(now.as_secs()));
                format!("{server}, {} left", log::duration(left))
            }
        };
        rows.push([
            interface.name.clone(),
            if interface.carrier { "yes" } else { "no" }.to_owned(),
            by.to_owned(),
            interface.addresses.join(" "),
            list(&interface.gateways),
            lease,
        ]);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = if cell.is_empty() { "-" } else { cell };
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)?;
    let hostname = status.hostname.clone().unwrap_or_default();
    let time = match (status.clock.server, status.clock.checked) {
        (Some(server), Some(checked)) => {
            let ago = Duration::from_secs(now.as_secs().saturating_sub(checked));
            format!("{server}, {} ago", log::duration(ago))
        }
        _ => String::new(),
    };
    for (name, value) in [
        ("hostname", hostname),
        ("nameservers", list(&status.nameservers)),
        ("search", status.search.join(" ")),
        ("time", time),
    ] {
        let value = if value.is_empty() { "-" } else { &value };
        writeln!(out, "{name:<12} {value}")?;
    }
    Ok(())
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let interface = |name: &str, by, addresses: &[&str]| InterfaceStatus {
            name: name.to_owned(),
            by,
            carrier: true,
            addresses: addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
            gateways: Vec::new(),
            server: None,
            ends: None,
        };
        let server: IpAddr = "10.0.2.2".parse().unwrap();
        Status {
            interfaces: vec![
                interface("lo", By::Kernel, &["127.0.0.1/8"]),
                InterfaceStatus {
                    gateways: vec![server],
                    server: Some(server),
                    ends: Some(1_800_000_000),
                    ..interface("eth0", By::Dhcp, &["10.0.2.15/24", "fd00::15/64"])
                },
            ],
            nameservers: vec!["10.0.2.3".parse().unwrap()],
            search: Vec::new(),
            hostname: Some("lab-3".to_owned()),
            clock: Clock {
                server: Some(server),
                checked: Some(1_799_990_000),
            },
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_interface() {
        let mut out = Vec::new();
        table(&status(), Duration::from_secs(1_799_992_800), &mut out).unwrap();
        let expected = "\
INTERFACE  CARRIER  BY      ADDRESS                   GATEWAY   LEASE
lo         yes      kernel  127.0.0.1/8               -         -
eth0       yes      dhcp    10.0.2.15/24 fd00::15/64  10.0.2.2  10.0.2.2, 2 h left

hostname     lab-3
nameservers  10.0.2.3
search       -
time         10.0.2.2, 46 min 40 s ago
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_service_writes_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let error = read(&path).unwrap_err();
        assert_eq!(error.to_string(), "the network service does not run");
        fs::write(&path, status().to_json()).unwrap();
        assert_eq!(read(&path).unwrap(), status());
    }
}
