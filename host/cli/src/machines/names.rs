//! What machines are called.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name: what a host name may have (RFC 1123), since it is one in the machine.
const LONGEST: usize = 63;

/// What a machine is called whose application's name has no letter that a name may have.
const NAMELESS: &str = "application";

/// A name that can be a folder's and a host's: small letters, digits, and `-`, `_` and `.` within.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseNameError {
    #[error(
        "a machine's name has small letters, digits, and -, _ and . between them, as in my-app"
    )]
    Letters,
    #[error("a machine's name has at most {LONGEST} letters")]
    Long,
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Name, ParseNameError> {
        let ends_well = |byte: Option<u8>| byte.is_some_and(is_alphanumeric);
        let bytes = text.as_bytes();
        if !ends_well(bytes.first().copied())
            || !ends_well(bytes.last().copied())
            || !bytes.iter().copied().all(is_of_a_name)
        {
            return Err(ParseNameError::Letters);
        }
        if bytes.len() > LONGEST {
            return Err(ParseNameError::Long);
        }
        Ok(Name(text.to_owned()))
    }
}

impl Name {
    /// The nearest name to what an application is called: of `@scope/pack` it is `scope-pack`.
    pub fn near(text: &str) -> Name {
        let mut name = String::new();
        for letter in text.chars().flat_map(char::to_lowercase) {
            match u8::try_from(letter).ok().filter(|byte| is_of_a_name(*byte)) {
                Some(byte) => name.push(char::from(byte)),
                None if name.ends_with('-') => {}
                None => name.push('-'),
            }
        }
        name.truncate(LONGEST);
        let name = name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        Name(if name.is_empty() { NAMELESS } else { name }.to_owned())
    }

    /// The name, the name with `-2`, with `-3`, and so on: for machines whose name nobody chose.
    pub fn with_numbers(&self) -> impl Iterator<Item = Name> + '_ {
        let numbered = (2_u32..).map(|number| {
            let end = format!("-{number}");
            let kept = self.0.len().min(LONGEST - end.len());
            Name(format!("{}{end}", &self.0[..kept]))
        });
        std::iter::once(self.clone()).chain(numbered)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_of_a_name(byte: u8) -> bool {
    is_alphanumeric(byte) || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_folders_and_hosts() {
        let longest = "a".repeat(LONGEST);
        for name in ["a", "my-app", "app.2", "0_1", &longest] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "-a", "a-", "A", "a/b", "a b", "é"] {
            assert_eq!(name.parse::<Name>(), Err(ParseNameError::Letters), "{name}");
        }
        assert_eq!(
            "a".repeat(LONGEST + 1).parse::<Name>(),
            Err(ParseNameError::Long)
        );
    }

    #[test]
    fn every_application_has_a_name_near_its_own() {
        let check = |text: &str, expected: &str| {
            let name = Name::near(text);
            assert_eq!(name.as_str(), expected, "{text}");
            assert_eq!(name.as_str().parse(), Ok(name));
        };
        check("@scope/Pack", "scope-pack");
        check("My  Shop!", "my-shop");
        check("../..", "application");
        check("ünicode", "nicode");
        check(&"x".repeat(80), &"x".repeat(LONGEST));
    }

    #[test]
    fn numbers_tell_machines_of_one_name_apart() {
        let name = Name::near("shop");
        let names: Vec<String> = name
            .with_numbers()
            .take(3)
            .map(|name| name.to_string())
            .collect();
        assert_eq!(names, ["shop", "shop-2", "shop-3"]);
        let long = Name::near(&"x".repeat(LONGEST));
        assert_eq!(
            long.with_numbers().nth(9).unwrap().as_str(),
            format!("{}-10", "x".repeat(LONGEST - 3))
        );
    }
}
