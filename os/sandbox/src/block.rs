//! Finding a block device by what it is called, and waiting for the kernel to announce it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeos_spec::device::DeviceSpec;
use nodeos_spec::device::ext::{NEEDED, Superblock};
use nodeos_spec::device::table;
use nodeos_sys::error::OsError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use thiserror::Error;

pub const BLOCK_DEVICES: &str = "/sys/class/block";
pub const DEVICES: &str = "/dev";

/// The kernel's own messages, unlike those that a udev would send on: the multicast group 1.
const FROM_THE_KERNEL: u32 = 1;

/// Nobody can tell whether the device is there.
#[derive(Debug, Error)]
pub enum FindDeviceError {
    #[error("cannot read {BLOCK_DEVICES}")]
    List(#[source] io::Error),
    #[error("cannot hear the kernel announce devices")]
    Events(#[source] OsError),
}

/// The device, as soon as it is there; none when it is not there in time. Without `patience` for ever. `say_so` is called
/// when it has to be waited for.
///
/// # Errors
/// [`FindDeviceError`].
pub fn wait_for(
    spec: &DeviceSpec,
    patience: Option<Duration>,
    say_so: impl FnOnce(),
) -> Result<Option<PathBuf>, FindDeviceError> {
    // First the ears, then the eyes: what appears in between is heard.
    let events = events().map_err(|errno| FindDeviceError::Events(OsError(errno)))?;
    let end = patience.map(|patience| Instant::now() + patience);
    let mut say_so = Some(say_so);
    loop {
        if let Some(device) = look(spec)? {
            return Ok(Some(device));
        }
        if let Some(say_so) = say_so.take() {
            say_so();
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        let time = left.and_then(|left| Timespec::try_from(left).ok());
        let mut ready = [PollFd::new(&events, PollFlags::IN)];
        match poll(&mut ready, time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(FindDeviceError::Events(OsError(errno))),
        }
        // What it says does not matter: every event is a reason to look again, and many are one.
        while recv(&events, &mut [0; 4096], RecvFlags::DONTWAIT).is_ok() {}
    }
}

/// What an ext filesystem on the device says of itself.
pub fn superblock(device: &Path) -> Option<Superblock> {
    let mut bytes = [0; NEEDED];
    File::open(device)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .ok()?;
    Superblock::read(&bytes).ok()
}

fn events() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(KOBJECT_UEVENT),
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, FROM_THE_KERNEL))?;
    Ok(socket)
}

fn look(spec: &DeviceSpec) -> Result<Option<PathBuf>, FindDeviceError> {
    if let DeviceSpec::Path(path) = spec {
        let path = PathBuf::from(path);
        return Ok(path.exists().then_some(path));
    }
    for entry in fs::read_dir(BLOCK_DEVICES).map_err(FindDeviceError::List)? {
        let entry = entry.map_err(FindDeviceError::List)?;
        let device = Path::new(DEVICES).join(entry.file_name());
        // One that has just gone says nothing.
        let about = fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
        let is_it = match spec {
            DeviceSpec::PartUuid(uuid) => {
                partition_uuid(&entry.path()).is_some_and(|found| found.eq_ignore_ascii_case(uuid))
            }
            DeviceSpec::PartLabel(label) => value(&about, "PARTNAME") == Some(label),
            _ => superblock(&device).is_some_and(|superblock| spec.names(&superblock)),
        };
        if is_it {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

/// Of a partition, by its folder in /sys: what its disk's table says. From Linux 6.13 on the kernel would say it, too.
fn partition_uuid(folder: &Path) -> Option<String> {
    let number = number(&folder.join("partition"))?.try_into().ok()?;
    // A link to where the device really is, which is in its disk's folder.
    let folder = folder.canonicalize().ok()?;
    let parent = folder.parent()?;
    let block = self::number(&parent.join("queue/logical_block_size"))?;
    let disk = File::open(Path::new(DEVICES).join(parent.file_name()?)).ok()?;
    let sector = bytes(&disk, 0)?;
    if !table::is_protective(&sector) {
        return table::mbr_uuid(&sector, number);
    }
    let entry = table::gpt_entry(&bytes(&disk, block)?, block, number)?;
    table::gpt_uuid(&bytes(&disk, entry)?)
}

/// A file of /sys that holds a number.
pub fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn bytes<const N: usize>(disk: &File, offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    disk.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// Of the lines `NAME=value` that the kernel says about a device.
fn value<'a>(about: &'a str, name: &str) -> Option<&'a str> {
    about
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_partition_is_found_by_name() {
        let about = "MAJOR=254\nDEVTYPE=partition\nPARTN=2\nPARTNAME=users a=b\n";
        assert_eq!(value(about, "PARTNAME"), Some("users a=b"));
        assert_eq!(value(about, "PART"), None);
        assert_eq!(value(about, "PARTLABEL"), None);
    }
}
