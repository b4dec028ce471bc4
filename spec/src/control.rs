//! What `svc` and a session's `palmtree` say to each other over [`SOCKET`]: packets (`SOCK_SEQPACKET`) of one message in
//! JSON each.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::broker::ParseMessageError;

/// Where palmtree is, in every session.
pub const SOCKET: &str = "/run/palmtree.sock";

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 64 << 10;

/// What palmtree is asked to do. One command is one answer, but for [`Command::Logs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    List,
    Start {
        name: String,
    },
    Stop {
        name: String,
    },
    Restart {
        name: String,
    },
    /// Read the file again, and do what has changed in it.
    Reload,
    /// The last lines of a service's log, in [`Answer::Text`]s. With `follow` they go on with what the service writes
    /// from then on.
    Logs {
        name: String,
        lines: u64,
        #[serde(default)]
        follow: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    Services {
        services: Vec<ServiceState>,
        /// A sentence for each entry of the file that cannot be started, and for a file that is broken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        problems: Vec<String>,
    },
    /// What was asked for is done. To stop a service is done when it has ended.
    Done,
    /// A part of a log.
    Text {
        text: String,
        /// Whether further parts follow.
        more: bool,
    },
    Failed {
        message: String,
    },
}

/// One service as it is now. Times are how long ago, or in how long, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceState {
    pub name: String,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// How often it was started again by itself.
    pub restarts: u64,
    /// Since when it is in this state.
    pub since_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_ms: Option<u64>,
    /// How it ended the last time, or why it was not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Running,
    /// It is not to run: nobody started it, or somebody stopped it, or it is done.
    Stopped,
    /// It will be started again.
    Waiting,
    /// It has ended with an error, and is not started again by itself.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Running => "running",
            State::Stopped => "stopped",
            State::Waiting => "waiting",
            State::Failed => "failed",
        })
    }
}

impl Command {
    pub fn parse(packet: &[u8]) -> Result<Command, ParseMessageError> {
        serde_json::from_slice(packet).map_err(ParseMessageError)
    }

    pub fn to_packet(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}

impl Answer {
    pub fn parse(packet: &[u8]) -> Result<Answer, ParseMessageError> {
        serde_json::from_slice(packet).map_err(ParseMessageError)
    }

    pub fn to_packet(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_these_texts() {
        let name = || "web".to_owned();
        let check = |command: Command, text: &str| {
            assert_eq!(String::from_utf8(command.to_packet()).unwrap(), text);
            assert_eq!(Command::parse(text.as_bytes()).unwrap(), command);
        };
        check(Command::List, r#"{"type":"list"}"#);
        check(
            Command::Start { name: name() },
            r#"{"type":"start","name":"web"}"#,
        );
        check(
            Command::Stop { name: name() },
            r#"{"type":"stop","name":"web"}"#,
        );
        check(
            Command::Restart { name: name() },
            r#"{"type":"restart","name":"web"}"#,
        );
        check(Command::Reload, r#"{"type":"reload"}"#);
        check(
            Command::Logs {
                name: name(),
                lines: 20,
                follow: true,
            },
            r#"{"type":"logs","name":"web","lines":20,"follow":true}"#,
        );
        assert!(Command::parse(br#"{"type":"logs","name":"web","lines":20}"#).is_ok());
    }

    #[test]
    fn answers_are_these_texts() {
        let check = |answer: Answer, text: &str| {
            assert_eq!(String::from_utf8(answer.to_packet()).unwrap(), text);
            assert_eq!(Answer::parse(text.as_bytes()).unwrap(), answer);
        };
        let service = ServiceState {
            name: "web".to_owned(),
            state: State::Waiting,
            pid: None,
            restarts: 3,
            since_ms: 400,
            next_try_ms: Some(7600),
            last_exit: Some("code 1".to_owned()),
        };
        check(
            Answer::Services {
                services: vec![service],
                problems: Vec::new(),
            },
            r#"{"type":"services","services":[{"name":"web","state":"waiting","restarts":3,"since_ms":400,"next_try_ms":7600,"last_exit":"code 1"}]}"#,
        );
        check(Answer::Done, r#"{"type":"done"}"#);
        check(
            Answer::Text {
                text: "a\n".to_owned(),
                more: false,
            },
            r#"{"type":"text","text":"a\n","more":false}"#,
        );
        check(
            Answer::Failed {
                message: "no".to_owned(),
            },
            r#"{"type":"failed","message":"no"}"#,
        );
    }
}
