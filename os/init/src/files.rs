//! Opening and reading files, without std.

use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{self, Mode, OFlags};
use rustix::io;

/// Pieces in which files are read. A page: most of what is read here is shorter.
const PIECE: usize = 4096;

/// More than any file that is read here: a list of ten thousand mounts.
const LIMIT: usize = 1 << 20;

/// Opens a file close-on-exec, with a descriptor that is none of the three standard ones: the kernel starts PID 1 without
/// those when it finds no console, and a program would be given the file in their place.
pub(crate) fn open(path: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let fd = fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    if fd.as_raw_fd() > 2 {
        Ok(fd)
    } else {
        io::fcntl_dupfd_cloexec(fd, 3)
    }
}

/// The contents of a file, up to [`LIMIT`] bytes.
pub(crate) fn read(path: &CStr) -> io::Result<Vec<u8>> {
    let file = fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut contents = Vec::new();
    while contents.len() < LIMIT {
        let mut piece = [0; PIECE];
        let length = io::retry_on_intr(|| io::read(&file, &mut piece))?;
        if length == 0 {
            break;
        }
        contents.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    Ok(contents)
}
