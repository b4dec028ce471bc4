//! The table of what a machine needs before its program can start, and the loop that does it.
//!
//! Data of filesystems that hold something, such as a users partition, is not mounted here.

use core::ffi::CStr;
use core::fmt;

use nodeos_sys::error::OsError;
use rustix::fs::{self, Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::mount::{self, MountFlags};
use thiserror::Error;

use crate::files;
use crate::log::Log;
use crate::loopback;

/// Before anything can be known of this system. Not to be done twice: each mount of proc is another one.
pub(crate) const PROC: &[Step] = &[required(mount(
    c"proc",
    c"/proc",
    NO_PROGRAMS_NO_DEVICES,
    None,
))];

/// Before the console can be used.
pub(crate) const DEVICES: &[Step] = &[
    // The kernel itself has mounted it where the root is an image; then this does nothing.
    required(mount(c"devtmpfs", c"/dev", NO_PROGRAMS, Some(c"mode=0755"))),
];

/// Before the program starts.
pub(crate) const REST: &[Step] = &[
    optional(mount(c"sysfs", c"/sys", NO_PROGRAMS_NO_DEVICES, None)),
    optional(dir(c"/dev/pts", 0o755)),
    // 5 is the group `tty` of every distribution; ptmx for everybody, as the kernel's own /dev/ptmx has it.
    optional(mount(
        c"devpts",
        c"/dev/pts",
        NO_PROGRAMS,
        Some(c"gid=5,mode=0620,ptmxmode=0666"),
    )),
    optional(dir(c"/dev/shm", 0o1777)),
    // The three sizes come to 85 % of the memory, so that full ones do not take the machine down.
    optional(mount(
        c"tmpfs",
        c"/dev/shm",
        NO_DEVICES,
        Some(c"mode=1777,size=25%"),
    )),
    optional(mount(
        c"tmpfs",
        c"/tmp",
        NO_DEVICES,
        Some(c"mode=1777,size=50%"),
    )),
    optional(mount(
        c"tmpfs",
        c"/run",
        NO_DEVICES,
        Some(c"mode=0755,size=10%"),
    )),
    optional(mount(
        c"cgroup2",
        c"/sys/fs/cgroup",
        NO_PROGRAMS_NO_DEVICES,
        Some(c"nsdelegate"),
    )),
    optional(link(c"/dev/fd", c"/proc/self/fd")),
    optional(link(c"/dev/stdin", c"/proc/self/fd/0")),
    optional(link(c"/dev/stdout", c"/proc/self/fd/1")),
    optional(link(c"/dev/stderr", c"/proc/self/fd/2")),
    optional(Action::BringUpLoopback),
    // Who translates names, from the kernel's `ip=`. Not as a link to it: c-ares, which Node.js has, asks for a file's
    // size before it reads, and files of /proc have none.
    optional(Action::Copy {
        from: c"/proc/net/pnp",
        to: c"/run/resolv.conf",
        mode: 0o444,
    }),
];

/// Set-user-id programs have no place anywhere on NodeOS.
const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);
const NO_DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const NO_PROGRAMS_NO_DEVICES: MountFlags = NO_PROGRAMS.union(MountFlags::NODEV);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    need: Need,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it the machine stops: Node.js without /proc or /dev does not fail, but hangs.
    Required,
    /// Its failure is logged, and the machine goes on.
    Optional,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    Dir {
        path: &'static CStr,
        mode: u32,
    },
    Mount {
        fstype: &'static CStr,
        target: &'static CStr,
        flags: MountFlags,
        data: Option<&'static CStr>,
    },
    Symlink {
        path: &'static CStr,
        target: &'static CStr,
    },
    BringUpLoopback,
    /// The contents of a file of the kernel's.
    Copy {
        from: &'static CStr,
        to: &'static CStr,
        mode: u32,
    },
}

#[derive(Debug, Error)]
#[error("cannot {action}")]
struct RunStepError {
    action: Action,
    source: OsError,
}

/// Some step failed without which no program can run; which one has been logged.
#[derive(Debug, Error)]
#[error("the machine cannot run without what failed above")]
pub(crate) struct RequiredStepFailed;

/// Does the steps in order and logs each one that fails.
pub(crate) fn run(log: &mut Log, steps: &[Step]) -> Result<(), RequiredStepFailed> {
    let mut result = Ok(());
    for step in steps {
        if let Err(errno) = perform(step.action) {
            log.error(&RunStepError {
                action: step.action,
                source: OsError(errno),
            });
            if step.need == Need::Required {
                result = Err(RequiredStepFailed);
            }
        }
    }
    result
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Dir { path, .. } => write!(f, "make the directory {}", path.to_string_lossy()),
            Action::Mount { fstype, target, .. } => {
                write!(
                    f,
                    "mount {} on {}",
                    fstype.to_string_lossy(),
                    target.to_string_lossy()
                )
            }
            Action::Symlink { path, target } => {
                write!(
                    f,
                    "link {} to {}",
                    path.to_string_lossy(),
                    target.to_string_lossy()
                )
            }
            Action::BringUpLoopback => f.write_str("bring up the loopback interface"),
            Action::Copy { from, to, .. } => {
                write!(
                    f,
                    "copy {} to {}",
                    from.to_string_lossy(),
                    to.to_string_lossy()
                )
            }
        }
    }
}

/// What is there already is as good as done.
fn perform(action: Action) -> io::Result<()> {
    match action {
        Action::Dir { path, mode } => {
            unless(Errno::EXIST, fs::mkdir(path, Mode::from_raw_mode(mode)))
        }
        Action::Symlink { path, target } => unless(Errno::EXIST, fs::symlink(target, path)),
        Action::BringUpLoopback => loopback::bring_up(),
        Action::Copy { from, to, mode } => copy(from, to, Mode::from_raw_mode(mode)),
        Action::Mount {
            fstype,
            target,
            flags,
            data,
        } => {
            let attempt = || mount::mount(fstype, target, fstype, flags, data);
            unless(
                Errno::BUSY,
                match attempt() {
                    // An image has the mount points, an initramfs need not have them.
                    Err(Errno::NOENT) if fs::mkdir(target, Mode::from_raw_mode(0o755)).is_ok() => {
                        attempt()
                    }
                    result => result,
                },
            )
        }
    }
}

fn copy(from: &CStr, to: &CStr, mode: Mode) -> io::Result<()> {
    let text = files::read(from)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::open(to, flags, mode)?;
    let mut left = text.as_slice();
    while !left.is_empty() {
        let written = io::retry_on_intr(|| io::write(&file, left))?;
        left = left.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn unless(expected: Errno, result: io::Result<()>) -> io::Result<()> {
    if result == Err(expected) {
        Ok(())
    } else {
        result
    }
}

const fn required(action: Action) -> Step {
    Step {
        need: Need::Required,
        action,
    }
}

const fn optional(action: Action) -> Step {
    Step {
        need: Need::Optional,
        action,
    }
}

const fn dir(path: &'static CStr, mode: u32) -> Action {
    Action::Dir { path, mode }
}

const fn mount(
    fstype: &'static CStr,
    target: &'static CStr,
    flags: MountFlags,
    data: Option<&'static CStr>,
) -> Action {
    Action::Mount {
        fstype,
        target,
        flags,
        data,
    }
}

const fn link(path: &'static CStr, target: &'static CStr) -> Action {
    Action::Symlink { path, target }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of mount(8), in the order in which /proc/mounts shows them.
    fn words(flags: MountFlags) -> String {
        let known = [
            (MountFlags::NOSUID, "nosuid"),
            (MountFlags::NODEV, "nodev"),
            (MountFlags::NOEXEC, "noexec"),
        ];
        assert!(
            MountFlags::from_iter(known.map(|(flag, _)| flag)).contains(flags),
            "{flags:?} has a word"
        );
        known
            .iter()
            .filter(|(flag, _)| flags.contains(*flag))
            .map(|(_, word)| *word)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn check(target: &str, fstype: &str, need: Need, flags: &str, data: &str) {
        let found: Vec<_> = PROC
            .iter()
            .chain(DEVICES)
            .chain(REST)
            .filter_map(|step| match step.action {
                Action::Mount {
                    fstype,
                    target: on,
                    flags,
                    data,
                } if on.to_str() == Ok(target) => {
                    let data = data.unwrap_or_default().to_str().unwrap();
                    Some((fstype.to_str().unwrap(), step.need, words(flags), data))
                }
                _ => None,
            })
            .collect();
        assert_eq!(found, [(fstype, need, flags.to_owned(), data)], "{target}");
    }

    #[test]
    fn every_filesystem_is_mounted_once_with_its_own_flags() {
        check("/proc", "proc", Need::Required, "nosuid,nodev,noexec", "");
        check(
            "/dev",
            "devtmpfs",
            Need::Required,
            "nosuid,noexec",
            "mode=0755",
        );
        check("/sys", "sysfs", Need::Optional, "nosuid,nodev,noexec", "");
        check(
            "/dev/pts",
            "devpts",
            Need::Optional,
            "nosuid,noexec",
            "gid=5,mode=0620,ptmxmode=0666",
        );
        check(
            "/dev/shm",
            "tmpfs",
            Need::Optional,
            "nosuid,nodev",
            "mode=1777,size=25%",
        );
        check(
            "/tmp",
            "tmpfs",
            Need::Optional,
            "nosuid,nodev",
            "mode=1777,size=50%",
        );
        check(
            "/run",
            "tmpfs",
            Need::Optional,
            "nosuid,nodev",
            "mode=0755,size=10%",
        );
        check(
            "/sys/fs/cgroup",
            "cgroup2",
            Need::Optional,
            "nosuid,nodev,noexec",
            "nsdelegate",
        );
    }

    #[test]
    fn failures_name_the_operation_and_its_object() {
        let check = |action: Action, expected: &str| {
            let error = RunStepError {
                action,
                source: OsError(Errno::BUSY),
            };
            assert_eq!(
                crate::log::sentence(&error),
                format!("{expected}: Device or resource busy")
            );
        };
        check(PROC[0].action, "cannot mount proc on /proc");
        check(
            dir(c"/dev/pts", 0o755),
            "cannot make the directory /dev/pts",
        );
        check(
            link(c"/dev/fd", c"/proc/self/fd"),
            "cannot link /dev/fd to /proc/self/fd",
        );
        check(
            Action::Copy {
                from: c"/a",
                to: c"/b",
                mode: 0o444,
            },
            "cannot copy /a to /b",
        );
        check(
            Action::BringUpLoopback,
            "cannot bring up the loopback interface",
        );
    }
}
