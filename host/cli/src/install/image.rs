//! The image that is to be written: what is in it, and where there is nothing.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeos_spec::device::gpt::{ALIGNMENT, ReadTableError, Table};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::InstallError;

/// Sectors that disks have.
const SECTORS: [u64; 2] = [512, 4096];

/// An image of a disk with a partition table.
#[derive(Debug)]
pub struct Image {
    pub path: PathBuf,
    pub file: File,
    /// Bytes.
    pub size: u64,
    pub table: Table,
}

impl Image {
    /// Opens an image and looks at its table.
    ///
    /// # Errors
    /// [`InstallError`] where it cannot be read, is none, or is not all there.
    pub fn open(path: &Path) -> Result<Image, InstallError> {
        let error = |source| InstallError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(error)?;
        let meta = file.metadata().map_err(error)?;
        if !meta.is_file() {
            return Err(error(io::Error::other("it is no file")));
        }
        let read = |at: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
        };
        let tables = SECTORS.map(|sector| Table::read(sector, 1, read));
        let table = match tables {
            [Ok(table), _] | [Err(_), Ok(table)] => table,
            [Err(ReadTableError::NoTable), Err(source)] | [Err(source), Err(_)] => {
                return Err(InstallError::NotADisk {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let needed = table.sectors.saturating_mul(table.sector);
        if meta.len() < needed.max(2 * ALIGNMENT) {
            return Err(InstallError::CutOff {
                path: path.to_owned(),
                needed,
                has: meta.len(),
            });
        }
        Ok(Image {
            path: path.to_owned(),
            file,
            size: needed,
            table,
        })
    }

    /// The number of the partition that is the last one on the disk; none where there is no partition.
    pub fn last_partition(&self) -> Option<u32> {
        let numbered = self.table.partitions.iter().zip(1..);
        numbered
            .filter_map(|(partition, number)| Some((partition.as_ref()?.last, number)))
            .max()
            .map(|(_, number)| number)
    }

    /// Where the last partition ends, in bytes.
    pub fn end_of_partitions(&self) -> u64 {
        let partitions = self.table.partitions.iter().flatten();
        let end = partitions.map(|partition| partition.last + 1).max();
        end.unwrap_or(0)
            .saturating_mul(self.table.sector)
            .min(self.size)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`InstallError::Read`].
    pub fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), InstallError> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|source| InstallError::Read {
                path: self.path.clone(),
                source,
            })
    }
}

/// The bytes of a file in order, up to `end`: what has been written, and holes, where all is zero. Devices have no holes.
pub fn extents(file: &File, from: u64, end: u64) -> io::Result<Vec<(Range<u64>, Extent)>> {
    let mut found = Vec::new();
    let mut at = from;
    while at < end {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => end,
            // What cannot say where its holes are has none.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        if data > at {
            found.push((at..data, Extent::Hole));
        }
        at = data;
        if at == end {
            break;
        }
        let hole = match seek(file, SeekFrom::Hole(at)) {
            Ok(hole) => hole.min(end),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => end,
            Err(errno) => return Err(errno.into()),
        };
        found.push((at..hole, Extent::Data));
        at = hole;
    }
    Ok(found)
}

/// Whether there is anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Data,
    Hole,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_data_take_turns_up_to_the_end() {
        let file = tempfile::tempfile().unwrap();
        const MIB: u64 = 1 << 20;
        file.set_len(4 * MIB).unwrap();
        file.write_all_at(&vec![1; 1 << 20], MIB).unwrap();
        assert_eq!(
            extents(&file, 0, 4 * MIB).unwrap(),
            [
                (0..MIB, Extent::Hole),
                (MIB..2 * MIB, Extent::Data),
                (2 * MIB..4 * MIB, Extent::Hole)
            ]
        );
        assert_eq!(
            extents(&file, MIB + 5, MIB + 9).unwrap(),
            [(MIB + 5..MIB + 9, Extent::Data)]
        );
    }
}
