//! What the host and the program that runs the application say to each other, in frames of stream
//! [`super::frame::MESSAGES`].
//!
//! Whoever holds the host's end holds the machine, so nothing here asks who they are.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::broker::ParseMessageError;

/// What the host has to say. Numbers of commands are the host's to give, from 1 on, and never again; 0 is the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HostMessage {
    /// Send this signal to the application or to a command.
    Signal { command: u32, signal: i32 },
    /// Stop the application, TERM, its grace period, KILL, and the machine with it.
    #[serde(rename_all = "camelCase")]
    Stop {
        /// Instead of the application's own.
        grace_ms: Option<u64>,
    },
    /// Stop the application and start it anew.
    Restart,
    /// Run a command as the application's user, where the application is. Its streams are [`super::frame::streams_of`] its number.
    /// Answered by [`MachineMessage::CommandEnded`], or [`MachineMessage::CommandFailed`].
    Run {
        command: u32,
        argv: Vec<String>,
        /// Over the application's own environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// A terminal instead of pipes: then its standard error is in its standard output.
        terminal: Option<Terminal>,
    },
    /// The terminal of a command has another size.
    WindowSize {
        command: u32,
        columns: u16,
        rows: u16,
    },
    /// Send a file or folder as a tar archive on the command's standard output. Answered as [`HostMessage::Run`] is.
    Pack { command: u32, path: String },
    /// Unpack the tar archive that comes on the command's standard input into this folder. Answered as [`HostMessage::Run`] is.
    Unpack { command: u32, path: String },
    /// As [`HostMessage::Unpack`] into the application's own folder, which a machine that was started to follow changes allows.
    Update {
        command: u32,
        /// What is removed first, by paths below that folder: files, and folders with all that is in them. Folders that become
        /// empty go with them. What is not there needs no removing.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// Answered by [`MachineMessage::Stats`].
    Stats,
    /// The time is this, in nanoseconds since 1970: the host may have slept.
    Time { unix_ns: u64 },
    /// All that the application wrote has arrived: the machine may end.
    Goodbye,
}

/// How a command's terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    pub columns: u16,
    pub rows: u16,
    /// For `TERM`.
    pub term: String,
}

/// What the machine has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MachineMessage {
    /// The application runs, for the first time or again.
    Started,
    /// Something listens on the application's first port.
    Ready {
        port: u16,
    },
    /// The application has ended. All that it wrote has been sent before; the machine waits for [`HostMessage::Goodbye`], for a
    /// while, and then ends, unless the application is to be started again.
    #[serde(rename_all = "camelCase")]
    Ended {
        how: End,
        /// Some process of the application was killed because there was no memory left.
        out_of_memory: bool,
        /// The most that it ever took, and what it could have, in bytes.
        memory_peak: u64,
        memory_limit: u64,
        /// In so many milliseconds it is started again.
        again_in_ms: Option<u64>,
    },
    /// The application has ended by itself, on a machine that was started to follow changes: it is started again by
    /// [`HostMessage::Restart`], and not before.
    #[serde(rename_all = "camelCase")]
    Rests {
        how: End,
        out_of_memory: bool,
        memory_peak: u64,
        memory_limit: u64,
    },
    /// The application could not be started: the whole sentence. The machine then ends.
    NotStarted {
        reason: String,
    },
    /// Something that people should know, and that stops nothing.
    Note {
        text: String,
    },
    CommandEnded {
        command: u32,
        how: End,
    },
    /// It was not started, or could not do what it was to do: the whole sentence.
    CommandFailed {
        command: u32,
        reason: String,
        /// 126 where the program cannot be run, 127 where there is none, as env(1) has it; else 125.
        code: u8,
    },
    Stats(Stats),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    Code(u8),
    Signal(i32),
}

impl End {
    /// As a shell has it: the code, or 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => u8::try_from(signal).unwrap_or(u8::MAX).saturating_add(128),
        }
    }
}

/// What a machine uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stats {
    /// Since the kernel started.
    pub uptime_ms: u64,
    /// Processor time of the application and its commands, in microseconds.
    pub cpu_us: u64,
    /// Bytes that the application and its commands have, had at most, and can have.
    pub memory: u64,
    pub memory_peak: u64,
    pub memory_limit: u64,
    /// Bytes of the machine's memory, and how many of them could still be had.
    pub machine_memory: u64,
    pub machine_available: u64,
    pub processes: u64,
    /// Bytes that the network card has received and sent.
    pub received: u64,
    pub sent: u64,
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
            HostMessage::Signal {
                command: 0,
                signal: 2,
            },
            r#"{"type":"signal","command":0,"signal":2}"#,
        );
        check(
            HostMessage::Stop { grace_ms: Some(5) },
            r#"{"type":"stop","graceMs":5}"#,
        );
        check(
            HostMessage::Run {
                command: 1,
                argv: vec!["node".to_owned()],
                env: BTreeMap::new(),
                terminal: Some(Terminal {
                    columns: 80,
                    rows: 24,
                    term: "xterm".to_owned(),
                }),
            },
            r#"{"type":"run","command":1,"argv":["node"],"env":{},"terminal":{"columns":80,"rows":24,"term":"xterm"}}"#,
        );
        let update = |remove: &[&str]| HostMessage::Update {
            command: 1,
            remove: remove.iter().map(|path| (*path).to_owned()).collect(),
        };
        check(
            update(&["lib/a.js"]),
            r#"{"type":"update","command":1,"remove":["lib/a.js"]}"#,
        );
        let short = br#"{"type":"update","command":1}"#;
        assert_eq!(HostMessage::parse(short).unwrap(), update(&[]));
        check(HostMessage::Goodbye, r#"{"type":"goodbye"}"#);
        assert!(HostMessage::parse(br#"{"type":"dance"}"#).is_err());
    }

    #[test]
    fn messages_of_the_machine_are_these_texts() {
        let check = |message: MachineMessage, text: &str| {
            assert_eq!(message.to_line(), text);
            assert_eq!(MachineMessage::parse(text.as_bytes()).unwrap(), message);
        };
        check(
            MachineMessage::Ended {
                how: End::Signal(9),
                out_of_memory: true,
                memory_peak: 2,
                memory_limit: 1,
                again_in_ms: None,
            },
            r#"{"type":"ended","how":{"signal":9},"outOfMemory":true,"memoryPeak":2,"memoryLimit":1,"againInMs":null}"#,
        );
        check(
            MachineMessage::Rests {
                how: End::Code(1),
                out_of_memory: false,
                memory_peak: 2,
                memory_limit: 3,
            },
            r#"{"type":"rests","how":{"code":1},"outOfMemory":false,"memoryPeak":2,"memoryLimit":3}"#,
        );
        check(
            MachineMessage::CommandEnded {
                command: 1,
                how: End::Code(3),
            },
            r#"{"type":"command-ended","command":1,"how":{"code":3}}"#,
        );
        let stats = MachineMessage::Stats(Stats {
            processes: 3,
            ..Stats::default()
        });
        assert_eq!(
            MachineMessage::parse(stats.to_line().as_bytes()).unwrap(),
            stats
        );
    }

    #[test]
    fn a_signal_is_128_and_its_number() {
        assert_eq!(End::Code(7).exit_code(), 7);
        assert_eq!(End::Signal(15).exit_code(), 143);
    }
}
