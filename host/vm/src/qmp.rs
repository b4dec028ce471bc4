//! QMP, QEMU's control protocol: JSON lines over a Unix socket (qemu-qmp-ref(7)).

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

use crate::channel::{ChannelError, Lines};
use crate::keys;

/// How long QEMU may take for an answer. It answers between two instructions of the machine.
const ANSWER: Duration = Duration::from_secs(20);

/// QEMU could not be told what to do.
#[derive(Debug, Error)]
pub enum QmpError {
    #[error("cannot connect to QEMU's control socket")]
    Connect(#[source] ChannelError),
    #[error("QEMU does not answer to {command}")]
    Talk {
        command: String,
        #[source]
        source: ChannelError,
    },
    #[error("QEMU closed its control socket before it answered to {command}")]
    Closed { command: String },
    #[error("QEMU's control socket said what is no QMP: {line:?}")]
    Strange { line: String },
    #[error("QEMU refuses {command}: {reason}")]
    Refused { command: String, reason: String },
    #[error("the event {name} did not come within {} s", .waited.as_secs())]
    NoEvent { name: String, waited: Duration },
    #[error("there is no key for {character:?}")]
    NoKey { character: char },
}

/// A connection to a machine's QEMU.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines,
    /// What QEMU said without being asked while something else was waited for, oldest first.
    pub events: Vec<Event>,
}

/// Something that happened to the machine, such as `SHUTDOWN`, whose data says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Qmp {
    /// Connects to the socket; QEMU may take until `deadline` to listen.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn connect(socket: &Path, deadline: Duration) -> Result<Qmp, QmpError> {
        let lines = Lines::connect(socket, deadline).map_err(QmpError::Connect)?;
        let mut qmp = Qmp {
            lines,
            events: Vec::new(),
        };
        let greeting = qmp.message("connecting", ANSWER)?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Strange {
                line: greeting.to_string(),
            });
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns what it returns. Events that come meanwhile are kept in `events`.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let request = json!({ "execute": command, "arguments": arguments }).to_string();
        let talk_error = |source| QmpError::Talk {
            command: command.to_owned(),
            source,
        };
        self.lines.send(&request, ANSWER).map_err(talk_error)?;
        let end = Instant::now() + ANSWER;
        loop {
            let mut message =
                self.message(command, end.saturating_duration_since(Instant::now()))?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = message.get("error") {
                let reason = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("it gives no reason")
                    .to_owned();
                return Err(QmpError::Refused {
                    command: command.to_owned(),
                    reason,
                });
            }
            self.events.extend(event(&message));
        }
    }

    /// Waits for an event, which may have come already. Others that come meanwhile are kept.
    ///
    /// # Errors
    /// [`QmpError::NoEvent`] when it has not come within `deadline`.
    pub fn wait_event(&mut self, name: &str, deadline: Duration) -> Result<Event, QmpError> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(index) = self.events.iter().position(|event| event.name == name) {
                return Ok(self.events.remove(index));
            }
            match self.message(name, end.saturating_duration_since(Instant::now())) {
                Ok(message) => self.events.extend(event(&message)),
                Err(QmpError::Talk {
                    source: ChannelError::Deadline { .. },
                    ..
                }) => {
                    return Err(QmpError::NoEvent {
                        name: name.to_owned(),
                        waited: deadline,
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Types `text` on the machine's keyboard, as on one with the layout of the United States. Returns before the last
    /// key is up again.
    ///
    /// # Errors
    /// [`QmpError::NoKey`] for what such a keyboard does not have.
    pub fn type_keys(&mut self, text: &str) -> Result<(), QmpError> {
        for character in text.chars() {
            let codes = keys::codes(character).ok_or(QmpError::NoKey { character })?;
            self.press(&codes.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Presses ctrl-alt-del.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn ctrl_alt_del(&mut self) -> Result<(), QmpError> {
        self.press(&["ctrl", "alt", "delete"])
    }

    /// Presses the power button. What that does is up to the machine's system.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn power_button(&mut self) -> Result<(), QmpError> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Writes what the machine's screen shows into `file`, in the PPM format.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn screendump(&mut self, file: &Path) -> Result<(), QmpError> {
        self.execute("screendump", json!({ "filename": file }))
            .map(drop)
    }

    /// Ends QEMU. That it closes the socket instead of answering is fine.
    ///
    /// # Errors
    /// [`QmpError`].
    pub fn quit(&mut self) -> Result<(), QmpError> {
        match self.execute("quit", json!({})) {
            Err(QmpError::Closed { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// Presses keys at once, named as in [`keys`].
    fn press(&mut self, codes: &[&str]) -> Result<(), QmpError> {
        let keys: Vec<Value> = codes
            .iter()
            .map(|code| json!({ "type": "qcode", "data": code }))
            .collect();
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    fn message(&mut self, command: &str, time: Duration) -> Result<Value, QmpError> {
        let talk_error = |source| QmpError::Talk {
            command: command.to_owned(),
            source,
        };
        let line = self.lines.next(time).map_err(talk_error)?;
        let line = line.ok_or_else(|| QmpError::Closed {
            command: command.to_owned(),
        })?;
        serde_json::from_str(&line).map_err(|_| QmpError::Strange { line })
    }
}

fn event(message: &Value) -> Option<Event> {
    let name = message.get("event")?.as_str()?.to_owned();
    Some(Event {
        name,
        data: message.get("data").cloned().unwrap_or_default(),
    })
}
