//! `init`: PID 1 of a NodeOS machine or container, and the commands that tell it to stop.
//!
//! It mounts the kernel's filesystems, starts one program, reaps what ends, and stops the machine when nothing is left or
//! when it is asked to. Sessions, users and services are not its business. It has one thread, never panics and never
//! ends on a machine.

#![cfg_attr(not(test), no_std)] // std's static start-up code alone is over the budget of 1 MB
#![forbid(unsafe_code)]

extern crate alloc;

mod ask;
mod button;
mod console;
mod container;
mod events;
mod files;
mod log;
mod loopback;
mod machine;
mod mode;
pub mod mounts;
pub mod processes;
mod program;
mod steps;
mod stop;
mod usage;

pub use machine::panicked;

use nodeos_sys::entry::Invocation;
use nodeos_sys::signals;
use rustix::process;

/// The whole program. Returns the exit code, in a container or when it is called as a command; as PID 1 of a machine it
/// does not return.
pub fn run(invocation: Invocation) -> i32 {
    if process::getpid() != process::Pid::INIT
        && let Some(code) = ask::run(&invocation).or_else(|| usage::run(&invocation))
    {
        return code;
    }
    // First of all: a signal that arrives from here on waits until it is read.
    let blocked = signals::block_all();
    let mut log = log::Log::default();
    match mode::detect(&mut log, &invocation.env) {
        mode::Mode::Machine { proc } => machine::run(log, &invocation, blocked, proc),
        mode::Mode::Container => container::run(log, &invocation, blocked),
    }
}
