//! A FAT32 filesystem with a few files, for the partition that firmware reads.
//!
//! The format is that of Microsoft's "FAT: General Overview of On-Disk Format", version 1.03. Only short names are written, in
//! lower case by the two bits that every system reads. The crate `fatfs` would be the usual choice: directories that its
//! newest release (0.3.6) makes begin with records for long names, which `fsck.fat` takes for damage.

mod files;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use thiserror::Error;

use crate::content;
use crate::copier::{Copier, CopyError};
use crate::tree::Content;
use files::Files;

/// How long a label can be, in bytes; shorter ones are filled with blanks.
const LABEL: usize = 11;
/// With fewer clusters it would be FAT16.
const LEAST_CLUSTERS: u64 = 65_525;
/// Before the first table, in sectors: the boot sector, what says how much is free, and a copy of both.
const RESERVED: u64 = 32;
const FREE_SPACE: u64 = 1;
const COPY: u64 = 6;
const TABLES: u64 = 2;
/// Of a table's first entry and the last of every chain.
const MEDIA: u32 = 0x0fff_fff8;
const END: u32 = 0x0fff_ffff;
/// The number of the first cluster.
const FIRST: u32 = 2;

#[derive(Debug, Clone)]
pub struct Options {
    /// At most 11 capital letters and digits.
    pub label: String,
    /// What `UUID=` is made of.
    pub volume_id: u32,
    /// The size of a sector in bytes, and of a cluster.
    pub sector: u64,
}

#[derive(Debug, Error)]
pub enum WriteFatError {
    #[error("{path:?} is not made of names of at most eight letters, and three behind a dot")]
    Name { path: String },
    #[error("{bytes} bytes are too few or too many for a FAT32 filesystem")]
    Size { bytes: u64 },
    #[error("the files do not fit into a FAT filesystem of {bytes} bytes")]
    DoesNotFit { bytes: u64 },
    #[error("cannot copy {path:?} into the FAT filesystem")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the FAT filesystem")]
    Write(#[source] io::Error),
}

impl WriteFatError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteFatError::Read { source, .. } | WriteFatError::Write(source) => {
                content::hint(source)
            }
            _ => None,
        }
    }
}

/// Writes the filesystem into a part of `out` that holds nothing yet. Paths are relative, with `/` between their parts. All
/// times are the earliest that FAT knows.
///
/// The same files and options give the same bytes.
///
/// # Errors
/// [`WriteFatError`].
pub fn write(
    files: &[(String, Content)],
    options: &Options,
    out: &File,
    place: Range<u64>,
) -> Result<(), WriteFatError> {
    let bytes = place.end - place.start;
    let geometry = Geometry::of(bytes, options.sector).ok_or(WriteFatError::Size { bytes })?;
    let files = Files::of(files, options)?;
    let free = geometry.clusters.checked_sub(files.clusters());
    let free = free.ok_or(WriteFatError::DoesNotFit { bytes })?;
    let start = place.start;
    let boot = geometry.boot_sector(options, start);
    let free_space = free_space(free, FIRST + files.clusters());
    let mut table = vec![MEDIA, END];
    table.extend(files.chains());
    let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    let mut sectors: Vec<(u64, &[u8])> = Vec::new();
    for first in [0, COPY] {
        sectors.push((first, &boot));
        sectors.push((first + FREE_SPACE, &free_space));
    }
    for number in 0..TABLES {
        sectors.push((RESERVED + number * geometry.table, &table));
    }
    for (sector, bytes) in sectors {
        out.write_all_at(bytes, start + sector * options.sector)
            .map_err(WriteFatError::Write)?;
    }
    let data = start + geometry.data() * options.sector;
    let mut copier = Copier::new(out);
    for file in files.contents() {
        let at = data + u64::from(file.cluster - FIRST) * options.sector;
        let place = at..at + file.content.len();
        copier
            .copy(&file.content, &[place])
            .map_err(|error| match error {
                CopyError::Write(source) => WriteFatError::Write(source),
                CopyError::Read(source) => WriteFatError::Read {
                    path: file.path.clone(),
                    source,
                },
            })?;
    }
    Ok(())
}

/// What lies where, in sectors.
#[derive(Debug, PartialEq, Eq)]
struct Geometry {
    sectors: u32,
    /// The sectors of a table.
    table: u64,
    clusters: u32,
}

impl Geometry {
    fn of(bytes: u64, sector: u64) -> Option<Geometry> {
        let sectors = bytes / sector;
        let per_sector = sector / 4;
        // A table has an entry for each cluster and two more; what it takes is no cluster.
        let left = sectors.checked_sub(RESERVED)?;
        let table = (left + 2).div_ceil(per_sector + TABLES);
        let clusters = left.checked_sub(TABLES * table)?;
        Some(Geometry {
            sectors: sectors.try_into().ok()?,
            table,
            clusters: u32::try_from(clusters).ok().filter(|clusters| {
                (LEAST_CLUSTERS..u64::from(MEDIA)).contains(&u64::from(*clusters))
            })?,
        })
    }

    /// The first sector of the first cluster.
    fn data(&self) -> u64 {
        RESERVED + TABLES * self.table
    }

    fn boot_sector(&self, options: &Options, start: u64) -> Vec<u8> {
        let mut sector = vec![0; 512];
        // A jump over the numbers, to where code would be if the old firmware were to start it from here.
        put(&mut sector, 0, [0xeb, 0x58, 0x90]);
        put(&mut sector, 3, *b"NODEOS  ");
        put(&mut sector, 11, (options.sector as u16).to_le_bytes());
        // Sectors of a cluster.
        sector[13] = 1;
        put(&mut sector, 14, (RESERVED as u16).to_le_bytes());
        sector[16] = TABLES as u8;
        // A disk that does not leave its drive.
        sector[21] = 0xf8;
        put(&mut sector, 24, 63_u16.to_le_bytes());
        put(&mut sector, 26, 255_u16.to_le_bytes());
        let before = u32::try_from(start / options.sector).unwrap_or(0);
        put(&mut sector, 28, before.to_le_bytes());
        put(&mut sector, 32, self.sectors.to_le_bytes());
        put(&mut sector, 36, (self.table as u32).to_le_bytes());
        put(&mut sector, 44, FIRST.to_le_bytes());
        put(&mut sector, 48, (FREE_SPACE as u16).to_le_bytes());
        put(&mut sector, 50, (COPY as u16).to_le_bytes());
        sector[64] = 0x80;
        // The three fields that follow are there.
        sector[66] = 0x29;
        put(&mut sector, 67, options.volume_id.to_le_bytes());
        put(&mut sector, 71, label(options));
        put(&mut sector, 82, *b"FAT32   ");
        put(&mut sector, 510, [0x55, 0xaa]);
        sector
    }
}

fn label(options: &Options) -> [u8; LABEL] {
    let mut label = [b' '; LABEL];
    for (place, byte) in label.iter_mut().zip(options.label.bytes()) {
        *place = byte;
    }
    label
}

fn free_space(free: u32, next: u32) -> Vec<u8> {
    let mut sector = vec![0; 512];
    put(&mut sector, 0, *b"RRaA");
    put(&mut sector, 484, *b"rrAa");
    put(&mut sector, 488, free.to_le_bytes());
    put(&mut sector, 492, next.to_le_bytes());
    put(&mut sector, 510, [0x55, 0xaa]);
    sector
}

/// Puts the bytes of a field at its offset.
fn put<const N: usize>(record: &mut [u8], at: usize, field: [u8; N]) {
    record[at..at + N].copy_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_room_for_every_cluster() {
        for sector in [512, 4096] {
            for mebibytes in [300, 301, 512, 4000] {
                let geometry = Geometry::of(mebibytes << 20, sector).unwrap();
                let needed = u64::from(geometry.clusters) * 4 + 8;
                assert!(geometry.table * sector >= needed, "{geometry:?}");
                let used = geometry.data() + u64::from(geometry.clusters);
                assert_eq!(used, u64::from(geometry.sectors));
            }
        }
    }

    #[test]
    fn what_is_too_small_for_fat32_is_refused() {
        assert_eq!(Geometry::of(0, 512), None);
        assert_eq!(Geometry::of(32 << 20, 512), None);
        assert_eq!(Geometry::of(128 << 20, 4096), None);
        assert_eq!(Geometry::of(1 << 50, 512), None);
    }
}
