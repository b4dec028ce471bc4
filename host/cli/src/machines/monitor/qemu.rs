//! QEMU as the monitor's child: it never lives longer than the monitor does.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal,
};
use thiserror::Error;

use crate::machines::state;

/// As what we start ourselves to become QEMU.
pub const VERB: &str = "machine-qemu";

/// How much of a console is kept. A kernel that says more has said what matters.
const CONSOLE_BYTES: usize = 1 << 20;

/// How much is read at once.
const CHUNK: usize = 4096;

/// How many lines, and at most how many bytes, are shown of a machine that failed.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 4096;

/// The running QEMU.
#[derive(Debug)]
pub(super) struct Qemu {
    child: Child,
    /// Becomes readable when the process ends (pidfd_open(2)).
    end: OwnedFd,
    console: Option<ChildStdout>,
    console_log: File,
    console_bytes: usize,
}

/// QEMU could not be started.
#[derive(Debug, Error)]
pub enum StartQemuError {
    #[error("cannot write {}", .path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start QEMU")]
    Spawn(#[source] io::Error),
}

impl Qemu {
    /// Starts it. What it says goes into files of this folder, and its standard output is the machine's console.
    pub(super) fn start(argv: &[OsString], folder: &Path) -> Result<Qemu, StartQemuError> {
        let create = |name: &str| {
            let path = folder.join(name);
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path);
            file.map_err(|source| StartQemuError::Log { path, source })
        };
        let console_log = create(state::CONSOLE)?;
        let mut child = command(argv)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(create(state::QEMU)?)
            .spawn()
            .map_err(StartQemuError::Spawn)?;
        let console = child.stdout.take().expect("it is piped");
        let prepared = fcntl_getfl(&console)
            .and_then(|flags| fcntl_setfl(&console, flags | OFlags::NONBLOCK))
            .and_then(|()| pidfd_open(Pid::from_child(&child), PidfdFlags::empty()));
        match prepared {
            Ok(end) => Ok(Qemu {
                child,
                end,
                console: Some(console),
                console_log,
                console_bytes: 0,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(StartQemuError::Spawn(error.into()))
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    pub(super) fn console(&self) -> Option<BorrowedFd<'_>> {
        self.console.as_ref().map(AsFd::as_fd)
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
    }

    /// Its end, when it has ended.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Reads what the console has shown, keeps it, and returns it. Empty when there is nothing.
    pub(super) fn read_console(&mut self) -> Vec<u8> {
        let Some(console) = &mut self.console else {
            return Vec::new();
        };
        let mut chunk = [0; CHUNK];
        let count = match console.read(&mut chunk) {
            Ok(0) => {
                self.console = None;
                0
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_) => {
                self.console = None;
                0
            }
        };
        let kept = count.min(CONSOLE_BYTES - self.console_bytes);
        self.console_bytes += kept;
        // On a full disk it is not kept.
        let _ = self.console_log.write_all(&chunk[..kept]);
        chunk[..kept].to_vec()
    }
}

/// This program, also where its file has been replaced since it was started.
pub(crate) const OURSELVES: &str = "/proc/self/exe";

/// QEMU as a child that ends with us: with the thread that starts it, which has to be one that lives as long as this process.
pub(crate) fn command(argv: &[OsString]) -> Command {
    let mut command = Command::new(OURSELVES);
    command
        .arg0("nodeos")
        .arg(VERB)
        .arg(std::process::id().to_string())
        .args(argv);
    command
}

/// What we become QEMU with, when we are started as [`VERB`] by the process of this id: a machine's monitor, say. Returns only when that fails.
///
/// The kernel kills a process with this setting when the thread that started it ends (PR_SET_PDEATHSIG(2const)): the monitor
/// has one thread. It is kept by execve(2), and a monitor that had ended before is not our parent any more.
pub fn become_qemu(monitor: u32, argv: &[OsString]) -> io::Error {
    let has_ended = || {
        let parent = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        parent != Some(monitor)
    };
    let orphaned = || io::Error::other("the monitor has ended");
    if has_ended() {
        return orphaned();
    }
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // Once more: before, its end would not have been told.
    if has_ended() {
        return orphaned();
    }
    match argv.split_first() {
        Some((program, words)) => Command::new(program).args(words).exec(),
        None => io::ErrorKind::InvalidInput.into(),
    }
}

/// Has a volume for as long as we live.
pub(super) fn take_volume(image: &Path) -> Result<File, String> {
    let failed = |error: io::Error| format!("cannot use the volume {}: {error}", image.display());
    let file = File::open(image).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "the volume {} is in use by another machine",
            image.display()
        )),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The last lines that say why a machine does not work: those of the console, and QEMU's own.
pub(super) fn tail(folder: &Path) -> String {
    let lines = [state::CONSOLE, state::QEMU].map(|name| last_lines(&folder.join(name)));
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    lines.join("\n")
}

fn last_lines(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    (!lines.is_empty()).then(|| lines[first..].join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_tail_is_the_consoles_and_qemus_own() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(tail(folder.path()), "");
        let lines: String = (0..30).map(|number| format!("{number}\r\n")).collect();
        fs::write(folder.path().join(state::CONSOLE), lines).unwrap();
        let expected: Vec<String> = (10..30).map(|number| number.to_string()).collect();
        assert_eq!(tail(folder.path()), expected.join("\n"));
        fs::write(folder.path().join(state::QEMU), "qemu: no\n").unwrap();
        assert!(tail(folder.path()).ends_with("\n29\nqemu: no"));
    }

    #[test]
    fn a_volume_has_one_machine_at_a_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let taken = take_volume(file.path()).unwrap();
        let error = take_volume(file.path()).unwrap_err();
        assert!(error.ends_with("is in use by another machine"), "{error}");
        drop(taken);
        take_volume(file.path()).unwrap();
    }

    #[test]
    fn who_is_not_the_monitors_child_becomes_nothing() {
        let error = become_qemu(u32::MAX, &["/bin/true".into()]);
        assert_eq!(error.to_string(), "the monitor has ended");
    }
}
