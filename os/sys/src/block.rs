//! Disks and filesystems that become larger while they are in use. rustix lacks these requests.

use core::ffi::{c_int, c_longlong};

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};

use crate::error::last_error;

/// `struct blkpg_ioctl_arg` of linux/blkpg.h.
#[repr(C)]
struct PartitionRequest {
    operation: c_int,
    flags: c_int,
    length: c_int,
    data: *const Partition,
}

/// `struct blkpg_partition` of the same; the names are not used by the kernel.
#[repr(C)]
struct Partition {
    start: c_longlong,
    length: c_longlong,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// Tells the kernel how large a partition of the disk is now. Its table, which is on the disk, is somebody else's business.
/// `start` and `length` are in bytes.
///
/// # Errors
/// `ENXIO` for a number that is no partition, `EBUSY` where it would overlap another, `EACCES` without `CAP_SYS_ADMIN`.
pub fn resize_partition(
    disk: BorrowedFd<'_>,
    number: u32,
    start: u64,
    length: u64,
) -> io::Result<()> {
    // Both from linux/blkpg.h, which the libc crate lacks.
    const BLKPG: libc::Ioctl = 0x1269;
    const RESIZE: c_int = 3;
    let partition = Partition {
        start: start.try_into().map_err(|_| Errno::INVAL)?,
        length: length.try_into().map_err(|_| Errno::INVAL)?,
        number: number.try_into().map_err(|_| Errno::INVAL)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let request = PartitionRequest {
        operation: RESIZE,
        flags: 0,
        length: size_of::<Partition>() as c_int,
        data: &raw const partition,
    };
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel reads the request and the partition that it
    // points to, both of which live over the call and have the kernel's own layout.
    match unsafe { libc::ioctl(disk.as_raw_fd(), BLKPG, &raw const request) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Has a mounted ext4 filesystem use so many blocks of its device, which must be there. `root` is a folder of it.
///
/// # Errors
/// `EINVAL` for fewer blocks than it has or more than the device has, `EPERM` without `CAP_SYS_RESOURCE`, `EROFS`, `ENOTTY` for
/// other filesystems.
pub fn resize_ext4(root: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    // _IOW('f', 16, __u64), from the kernel's fs/ext4/ext4.h.
    const EXT4_IOC_RESIZE_FS: libc::Ioctl = 0x4008_6610;
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel reads eight bytes of `blocks`, which lives over
    // the call.
    match unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_RESIZE_FS, &raw const blocks) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_no_disk_and_no_ext4_is_refused() {
        let null = File::open("/dev/null").unwrap();
        assert_eq!(
            resize_partition(null.as_fd(), 1, 0, 4096),
            Err(Errno::NOTTY)
        );
        assert_eq!(resize_ext4(null.as_fd(), 1), Err(Errno::NOTTY));
        let too_far = resize_partition(null.as_fd(), 1, u64::MAX, 0);
        assert_eq!(too_far, Err(Errno::INVAL));
    }
}
