//! Mounting, and what is mounted upon, in a mount namespace that nobody else has yet.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_sys::error::OsError;
use rustix::fs::{self, CWD, Dev, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{self, MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{chdir, chroot, pivot_root};
use thiserror::Error;

/// Set-user-id programs have no place anywhere on NodeOS, and devices none but in /dev.
pub const SAFE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
pub const INERT: MountFlags = SAFE.union(MountFlags::NOEXEC);
pub const DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

#[derive(Debug, Error)]
pub enum MountError {
    #[error("cannot keep its mounts to itself")]
    Private { source: OsError },
    #[error("cannot mount {what} on {}", target.display())]
    Mount {
        what: &'static str,
        target: PathBuf,
        source: OsError,
    },
    #[error("cannot make {}", path.display())]
    Make { path: PathBuf, source: OsError },
    #[error("cannot look at {}", path.display())]
    Inspect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is in the way: it has to be a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("cannot change to its own root")]
    Pivot { source: OsError },
}

/// From now on no mount of this namespace is seen in another one, and the other way round.
pub fn keep_private() -> Result<(), MountError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount::mount_change("/", private).map_err(|errno| MountError::Private {
        source: OsError(errno),
    })
}

/// Whether a filesystem's type, by statfs(2), is one that an initramfs is unpacked into: RAMFS_MAGIC or TMPFS_MAGIC.
pub fn is_memory(fs_type: i64) -> bool {
    matches!(fs_type, 0x8584_58f6 | 0x0102_1994)
}

/// The kernel's first filesystem, which an initramfs is unpacked into, cannot be pivoted away from (pivot_root(2), "NOTES").
/// Where it is the root it is laid over itself, by way of the folder `again`, and this process moves to the upper one.
pub fn leave_rootfs(again: &Path) -> Result<(), MountError> {
    if !fs::statfs("/").is_ok_and(|found| is_memory(found.f_type)) {
        return Ok(());
    }
    let leave = || {
        mount::mount_bind_recursive("/", again)?;
        chdir(again)?;
        mount::mount_move(".", "/")?;
        chroot(".")?;
        chdir("/")
    };
    leave().map_err(|errno| MountError::Pivot {
        source: OsError(errno),
    })
}

/// Changes to another root; what was the root before is out of reach then. pivot_root(2), "pivot_root(".", ".")": the old
/// root lies on the new one, and is taken away from there.
pub fn pivot(root: &Path) -> Result<(), MountError> {
    let pivot = || {
        chdir(root)?;
        pivot_root(".", ".")?;
        mount::unmount(".", UnmountFlags::DETACH)?;
        chdir("/")
    };
    pivot().map_err(|errno| MountError::Pivot {
        source: OsError(errno),
    })
}

/// Mounts a filesystem that has no source of its own; `what` is what errors call it.
pub fn attach(
    what: &'static str,
    fstype: &str,
    target: &Path,
    flags: MountFlags,
    options: Option<Vec<u8>>,
) -> Result<(), MountError> {
    // What came from paths has no zero byte in it, nor have the words of the callers.
    let options = options.map(|options| CString::new(options).unwrap_or_default());
    mount::mount(fstype, target, fstype, flags, options.as_deref())
        .map_err(|errno| mount_error(what, target, errno))
}

/// A filesystem in memory that takes so many bytes.
pub fn memory_files(target: &Path, mode: &str, bytes: u64) -> Result<(), MountError> {
    let options = format!("mode={mode},size={bytes}").into_bytes();
    attach("tmpfs", "tmpfs", target, SAFE, Some(options))
}

/// A bind mount takes its flags only when it is mounted again (mount(2), MS_BIND).
pub fn bind(source: &Path, target: &Path, flags: MountFlags) -> Result<(), MountError> {
    mount::mount_bind(source, target).map_err(|errno| view_error(target, errno))?;
    set_flags(target, flags)
}

/// Gives what is mounted there other flags, in this place alone.
pub fn set_flags(target: &Path, flags: MountFlags) -> Result<(), MountError> {
    mount::mount_remount(target, MountFlags::BIND | flags, c"")
        .map_err(|errno| view_error(target, errno))
}

fn view_error(target: &Path, errno: Errno) -> MountError {
    mount_error("a view of another folder", target, errno)
}

pub fn mount_error(what: &'static str, target: &Path, errno: Errno) -> MountError {
    MountError::Mount {
        what,
        target: target.to_owned(),
        source: OsError(errno),
    }
}

/// A character device.
pub fn node(path: &Path, mode: u32, device: Dev) -> Result<(), MountError> {
    let make = || {
        let mode = Mode::from_raw_mode(mode);
        fs::mknodat(CWD, path, FileType::CharacterDevice, mode, device)?;
        // Whatever the umask is.
        fs::chmod(path, mode)
    };
    make().map_err(|errno| make_error(path, errno))
}

/// One that is there already is as good.
pub fn directory(path: &Path, mode: u32) -> Result<(), MountError> {
    match fs::mkdir(path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(make_error(path, errno)),
    }
}

pub fn symlink(path: &Path, target: &str) -> Result<(), MountError> {
    fs::symlink(target, path).map_err(|errno| make_error(path, errno))
}

pub fn make_error(path: &Path, errno: Errno) -> MountError {
    MountError::Make {
        path: path.to_owned(),
        source: OsError(errno),
    }
}

/// What ends a path in the options of an overlay gets a backslash before it: colon, comma and backslash.
pub fn escaped(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut bytes = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_end_early_in_the_options_of_the_overlay() {
        assert_eq!(escaped(Path::new(r"/users/a:b,c\d")), br"/users/a\:b\,c\\d");
    }
}
