//! `/etc/session.json` of root's home: how much of the machine each session may use.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use serde::Deserialize;
use thiserror::Error;

use crate::size;
use crate::user::UserName;

/// Where the file lies in root's home.
pub const PATH: &str = "/etc/session.json";

/// With less than this no session gets as far as its shell.
const MIN_MEMORY: u64 = 16 << 20;
/// palmtree, a service, a login shell, a pipeline: fewer would be a session that can do nothing.
const MIN_PROCESSES: u32 = 16;
/// The kernel never has more (`PID_MAX_LIMIT`, include/linux/threads.h).
const MAX_PROCESSES: u32 = 4_194_304;
/// What `cpu.weight` takes (Documentation/admin-guide/cgroup-v2.rst).
const CPU_WEIGHTS: core::ops::RangeInclusive<u32> = 1..=10_000;

/// A validated `session.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSpec {
    /// The limits of everybody who is not named.
    pub everybody: Limits,
    /// The limits of those who are, whole: what is not said of one is everybody's.
    pub users: BTreeMap<UserName, Limits>,
}

/// What one session may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory: Memory,
    /// Processes and threads.
    pub processes: u32,
    /// Its share of a busy processor, relative to that of the other sessions.
    pub cpu_weight: u32,
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Of the machine's, in hundredths.
    Percent(u8),
    Bytes(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawSessionSpec {
    memory: Option<String>,
    processes: Option<u32>,
    cpu_weight: Option<u32>,
    #[serde(default)]
    users: BTreeMap<String, RawLimits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLimits {
    memory: Option<String>,
    processes: Option<u32>,
    cpu_weight: Option<u32>,
}

/// Why a text is not a `session.json`.
#[derive(Debug, Error)]
pub enum ParseSessionSpecError {
    #[error("session.json is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("session.json: {name:?} is no user's name")]
    UserName {
        name: String,
        #[source]
        source: crate::user::ParseUserNameError,
    },
    #[error(
        "session.json: {place} is {given:?}, which is no amount of memory: it can be like 50% or 512M"
    )]
    Memory { place: String, given: String },
    #[error("session.json: {place} is {given:?}, and the least is {}M", MIN_MEMORY >> 20)]
    LittleMemory { place: String, given: String },
    #[error("session.json: {place} is {given}, which is not between {least} and {most}")]
    Range {
        place: String,
        given: u32,
        least: u32,
        most: u32,
    },
}

impl Default for Limits {
    /// A session that takes all it can get leaves half of the machine to the others.
    fn default() -> Limits {
        Limits {
            memory: Memory::Percent(50),
            processes: 512,
            // The kernel's own default.
            cpu_weight: 100,
        }
    }
}

impl SessionSpec {
    /// Reads and validates the text of a `session.json`. Unknown keys are refused by name.
    pub fn parse(text: &str) -> Result<SessionSpec, ParseSessionSpecError> {
        let raw: RawSessionSpec =
            serde_json::from_str(text).map_err(ParseSessionSpecError::Json)?;
        SessionSpec::try_from(raw)
    }

    /// The limits of a user's session.
    pub fn limits(&self, user: &UserName) -> Limits {
        self.users.get(user).copied().unwrap_or(self.everybody)
    }
}

impl Memory {
    /// In bytes, on a machine that has `total`.
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            // In this order nothing overflows, and what is lost is less than 100 bytes.
            Memory::Percent(percent) => total / 100 * u64::from(percent),
            Memory::Bytes(bytes) => bytes,
        }
    }
}

impl TryFrom<RawSessionSpec> for SessionSpec {
    type Error = ParseSessionSpecError;

    fn try_from(raw: RawSessionSpec) -> Result<SessionSpec, ParseSessionSpecError> {
        let everybody = RawLimits {
            memory: raw.memory,
            processes: raw.processes,
            cpu_weight: raw.cpu_weight,
        };
        let everybody = limits("", everybody, Limits::default())?;
        let mut users = BTreeMap::new();
        for (name, raw) in raw.users {
            let user = UserName::new(&name).map_err(|source| {
                let name = name.clone();
                ParseSessionSpecError::UserName { name, source }
            })?;
            users.insert(user, limits(&format!("users.{name}."), raw, everybody)?);
        }
        Ok(SessionSpec { everybody, users })
    }
}

/// `prefix` says where in the file these are.
fn limits(
    prefix: &str,
    raw: RawLimits,
    otherwise: Limits,
) -> Result<Limits, ParseSessionSpecError> {
    let check = |key, given: Option<u32>, otherwise, least, most| {
        let value = given.unwrap_or(otherwise);
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        Err(ParseSessionSpecError::Range {
            place: format!("{prefix}{key}"),
            given: value,
            least,
            most,
        })
    };
    let (least, most) = CPU_WEIGHTS.into_inner();
    Ok(Limits {
        memory: raw
            .memory
            .map_or(Ok(otherwise.memory), |given| memory(prefix, given))?,
        processes: check(
            "processes",
            raw.processes,
            otherwise.processes,
            MIN_PROCESSES,
            MAX_PROCESSES,
        )?,
        cpu_weight: check(
            "cpuWeight",
            raw.cpu_weight,
            otherwise.cpu_weight,
            least,
            most,
        )?,
    })
}

fn memory(prefix: &str, given: String) -> Result<Memory, ParseSessionSpecError> {
    let place = format!("{prefix}memory");
    let amount = match given.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|percent| (1..=100).contains(percent))
            .map(Memory::Percent),
        None => size::parse_bytes(&given).map(Memory::Bytes),
    };
    match amount {
        Some(Memory::Bytes(..MIN_MEMORY)) => {
            Err(ParseSessionSpecError::LittleMemory { place, given })
        }
        Some(amount) => Ok(amount),
        None => Err(ParseSessionSpecError::Memory { place, given }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    #[test]
    fn what_is_not_said_of_a_user_is_everybodys_and_then_the_default() {
        let text = r#"{"memory": "256M", "users": {"ada": {"processes": 100}, "bob": {"memory": "10%", "cpuWeight": 50}}}"#;
        let spec = SessionSpec::parse(text).unwrap();
        let check = |name, memory, processes, cpu_weight| {
            let expected = Limits {
                memory,
                processes,
                cpu_weight,
            };
            assert_eq!(spec.limits(&user(name)), expected, "{name}");
        };
        check("ada", Memory::Bytes(256 << 20), 100, 100);
        check("bob", Memory::Percent(10), 512, 50);
        check("eve", Memory::Bytes(256 << 20), 512, 100);
        assert_eq!(SessionSpec::parse("{}").unwrap(), SessionSpec::default());
    }

    #[test]
    fn a_share_of_the_memory_depends_on_the_machine() {
        assert_eq!(Memory::Percent(50).bytes(1 << 30), 536_870_900);
        assert_eq!(Memory::Percent(100).bytes(u64::MAX), u64::MAX / 100 * 100);
        assert_eq!(Memory::Bytes(5).bytes(1 << 30), 5);
    }

    #[test]
    fn limits_that_no_session_could_live_with_are_refused_with_their_place() {
        let check = |text: &str, expected: &str| {
            let error = SessionSpec::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("session.json: {expected}"));
        };
        let amount = "which is no amount of memory: it can be like 50% or 512M";
        check(
            r#"{"memory": "half"}"#,
            &format!("memory is \"half\", {amount}"),
        );
        check(
            r#"{"memory": "0%"}"#,
            &format!("memory is \"0%\", {amount}"),
        );
        check(
            r#"{"memory": "101%"}"#,
            &format!("memory is \"101%\", {amount}"),
        );
        check(
            r#"{"memory": "8M"}"#,
            "memory is \"8M\", and the least is 16M",
        );
        check(
            r#"{"processes": 3}"#,
            "processes is 3, which is not between 16 and 4194304",
        );
        check(
            r#"{"users": {"ada": {"cpuWeight": 0}}}"#,
            "users.ada.cpuWeight is 0, which is not between 1 and 10000",
        );
        check(
            r#"{"users": {"../ada": {}}}"#,
            "\"../ada\" is no user's name",
        );
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = SessionSpec::parse(r#"{"users": {"ada": {"cpu": 1}}}"#).unwrap_err();
        let source = core::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("unknown field `cpu`"), "{source}");
    }
}
