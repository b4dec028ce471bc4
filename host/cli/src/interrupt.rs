//! Ctrl-C and its relatives while something is built: a flag that the build looks at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use thiserror::Error;

/// While this lives, SIGINT, SIGTERM and SIGHUP set the flag and do nothing else.
#[derive(Debug)]
pub struct Interrupt {
    /// Set by the first signal, and never cleared. The build sets it too when one of its parts fails.
    pub flag: Arc<AtomicBool>,
    signalled: Arc<AtomicBool>,
    handlers: Vec<SigId>,
}

/// The work was stopped because somebody asked for it.
#[derive(Debug, Error)]
#[error("stopped")]
pub struct InterruptedError;

impl InterruptedError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some("the same command goes on where this one stopped".to_owned())
    }
}

/// The system does not let us handle signals.
#[derive(Debug, Error)]
#[error("cannot handle signals")]
pub struct HandleSignalsError(#[source] pub io::Error);

impl Interrupt {
    /// Handles the three signals from now on.
    pub fn watch() -> Result<Interrupt, HandleSignalsError> {
        let mut interrupt = Interrupt {
            flag: Arc::default(),
            signalled: Arc::default(),
            handlers: Vec::new(),
        };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Handlers run in this order, so that whoever sees the flag also sees why it is set.
            for flag in [&interrupt.signalled, &interrupt.flag] {
                let handler = signal_hook::flag::register(signal, Arc::clone(flag));
                interrupt
                    .handlers
                    .push(handler.map_err(HandleSignalsError)?);
            }
        }
        Ok(interrupt)
    }

    /// One that no signal sets: who has these flags does.
    pub fn by_hand(flag: Arc<AtomicBool>, signalled: Arc<AtomicBool>) -> Interrupt {
        Interrupt {
            flag,
            signalled,
            handlers: Vec::new(),
        }
    }

    /// Whether one of them came.
    pub fn was_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}
