//! What sessions and the session broker say to each other over [`SOCKET`].
//!
//! The socket keeps packets apart (`SOCK_SEQPACKET`): each is one message in JSON, and descriptors come with it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::capability::Capability;

/// Where the broker is, in every session.
pub const SOCKET: &str = "/run/broker.sock";

/// The longest message, in bytes. Whoever sends a longer one is not understood.
pub const MAX_MESSAGE: usize = 64 << 10;

/// What a session asks for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Start the user's shell on the terminal, which is the one descriptor that comes with the packet. Answered by
    /// [`Reply::Refused`], [`Reply::Failed`], or [`Reply::Accepted`] and at the end [`Reply::Ended`].
    Logon { user: String, password: String },
    /// Stop the machine.
    Power { how: Power },
    /// Which sessions there are.
    Sessions,
    /// Start a service with capabilities in the session that asks, which is root's. The two descriptors that come with the
    /// packet become its standard output and standard error; without them they are the files named here, in the session,
    /// opened for append, or nothing. Answered by [`Reply::Started`] and at its end [`Reply::Exited`], or by
    /// [`Reply::Failed`].
    StartService {
        name: String,
        /// A path, or a name that is looked for in the session's `PATH`.
        command: String,
        #[serde(default)]
        args: Vec<String>,
        /// Over the session's own environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
        #[serde(default)]
        capabilities: Vec<Capability>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdout: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stderr: Option<String>,
    },
    /// Send a signal to a service that was started on the same connection.
    StopService { name: String, signal: i32 },
}

/// How a machine is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    PowerOff,
    Restart,
    Halt,
}

/// What the broker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Logged in: the shell runs on the terminal.
    Accepted,
    /// The login session is over. The code is the shell's, or 128 plus the number of the signal that ended it.
    Ended {
        code: i32,
    },
    /// Wrong name or password, which is not told apart. To be asked again no sooner than after this time.
    Refused {
        wait_ms: u64,
    },
    /// The service runs.
    Started {
        /// In the session's own PID namespace.
        pid: i32,
    },
    /// A service has ended: with a code, or by a signal.
    Exited {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
    },
    /// What was asked for has happened, or is under way.
    Done,
    Sessions {
        sessions: Vec<SessionInfo>,
    },
    /// What was asked for did not happen, and why.
    Failed {
        message: String,
    },
}

/// One session, or one that should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionInfo {
    pub user: String,
    pub uid: u32,
    pub state: SessionState,
    /// Why it is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    Running,
    /// It was there, and its first process has ended.
    Ended,
    /// It could not be started.
    Failed,
}

/// Why a packet is no message.
#[derive(Debug, Error)]
#[error("the message is not understood")]
pub struct ParseMessageError(#[source] pub serde_json::Error);

impl Request {
    pub fn parse(packet: &[u8]) -> Result<Request, ParseMessageError> {
        serde_json::from_slice(packet).map_err(ParseMessageError)
    }

    pub fn to_packet(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}

impl Reply {
    pub fn parse(packet: &[u8]) -> Result<Reply, ParseMessageError> {
        serde_json::from_slice(packet).map_err(ParseMessageError)
    }

    pub fn to_packet(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}

/// By hand, because a password is not shown.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Logon { user, .. } => f
                .debug_struct("Logon")
                .field("user", user)
                .finish_non_exhaustive(),
            Request::Power { how } => f.debug_struct("Power").field("how", how).finish(),
            Request::Sessions => f.write_str("Sessions"),
            Request::StartService { name, command, .. } => f
                .debug_struct("StartService")
                .field("name", name)
                .field("command", command)
                .finish_non_exhaustive(),
            Request::StopService { name, signal } => f
                .debug_struct("StopService")
                .field("name", name)
                .field("signal", signal)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_these_texts() {
        let check = |request: Request, text: &str| {
            assert_eq!(String::from_utf8(request.to_packet()).unwrap(), text);
            assert_eq!(Request::parse(text.as_bytes()).unwrap(), request);
        };
        check(
            Request::Logon {
                user: "nodeos".to_owned(),
                password: "p".to_owned(),
            },
            r#"{"type":"logon","user":"nodeos","password":"p"}"#,
        );
        check(
            Request::Power {
                how: Power::PowerOff,
            },
            r#"{"type":"power","how":"power-off"}"#,
        );
        check(Request::Sessions, r#"{"type":"sessions"}"#);
        check(
            Request::StartService {
                name: "network".to_owned(),
                command: "/bin/network".to_owned(),
                args: Vec::new(),
                env: BTreeMap::new(),
                cwd: None,
                capabilities: vec!["net_admin".parse().unwrap()],
                stdout: None,
                stderr: None,
            },
            r#"{"type":"start-service","name":"network","command":"/bin/network","args":[],"env":{},"capabilities":["net_admin"]}"#,
        );
        check(
            Request::StopService {
                name: "network".to_owned(),
                signal: 15,
            },
            r#"{"type":"stop-service","name":"network","signal":15}"#,
        );
    }

    #[test]
    fn replies_are_these_texts() {
        let check = |reply: Reply, text: &str| {
            assert_eq!(String::from_utf8(reply.to_packet()).unwrap(), text);
            assert_eq!(Reply::parse(text.as_bytes()).unwrap(), reply);
        };
        check(Reply::Accepted, r#"{"type":"accepted"}"#);
        check(Reply::Ended { code: 0 }, r#"{"type":"ended","code":0}"#);
        check(
            Reply::Refused { wait_ms: 500 },
            r#"{"type":"refused","wait_ms":500}"#,
        );
        check(Reply::Started { pid: 7 }, r#"{"type":"started","pid":7}"#);
        check(
            Reply::Exited {
                name: "a".to_owned(),
                code: None,
                signal: Some(9),
            },
            r#"{"type":"exited","name":"a","signal":9}"#,
        );
        check(Reply::Done, r#"{"type":"done"}"#);
        check(
            Reply::Sessions {
                sessions: vec![SessionInfo {
                    user: "ada".to_owned(),
                    uid: 1000,
                    state: SessionState::Failed,
                    reason: Some("its /etc is a file".to_owned()),
                }],
            },
            r#"{"type":"sessions","sessions":[{"user":"ada","uid":1000,"state":"failed","reason":"its /etc is a file"}]}"#,
        );
        check(
            Reply::Failed {
                message: "no".to_owned(),
            },
            r#"{"type":"failed","message":"no"}"#,
        );
    }

    #[test]
    fn what_is_no_request_is_refused_with_what_is_wrong() {
        let check = |text: &[u8], expected: &str| {
            let ParseMessageError(source) = Request::parse(text).unwrap_err();
            assert!(source.to_string().contains(expected), "{source}");
        };
        check(b"", "EOF");
        check(b"\xff", "expected value");
        check(br#"{"type":"sudo"}"#, "unknown variant `sudo`");
        check(
            br#"{"type":"power","how":"halt","now":true}"#,
            "unknown field `now`",
        );
        check(
            br#"{"type":"start-service","name":"a","command":"b","capabilities":["root"]}"#,
            "there is no capability \"root\"",
        );
    }

    #[test]
    fn debug_tells_no_password() {
        let request = Request::Logon {
            user: "ada".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(format!("{request:?}"), "Logon { user: \"ada\", .. }");
    }
}
