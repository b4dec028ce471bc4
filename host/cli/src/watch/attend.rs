//! The thread that has the terminal: the application's streams, signals, and when it is started anew.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use nodeos_build::application::outline::Changes;

use super::follow::{Report, Target, Word};
use super::{input, words};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::machines::conversation::{Conversation, Finished, Happening, Lent};
use crate::machines::ending;
use crate::machines::foreground::{
    self, Attended, Manner, READY_WITHIN, SIGNALS, lost, nobody_listens, wait_for_end,
};
use crate::machines::protocol::{ClientMessage, Ending, MonitorMessage};
use crate::machines::record::Port;
use crate::machines::start::{self, Starting};
use crate::machines::state::Folder;
use crate::output::errors::Failure;
use crate::output::streams::{SharedWriter, Streams, WriteOutputError};

/// What stays from one machine to the next.
pub(super) struct Attending {
    pub(super) out: SharedWriter,
    pub(super) err: SharedWriter,
    pub(super) manner: Manner,
    pub(super) words: Sender<Word>,
    pub(super) reports: Receiver<Report>,
}

/// What is after a machine.
pub(super) enum Outcome {
    Ended(Exit),
    /// This one. Signals are listened to meanwhile.
    Another(Box<start::Order>, Interrupt),
    /// Somebody wanted it all to end when there was no machine.
    Interrupted,
}

/// The application, from change to change.
struct Runs {
    port: Option<Port>,
    manner: Manner,
    attended: Attended,
    /// Nobody has been told yet that it is ready.
    is_first: bool,
    /// Until when it is to listen, if somebody waits for that.
    until: Option<Instant>,
    /// What it has been restarted for.
    restart: Option<Restart>,
    /// It has ended, and waits for a change.
    rests: bool,
    another: Option<Box<start::Order>>,
}

/// A restart that is under way.
struct Restart {
    changes: Changes,
    since: Instant,
    has_started: bool,
}

impl Attending {
    /// Lends the machine this process's streams until it ends. `interrupt` has listened to signals before.
    pub(super) fn attend(
        &mut self,
        starting: Starting,
        port: Option<Port>,
        folder: Folder,
        interrupt: Interrupt,
        streams: &Streams,
    ) -> Result<Outcome, Failure> {
        let Starting {
            connection,
            mut monitor,
            ..
        } = starting;
        let (stdin, hold) = input::take().map_err(Failure::new)?;
        let lent = Lent {
            stdin: Some(Box::new(stdin)),
            stdout: Box::new(self.out.clone()),
            stderr: Box::new(self.err.clone()),
        };
        let mut conversation =
            Conversation::begin(connection, lent, &SIGNALS).map_err(Failure::new)?;
        let was_signalled = interrupt.was_signalled();
        drop(interrupt);
        if was_signalled {
            conversation.say(&ClientMessage::Kill)?;
            drop(conversation);
            wait_for_end(&mut monitor);
            return Ok(Outcome::Interrupted);
        }
        let mut target = Some(Target {
            folder,
            waker: conversation.waker(),
        });
        let mut runs = Runs::new(port, self.manner);
        let over = loop {
            let happening = match runs.until {
                None => conversation.hear(),
                Some(until) => match conversation.hear_until(until) {
                    Some(happening) => happening,
                    None => {
                        self.say(runs.is_late());
                        continue;
                    }
                },
            };
            match happening {
                Happening::Message(MonitorMessage::Over { ending }) => break Some(ending),
                Happening::Message(message) => {
                    self.say(runs.learn(&message));
                    if runs.attended.has_started
                        && let Some(target) = target.take()
                    {
                        // One that has panicked is missed when it is joined.
                        let _ = self.words.send(Word::Machine(target));
                    }
                }
                Happening::Woken => {
                    while let Ok(report) = self.reports.try_recv() {
                        if let Some(answer) = runs.follow(report) {
                            conversation.say(&answer)?;
                        }
                    }
                }
                Happening::Signal(signal) => {
                    let answer = runs.attended.answer(signal);
                    conversation.say(&answer)?;
                    if answer == ClientMessage::Kill {
                        // As in the foreground: what is not written yet is not waited for.
                        drop(conversation);
                        wait_for_end(&mut monitor);
                        return Ok(Outcome::Ended(Exit::Interrupted));
                    }
                }
                Happening::CannotWrite(error) => {
                    runs.attended.cannot_write = Some(error);
                    conversation.say(&ClientMessage::Stop { grace_ms: None })?;
                }
                Happening::Gone(error) => {
                    lost(error)?;
                    break None;
                }
            }
        };
        // Until the next machine is there, nobody else hears it.
        let interrupt = Interrupt::watch()?;
        drop(hold);
        let Finished { failed } = conversation.finish();
        wait_for_end(&mut monitor);
        if let Some(error) = runs.attended.cannot_write.take().or(failed) {
            return Err(WriteOutputError(error).into());
        }
        match runs.next() {
            Some(order) => Ok(Outcome::Another(order, interrupt)),
            None => runs.outcome(over.unwrap_or(Ending::Lost), streams),
        }
    }

    fn say(&self, text: Option<String>) {
        if let Some(text) = text {
            self.err.line(&text);
        }
    }
}

impl Runs {
    fn new(port: Option<Port>, manner: Manner) -> Runs {
        Runs {
            port: port.filter(|_| manner == Manner::Plain),
            manner,
            attended: Attended::default(),
            is_first: true,
            until: port
                .filter(|_| manner == Manner::Plain)
                .map(|_| Instant::now() + READY_WITHIN),
            restart: None,
            rests: false,
            another: None,
        }
    }

    /// It does not listen in time: that is said once.
    fn is_late(&mut self) -> Option<String> {
        self.until = None;
        self.port.map(|port| nobody_listens(port.guest))
    }

    /// What is to be said of what the machine says.
    fn learn(&mut self, message: &MonitorMessage) -> Option<String> {
        match message {
            MonitorMessage::Started => {
                self.attended.has_started = true;
                self.rests = false;
                if let Some(restart) = &mut self.restart {
                    restart.has_started = true;
                }
                match self.port {
                    None => self.restarted(),
                    Some(_) => None,
                }
            }
            MonitorMessage::Ready { after_ms } => {
                let port = self.port?;
                let is_first = std::mem::replace(&mut self.is_first, false);
                match self.restarted() {
                    None if is_first => {
                        self.until = None;
                        Some(foreground::ready(port, *after_ms))
                    }
                    said => said,
                }
            }
            MonitorMessage::Rests { ending } => {
                self.rests = true;
                self.until = None;
                let restart = self.restart.take_if(|restart| restart.has_started);
                if self.manner == Manner::Quiet {
                    return ending::lack_of_memory(ending);
                }
                let files = restart.map(|restart| words::files(&restart.changes));
                let text = words::rests(files.as_deref(), ending);
                match ending::lack_of_memory(ending) {
                    Some(error) => Some(format!("{error}\n{text}")),
                    None => Some(text),
                }
            }
            MonitorMessage::Note { text } => Some(format!("note: {text}")),
            _ => None,
        }
    }

    fn restarted(&mut self) -> Option<String> {
        let restart = self.restart.take_if(|restart| restart.has_started)?;
        self.until = None;
        let text = words::restarted(&words::files(&restart.changes), restart.since.elapsed());
        (self.manner == Manner::Plain).then_some(text)
    }

    /// What the machine is to be told when something has changed. One that ends changes no more.
    fn follow(&mut self, report: Report) -> Option<ClientMessage> {
        if self.attended.told > 0 || self.another.is_some() {
            return None;
        }
        match report {
            Report::Changed { changes, since } => {
                self.until = self.port.map(|_| Instant::now() + READY_WITHIN);
                self.restart = Some(match self.restart.take() {
                    None => Restart {
                        changes,
                        since,
                        has_started: false,
                    },
                    Some(earlier) => earlier.and(changes),
                });
                Some(ClientMessage::Restart)
            }
            Report::Another(order) => {
                self.another = Some(order);
                self.until = None;
                Some(ClientMessage::Stop { grace_ms: None })
            }
        }
    }

    /// The machine to come, unless somebody wants it all to end.
    fn next(&mut self) -> Option<Box<start::Order>> {
        self.another.take().filter(|_| self.attended.told == 0)
    }

    fn outcome(self, ending: Ending, streams: &Streams) -> Result<Outcome, Failure> {
        match ending {
            // Of which all has been said.
            Ending::Application { how, .. } if self.rests => {
                Ok(Outcome::Ended(Exit::Program(how.exit_code())))
            }
            ending => ending::outcome(&ending, streams).map(Outcome::Ended),
        }
    }
}

impl Restart {
    /// One restart more before the first was over.
    fn and(self, later: Changes) -> Restart {
        let mut changes = self.changes;
        changes
            .removed
            .retain(|path| !later.changed.contains_key(path) && !later.removed.contains(path));
        changes
            .changed
            .retain(|path, _| !later.removed.contains(path));
        changes.changed.extend(later.changed);
        changes.removed.extend(later.removed);
        Restart {
            changes,
            since: self.since,
            has_started: false,
        }
    }
}

#[cfg(test)]
mod tests;
