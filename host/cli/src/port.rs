//! `--port HOST:GUEST`, and `--port ADDRESS:HOST:GUEST` where others than this host may be meant.

use std::net::Ipv4Addr;

use nodeos_vm::machine::PortForward;
use thiserror::Error;

/// Why a text is not a pair of ports.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParsePortError {
    #[error("expected HOST:GUEST, as in 8080:80")]
    Form,
    #[error("{given:?} is not an IPv4 address, as in 0.0.0.0:8080:80")]
    Address { given: String },
    #[error("{given:?} is not a port between 1 and 65535")]
    Number { given: String },
}

/// Reads `HOST:GUEST`.
pub fn parse(text: &str) -> Result<PortForward, ParsePortError> {
    let (host, guest) = text.split_once(':').ok_or(ParsePortError::Form)?;
    Ok(PortForward::local(number(host)?, number(guest)?))
}

/// Reads `HOST:GUEST` or `ADDRESS:HOST:GUEST`.
pub fn parse_with_address(text: &str) -> Result<PortForward, ParsePortError> {
    let Some((address, ports)) = text.split_once(':').filter(|(_, rest)| rest.contains(':')) else {
        return parse(text);
    };
    let address: Ipv4Addr = address.parse().map_err(|_| ParsePortError::Address {
        given: address.to_owned(),
    })?;
    Ok(PortForward {
        address,
        ..parse(ports)?
    })
}

fn number(text: &str) -> Result<u16, ParsePortError> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(ParsePortError::Number {
            given: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_pairs_of_numbers() {
        assert_eq!(parse("8080:80"), Ok(PortForward::local(8080, 80)));
        let check =
            |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err().to_string(), expected);
        check("8080", "expected HOST:GUEST, as in 8080:80");
        check("8080:", "\"\" is not a port between 1 and 65535");
        check("0:80", "\"0\" is not a port between 1 and 65535");
        check("8080:65536", "\"65536\" is not a port between 1 and 65535");
        check("1:2:3", "\"2:3\" is not a port between 1 and 65535");
        check("+1:2", "\"+1\" is not a port between 1 and 65535");
    }

    #[test]
    fn an_address_may_come_first() {
        assert_eq!(
            parse_with_address("8080:80"),
            Ok(PortForward::local(8080, 80))
        );
        assert_eq!(
            parse_with_address("0.0.0.0:8080:80"),
            Ok(PortForward {
                address: Ipv4Addr::UNSPECIFIED,
                host: 8080,
                guest: 80
            })
        );
        let check = |text: &str, expected: &str| {
            assert_eq!(parse_with_address(text).unwrap_err().to_string(), expected);
        };
        check(
            "all:8080:80",
            "\"all\" is not an IPv4 address, as in 0.0.0.0:8080:80",
        );
        check("0.0.0.0:80:x", "\"x\" is not a port between 1 and 65535");
        check("8080", "expected HOST:GUEST, as in 8080:80");
    }
}
