//! What this program is when it starts itself: a machine's monitor, and what becomes its QEMU. Nobody types these.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::exit::Exit;
use crate::machines::monitor::{self, qemu};
use crate::machines::start;
use crate::output::errors::Failure;

/// Why we are not what we were started as.
#[derive(Debug, Error)]
pub enum InnerError {
    #[error("cannot run QEMU")]
    Qemu(#[source] io::Error),
    #[error("these are not a monitor's arguments")]
    Arguments,
}

/// Runs a command line that is one of these. None for all that people type.
pub fn run(arguments: &[OsString]) -> Option<Result<Exit, Failure>> {
    let (verb, rest) = arguments.get(1..)?.split_first()?;
    if verb == start::VERB {
        Some(watch(rest))
    } else if verb == qemu::VERB {
        Some(Err(become_qemu(rest)))
    } else {
        None
    }
}

fn watch(arguments: &[OsString]) -> Result<Exit, Failure> {
    let (folder, argv) = arguments
        .split_first()
        .and_then(|(folder, argv)| Some((monitor::folder(Path::new(folder))?, argv)))
        .ok_or_else(|| Failure::new(InnerError::Arguments))?;
    monitor::run(folder, argv).map_err(Failure::new)?;
    Ok(Exit::Done)
}

/// Returns only when it fails.
fn become_qemu(arguments: &[OsString]) -> Failure {
    let parsed = arguments
        .split_first()
        .and_then(|(monitor, argv)| Some((monitor.to_str()?.parse().ok()?, argv)));
    Failure::new(match parsed {
        Some((monitor, argv)) => InnerError::Qemu(qemu::become_qemu(monitor, argv)),
        None => InnerError::Arguments,
    })
}
