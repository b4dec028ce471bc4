//! A FAT filesystem with a few files, for the partition that firmware reads: FAT32, or FAT16 where there is less room than that
//! has to have.
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
/// How many clusters there are is what tells the kinds apart: with fewer it would be FAT12, and with more another one.
const CLUSTERS_16: Range<u64> = 4_085..65_525;
const CLUSTERS_32: Range<u64> = 65_525..0x0fff_fff7;
/// The records of FAT16's root, which is no file: as many as usual.
const ROOT_RECORDS: u64 = 512;
/// Before the first table, in sectors: the boot sector, and in FAT32 what says how much is free, and a copy of both.
const RESERVED: u64 = 32;
const FREE_SPACE: u64 = 1;
const COPY: u64 = 6;
const TABLES: u64 = 2;
/// Of a table's first entry and the last of every chain. FAT16 has the lower halves.
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
    #[error("{bytes} bytes are too few or too many for a FAT filesystem")]
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
    let files = Files::of(files, options, geometry.kind)?;
    let free = geometry.clusters.checked_sub(files.clusters());
    let free = free.ok_or(WriteFatError::DoesNotFit { bytes })?;
    let start = place.start;
    let boot = geometry.boot_sector(options, start);
    let free_space = free_space(free, FIRST + files.clusters());
    let entries = [MEDIA, END].into_iter().chain(files.chains());
    let table: Vec<u8> = match geometry.kind {
        Kind::Fat16 => entries
            .flat_map(|entry| (entry as u16).to_le_bytes())
            .collect(),
        Kind::Fat32 => entries.flat_map(u32::to_le_bytes).collect(),
    };
    let mut sectors: Vec<(u64, &[u8])> = vec![(0, &boot)];
    match geometry.kind {
        Kind::Fat16 => {
            let root = files.root();
            let room = geometry.root * options.sector;
            if root.len() as u64 > room {
                return Err(WriteFatError::DoesNotFit { bytes: room });
            }
            sectors.push((geometry.data() - geometry.root, root));
        }
        Kind::Fat32 => sectors.extend([
            (FREE_SPACE, &free_space[..]),
            (COPY, &boot),
            (COPY + FREE_SPACE, &free_space),
        ]),
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

/// How wide the entries of a table are, and what follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fat16,
    Fat32,
}

/// What lies where, in sectors.
#[derive(Debug, PartialEq, Eq)]
struct Geometry {
    kind: Kind,
    sectors: u32,
    /// The sectors of a table.
    table: u64,
    /// The sectors of the root, where it has a place of its own.
    root: u64,
    clusters: u32,
}

impl Geometry {
    fn of(bytes: u64, sector: u64) -> Option<Geometry> {
        let of = |kind| Geometry::of_kind(kind, bytes / sector, sector);
        of(Kind::Fat32).or_else(|| of(Kind::Fat16))
    }

    /// None where so many sectors are not of this kind.
    fn of_kind(kind: Kind, sectors: u64, sector: u64) -> Option<Geometry> {
        let (entry, root, counts) = match kind {
            Kind::Fat16 => {
                let root = ROOT_RECORDS * files::RECORD as u64 / sector;
                (2, root, CLUSTERS_16)
            }
            Kind::Fat32 => (4, 0, CLUSTERS_32),
        };
        // A table has an entry for each cluster and two more; what it takes is no cluster.
        let left = sectors.checked_sub(RESERVED + root)?;
        let table = (left + 2).div_ceil(sector / entry + TABLES);
        let clusters = left.checked_sub(TABLES * table)?;
        let clusters = Some(clusters).filter(|clusters| counts.contains(clusters))?;
        Some(Geometry {
            kind,
            sectors: sectors.try_into().ok()?,
            table,
            root,
            clusters: clusters.try_into().ok()?,
        })
    }

    /// The first sector of the first cluster.
    fn data(&self) -> u64 {
        RESERVED + TABLES * self.table + self.root
    }

    fn boot_sector(&self, options: &Options, start: u64) -> Vec<u8> {
        let mut sector = vec![0; 512];
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
        // A jump over the numbers, to where code would be if the old firmware were to start it from here; and where what both
        // kinds have begins.
        let (jump, name, common) = match self.kind {
            Kind::Fat16 => {
                put(&mut sector, 17, (ROOT_RECORDS as u16).to_le_bytes());
                put(&mut sector, 22, (self.table as u16).to_le_bytes());
                ([0xeb, 0x3c, 0x90], *b"FAT16   ", 36)
            }
            Kind::Fat32 => {
                put(&mut sector, 36, (self.table as u32).to_le_bytes());
                put(&mut sector, 44, FIRST.to_le_bytes());
                put(&mut sector, 48, (FREE_SPACE as u16).to_le_bytes());
                put(&mut sector, 50, (COPY as u16).to_le_bytes());
                ([0xeb, 0x58, 0x90], *b"FAT32   ", 64)
            }
        };
        match (self.kind, u16::try_from(self.sectors)) {
            (Kind::Fat16, Ok(few)) => put(&mut sector, 19, few.to_le_bytes()),
            _ => put(&mut sector, 32, self.sectors.to_le_bytes()),
        }
        put(&mut sector, 0, jump);
        sector[common] = 0x80;
        // The three fields that follow are there.
        sector[common + 2] = 0x29;
        put(&mut sector, common + 3, options.volume_id.to_le_bytes());
        put(&mut sector, common + 7, label(options));
        put(&mut sector, common + 18, name);
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
            for mebibytes in [3, 20, 32, 300, 301, 512, 4000] {
                let Some(geometry) = Geometry::of(mebibytes << 20, sector) else {
                    assert!(mebibytes == 3 && sector == 4096);
                    continue;
                };
                let width = match geometry.kind {
                    Kind::Fat16 => 2,
                    Kind::Fat32 => 4,
                };
                let needed = (u64::from(geometry.clusters) + 2) * width;
                assert!(geometry.table * sector >= needed, "{geometry:?}");
                let used = geometry.data() + u64::from(geometry.clusters);
                assert_eq!(used, u64::from(geometry.sectors));
            }
        }
    }

    #[test]
    fn the_number_of_clusters_decides_the_kind_and_fat12_is_refused() {
        let kind = |bytes, sector| Geometry::of(bytes, sector).map(|geometry| geometry.kind);
        assert_eq!(kind(0, 512), None);
        assert_eq!(kind(2 << 20, 512), None);
        assert_eq!(kind(3 << 20, 512), Some(Kind::Fat16));
        assert_eq!(kind(32 << 20, 512), Some(Kind::Fat16));
        assert_eq!(kind(33 << 20, 512), Some(Kind::Fat32));
        assert_eq!(kind(128 << 20, 4096), Some(Kind::Fat16));
        assert_eq!(kind(260 << 20, 4096), Some(Kind::Fat32));
        assert_eq!(kind(1 << 50, 512), None);
    }
}
