//! Users: what their names may be, and which folders of the users partition are users at all.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name that Linux's own tools take (useradd(8)).
pub const MAX_NAME: usize = 32;

/// Where e2fsck puts what it finds; mke2fs makes the folder in every filesystem.
const LOST_AND_FOUND: &str = "lost+found";

/// A name that is safe as a part of a path, as a word of a command line, and in `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// Why a text is not the name of a user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseUserNameError {
    #[error("the name of a user cannot be empty")]
    Empty,
    #[error("the user name {name:?} is longer than {MAX_NAME} characters")]
    TooLong { name: String },
    #[error("the user name {name:?} does not begin with a letter from a to z or with _")]
    Begin { name: String },
    #[error(
        "the user name {name:?} contains {character:?}: it may have letters from a to z, digits, _, . and -"
    )]
    Character { name: String, character: char },
}

impl UserName {
    /// The name of the administrator, whose home is the folder of that name.
    pub const ROOT: &str = "root";

    pub fn new(name: &str) -> Result<UserName, ParseUserNameError> {
        let name = name.to_owned();
        let Some(first) = name.chars().next() else {
            return Err(ParseUserNameError::Empty);
        };
        if name.len() > MAX_NAME {
            return Err(ParseUserNameError::TooLong { name });
        }
        // In this order the sentence about ".." is the one that says what is wrong with it.
        if !matches!(first, 'a'..='z' | '_') {
            return Err(ParseUserNameError::Begin { name });
        }
        match name
            .chars()
            .find(|character| !matches!(character, 'a'..='z' | '0'..='9' | '_' | '.' | '-'))
        {
            Some(character) => Err(ParseUserNameError::Character { name, character }),
            None => Ok(UserName(name)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0 == UserName::ROOT
    }
}

/// Whether a folder of the users partition stands for a user. What it is called may still be no name for one, which is to
/// be reported, not passed over.
pub fn is_user_folder(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name != LOST_AND_FOUND
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for UserName {
    type Err = ParseUserNameError;

    fn from_str(name: &str) -> Result<UserName, ParseUserNameError> {
        UserName::new(name)
    }
}

impl TryFrom<String> for UserName {
    type Error = ParseUserNameError;

    fn try_from(name: String) -> Result<UserName, ParseUserNameError> {
        UserName::new(&name)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for name in ["root", "nodeos", "_www", "a", "j.doe-2", &"x".repeat(32)] {
            assert_eq!(UserName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_could_touch_a_path_or_a_terminal_is_no_name() {
        let check = |name: &str, expected: &str| {
            assert_eq!(UserName::new(name).unwrap_err().to_string(), expected);
        };
        check("", "the name of a user cannot be empty");
        check(
            "..",
            "the user name \"..\" does not begin with a letter from a to z or with _",
        );
        check(
            "-rf",
            "the user name \"-rf\" does not begin with a letter from a to z or with _",
        );
        check(
            "a/b",
            "the user name \"a/b\" contains '/': it may have letters from a to z, digits, _, . and -",
        );
        for name in [
            ".", "../root", "Root", "0", "a b", "a\n", "a\0", "é", "aé", "a:b",
        ] {
            assert!(UserName::new(name).is_err(), "{name:?}");
        }
        let long = "x".repeat(33);
        assert!(
            UserName::new(&long)
                .unwrap_err()
                .to_string()
                .ends_with("is longer than 32 characters")
        );
    }

    #[test]
    fn every_folder_is_a_user_but_hidden_ones_and_lost_and_found() {
        let check = |name, expected| assert_eq!(is_user_folder(name), expected, "{name:?}");
        check("root", true);
        check("a b", true);
        check("lost+found", false);
        check(".work", false);
        check("..", false);
        check("", false);
    }

    #[test]
    fn a_name_in_json_is_checked_too() {
        assert!(serde_json::from_str::<UserName>("\"a\"").is_ok());
        let error = serde_json::from_str::<UserName>("\"../a\"").unwrap_err();
        assert!(error.to_string().contains("does not begin"), "{error}");
    }
}
