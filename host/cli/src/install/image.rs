//! The image that is to be written: what is in it, and where there is nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nodeos_spec::device::gpt::{ALIGNMENT, ReadTableError, Table};

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
