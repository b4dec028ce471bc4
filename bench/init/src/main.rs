//! The binary: says that it runs, and ends. As PID 1 it powers the machine off.
//!
//! A crate of its own, so that compiling it for the machine does not compile all that the benchmark itself needs.

#![forbid(unsafe_code)]

use rustix::process::{Pid, getpid};
use rustix::system::{RebootCommand, reboot};

/// What the benchmark waits for on the console (`MARKER` of `bench/src/boot/machines.rs`).
const MARKER: &[u8] = b"trivial-init runs\n";

fn main() {
    // Without a console there is nobody to tell; the benchmark misses the marker then.
    let _ = rustix::io::write(rustix::stdio::stdout(), MARKER);
    if getpid() == Pid::INIT {
        // It cannot fail for PID 1 of a machine (reboot(2)); where it did, the kernel would panic at our end.
        let _ = reboot(RebootCommand::PowerOff);
    }
}
