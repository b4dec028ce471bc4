//! QEMU as a value: its command line, its console, its control channel, its end.
//!
//! Knows nothing of what a system contains: it is given a kernel and a root.

#![forbid(unsafe_code)]

pub mod machine;
pub mod tuning;
pub mod accel;
mod findings;
pub mod probe;
pub mod process;
pub mod vm;
pub mod console;
pub mod channel;
pub mod qmp;
pub mod keys;
pub mod terminal;
pub mod run_sh;
