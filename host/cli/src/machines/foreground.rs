//! A machine whose application has this terminal, as if it ran here; and one that is only started from it.

use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

use nodeos_spec::application::message::End;
use nodeos_vm::process;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::machines::connection::TalkError;
use crate::machines::conversation::{Conversation, Finished, Happening, Lent};
use crate::machines::ending;
use crate::machines::logs::{Follower, LastLines};
use crate::machines::protocol::{ClientMessage, Ending, MonitorMessage};
use crate::machines::record::Port;
use crate::machines::start::Starting;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::size;
use crate::output::streams::{Streams, WriteOutputError};

/// The signals that mean that we are to end.
pub const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// How long a monitor may take to end after its machine: it removes some files.
const TIDY_WITHIN: Duration = Duration::from_secs(10);

/// How long an application is waited for until it listens. One that takes longer is not ended: it may be busy with something.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// How much of its log is shown of an application that ended at once.
const TAIL_LINES: usize = 20;

/// What is said besides what the application writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Quiet,
    /// When it is ready.
    Plain,
}

/// Lends it this process's streams until it ends, and ends as it did.
///
/// # Errors
/// Where the machine, and not the application, failed.
pub fn attend(
    starting: Starting,
    port: Option<Port>,
    manner: Manner,
    streams: &mut Streams,
) -> Result<Exit, Failure> {
    let Starting {
        connection,
        mut monitor,
        ..
    } = starting;
    let lent = Lent {
        stdin: Some(Box::new(io::stdin())),
        stdout: std::mem::replace(&mut streams.out, Box::new(io::sink())),
        stderr: Box::new(streams.err.clone()),
    };
    let mut conversation = Conversation::begin(connection, lent, &SIGNALS).map_err(Failure::new)?;
    let mut attended = Attended::default();
    let mut awaited = port.filter(|_| manner != Manner::Quiet);
    let mut is_late = false;
    let end = Instant::now() + READY_WITHIN;
    let over = loop {
        let happening = match awaited.filter(|_| !is_late) {
            None => conversation.hear(),
            Some(port) => match conversation.hear_until(end) {
                Some(happening) => happening,
                None => {
                    is_late = true;
                    streams.err.line(&nobody_listens(port.guest));
                    continue;
                }
            },
        };
        match happening {
            Happening::Message(MonitorMessage::Started) => attended.has_started = true,
            Happening::Message(MonitorMessage::Ready { after_ms }) => {
                // Of one that was started again it is no news.
                if let Some(port) = awaited.take() {
                    streams.err.line(&ready(port, after_ms));
                }
            }
            Happening::Message(MonitorMessage::Note { text }) => {
                streams.err.line(&format!("note: {text}"));
            }
            Happening::Message(MonitorMessage::Over { ending }) => break Some(ending),
            Happening::Message(_) | Happening::Woken => {}
            Happening::Signal(signal) => {
                let answer = attended.answer(signal);
                conversation.say(&answer)?;
                if answer == ClientMessage::Kill {
                    // Whoever reads us may never read again: what is not written yet is not waited for.
                    drop(conversation);
                    wait_for_end(&mut monitor);
                    return Ok(Exit::Interrupted);
                }
            }
            // As a program that ran here would be told by SIGPIPE.
            Happening::CannotWrite(error) => {
                attended.cannot_write = Some(error);
                conversation.say(&ClientMessage::Stop { grace_ms: None })?;
            }
            Happening::Gone(error) => {
                lost(error)?;
                break None;
            }
        }
    };
    let Finished { failed } = conversation.finish();
    wait_for_end(&mut monitor);
    if let Some(error) = attended.cannot_write.or(failed) {
        return Err(WriteOutputError(error).into());
    }
    ending::outcome(&over.unwrap_or(Ending::Lost), streams)
}

/// What has happened to a machine in the foreground.
#[derive(Debug, Default)]
pub(crate) struct Attended {
    pub(crate) has_started: bool,
    /// How often we were told to end.
    pub(crate) told: u32,
    pub(crate) cannot_write: Option<io::Error>,
}

impl Attended {
    /// What a signal to us means for the machine. Ctrl-C is first the application's affair; a second signal of any kind ends the
    /// machine, and so does one that comes before there is an application.
    pub(crate) fn answer(&mut self, signal: i32) -> ClientMessage {
        self.told += 1;
        match signal {
            _ if self.told > 1 || !self.has_started => ClientMessage::Kill,
            SIGINT => ClientMessage::Signal {
                signal: Signal::INT.as_raw(),
            },
            _ => ClientMessage::Stop { grace_ms: None },
        }
    }
}

/// Waits until it runs, or listens where a port is forwarded, and leaves it alone then. Its name is the result.
///
/// # Errors
/// Where it ended before, after the last lines that it wrote.
pub fn detach(
    starting: Starting,
    port: Option<Port>,
    machines: &Machines,
    streams: &mut Streams,
) -> Result<Exit, Failure> {
    let Starting {
        name, connection, ..
    } = starting;
    let lent = Lent {
        stdin: None,
        stdout: Box::new(io::sink()),
        stderr: Box::new(io::sink()),
    };
    let mut conversation = Conversation::begin(connection, lent, &SIGNALS).map_err(Failure::new)?;
    let end = Instant::now() + READY_WITHIN;
    let over = loop {
        match conversation.hear_until(end) {
            Some(Happening::Message(MonitorMessage::Started)) if port.is_none() => break None,
            Some(Happening::Message(MonitorMessage::Ready { .. })) => break None,
            Some(Happening::Message(MonitorMessage::Note { text })) => {
                streams.err.line(&format!("note: {text}"));
            }
            Some(Happening::Message(MonitorMessage::Over { ending })) => break Some(ending),
            Some(Happening::Message(_) | Happening::CannotWrite(_) | Happening::Woken) => {}
            Some(Happening::Signal(_)) => {
                conversation.say(&ClientMessage::Kill)?;
                return Ok(Exit::Interrupted);
            }
            Some(Happening::Gone(error)) => {
                lost(error)?;
                break Some(Ending::Lost);
            }
            None => {
                let port = port.map_or(0, |port| port.guest);
                streams.err.line(&nobody_listens(port));
                break None;
            }
        }
    };
    conversation.finish();
    let Some(over) = over else {
        streams.print(&format!("{name}\n"))?;
        return Ok(Exit::Done);
    };
    show_tail(&machines.folder(&name).path, streams)?;
    let ended = ending::outcome(&over, streams)?;
    // Even an application that did all that it had to do does not run now, which is what was asked for.
    streams.err.line(&format!(
        "error: the application has ended with {} already",
        ending::describe(End::Code(ended.code()))
    ));
    Ok(Exit::Failed)
}

/// What is said when it listens.
pub(crate) fn ready(port: Port, after_ms: u64) -> String {
    let time = size::duration(Duration::from_millis(after_ms));
    format!(
        "ready: http://{}:{} after {time}",
        port.reachable_at(),
        port.host
    )
}

/// What is said when it does not.
pub(crate) fn nobody_listens(port: u16) -> String {
    let seconds = READY_WITHIN.as_secs();
    format!("note: nothing listens on port {port} of the machine after {seconds} s; it goes on")
}

/// The last lines of its log, on standard error.
fn show_tail(folder: &std::path::Path, streams: &Streams) -> Result<(), Failure> {
    let mut last = LastLines::new(TAIL_LINES);
    let mut log = Follower::new(folder);
    while let Some(record) = log.next_record().map_err(Failure::new)? {
        last.push(record);
    }
    for record in last.finish() {
        streams.err.bytes(&record.bytes);
    }
    Ok(())
}

/// A monitor that says something wrong has failed; one that says nothing any more was killed.
pub(crate) fn lost(error: Option<TalkError>) -> Result<(), TalkError> {
    error.map_or(Ok(()), Err)
}

/// Waits for the monitor, so that the machine's name is free when we end.
pub(crate) fn wait_for_end(monitor: &mut Child) {
    if process::has_ended_within(monitor, TIDY_WITHIN) {
        // Its status is nobody's concern: what it had to say it has said.
        let _ = monitor.wait();
    }
}

impl From<TalkError> for Failure {
    fn from(error: TalkError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_is_the_applications_and_the_second_the_machines() {
        let mut attended = Attended {
            has_started: true,
            ..Attended::default()
        };
        assert_eq!(attended.answer(SIGINT), ClientMessage::Signal { signal: 2 });
        assert_eq!(attended.answer(SIGINT), ClientMessage::Kill);
        let mut attended = Attended {
            has_started: true,
            ..Attended::default()
        };
        assert_eq!(
            attended.answer(SIGTERM),
            ClientMessage::Stop { grace_ms: None }
        );
        assert_eq!(Attended::default().answer(SIGINT), ClientMessage::Kill);
    }
}
