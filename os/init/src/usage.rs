//! What `init` says of itself to a person who calls it.

use alloc::format;
use core::ffi::CStr;

use nodeos_sys::entry::Invocation;
use nodeos_sys::standard;

use crate::log;

const HELP: &str = "\
Usage: init [/PROGRAM [ARGUMENT]...]
       init [ARGUMENT]...

Runs one program as the parent of everything, and reaps what ends.

As PID 1 of a machine it mounts the kernel's filesystems first, and stops the machine when no process is left.
Elsewhere, as in a container, it hands signals on to the program and ends with the program's exit code.

Without a /PROGRAM it is /sbin/init, or else the one that /etc/nodeos/boot.json names. In a container a PROGRAM
is also looked for in PATH; arguments that begin with - are those of the program that is named there.

Options, unless it is PID 1:
  --help     Show this
  --version  Show the version

Called by the name of poweroff, reboot or halt it asks PID 1 to do that.
";

/// The exit code of a command that was called in a wrong way.
const WRONG_USAGE: i32 = 2;

/// Answers an option of `init`, and returns the exit code; none when there is none, and `init` is to do its work.
pub(crate) fn run(invocation: &Invocation) -> Option<i32> {
    let first = invocation
        .args
        .get(1)
        .filter(|argument| argument.as_bytes().starts_with(b"-"))?;
    let text = match first.as_bytes() {
        b"--help" => HELP,
        b"--version" => concat!("init (NodeOS) ", env!("CARGO_PKG_VERSION"), "\n"),
        _ => return Some(refuse("init", first)),
    };
    log::write_patiently(standard::output(), text.as_bytes());
    Some(0)
}

/// Says that there is no such argument, and returns the exit code.
pub(crate) fn refuse(name: &str, argument: &CStr) -> i32 {
    let argument = argument.to_string_lossy();
    let text = format!(
        "error: {name} has no argument {argument}\nhint: {name} --help shows what it takes\n"
    );
    log::write_patiently(standard::error(), text.as_bytes());
    WRONG_USAGE
}

/// The last part of the path by which this program was called.
pub(crate) fn name(invocation: &Invocation) -> &[u8] {
    let path = invocation
        .args
        .first()
        .map(|path| path.as_bytes())
        .unwrap_or_default();
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}
