//! [`Order`]: what the host wants the agent to run, as a file in the machine's image.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the order lies in the machine.
pub const PATH: &str = "/etc/guest.json";

/// The program to run, its arguments and its whole environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Absolute path in the machine.
    pub program: String,
    pub arguments: Vec<String>,
    /// Nothing else is in the program's environment.
    pub env: BTreeMap<String, String>,
    /// Symbolic links to make first: where they are, and what they say. The image cannot hold them itself where the
    /// machine mounts something over them, such as its own `/tmp`.
    pub links: BTreeMap<String, String>,
}

/// Why a text is not an order.
#[derive(Debug, Error)]
pub enum ParseOrderError {
    #[error("the order is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("the program {program:?} of the order does not begin with /")]
    RelativeProgram { program: String },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrder {
    program: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
}

impl Order {
    /// Reads and validates an order.
    pub fn parse(text: &str) -> Result<Order, ParseOrderError> {
        let raw: RawOrder = serde_json::from_str(text).map_err(ParseOrderError::Json)?;
        if !raw.program.starts_with('/') {
            return Err(ParseOrderError::RelativeProgram {
                program: raw.program,
            });
        }
        Ok(Order {
            program: raw.program,
            arguments: raw.arguments,
            env: raw.env,
            links: raw.links,
        })
    }

    /// The text that [`Order::parse`] reads.
    pub fn to_json(&self) -> String {
        let raw = RawOrder {
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            env: self.env.clone(),
            links: self.links.clone(),
        };
        serde_json::to_string(&raw).expect("strings always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_writes_the_agent_reads() {
        let order = Order {
            program: "/test".to_owned(),
            arguments: vec!["--nocapture".to_owned(), "two words".to_owned()],
            env: BTreeMap::from([("RUST_BACKTRACE".to_owned(), "1".to_owned())]),
            links: BTreeMap::from([(
                "/tmp/target/debug/init".to_owned(),
                "/programs/init".to_owned(),
            )]),
        };
        assert_eq!(Order::parse(&order.to_json()).unwrap(), order);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                Order::parse(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        };
        check("{}", "the order is not what it should be");
        check(
            r#"{"program": "test", "arguments": [], "env": {}, "links": {}}"#,
            "the program \"test\" of the order does not begin with /",
        );
    }
}
