//! What a program does to a terminal that is to outlast its user's login.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open, setsid};
use rustix::termios::{Action, ioctl_tiocexcl, tcflow};

/// Lets nobody else open the terminal, and nothing come out of it.
pub fn spoil() -> io::Result<()> {
    let terminal = io::stdin();
    ioctl_tiocexcl(&terminal)?;
    tcflow(&terminal, Action::OOff)?;
    Ok(())
}

/// Starts a process of its own session of processes, which no signal of the terminal reaches. When the shell has ended it
/// writes down what it reads from the terminal.
pub fn leave_a_listener(file: &str) -> io::Result<()> {
    let shell = getppid().ok_or(io::ErrorKind::NotFound)?;
    let shell = shell.as_raw_nonzero().to_string();
    Command::new(std::env::current_exe()?)
        .args(["listen", file, &shell])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// That process.
pub fn listen(file: &str, shell: &str) -> io::Result<()> {
    setsid()?;
    let shell = shell.parse().ok().and_then(Pid::from_raw);
    let shell = pidfd_open(shell.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
    let mut heard = OpenOptions::new().create(true).append(true).open(file)?;
    poll(&mut [PollFd::new(&shell, PollFlags::IN)], None)?;
    heard.write_all(b"listening\n")?;
    let mut byte = [0];
    loop {
        match io::stdin().lock().read(&mut byte) {
            Ok(0) => return heard.write_all(b"end\n"),
            Ok(_) => heard.write_all(&byte)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return heard.write_all(format!("{error}\n").as_bytes()),
        }
    }
}
