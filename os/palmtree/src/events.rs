//! What can happen to a palmtree, and waiting for it.

use std::time::Duration;

use nodeos_sys::signals::SignalFd;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{self, Errno};
use rustix::process::Signal;

use crate::clients::ClientId;
use crate::unit::UnitId;

/// The output of one service: where a pipe ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Some processes have ended.
    ChildEnded,
    /// The session is to end.
    StopRequested,
    /// The file is to be read again.
    ReloadRequested,
    /// Somebody wants to talk.
    Connection,
    /// A client has sent something, or has gone.
    Command(ClientId),
    /// A client takes more.
    Writable(ClientId),
    /// A service has written something, or has closed its output.
    Output(StreamId),
    /// The broker has something to say about a service.
    Broker(UnitId),
}

/// A descriptor, what to wait for there, and what it means.
pub(crate) type Watched<'a> = (BorrowedFd<'a>, PollFlags, Event);

/// Waits for events, for at most the time given, and returns all that have happened.
pub(crate) fn wait(
    signals: &SignalFd,
    watched: &[Watched<'_>],
    timeout: Option<Duration>,
) -> io::Result<Vec<Event>> {
    let mut fds: Vec<PollFd<'_>> = watched
        .iter()
        .map(|(fd, flags, _)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    fds.push(PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN));
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno),
    }
    let mut events = Vec::new();
    while let Some(signal) = signals.read()? {
        events.extend(meaning(signal).filter(|event| !events.contains(event)));
    }
    let ready = watched.iter().zip(&fds);
    events.extend(
        ready
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|((_, _, event), _)| *event),
    );
    Ok(events)
}

/// What a signal means. Everything else means nothing.
fn meaning(signal: Signal) -> Option<Event> {
    match signal {
        Signal::CHILD => Some(Event::ChildEnded),
        Signal::TERM | Signal::INT | Signal::POWER => Some(Event::StopRequested),
        Signal::HUP => Some(Event::ReloadRequested),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_three_signals_and_is_deaf_to_most() {
        let check = |signal, expected| assert_eq!(meaning(signal), expected, "{signal:?}");
        check(Signal::CHILD, Some(Event::ChildEnded));
        check(Signal::TERM, Some(Event::StopRequested));
        check(Signal::INT, Some(Event::StopRequested));
        check(Signal::POWER, Some(Event::StopRequested));
        check(Signal::HUP, Some(Event::ReloadRequested));
        for signal in [Signal::QUIT, Signal::USR1, Signal::PIPE, Signal::ALARM] {
            check(signal, None);
        }
    }
}
