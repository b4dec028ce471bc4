//! QEMU as a value: its command line, its console, its control channel, its end.
//!
//! Knows nothing of what a system contains: it is given a kernel and a root.

#![forbid(unsafe_code)]

pub mod accel;
mod argv;
pub mod channel;
pub mod console;
pub mod control;
mod findings;
pub mod firecracker;
pub mod frames;
pub mod keys;
pub mod libvirt;
pub mod machine;
pub mod probe;
pub mod process;
pub mod qmp;
pub mod run_sh;
pub mod terminal;
pub mod tuning;
pub mod vm;
