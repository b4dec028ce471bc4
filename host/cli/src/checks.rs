//! What this host has and lacks for building and booting: the rows of `nodeos doctor`. Nothing here prints.

pub mod build;
pub mod host;
pub mod machine;
pub mod space;

use serde::Serialize;

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is, in a word or two.
    pub name: String,
    pub state: State,
    /// What was found: a version, a path, a reason.
    pub found: String,
    /// What to do, where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There, and works.
    Ok,
    /// Not there, or not as it could be; NodeOS does without.
    Without,
    /// Not there, and neither building nor booting goes without it.
    Missing,
}

impl State {
    /// The word that stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Without => "without",
            State::Missing => "missing",
        }
    }
}

impl Check {
    /// Something that is there.
    pub fn ok(name: &str, found: impl Into<String>) -> Check {
        Check {
            name: name.to_owned(),
            state: State::Ok,
            found: found.into(),
            hint: None,
        }
    }

    /// Something that is not there and can be done without.
    pub fn without(name: &str, found: impl Into<String>, hint: impl Into<String>) -> Check {
        Check {
            name: name.to_owned(),
            state: State::Without,
            found: found.into(),
            hint: Some(hint.into()),
        }
    }

    /// Something that has to be there and is not.
    pub fn missing(name: &str, found: impl Into<String>, hint: impl Into<String>) -> Check {
        Check {
            name: name.to_owned(),
            state: State::Missing,
            found: found.into(),
            hint: Some(hint.into()),
        }
    }
}

/// True where one can build and boot.
pub fn is_enough(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != State::Missing)
}
