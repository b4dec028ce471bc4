//! `--port HOST:GUEST`.

use nodeos_vm::machine::PortForward;
use thiserror::Error;

/// Why a text is not a pair of ports.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParsePortError {
    #[error("expected HOST:GUEST, as in 8080:80")]
    Form,
    #[error("{given:?} is not a port between 1 and 65535")]
    Number { given: String },
}

/// Reads `HOST:GUEST`.
pub fn parse(text: &str) -> Result<PortForward, ParsePortError> {
    let (host, guest) = text.split_once(':').ok_or(ParsePortError::Form)?;
    Ok(PortForward::local(number(host)?, number(guest)?))
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
}
