//! `/etc/logon.json` of a home: how its user logs in, and to which shell.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::program::{self, ProgramError};

/// Where the file lies in a home.
pub const PATH: &str = "/etc/logon.json";

/// The shell of a user whose file names none.
pub const DEFAULT_SHELL: &str = "/bin/sh";

/// How the text of an Argon2id hash begins, up to its parameters. 19 is the version of RFC 9106, there is no later one.
const ARGON2: &str = "$argon2id$v=19$";

/// The costliest hash that is computed for somebody, in KiB, passes and lanes: the file belongs to its user, but who
/// computes is the broker, which has no limits. RFC 9106 recommends 65536, 3 and 4 where memory is scarce.
const MAX_ARGON2_COST: [(&str, u32); 3] = [("m", 65_536), ("t", 16), ("p", 16)];

/// A validated `logon.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logon {
    pub password: Password,
    /// A path, or a name that is looked for in `PATH`.
    pub shell: String,
    pub shell_args: Vec<String>,
    /// The server that shows this user's screen to the network, where there is one.
    pub gui_server: Option<String>,
    /// Nobody logs in, whatever the password is.
    pub locked: bool,
}

/// What is asked of the user. Its `Debug` tells the kind only.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// No password is in the file: nobody logs in.
    NonInteractive,
    /// The empty text is in the file: everybody logs in.
    None,
    /// What the original wrote, unsalted. To be replaced at the next login.
    Sha1([u8; 20]),
    /// In the format that the hash's reference implementation prints: `$argon2id$v=19$m=...,t=...,p=...$SALT$HASH`.
    Argon2(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLogon {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shell_args: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gui_server: Option<String>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    locked: bool,
}

/// Why a text is not a `logon.json`. None of these repeats a password.
#[derive(Debug, Error)]
pub enum ParseLogonError {
    #[error("logon.json is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("logon.json: the password is neither empty nor a hash: passwd writes one")]
    Password,
    #[error("logon.json: the hash of the password is no Argon2id hash of version 19")]
    Argon2Form,
    #[error("logon.json: the hash of the password has {parameter}={given}, and the most is {most}")]
    Argon2Cost {
        parameter: &'static str,
        given: u32,
        most: u32,
    },
    #[error("logon.json: the shell is an empty text")]
    EmptyShell,
    #[error("logon.json: the shell cannot be started")]
    Shell(#[source] ProgramError),
}

impl Default for Logon {
    /// What an empty file says: an account that nobody logs in to.
    fn default() -> Logon {
        Logon {
            password: Password::NonInteractive,
            shell: DEFAULT_SHELL.to_owned(),
            shell_args: Vec::new(),
            gui_server: None,
            locked: false,
        }
    }
}

impl Logon {
    /// Reads and validates the text of a `logon.json`. Unknown keys are refused by name.
    pub fn parse(text: &str) -> Result<Logon, ParseLogonError> {
        let raw: RawLogon = serde_json::from_str(text).map_err(ParseLogonError::Json)?;
        Logon::try_from(raw)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let raw = RawLogon {
            password: self.password.text(),
            shell: Some(self.shell.clone()),
            shell_args: self.shell_args.clone(),
            gui_server: self.gui_server.clone(),
            locked: self.locked,
        };
        let mut text = serde_json::to_string_pretty(&raw).expect("strings always serialise");
        text.push('\n');
        text
    }
}

impl Password {
    /// Reads what the file has under `password`.
    pub fn parse(text: &str) -> Result<Password, ParseLogonError> {
        if text.is_empty() {
            return Ok(Password::None);
        }
        if text.starts_with("$argon2") {
            check_argon2(text)?;
            return Ok(Password::Argon2(text.to_owned()));
        }
        parse_sha1(text)
            .map(Password::Sha1)
            .ok_or(ParseLogonError::Password)
    }

    /// What the file has under `password`.
    fn text(&self) -> Option<String> {
        match self {
            Password::NonInteractive => None,
            Password::None => Some(String::new()),
            Password::Sha1(hash) => Some(
                hash.iter()
                    .flat_map(|byte| [byte >> 4, byte & 15])
                    .filter_map(|digit| char::from_digit(digit.into(), 16))
                    .collect(),
            ),
            Password::Argon2(hash) => Some(hash.clone()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Password::NonInteractive => "NonInteractive",
            Password::None => "None",
            Password::Sha1(_) => "Sha1(..)",
            Password::Argon2(_) => "Argon2(..)",
        })
    }
}

impl TryFrom<RawLogon> for Logon {
    type Error = ParseLogonError;

    fn try_from(raw: RawLogon) -> Result<Logon, ParseLogonError> {
        let password = raw
            .password
            .as_deref()
            .map_or(Ok(Password::NonInteractive), Password::parse)?;
        let shell = raw.shell.unwrap_or_else(|| DEFAULT_SHELL.to_owned());
        if shell.is_empty() {
            return Err(ParseLogonError::EmptyShell);
        }
        program::check_text("its name", &shell)
            .and_then(|()| program::check_args(&raw.shell_args))
            .map_err(ParseLogonError::Shell)?;
        Ok(Logon {
            password,
            shell,
            shell_args: raw.shell_args,
            gui_server: raw.gui_server,
            locked: raw.locked,
        })
    }
}

fn parse_sha1(text: &str) -> Option<[u8; 20]> {
    let digits = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<Vec<u8>>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    // Half a byte at the end would be left out by the chunks.
    (digits.len() == 40).then(|| bytes.try_into().ok())?
}

/// The form and the costs. Whether salt and hash are what they should be is for the implementation of the hash to say.
fn check_argon2(text: &str) -> Result<(), ParseLogonError> {
    let rest = text
        .strip_prefix(ARGON2)
        .ok_or(ParseLogonError::Argon2Form)?;
    let [costs, salt, hash] = rest
        .split('$')
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| ParseLogonError::Argon2Form)?;
    let is_base64 = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    let costs: Vec<&str> = costs.split(',').collect();
    if costs.len() != MAX_ARGON2_COST.len() || !is_base64(salt) || !is_base64(hash) {
        return Err(ParseLogonError::Argon2Form);
    }
    for ((parameter, most), cost) in MAX_ARGON2_COST.into_iter().zip(costs) {
        let given: u32 = cost
            .strip_prefix(parameter)
            .and_then(|cost| cost.strip_prefix('=')?.parse().ok())
            .ok_or(ParseLogonError::Argon2Form)?;
        if given > most {
            return Err(ParseLogonError::Argon2Cost {
                parameter,
                given,
                most,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's demo password, `nodeos`, as its image had it.
    const SHA1: &str = "814edc2477620718d63fcfb8b81a69dbf48bf837";
    const ARGON2: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";

    fn refused(text: &str) -> String {
        let error = Logon::parse(text).expect_err("the text should be refused");
        match core::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    fn with_password(password: &str) -> String {
        format!(r#"{{"password": "{password}"}}"#)
    }

    #[test]
    fn what_is_written_is_read_back() {
        for password in [
            Password::NonInteractive,
            Password::None,
            Password::parse(SHA1).unwrap(),
            Password::Argon2(ARGON2.to_owned()),
        ] {
            let logon = Logon {
                password,
                shell: "nsh".to_owned(),
                shell_args: vec!["-l".to_owned()],
                gui_server: Some("davius".to_owned()),
                locked: true,
            };
            assert_eq!(Logon::parse(&logon.to_json()).unwrap(), logon);
        }
    }

    #[test]
    fn the_password_says_by_its_form_what_it_is() {
        let check = |text: &str, expected: Password| {
            assert_eq!(Logon::parse(text).unwrap().password, expected);
        };
        check("{}", Password::NonInteractive);
        check(&with_password(""), Password::None);
        check(&with_password(ARGON2), Password::Argon2(ARGON2.to_owned()));
        let upper = with_password(&"AB".repeat(20));
        check(&upper, Password::Sha1([0xab; 20]));
    }

    #[test]
    fn what_is_no_hash_is_refused_without_repeating_it() {
        let check = |password: &str, expected: &str| {
            assert_eq!(
                refused(&with_password(password)),
                format!("logon.json: {expected}")
            );
        };
        let plain = "the password is neither empty nor a hash: passwd writes one";
        check("secret", plain);
        check(&SHA1[1..], plain);
        check(&SHA1.replace('0', "g"), plain);
        check("$6$salt$hash", plain);
        let form = "the hash of the password is no Argon2id hash of version 19";
        check("$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", form);
        check("$argon2id$v=16$m=19456,t=2,p=1$c2FsdA$aGFzaA", form);
        check("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA", form);
        check("$argon2id$v=19$m=19456,t=2$c2FsdA$aGFzaA", form);
        check("$argon2id$v=19$t=2,m=19456,p=1$c2FsdA$aGFzaA", form);
        check("$argon2id$v=19$m=19456,t=2,p=1$$aGFzaA", form);
    }

    #[test]
    fn a_hash_that_would_cost_the_broker_too_much_is_refused() {
        let check = |costs: &str, expected: &str| {
            let password = with_password(&format!("$argon2id$v=19${costs}$c2FsdA$aGFzaA"));
            assert_eq!(
                refused(&password),
                format!("logon.json: the hash of the password has {expected}")
            );
        };
        check("m=4194304,t=2,p=1", "m=4194304, and the most is 65536");
        check("m=65536,t=1000,p=1", "t=1000, and the most is 16");
        check("m=65536,t=16,p=17", "p=17, and the most is 16");
    }

    #[test]
    fn the_shell_has_a_default_and_must_be_startable() {
        assert_eq!(Logon::parse("{}").unwrap().shell, "/bin/sh");
        assert_eq!(
            refused(r#"{"shell": ""}"#),
            "logon.json: the shell is an empty text"
        );
        assert_eq!(
            refused(r#"{"shellArgs": ["a\u0000"]}"#),
            "logon.json: the shell cannot be started: argument \"a\\0\" contains a NUL character"
        );
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        assert!(refused(r#"{"pasword": ""}"#).contains("unknown field `pasword`"));
    }

    #[test]
    fn debug_tells_no_hash() {
        let logon = Logon::parse(&with_password(ARGON2)).unwrap();
        let shown = format!("{logon:?}");
        assert!(
            shown.contains("Argon2(..)") && !shown.contains("argon2id"),
            "{shown}"
        );
    }
}
