//! The list of mounts as the kernel writes it, and unmounting them.

use alloc::ffi::CString;
use alloc::vec::Vec;

use nodeos_sys::error::OsError;
use rustix::io::Errno;
use rustix::mount::{self, MountFlags, UnmountFlags};
use thiserror::Error;

use crate::files;
use crate::log::Log;

const LIST: &core::ffi::CStr = c"/proc/self/mounts";

/// Views of the kernel: there is nothing in them to be saved, and until the end they are in use.
const KERNEL_VIEWS: &[&[u8]] = &[
    b"cgroup2",
    b"devpts",
    b"devtmpfs",
    b"proc",
    b"rootfs",
    b"sysfs",
];

/// A line of `/proc/self/mounts`: [`proc_pid_mounts(5)`](https://man7.org/linux/man-pages/man5/proc_pid_mounts.5.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is mounted, decoded.
    pub target: CString,
    /// The filesystem's type, decoded.
    pub fstype: Vec<u8>,
    /// Whether `ro` is among its options.
    pub read_only: bool,
}

#[derive(Debug, Error)]
enum UnmountError {
    #[error("cannot read {}", LIST.to_string_lossy())]
    List { source: OsError },
    #[error("cannot unmount {}", target.to_string_lossy())]
    Unmount { target: CString, source: OsError },
    #[error("{} is busy and cannot be made read-only", target.to_string_lossy())]
    MakeReadOnly { target: CString, source: OsError },
}

/// Unmounts everything that holds data, the latest first. What is busy is made read-only, so that it is whole on its disk.
pub(crate) fn unmount_all(log: &mut Log) {
    loop {
        let mounted = match files::read(LIST) {
            Ok(text) => parse(&text),
            Err(errno) => {
                return log.error(&UnmountError::List {
                    source: OsError(errno),
                });
            }
        };
        let mut left: Vec<(&Mounted, Errno)> = Vec::new();
        let mut unmounted = 0;
        for mounted in mounted.iter().rev().filter(|mounted| holds_data(mounted)) {
            match unmount(mounted) {
                Ok(()) => unmounted += 1,
                Err(errno) => left.push((mounted, errno)),
            }
        }
        // A mount that was moved may lie upon one that stands behind it in the list, and is out of the way now.
        if unmounted > 0 && left.iter().any(|(mounted, _)| !is_root(mounted)) {
            continue;
        }
        for (mounted, errno) in left {
            if let Err(error) = secure(mounted, errno) {
                log.error(&error);
            }
        }
        return;
    }
}

/// The lines of a list of mounts. What is not such a line is left out.
pub fn parse(text: &[u8]) -> Vec<Mounted> {
    text.split(|&byte| byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|&byte| byte == b' ');
    let (_source, target, fstype, options) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let target = CString::new(decode(target))
        .ok()
        .filter(|target| target.as_bytes().starts_with(b"/"))?;
    let read_only = options
        .split(|&byte| byte == b',')
        .any(|option| option == b"ro");
    Some(Mounted {
        target,
        fstype: decode(fstype),
        read_only,
    })
}

/// Space, tab, newline and backslash stand as a backslash and three octal digits (`mangle` in the kernel's
/// fs/proc_namespace.c). A backslash before anything else stands for itself.
fn decode(field: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let byte;
        (byte, rest) = match (first, after) {
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after),
            _ => (*first, after),
        };
        decoded.push(byte);
    }
    decoded
}

fn holds_data(mounted: &Mounted) -> bool {
    !KERNEL_VIEWS.contains(&mounted.fstype.as_slice())
}

fn is_root(mounted: &Mounted) -> bool {
    mounted.target.as_bytes() == b"/"
}

fn unmount(mounted: &Mounted) -> Result<(), Errno> {
    // The root of this very process cannot go away; to unmount it would be to make it read-only without saying so.
    if is_root(mounted) {
        Err(Errno::BUSY)
    } else {
        mount::unmount(&mounted.target, UnmountFlags::NOFOLLOW)
    }
}

/// Makes a mount that could not be unmounted harmless.
fn secure(mounted: &Mounted, reason: Errno) -> Result<(), UnmountError> {
    let target = &mounted.target;
    match reason {
        Errno::BUSY if mounted.read_only => Ok(()),
        Errno::BUSY => mount::mount_remount(target, MountFlags::RDONLY, c"").map_err(|errno| {
            UnmountError::MakeReadOnly {
                target: target.clone(),
                source: OsError(errno),
            }
        }),
        errno => Err(UnmountError::Unmount {
            target: target.clone(),
            source: OsError(errno),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: &[(&str, &str, bool)]) {
        let found: Vec<_> = parse(text)
            .into_iter()
            .map(|mounted| {
                let fstype = String::from_utf8(mounted.fstype).unwrap();
                (
                    mounted.target.into_string().unwrap(),
                    fstype,
                    mounted.read_only,
                )
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(target, fstype, ro)| ((*target).to_owned(), (*fstype).to_owned(), *ro))
            .collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn lines_are_cut_into_their_fields() {
        let text = b"/dev/pmem0 / erofs ro,relatime 0 0\ntmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n";
        check(text, &[("/", "erofs", true), ("/tmp", "tmpfs", false)]);
        check(
            b"a /errors ext4 rw,errors=remount-ro 0 0",
            &[("/errors", "ext4", false)],
        );
    }

    #[test]
    fn escaped_characters_of_paths_are_decoded() {
        check(
            br"none /a\040b\011c\012d\134e\043 tmpfs rw 0 0",
            &[("/a b\tc\nd\\e#", "tmpfs", false)],
        );
        check(br"none /\1340 tmpfs rw 0 0", &[(r"/\0", "tmpfs", false)]);
        check(br"none /\04 tmpfs rw 0 0", &[(r"/\04", "tmpfs", false)]);
        check(br"none /\400\ tmpfs rw 0 0", &[(r"/\400\", "tmpfs", false)]);
        check(
            b"none /\\303\\251 tmpfs rw 0 0",
            &[("/\u{e9}", "tmpfs", false)],
        );
    }

    #[test]
    fn what_is_not_a_line_is_left_out() {
        for garbage in [
            "",
            "\n\n",
            "a",
            "a b",
            "a /b c",
            "a b c d",
            " / ",
            "a /\\000 tmpfs rw 0 0",
            "\\",
        ] {
            check(garbage.as_bytes(), &[]);
        }
        check(b"\xff\xfe\n\na /b c d", &[("/b", "c", false)]);
    }

    #[test]
    fn views_of_the_kernel_stay_mounted() {
        let text = b"proc /proc proc rw 0 0\nrootfs / rootfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vda / ext4 rw 0 0\n";
        let kept: Vec<_> = parse(text)
            .into_iter()
            .filter(holds_data)
            .map(|mounted| mounted.fstype)
            .collect();
        assert_eq!(kept, [b"tmpfs".to_vec(), b"ext4".to_vec()]);
    }

    #[test]
    fn failures_name_the_mount() {
        let target = c"/home/a b".to_owned();
        let error = UnmountError::MakeReadOnly {
            target,
            source: OsError(Errno::BUSY),
        };
        let expected = "/home/a b is busy and cannot be made read-only: Device or resource busy";
        assert_eq!(crate::log::sentence(&error), expected);
    }
}
