//! QEMU on this host: where it is, which version, what it can do.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::findings::Findings;

/// Names another QEMU than the one in `PATH`.
pub const VARIABLE: &str = "NODEOS_QEMU";
/// The program for our architecture.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// The QEMU that runs machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// As a command line names it.
    pub program: PathBuf,
    /// What tells it from another one, without running it: to load QEMU takes longer than everything else that is looked at
    /// before a machine starts.
    pub(crate) file: Identity,
}

/// An executable file, as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, i64),
}

/// There is no QEMU, or none that runs.
#[derive(Debug, Error)]
pub enum FindQemuError {
    #[error("{program} is not installed")]
    Missing { program: String },
    #[error("cannot run {}", .program.display())]
    Run {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// QEMU does not say which devices it has.
#[derive(Debug, Error)]
pub enum AskDevicesError {
    #[error("cannot ask {} for its devices", .program.display())]
    Run {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} does not list its devices ({status})", .program.display())]
    Status {
        program: PathBuf,
        status: ExitStatus,
    },
}

impl FindQemuError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            FindQemuError::Missing { .. } => {
                "install it: sudo apt-get install qemu-system-x86".to_owned()
            }
            FindQemuError::Run { .. } => format!("{VARIABLE} names the QEMU to run"),
        })
    }
}

/// The program as a command line names it.
pub fn program() -> OsString {
    std::env::var_os(VARIABLE).unwrap_or_else(|| PROGRAM.into())
}

impl Qemu {
    /// Looks for QEMU in `PATH`.
    ///
    /// # Errors
    /// [`FindQemuError`].
    pub fn find() -> Result<Qemu, FindQemuError> {
        let program = PathBuf::from(program());
        let path = which::which(&program).map_err(|_| match fs::metadata(&program) {
            Ok(_) => FindQemuError::Run {
                program: program.clone(),
                source: io::ErrorKind::PermissionDenied.into(),
            },
            Err(_) => FindQemuError::Missing {
                program: program.display().to_string(),
            },
        })?;
        let data = fs::metadata(&path).map_err(|source| FindQemuError::Run {
            program: program.clone(),
            source,
        })?;
        Ok(Qemu {
            program,
            file: Identity {
                path,
                bytes: data.size(),
                modified: (data.mtime(), data.mtime_nsec()),
            },
        })
    }

    /// What it says of itself: `QEMU emulator version 7.2.22 (Debian ...)`.
    ///
    /// # Errors
    /// [`FindQemuError::Run`].
    pub fn version(&self) -> Result<String, FindQemuError> {
        let mut ask = Command::new(&self.program);
        let output = ask.arg("--version").stdin(Stdio::null()).output();
        let output = output.map_err(|source| FindQemuError::Run {
            program: self.program.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Whether it can map an image from memory. The answer is kept in the folder `cache` until the host's next boot.
    ///
    /// # Errors
    /// [`AskDevicesError`].
    pub fn has_virtio_pmem(&self, cache: Option<&Path>) -> Result<bool, AskDevicesError> {
        let ask = || self.has_device("virtio-pmem-pci");
        Findings::look_up(cache, self, |findings| &mut findings.virtio_pmem, ask)
    }

    /// Whether it can open a window. Debian has that in a package of its own; without it QEMU says nothing and offers
    /// the screen to other computers instead.
    pub fn can_open_windows(&self) -> bool {
        let mut ask = Command::new(&self.program);
        let output = ask.args(["-display", "help"]).stdin(Stdio::null()).output();
        output.is_ok_and(|output| has_window(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Whether it was built with the device `name`.
    ///
    /// # Errors
    /// [`AskDevicesError`].
    pub fn has_device(&self, name: &str) -> Result<bool, AskDevicesError> {
        let program = || self.program.clone();
        let mut ask = Command::new(&self.program);
        let output = ask
            .args(["-device", "help"])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| AskDevicesError::Run {
                program: program(),
                source,
            })?;
        if !output.status.success() {
            return Err(AskDevicesError::Status {
                program: program(),
                status: output.status,
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).contains(&format!("name \"{name}\"")))
    }
}

/// Whether the list of `-display help` has a kind of display that is a window.
fn has_window(list: &str) -> bool {
    let is_window = |line: &str| ["gtk", "sdl", "cocoa"].contains(&line.trim());
    list.lines().any(is_window)
}

/// Whether a child, which has not been waited for, ends within this time.
pub fn has_ended_within(child: &Child, time: Duration) -> bool {
    // A pid file descriptor becomes readable at the end (pidfd_open(2)).
    let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else {
        return false;
    };
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], left.as_ref()) {
            Ok(count) => return count > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// User and system CPU time of a running process in seconds, from proc_pid_stat(5). None when it is gone.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name may contain anything; what follows the last parenthesis are fields, the first of them the state.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
    Some((ticks(11)? + ticks(12)?) / ticks_a_second)
}

/// Memory of a running process in bytes, with what it shares divided among those who share it: `Pss` of proc_pid_smaps(5).
/// None when it is gone, or another user's.
pub fn proportional_memory(pid: u32) -> Option<u64> {
    let file = Path::new("/proc")
        .join(pid.to_string())
        .join("smaps_rollup");
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_displays_are_windows() {
        assert!(has_window("Available display backend types:\nnone\ngtk\n"));
        assert!(!has_window(
            "Available display backend types:\nnone\ncurses\nspice-app\n"
        ));
    }

    #[test]
    fn a_process_uses_time_and_memory_and_one_that_is_not_there_none() {
        assert!(cpu_seconds(std::process::id()).is_some_and(|seconds| seconds >= 0.0));
        assert_eq!(cpu_seconds(u32::MAX), None);
        assert!(proportional_memory(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert_eq!(proportional_memory(u32::MAX), None);
    }

    #[test]
    fn a_child_ends_in_time_or_not() {
        let mut child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        assert!(!has_ended_within(&child, Duration::from_millis(5)));
        child.kill().unwrap();
        assert!(has_ended_within(&child, Duration::from_secs(10)));
        child.wait().unwrap();
    }

    #[test]
    fn the_hint_names_the_package() {
        let error = FindQemuError::Missing {
            program: PROGRAM.to_owned(),
        };
        assert_eq!(error.to_string(), "qemu-system-x86_64 is not installed");
        assert_eq!(
            error.hint().unwrap(),
            "install it: sudo apt-get install qemu-system-x86"
        );
    }

    #[test]
    fn devices_that_qemu_has_are_told_from_those_it_lacks() {
        let qemu = Qemu::find().expect("QEMU is installed");
        assert!(qemu.has_device("virtio-blk-pci").unwrap());
        assert!(!qemu.has_device("nodeos-flux-capacitor").unwrap());
    }
}
