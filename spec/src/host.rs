//! What the host and `boot` say to each other over the virtio-serial port [`PORT`]: lines of one message in JSON each.
//!
//! Whoever holds the host's end holds the machine, so nothing here asks who they are.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::broker::ParseMessageError;

/// The port's name.
pub const PORT: &str = "org.nodeos.control";

/// The longest line that a machine takes, in bytes.
pub const MAX_LINE: usize = 64 << 10;

/// What the host has to say.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HostMessage {
    /// The terminal that shows the serial console has this size.
    ConsoleSize { columns: u16, rows: u16 },
    /// Run a command as root, in administrator mode and where the kernel's command line has
    /// [`crate::cmdline::COMMANDS`]. Answered by [`MachineMessage::Ended`], or [`MachineMessage::NotStarted`].
    Run {
        /// The program, looked for in `PATH`, and its arguments.
        argv: Vec<String>,
        /// Its standard input. Passwords come this way.
        #[serde(default)]
        input: String,
    },
}

/// What the machine has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MachineMessage {
    /// It takes commands now.
    Ready,
    Ended {
        /// The command's exit code, or 128 plus the number of the signal that ended it.
        code: u8,
        stdout: String,
        stderr: String,
    },
    NotStarted {
        reason: String,
    },
}

impl HostMessage {
    pub fn parse(line: &[u8]) -> Result<HostMessage, ParseMessageError> {
        serde_json::from_slice(line).map_err(ParseMessageError)
    }

    /// One line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

impl MachineMessage {
    pub fn parse(line: &[u8]) -> Result<MachineMessage, ParseMessageError> {
        serde_json::from_slice(line).map_err(ParseMessageError)
    }

    /// One line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

/// Without what a command is given to read, which may be a password.
impl fmt::Debug for HostMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostMessage::ConsoleSize { columns, rows } => {
                write!(f, "ConsoleSize({columns}x{rows})")
            }
            HostMessage::Run { argv, .. } => write!(f, "Run({argv:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_host_are_these_texts() {
        let check = |message: HostMessage, text: &str| {
            assert_eq!(message.to_line(), text);
            assert_eq!(HostMessage::parse(text.as_bytes()).unwrap(), message);
        };
        check(
            HostMessage::ConsoleSize {
                columns: 80,
                rows: 24,
            },
            r#"{"type":"console-size","columns":80,"rows":24}"#,
        );
        check(
            HostMessage::Run {
                argv: vec!["passwd".to_owned(), "ada".to_owned()],
                input: "secret\n".to_owned(),
            },
            r#"{"type":"run","argv":["passwd","ada"],"input":"secret\n"}"#,
        );
        assert!(HostMessage::parse(br#"{"type":"run","argv":["users"]}"#).is_ok());
        assert!(HostMessage::parse(br#"{"type":"dance"}"#).is_err());
    }

    #[test]
    fn messages_of_the_machine_are_these_texts() {
        let check = |message: MachineMessage, text: &str| {
            assert_eq!(message.to_line(), text);
            assert_eq!(MachineMessage::parse(text.as_bytes()).unwrap(), message);
        };
        check(MachineMessage::Ready, r#"{"type":"ready"}"#);
        check(
            MachineMessage::Ended {
                code: 1,
                stdout: "a\n".to_owned(),
                stderr: String::new(),
            },
            r#"{"type":"ended","code":1,"stdout":"a\n","stderr":""}"#,
        );
        check(
            MachineMessage::NotStarted {
                reason: "no".to_owned(),
            },
            r#"{"type":"not-started","reason":"no"}"#,
        );
    }

    #[test]
    fn what_a_command_reads_is_not_shown() {
        let message = HostMessage::Run {
            argv: vec!["passwd".to_owned()],
            input: "secret".to_owned(),
        };
        assert!(!format!("{message:?}").contains("secret"));
    }
}
