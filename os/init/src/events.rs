//! What can happen to an `init`, and waiting for it.

use alloc::vec::Vec;
use core::time::Duration;

use nodeos_sys::error::OsError;
use nodeos_sys::signals::SignalFd;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::time::{self, ClockId};
use thiserror::Error;

use crate::button::{self, Button};

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    PowerOff,
    Restart,
    Halt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// One or more children have ended.
    ChildEnded,
    /// The machine is to end.
    Requested(End),
    /// The container's program is to get this signal.
    Forwarded(Signal),
    /// The time given has come.
    DeadlinePassed,
}

/// Where events come from.
#[derive(Debug)]
pub(crate) struct Events {
    signals: SignalFd,
    meaning: fn(Signal) -> Option<Event>,
    /// The machine's power buttons.
    buttons: Vec<OwnedFd>,
}

#[derive(Debug, Error)]
#[error("cannot receive signals")]
pub(crate) struct ReceiveSignalsError(#[source] OsError);

impl Events {
    /// `blocked` is how blocking all signals went, which must have happened before.
    pub(crate) fn new(
        blocked: Result<(), Errno>,
        meaning: fn(Signal) -> Option<Event>,
    ) -> Result<Events, ReceiveSignalsError> {
        let signals = blocked
            .and_then(|()| SignalFd::new())
            .map_err(|errno| ReceiveSignalsError(OsError(errno)))?;
        Ok(Events {
            signals,
            meaning,
            buttons: Vec::new(),
        })
    }

    /// From now on the machine's power buttons tell of themselves, too. /sys and /dev must be there.
    pub(crate) fn watch_buttons(&mut self) {
        self.buttons = button::open_all();
    }

    /// Waits for the next event; for ever without a deadline, which is a time of [`now`].
    pub(crate) fn next(
        &mut self,
        deadline: Option<Duration>,
    ) -> Result<Event, ReceiveSignalsError> {
        loop {
            while let Some(signal) = self
                .signals
                .read()
                .map_err(|errno| ReceiveSignalsError(OsError(errno)))?
            {
                if let Some(event) = (self.meaning)(signal) {
                    return Ok(event);
                }
            }
            if self.take_press() {
                return Ok(Event::Requested(End::PowerOff));
            }
            let left = deadline.map(|deadline| deadline.saturating_sub(now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Event::DeadlinePassed);
            }
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut ready: Vec<PollFd<'_>> = [self.signals.as_fd()]
                .into_iter()
                .chain(self.buttons.iter().map(AsFd::as_fd))
                .map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN))
                .collect();
            match event::poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(ReceiveSignalsError(OsError(errno))),
            }
        }
    }

    /// Whether somebody has pressed a button.
    fn take_press(&mut self) -> bool {
        let mut is_pressed = false;
        self.buttons.retain(|found| match button::look(found) {
            Button::Quiet => true,
            Button::Pressed => {
                is_pressed = true;
                true
            }
            Button::Gone => false,
        });
        is_pressed
    }
}

/// The time by the clock that nobody sets.
pub(crate) fn now() -> Duration {
    to_duration(time::clock_gettime(ClockId::Monotonic))
}

/// The time since the kernel started, as its own log counts it.
pub(crate) fn since_boot() -> Duration {
    to_duration(time::clock_gettime(ClockId::Boottime))
}

/// What a signal means to PID 1 of a machine. Everything else means nothing.
pub(crate) fn on_machine(signal: Signal) -> Option<Event> {
    match signal {
        Signal::CHILD => Some(Event::ChildEnded),
        // The kernel sends INT for Ctrl-Alt-Del, a power supply's watchman sends PWR.
        Signal::INT => Some(Event::Requested(End::Restart)),
        Signal::TERM | Signal::POWER => Some(Event::Requested(End::PowerOff)),
        Signal::USR1 => Some(Event::Requested(End::Halt)),
        _ => None,
    }
}

/// What a signal means to the `init` of a container.
pub(crate) fn in_container(signal: Signal) -> Option<Event> {
    match signal {
        Signal::CHILD => Some(Event::ChildEnded),
        Signal::HUP
        | Signal::INT
        | Signal::QUIT
        | Signal::USR1
        | Signal::USR2
        | Signal::ALARM
        | Signal::TERM
        | Signal::CONT
        | Signal::WINCH
        | Signal::POWER => Some(Event::Forwarded(signal)),
        _ => None,
    }
}

fn to_duration(time: Timespec) -> Duration {
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_stopped_by_four_signals_and_deaf_to_the_rest() {
        let check = |signal, expected| assert_eq!(on_machine(signal), expected, "{signal:?}");
        check(Signal::TERM, Some(Event::Requested(End::PowerOff)));
        check(Signal::POWER, Some(Event::Requested(End::PowerOff)));
        check(Signal::INT, Some(Event::Requested(End::Restart)));
        check(Signal::USR1, Some(Event::Requested(End::Halt)));
        check(Signal::CHILD, Some(Event::ChildEnded));
        for signal in [
            Signal::HUP,
            Signal::QUIT,
            Signal::USR2,
            Signal::PIPE,
            Signal::ALARM,
            Signal::WINCH,
        ] {
            check(signal, None);
        }
    }

    #[test]
    fn a_container_hands_signals_on_but_not_its_own() {
        for signal in [
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
            Signal::USR1,
            Signal::WINCH,
        ] {
            assert_eq!(in_container(signal), Some(Event::Forwarded(signal)));
        }
        assert_eq!(in_container(Signal::CHILD), Some(Event::ChildEnded));
        assert_eq!(in_container(Signal::PIPE), None);
    }
}
