//! `/etc/nodeos/boot.json`: what the builder of an image tells the `init` inside it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the file lies in an image.
pub const PATH: &str = "/etc/nodeos/boot.json";

/// The variable that names the C library of the machine's Node.js, `musl` or `glibc`. Packages with a build of their add-on for
/// each choose by it (node-gyp-build): a musl that is not Alpine's they do not know by themselves.
pub const LIBC: &str = "LIBC";

/// How long a stopping machine waits between TERM and KILL when boot.json does not say: the original's five seconds.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(5);

/// The longest grace period that is accepted: a machine that takes more than ten minutes to stop is taken for hung.
const MAX_STOP_GRACE: Duration = Duration::from_secs(600);

/// A validated `boot.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootSpec {
    /// What stands on the console before the program starts, for instance `NodeOS 0.1.0 (barebones)`.
    pub banner: String,
    /// The program to start and its arguments when neither the kernel's command line nor `/sbin/init` names one.
    pub program: Vec<String>,
    /// Environment of that program, over what the kernel passes.
    pub env: BTreeMap<String, String>,
    /// Time between TERM and KILL when the machine stops.
    pub stop_grace: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBootSpec {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    banner: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    program: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_grace_ms: Option<u64>,
}

/// Why a text is not a `boot.json`.
#[derive(Debug, Error)]
pub enum ParseBootSpecError {
    #[error("boot.json is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("boot.json: program {program:?} does not begin with /")]
    RelativeProgram { program: String },
    #[error("boot.json: {place} contains a NUL character")]
    Nul { place: String },
    #[error("boot.json: {name:?} cannot be the name of an environment variable")]
    EnvName { name: String },
    #[error("boot.json: stopGraceMs is {given_ms}, which is more than {}", MAX_STOP_GRACE.as_millis())]
    StopGrace { given_ms: u64 },
}

impl Default for BootSpec {
    /// What `init` goes on with when its `boot.json` is missing or broken.
    fn default() -> BootSpec {
        BootSpec {
            banner: "NodeOS".to_owned(),
            program: Vec::new(),
            env: BTreeMap::new(),
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }
}

impl BootSpec {
    /// Reads and validates the text of a `boot.json`. Unknown keys are refused by name.
    pub fn parse(text: &str) -> Result<BootSpec, ParseBootSpecError> {
        let raw: RawBootSpec = serde_json::from_str(text).map_err(ParseBootSpecError::Json)?;
        BootSpec::try_from(raw)
    }

    /// The text of the file, as the builder writes it.
    pub fn to_json(&self) -> String {
        let raw = RawBootSpec {
            banner: self.banner.clone(),
            program: self.program.clone(),
            env: self.env.clone(),
            stop_grace_ms: Some(u64::try_from(self.stop_grace.as_millis()).unwrap_or(u64::MAX)),
        };
        let mut text =
            serde_json::to_string_pretty(&raw).expect("strings and numbers always serialise");
        text.push('\n');
        text
    }
}

impl TryFrom<RawBootSpec> for BootSpec {
    type Error = ParseBootSpecError;

    fn try_from(raw: RawBootSpec) -> Result<BootSpec, ParseBootSpecError> {
        if let Some(program) = raw
            .program
            .first()
            .filter(|program| !program.starts_with('/'))
        {
            return Err(ParseBootSpecError::RelativeProgram {
                program: program.clone(),
            });
        }
        if let Some(argument) = raw.program.iter().find(|argument| argument.contains('\0')) {
            return Err(ParseBootSpecError::Nul {
                place: format!("argument {argument:?}"),
            });
        }
        for (name, value) in &raw.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(ParseBootSpecError::EnvName { name: name.clone() });
            }
            if value.contains('\0') {
                return Err(ParseBootSpecError::Nul {
                    place: format!("the value of {name}"),
                });
            }
        }
        let stop_grace = raw
            .stop_grace_ms
            .map_or(DEFAULT_STOP_GRACE, Duration::from_millis);
        if stop_grace > MAX_STOP_GRACE {
            return Err(ParseBootSpecError::StopGrace {
                given_ms: raw.stop_grace_ms.unwrap_or_default(),
            });
        }
        Ok(BootSpec {
            banner: raw.banner,
            program: raw.program,
            env: raw.env,
            stop_grace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = BootSpec::parse(text).expect_err("the text should be refused");
        match core::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let spec = BootSpec {
            banner: "NodeOS 0.1.0".to_owned(),
            program: vec!["/bin/node".to_owned(), "-p".to_owned(), "1".to_owned()],
            env: BTreeMap::from([("HOME".to_owned(), "/".to_owned())]),
            stop_grace: Duration::from_millis(1500),
        };
        assert_eq!(BootSpec::parse(&spec.to_json()).unwrap(), spec);
    }

    #[test]
    fn everything_is_optional() {
        let spec = BootSpec::parse("{}").unwrap();
        assert_eq!(spec.stop_grace, DEFAULT_STOP_GRACE);
        assert!(spec.program.is_empty());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        assert!(refused(r#"{"progam": ["/bin/node"]}"#).contains("unknown field `progam`"));
    }

    #[test]
    fn what_cannot_be_started_is_refused() {
        assert_eq!(
            refused(r#"{"program": ["bin/node"]}"#),
            "boot.json: program \"bin/node\" does not begin with /"
        );
        assert!(refused(r#"{"program": ["/a", "b\u0000"]}"#).contains("NUL"));
        assert!(refused(r#"{"env": {"A=B": ""}}"#).contains("\"A=B\" cannot be the name"));
        assert!(refused(r#"{"env": {"A": "\u0000"}}"#).contains("the value of A"));
        assert!(refused(r#"{"stopGraceMs": 600001}"#).contains("600001"));
    }
}
