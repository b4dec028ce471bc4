//! What commands and a machine's monitor say to each other, in frames of stream
//! [`nodeos_spec::application::frame::MESSAGES`].
//!
//! A connection is about one thing, which its first message names. Where that has streams, they are
//! [`nodeos_spec::application::frame::STREAMS`] here, whatever their numbers are in the machine.

use std::collections::BTreeMap;

use nodeos_spec::application::frame::{Frame, MAX_PAYLOAD, MESSAGES};
use nodeos_spec::application::message::{End, Stats, Terminal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a frame must have left when the longest message of a command is in it: the monitor says the same with other words.
const ROOM: usize = 1024;

/// The longest text of a machine that is passed on whole, in bytes.
const LONGEST_TEXT: usize = 8 << 10;

/// The stream of what the machine's serial console shows, where somebody wants to see it. It has no window: the monitor
/// passes on only as much as it keeps.
pub const CONSOLE: u32 = 4;

/// What a command has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientMessage {
    /// The application's streams are this connection's: who started the machine in the foreground says so.
    Attach {
        console: bool,
    },
    /// Only what happens is of interest.
    Watch,
    Run {
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        terminal: Option<Terminal>,
    },
    Pack {
        path: String,
    },
    Unpack {
        path: String,
    },
    /// Remove these from the application's folder, and unpack there what comes on standard input.
    Update {
        remove: Vec<String>,
    },
    /// Stop the application, and start it anew: for who has its streams.
    Restart,
    Stats,
    /// To the application or command of this connection.
    Signal {
        signal: i32,
    },
    WindowSize {
        columns: u16,
        rows: u16,
    },
    /// Stop the application, and the machine with it.
    #[serde(rename_all = "camelCase")]
    Stop {
        grace_ms: Option<u64>,
    },
    /// End the machine at once.
    Kill,
}

/// What a monitor has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MonitorMessage {
    /// The application was started, for the first time or again.
    Started,
    /// Something listens on its first port, for the first time or again.
    #[serde(rename_all = "camelCase")]
    Ready {
        /// Since the machine was started.
        after_ms: u64,
    },
    /// The application has ended so, and waits for [`ClientMessage::Restart`].
    Rests {
        ending: Ending,
    },
    Note {
        text: String,
    },
    CommandEnded {
        how: End,
    },
    CommandFailed {
        reason: String,
        code: u8,
    },
    Stats {
        machine: Stats,
        host: HostStats,
    },
    /// The machine has ended. Nothing follows.
    Over {
        ending: Ending,
    },
}

/// What a machine takes of its host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostStats {
    /// QEMU's memory in bytes, what it shares with other processes divided among them (`Pss` of proc_pid_smaps(5)).
    pub memory: u64,
    /// Processor time that QEMU has used, in seconds.
    pub cpu_seconds: f64,
}

/// Why a machine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ending {
    /// Its application did.
    #[serde(rename_all = "camelCase")]
    Application {
        how: End,
        out_of_memory: bool,
        memory_peak: u64,
        memory_limit: u64,
    },
    /// Its application could not be started: the whole sentence.
    NotStarted { reason: String },
    /// Somebody wanted it to end at once.
    Killed,
    /// It did not work: the whole sentence, the last lines that its kernel or QEMU wrote, and what the user can do.
    Failed {
        reason: String,
        tail: String,
        #[serde(default)]
        hint: Option<String>,
    },
    /// Its monitor was killed, or the host went down.
    Lost,
}

/// What is to be said does not fit into a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a command of {given} bytes is too long for a machine: {} are the most", MAX_PAYLOAD - ROOM)]
pub struct LongMessageError {
    given: usize,
}

impl ClientMessage {
    /// # Errors
    /// [`LongMessageError`], for somebody's arguments that are.
    pub fn to_frame(&self) -> Result<Frame, LongMessageError> {
        let line = to_line(self);
        if line.len() > MAX_PAYLOAD - ROOM {
            return Err(LongMessageError { given: line.len() });
        }
        Ok(Frame::data(MESSAGES, &line))
    }
}

impl MonitorMessage {
    /// Texts in it must have been [`shortened`].
    pub fn to_frame(&self) -> Frame {
        Frame::data(MESSAGES, &to_line(self))
    }
}

/// A text of a machine, cut where it is so long that it would not fit.
pub fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        let mut end = LONGEST_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

fn to_line(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_back() {
        let ours = ClientMessage::Stop { grace_ms: Some(5) };
        let frame = ours.to_frame().unwrap();
        assert_eq!(frame.payload, br#"{"type":"stop","graceMs":5}"#);
        assert_eq!(
            serde_json::from_slice::<ClientMessage>(&frame.payload).unwrap(),
            ours
        );
        let theirs = MonitorMessage::Over {
            ending: Ending::Application {
                how: End::Code(3),
                out_of_memory: false,
                memory_peak: 2,
                memory_limit: 1,
            },
        };
        let frame = theirs.to_frame();
        assert_eq!(
            serde_json::from_slice::<MonitorMessage>(&frame.payload).unwrap(),
            theirs
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_or_cut() {
        let run = ClientMessage::Run {
            argv: vec!["x".repeat(MAX_PAYLOAD)],
            env: BTreeMap::new(),
            terminal: None,
        };
        assert!(
            run.to_frame()
                .unwrap_err()
                .to_string()
                .contains("64512 are the most")
        );
        // A byte that JSON writes with six letters is the worst.
        let text = shortened("\u{1}".repeat(MAX_PAYLOAD));
        MonitorMessage::Note { text }.to_frame();
        assert_eq!(shortened("short".to_owned()), "short");
        assert!(shortened("é".repeat(MAX_PAYLOAD)).ends_with("é ..."));
    }
}
