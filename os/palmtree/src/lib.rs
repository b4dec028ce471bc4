//! `palmtree`: PID 1 of a session, and `svc`, the command that talks to it.
//!
//! It has the rights of its user and no others. It reaps what ends, runs the home's `/init` once, and keeps the services of
//! `/etc/palmtree.json` running. It has one thread. Sessions, logins and capabilities are the broker's business.

#![forbid(unsafe_code)]

mod broker;
mod clients;
mod clock;
mod config;
mod ending;
mod events;
mod journal;
mod launch;
mod logs;
pub mod paths;
mod reload;
mod restart;
mod rotation;
mod sentence;
pub mod streams;
pub mod supervisor;
pub mod svc;
mod tail;
mod unit;
mod usage;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::paths::Paths;
use crate::streams::Streams;

/// The whole program; the arguments begin with the name that it was called by.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    let mut streams = Streams::standard();
    if name == "svc" {
        svc::run(args, &Paths::default(), &mut streams)
    } else if name == launch::NAME {
        launch::become_program(args, &mut streams)
    } else {
        usage::run(args, &mut streams)
    }
}
