//! `boot`: the program that PID 1 starts on a multi-user machine.
//!
//! It mounts the users partition, makes a session for every user on it, and then stays as their broker: the one program
//! that may start something in a session, with whatever rights. It has one thread.

#![forbid(unsafe_code)]

mod administrator;
mod broker;
mod cgroup;
mod host;
mod partition;
mod paths;
mod session;
mod sessions;
mod socket;
mod stage;
mod system;
mod users;

use std::ffi::OsString;
use std::process::ExitCode;

use nodeos_sandbox::log::Log;
use rustix::process::Pid;

const HELP: &str = "\
Usage: boot

Mounts the users partition, starts a session for every user, and stays as the session broker.

PID 1 starts it on a machine with the layer initramfs or usersfs. It takes its orders from the kernel's command line:
  nodeos.users=DEVICE        The users partition: a path, UUID=, LABEL=, PARTUUID= or PARTLABEL=
  nodeos.usersfstype=TYPE    Its filesystem, where that cannot be seen
  nodeos.usersflags=OPTIONS  How it is mounted, as mount(8) has it after -o; with nofail homes are in memory where it is not
  nodeos.grow                The partition takes what its disk has behind it
  single                     Administrator mode: a shell of root's with all files, and no session
  nodeos.commands            In administrator mode: the host's commands instead of the shell

Options:
  --help  Show this
";

/// The whole program. `arguments` come without the program's own name; those that the kernel did not know are among them,
/// and no business of ours.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments.first().is_some_and(|first| first == "--help") {
        use std::io::Write;
        // Who closed the other end has read enough.
        let _ = std::io::stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let parent = rustix::process::getppid();
    if parent != Some(Pid::INIT) {
        use std::io::Write;
        let text = "error: boot is started by PID 1, and by nobody else\nhint: boot --help says what it does\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
        return ExitCode::from(2);
    }
    let mut log = Log::open("boot");
    match stage::boot(&mut log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error);
            if let Some(hint) = error.hint() {
                log.say(&format!("hint: {hint}"));
            }
            error.rescue(&mut log)
        }
    }
}
