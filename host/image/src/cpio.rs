//! Archives in the format newc, which Linux unpacks as initramfs.
//!
//! The format is that of the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. Compression is not
//! done here: let a [`crate::lz4::Lz4Writer`] stand behind.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::content;
use crate::tree::{Entry, Kind, Tree};

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// The longest name the kernel unpacks, its final zero included (`PATH_MAX`).
const MAX_NAME_FIELD: usize = 4096;

/// Names and contents begin at multiples of this.
const ALIGNMENT: usize = 4;

/// How much of a file is read at once.
const BUFFER: usize = 1 << 20;

#[derive(Debug, Error)]
pub enum WriteCpioError {
    #[error("{path:?} has {size} bytes, and a cpio archive cannot hold a file of 4 GiB or more")]
    FileTooLarge { path: PathBuf, size: u64 },
    #[error("{path:?} is longer than the 4095 bytes that Linux unpacks")]
    PathTooLong { path: PathBuf },
    #[error("{path:?} has the name that ends a cpio archive")]
    TrailerName { path: PathBuf },
    #[error("cannot copy {path:?} into the archive")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the archive")]
    Write {
        #[source]
        source: io::Error,
    },
}

impl WriteCpioError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteCpioError::FileTooLarge { .. } => {
                Some("keep such a file in a filesystem image instead of an initramfs".into())
            }
            WriteCpioError::Read { source, .. } | WriteCpioError::Write { source } => {
                content::hint(source)
            }
            WriteCpioError::PathTooLong { .. } | WriteCpioError::TrailerName { .. } => None,
        }
    }
}

/// Every time in the archive is `mtime` (seconds since 1970).
///
/// Inode numbers count from 1 in the tree's order. The root stands in it as `.`, so that its mode and owner arrive too.
pub fn write(tree: &Tree, mtime: u32, out: &mut dyn Write) -> Result<(), WriteCpioError> {
    let mut buffer = vec![0; BUFFER];
    for (ino, (path, entry)) in (1..).zip(tree.iter()) {
        let member = member(path, entry, ino)?;
        write_header(&member, mtime, out).map_err(|source| WriteCpioError::Write { source })?;
        match &entry.kind {
            Kind::File(content) => {
                let read_error = |source| WriteCpioError::Read {
                    path: path.into(),
                    source,
                };
                let mut reader = content.open().map_err(read_error)?;
                loop {
                    let count = content::fill(&mut *reader, &mut buffer).map_err(read_error)?;
                    out.write_all(&buffer[..count])
                        .map_err(|source| WriteCpioError::Write { source })?;
                    if count < buffer.len() {
                        break;
                    }
                }
            }
            Kind::Symlink(target) => out
                .write_all(target.as_os_str().as_bytes())
                .map_err(|source| WriteCpioError::Write { source })?,
            _ => {}
        }
        write_padding(member.size as usize, out)
            .map_err(|source| WriteCpioError::Write { source })?;
    }
    let trailer = Member {
        name: TRAILER,
        ino: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 1,
        size: 0,
        device: (0, 0),
    };
    write_header(&trailer, 0, out).map_err(|source| WriteCpioError::Write { source })
}

/// What a header says.
struct Member<'a> {
    name: &'a [u8],
    ino: u32,
    mode: u16,
    uid: u32,
    gid: u32,
    links: u32,
    size: u32,
    device: (u32, u32),
}

fn member<'a>(path: &'a Path, entry: &Entry, ino: u32) -> Result<Member<'a>, WriteCpioError> {
    let name = match &path.as_os_str().as_bytes()[1..] {
        b"" => b".",
        name => name,
    };
    if name.len() >= MAX_NAME_FIELD {
        return Err(WriteCpioError::PathTooLong { path: path.into() });
    }
    if name == TRAILER {
        return Err(WriteCpioError::TrailerName { path: path.into() });
    }
    let size = match &entry.kind {
        Kind::File(content) => content.len(),
        Kind::Symlink(target) => target.as_os_str().len() as u64,
        _ => 0,
    };
    let Ok(size) = u32::try_from(size) else {
        let path = path.into();
        return Err(WriteCpioError::FileTooLarge { path, size });
    };
    Ok(Member {
        name,
        ino,
        mode: entry.st_mode(),
        uid: entry.uid,
        gid: entry.gid,
        // A file with two links would make the kernel look for the other one.
        links: if entry.kind == Kind::Directory { 2 } else { 1 },
        size,
        device: match entry.kind {
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                (major, minor)
            }
            _ => (0, 0),
        },
    })
}

fn write_header(member: &Member<'_>, mtime: u32, out: &mut dyn Write) -> io::Result<()> {
    let fields = [
        member.ino,
        member.mode.into(),
        member.uid,
        member.gid,
        member.links,
        mtime,
        member.size,
        // The device the archive was made from: there is none.
        0,
        0,
        member.device.0,
        member.device.1,
        member.name.len() as u32 + 1,
        // A checksum, which only the sister format 070702 has.
        0,
    ];
    let mut header = Vec::with_capacity(128);
    header.extend_from_slice(b"070701");
    for field in fields {
        write!(header, "{field:08x}")?;
    }
    header.extend_from_slice(member.name);
    header.push(0);
    out.write_all(&header)?;
    write_padding(header.len(), out)
}

/// Zeros up to the next multiple of four after `written` bytes.
fn write_padding(written: usize, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; ALIGNMENT][..written.wrapping_neg() % ALIGNMENT])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Content;

    #[test]
    fn every_member_begins_at_a_multiple_of_four() {
        for size in 0..9 {
            let mut tree = Tree::new();
            tree.insert(format!("/{}", "n".repeat(size + 1)), Entry::symlink("t"))
                .unwrap();
            tree.insert("/z", Entry::file(0o644, vec![b'x'; size]))
                .unwrap();
            let mut archive = Vec::new();
            write(&tree, 7, &mut archive).unwrap();
            let headers: Vec<usize> = archive
                .windows(6)
                .enumerate()
                .filter(|(_, window)| window == b"070701")
                .map(|(at, _)| at)
                .collect();
            assert_eq!(headers.len(), 4);
            assert!(headers.iter().all(|at| at % 4 == 0), "{headers:?}");
            assert_eq!(archive.len() % 4, 0);
        }
    }

    #[test]
    fn what_the_format_cannot_say_is_refused_by_name() {
        let check = |path: &str, content: Content, expected: &str| {
            let mut tree = Tree::new();
            let entry = Entry {
                kind: Kind::File(content),
                ..Entry::directory(0o644)
            };
            tree.insert(path, entry).unwrap();
            let error = write(&tree, 0, &mut io::sink()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let four_gib = Content::Host {
            path: "/no/such/file".into(),
            size: 1 << 32,
        };
        check(
            "/big",
            four_gib,
            "\"/big\" has 4294967296 bytes, and a cpio archive cannot hold a file of 4 GiB or more",
        );
        check(
            "/TRAILER!!!",
            Content::Bytes([].into()),
            "\"/TRAILER!!!\" has the name that ends a cpio archive",
        );
    }

    #[test]
    fn a_path_that_linux_would_not_unpack_is_refused() {
        let mut tree = Tree::new();
        let mut path = String::new();
        for _ in 0..17 {
            path = format!("{path}/{}", "d".repeat(250));
            tree.insert(&path, Entry::directory(0o755)).unwrap();
        }
        let error = write(&tree, 0, &mut io::sink()).unwrap_err();
        assert!(matches!(error, WriteCpioError::PathTooLong { .. }));
    }
}
