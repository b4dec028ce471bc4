//! A child that has the terminal: QEMU with the machine's console.
//!
//! It is waited for, ended when this program is told to end, and the terminal is afterwards as it was, whatever happened.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nodeos_vm::terminal::Terminal;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use thiserror::Error;

/// How long QEMU may take to end after SIGTERM. It needs milliseconds; a QEMU that hangs in the kernel needs SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Why a child in the foreground could not be run or waited for.
#[derive(Debug, Error)]
pub enum RunForegroundError {
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("cannot start {program}")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot wait for {program}")]
    Wait {
        program: String,
        #[source]
        source: io::Error,
    },
}

/// How the child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// True when it was we who ended it, because a signal told us to end.
    pub by_us: bool,
}

/// Runs a command with our own standard streams and waits for its end.
///
/// SIGTERM and SIGHUP end the child. SIGINT is left alone: what Ctrl-C means is the child's affair, which gets it too.
/// `resized` is called when the terminal has another size (SIGWINCH).
pub fn run(command: &mut Command, mut resized: impl FnMut()) -> Result<Ended, RunForegroundError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut wakes = Wakes::watch().map_err(RunForegroundError::Signals)?;
    // Restored when dropped, also where we return early.
    let _terminal = Terminal::save();
    let mut child = command
        .spawn()
        .map_err(|source| RunForegroundError::Spawn {
            program: program.clone(),
            source,
        })?;
    let mut kill_at = None;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(source) => return Err(RunForegroundError::Wait { program, source }),
        }
        if wakes.resized.swap(false, Ordering::Relaxed) {
            resized();
        }
        let now = Instant::now();
        if kill_at.is_none() && wakes.end.load(Ordering::Relaxed) {
            terminate(&child);
            kill_at = Some(now + GRACE);
        } else if kill_at.is_some_and(|at| now >= at) {
            // An error means that it has just ended, which the next round sees.
            let _ = child.kill();
        }
        wakes.wait(kill_at.map(|at| at.saturating_duration_since(now)));
    };
    Ok(Ended {
        status,
        by_us: kill_at.is_some(),
    })
}

/// What to tell the user about a child that did not end well.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal);
            name.map_or_else(|| format!("signal {signal}"), str::to_owned)
        }
        (None, None) => status.to_string(),
    }
}

fn terminate(child: &Child) {
    // The child has not been waited for, so its number still means it; ESRCH would mean that it is a zombie's.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

/// Wakes the waiting loop at each signal that matters, without polling: each handler writes a byte into a socket.
struct Wakes {
    bytes: UnixStream,
    end: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    handlers: Vec<SigId>,
}

impl Wakes {
    fn watch() -> io::Result<Wakes> {
        let (bytes, writer) = UnixStream::pair()?;
        let mut wakes = Wakes {
            bytes,
            end: Arc::default(),
            resized: Arc::default(),
            handlers: Vec::new(),
        };
        let flags = [
            (SIGTERM, &wakes.end),
            (SIGHUP, &wakes.end),
            (SIGWINCH, &wakes.resized),
        ];
        // The flag comes first: handlers run in the order of registration, and the byte announces the flag.
        for (signal, flag) in flags {
            let handler = signal_hook::flag::register(signal, Arc::clone(flag))?;
            wakes.handlers.push(handler);
        }
        for signal in [SIGTERM, SIGHUP, SIGWINCH, SIGCHLD, SIGINT] {
            wakes.handlers.push(signal_hook::low_level::pipe::register(
                signal,
                writer.try_clone()?,
            )?);
        }
        Ok(wakes)
    }

    /// Returns at the next signal, or when the time is over. It may also return for no reason: the loop looks again.
    fn wait(&mut self, time: Option<Duration>) {
        // A timeout of zero is not allowed, and means that the time is over.
        let time = time.map(|time| time.max(Duration::from_millis(1)));
        if self.bytes.set_read_timeout(time).is_ok() {
            let _ = self.bytes.read(&mut [0; 64]);
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_status_is_the_childs() {
        let ended = run(&mut shell("exit 3"), || ()).unwrap();
        assert_eq!(
            (describe(ended.status).as_str(), ended.by_us),
            ("exit code 3", false)
        );
        let ended = run(&mut shell("kill -KILL $$"), || ()).unwrap();
        assert_eq!(
            (describe(ended.status).as_str(), ended.by_us),
            ("SIGKILL", false)
        );
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("/nowhere/qemu"), || ()).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nowhere/qemu");
    }
}
