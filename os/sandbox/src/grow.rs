//! A partition takes what its disk has behind it: first the partition, then, mounted, its filesystem.
//!
//! An image is small, and the stick or the virtual disk that it was written to is large. A power cut at any moment leaves a
//! disk that boots, and the next boot goes on: the second table is whole before the first one is touched, and ext4 grows
//! with its journal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeos_spec::device::ext::Superblock;
use nodeos_spec::device::gpt::{ALIGNMENT, Piece, ReadTableError, Table};
use nodeos_sys::block::{resize_ext4, resize_partition};
use nodeos_sys::error::OsError;
use rustix::fd::AsFd;
use rustix::fs::fstatfs;
use thiserror::Error;

use crate::block::{BLOCK_DEVICES, DEVICES, number};
use crate::log::Log;

/// What /sys counts in, whatever the disk's sectors are.
const UNIT: u64 = 512;

/// It stays as it was.
#[derive(Debug, Error)]
pub enum GrowError {
    #[error("cannot find out where on its disk {} is", device.display())]
    Place { device: PathBuf },
    #[error("cannot read the table of {}", disk.display())]
    Table {
        disk: PathBuf,
        #[source]
        source: ReadTableError,
    },
    #[error("the table of {} does not have {} where the kernel has it", disk.display(), device.display())]
    Differs { disk: PathBuf, device: PathBuf },
    #[error("cannot open {}", disk.display())]
    Open {
        disk: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the table of {}", disk.display())]
    Write {
        disk: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel does not take the new size of {}", device.display())]
    Kernel { device: PathBuf, source: OsError },
    #[error("cannot open {}", mounted.display())]
    Mounted {
        mounted: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot enlarge the filesystem on {}", device.display())]
    Filesystem { device: PathBuf, source: OsError },
}

/// A partition as the kernel has it.
#[derive(Debug)]
struct Place {
    disk: PathBuf,
    /// Its number on the disk.
    number: u32,
    /// In bytes from the disk's beginning.
    start: u64,
    /// In bytes.
    length: u64,
    /// The disk's sectors, in bytes, and how many there are.
    sector: u64,
    sectors: u64,
}

/// Enlarges the partition, which nobody has mounted, where it is the last one of its disk. Its size in bytes, where it has changed.
///
/// # Errors
/// [`GrowError`] says what is in the way: the device is no partition, its disk has no table that could be written again (UEFI
/// Specification, chapter 5), or cannot be written.
pub fn partition(device: &Path) -> Result<Option<u64>, GrowError> {
    let place = place(device)?;
    let Place {
        disk,
        number,
        sector,
        sectors,
        ..
    } = &place;
    // To look does not need what to write does.
    let file = open(disk, OpenOptions::new().read(true))?;
    let Some(new) =
        new_table(&file, *number, *sector, *sectors).map_err(|source| GrowError::Table {
            disk: disk.clone(),
            source,
        })?
    else {
        return Ok(None);
    };
    let index = *number as usize - 1;
    let entry = new.partitions.get(index).and_then(Option::as_ref);
    let entry = entry
        .filter(|entry| entry.first.checked_mul(*sector) == Some(place.start))
        .ok_or_else(|| GrowError::Differs {
            disk: disk.clone(),
            device: device.to_owned(),
        })?;
    let length = (entry.last + 1 - entry.first) * sector;
    let file = open(disk, OpenOptions::new().read(true).write(true))?;
    write(&file, &new).map_err(|source| GrowError::Write {
        disk: disk.clone(),
        source,
    })?;
    resize_partition(file.as_fd(), *number, place.start, length).map_err(|errno| {
        GrowError::Kernel {
            device: device.to_owned(),
            source: OsError(errno),
        }
    })?;
    Ok((length != place.length).then_some(length))
}

/// Enlarges the ext4 filesystem that is `mounted` there to its partition's size. That in bytes, where it has changed.
///
/// # Errors
/// [`GrowError`]: the device is no partition, or the kernel refuses.
pub fn filesystem(
    device: &Path,
    mounted: &Path,
    superblock: &Superblock,
) -> Result<Option<u64>, GrowError> {
    let Place { length, .. } = place(device)?;
    // Less is what alignment leaves, and the same at every boot.
    if length.saturating_sub(superblock.bytes) < ALIGNMENT {
        return Ok(None);
    }
    let open_error = |source| GrowError::Mounted {
        mounted: mounted.to_owned(),
        source,
    };
    let root = File::open(mounted).map_err(open_error)?;
    let block = fstatfs(&root).map_err(|errno| open_error(errno.into()))?;
    let blocks = length / u64::try_from(block.f_bsize).unwrap_or(1).max(1);
    resize_ext4(root.as_fd(), blocks).map_err(|errno| GrowError::Filesystem {
        device: device.to_owned(),
        source: OsError(errno),
    })?;
    Ok(Some(length))
}

/// Nobody has to read at the boot that it has grown; that it could not, somebody should.
pub fn tell(what: &str, grown: Result<Option<u64>, GrowError>, log: &mut Log) {
    match grown {
        Ok(Some(bytes)) => log.note(&format!("{what} has grown to {} MiB", bytes >> 20)),
        Ok(None) => {}
        Err(error) => log.error(&error),
    }
}

/// The table that is to be written; none where the one that is there is right.
fn new_table(
    disk: &File,
    number: u32,
    sector: u64,
    sectors: u64,
) -> Result<Option<Table>, ReadTableError> {
    let read = |here| {
        Table::read(sector, here, |at, length| {
            let mut bytes = vec![0; length];
            disk.read_exact_at(&mut bytes, at).ok()?;
            Some(bytes)
        })
    };
    match read(1) {
        Ok(table) => Ok(table.grown(number, sectors)),
        // Somebody pulled the plug when it was written. The second one is new then, and at the disk's end.
        Err(error) => match read(sectors.saturating_sub(1)) {
            Ok(table) => Ok(Some(table.grown(number, sectors).unwrap_or(table))),
            Err(_) => Err(error),
        },
    }
}

/// The second table first, so that at every moment one of the two is whole.
fn write(disk: &File, table: &Table) -> io::Result<()> {
    let put = |Piece { at, bytes }: &Piece| disk.write_all_at(bytes, *at);
    table.backup().iter().try_for_each(put)?;
    disk.sync_all()?;
    table.primary().iter().try_for_each(put)?;
    put(&table.protective())?;
    disk.sync_all()
}

fn open(disk: &Path, options: &OpenOptions) -> Result<File, GrowError> {
    options.open(disk).map_err(|source| GrowError::Open {
        disk: disk.to_owned(),
        source,
    })
}

fn place(device: &Path) -> Result<Place, GrowError> {
    let find = || {
        let folder = Path::new(BLOCK_DEVICES).join(device.file_name()?);
        // A link to where the device really is, which is in its disk's folder.
        let folder = folder.canonicalize().ok()?;
        let parent = folder.parent()?;
        let bytes = |path: PathBuf| number(&path)?.checked_mul(UNIT);
        let sector = number(&parent.join("queue/logical_block_size"))?;
        Some(Place {
            disk: Path::new(DEVICES).join(parent.file_name()?),
            number: number(&folder.join("partition"))?.try_into().ok()?,
            start: bytes(folder.join("start"))?,
            length: bytes(folder.join("size"))?,
            sector,
            sectors: bytes(parent.join("size"))?.checked_div(sector)?,
        })
    };
    find().ok_or_else(|| GrowError::Place {
        device: device.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nodeos_spec::device::gpt::{Guid, Partition};

    use super::*;

    const SECTORS: u64 = 40_960;

    fn table() -> Table {
        let users = Partition {
            kind: Guid::LINUX,
            guid: Guid::of(1),
            first: 2048,
            last: 20_479,
            attributes: 0,
            name: "users".to_owned(),
        };
        Table {
            disk: Guid::of(7),
            sector: 512,
            sectors: 22_528,
            partitions: vec![Some(users)],
        }
    }

    fn disk() -> File {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(SECTORS * 512).unwrap();
        write(&disk, &table()).unwrap();
        disk
    }

    #[test]
    fn a_disk_that_has_grown_gets_one_new_table_and_then_none() {
        let disk = disk();
        let new = new_table(&disk, 1, 512, SECTORS).unwrap().unwrap();
        assert_eq!(new.partitions[0].as_ref().unwrap().last, 38_911);
        write(&disk, &new).unwrap();
        assert_eq!(new_table(&disk, 1, 512, SECTORS), Ok(None));
    }

    #[test]
    fn a_first_table_that_was_cut_is_written_again_from_the_second() {
        let disk = disk();
        let new = new_table(&disk, 1, 512, SECTORS).unwrap().unwrap();
        write(&disk, &new).unwrap();
        // Of the entries only, as when the plug is pulled between them and the header.
        disk.write_all_at(&[0; 512], 1024).unwrap();
        let again = new_table(&disk, 1, 512, SECTORS).unwrap().unwrap();
        assert_eq!(again.partitions[0], new.partitions[0]);
        write(&disk, &again).unwrap();
        assert_eq!(new_table(&disk, 1, 512, SECTORS), Ok(None));
    }

    #[test]
    fn a_disk_without_a_table_is_left_alone() {
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(&[0; 4096]).unwrap();
        let error = new_table(&disk, 1, 512, 8).unwrap_err();
        assert_eq!(error, ReadTableError::NoTable);
    }
}
