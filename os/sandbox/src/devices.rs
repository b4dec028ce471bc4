//! A /dev of one's own, with what every program expects there and nothing of the machine's.

use std::ffi::OsString;
use std::path::Path;

use rustix::fs::{Dev, makedev};
use rustix::mount::MountFlags;

use crate::mounts::{
    DEVICES, MountError, attach, directory, memory_files, node, set_flags, symlink,
};

/// Device numbers by the kernel's Documentation/admin-guide/devices.txt.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// A character device that somebody has beyond the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: OsString,
    pub mode: u32,
    pub device: Dev,
}

/// Makes it at `dev`. Its /dev/shm takes so many bytes.
pub fn make(dev: &Path, shared_memory: u64, more: &[Node]) -> Result<(), MountError> {
    let size = Some(b"mode=0755,size=64k".to_vec());
    attach("tmpfs", "tmpfs", dev, DEVICES, size)?;
    for (name, major, minor) in NODES {
        node(&dev.join(name), 0o666, makedev(major, minor))?;
    }
    for Node { name, mode, device } in more {
        node(&dev.join(name), *mode, *device)?;
    }
    for (name, target) in LINKS {
        symlink(&dev.join(name), target)?;
    }
    for name in ["pts", "shm"] {
        directory(&dev.join(name), 0o755)?;
    }
    // 5 is the group `tty` of every distribution.
    let pts = Some(b"newinstance,ptmxmode=0666,mode=0620,gid=5".to_vec());
    attach("devpts", "devpts", &dev.join("pts"), DEVICES, pts)?;
    memory_files(&dev.join("shm"), "1777", shared_memory)?;
    set_flags(dev, DEVICES | MountFlags::RDONLY)
}
