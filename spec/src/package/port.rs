//! A port of the machine that the host answers on: in `package.json` and as `--port`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use thiserror::Error;

/// What reaches `address:host` on the host reaches `guest` in the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPort {
    /// The loopback, unless somebody says otherwise: nothing is exposed by itself.
    pub address: Ipv4Addr,
    pub host: u16,
    pub guest: u16,
}

/// Why a text is not a port to publish.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParsePortError {
    #[error(
        "expected PORT, HOST:GUEST or ADDRESS:HOST:GUEST, as in 3000, 8080:3000 or 0.0.0.0:80:3000"
    )]
    Form,
    #[error("{given:?} is not a port between 1 and 65535")]
    Number { given: String },
    #[error("{given:?} is not an IPv4 address")]
    Address { given: String },
}

impl FromStr for PublishedPort {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<PublishedPort, ParsePortError> {
        let mut parts = text.split(':');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (address, host, guest) = match parts {
            (Some(port), None, ..) => (None, port, port),
            (Some(host), Some(guest), None, _) => (None, host, guest),
            (Some(address), Some(host), Some(guest), None) => (Some(address), host, guest),
            _ => return Err(ParsePortError::Form),
        };
        let address = match address {
            None => Ipv4Addr::LOCALHOST,
            Some(given) => given.parse().map_err(|_| ParsePortError::Address {
                given: given.to_owned(),
            })?,
        };
        Ok(PublishedPort {
            address,
            host: number(host)?,
            guest: number(guest)?,
        })
    }
}

fn number(text: &str) -> Result<u16, ParsePortError> {
    // `parse` would take a sign.
    text.parse::<u16>()
        .ok()
        .filter(|port| *port > 0 && !text.starts_with('+'))
        .ok_or_else(|| ParsePortError::Number {
            given: text.to_owned(),
        })
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.address, self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn ports_have_one_to_three_parts() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<PublishedPort>().unwrap().to_string(), expected);
        };
        check("3000", "127.0.0.1:3000:3000");
        check("8080:80", "127.0.0.1:8080:80");
        check("0.0.0.0:80:3000", "0.0.0.0:80:3000");
    }

    #[test]
    fn what_is_no_port_is_refused_in_words() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<PublishedPort>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "\"\" is not a port between 1 and 65535");
        check("8080:", "\"\" is not a port between 1 and 65535");
        check("0:80", "\"0\" is not a port");
        check("8080:65536", "\"65536\" is not a port");
        check("+1:2", "\"+1\" is not a port");
        check("localhost:80:80", "\"localhost\" is not an IPv4 address");
        check("1:2:3:4", "expected PORT, HOST:GUEST or ADDRESS:HOST:GUEST");
    }
}
