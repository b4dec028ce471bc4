//! GUID partition tables, as the UEFI Specification has them in section 5.3: what they say, how they are written, and what one
//! says when its disk has grown.
//!
//! The host writes them into images and the machine enlarges its own, so both are here. Only tables of the usual form are
//! read, with 128 entries of 128 bytes: others are nobody's of ours, and to be left alone.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use super::table::gpt_uuid;

/// In bytes. The least that the specification allows.
pub const ENTRIES: usize = COUNT * ENTRY;
/// How long a partition's name can be, in UTF-16 units.
pub const MAX_NAME: usize = 36;

const COUNT: usize = 128;
const ENTRY: usize = 128;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const HEADER: usize = 92;
/// Where the header and the entries of the first of the two tables are, in sectors.
const PRIMARY: u64 = 1;
const PRIMARY_ENTRIES: u64 = 2;
/// Partitions begin and end at multiples of this many bytes: that is good for every kind of disk.
pub const ALIGNMENT: u64 = 1 << 20;

/// A GUID as it is on a disk: its first three parts are numbers, the least byte first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub [u8; 16]);

/// Kinds of partitions.
impl Guid {
    /// Where a boot loader of the old firmware keeps what does not fit into the first sector.
    pub const BIOS_BOOT: Guid = Guid::of(0x2168_6148_6449_6e6f_744e_6565_6445_4649);
    /// Where UEFI looks for boot loaders.
    pub const EFI_SYSTEM: Guid = Guid::of(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    /// A filesystem of Linux's.
    pub const LINUX: Guid = Guid::of(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

    const NONE: Guid = Guid([0; 16]);

    /// The GUID with these digits, in the order in which they are written.
    pub const fn of(digits: u128) -> Guid {
        let mut b = digits.to_be_bytes();
        (b[0], b[1], b[2], b[3]) = (b[3], b[2], b[1], b[0]);
        (b[4], b[5], b[6], b[7]) = (b[5], b[4], b[7], b[6]);
        Guid(b)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entry = [0; 32];
        entry[16..].copy_from_slice(&self.0);
        f.write_str(&gpt_uuid(&entry).unwrap_or_default())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What is in it.
    pub kind: Guid,
    /// Its own number, `PARTUUID=`.
    pub guid: Guid,
    /// Its first and its last sector.
    pub first: u64,
    pub last: u64,
    pub attributes: u64,
    /// `PARTLABEL=`: at most [`MAX_NAME`] units.
    pub name: String,
}

/// A table, for a disk of a certain size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub disk: Guid,
    /// The size of a sector in bytes.
    pub sector: u64,
    /// How many sectors the disk has.
    pub sectors: u64,
    /// The partitions by their numbers, which count from 1; none where a number is not used.
    pub partitions: Vec<Option<Partition>>,
}

/// Something to be written to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// In bytes from the beginning of the disk.
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// Why there is no table to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadTableError {
    #[error("there is no GUID partition table")]
    NoTable,
    #[error("the GUID partition table is damaged")]
    Damaged,
    #[error("the GUID partition table is of an unusual form")]
    Unusual,
}

impl Table {
    /// The sectors that the entries of a table take.
    fn entry_sectors(sector: u64) -> u64 {
        (ENTRIES as u64).div_ceil(sector)
    }

    /// The first sector that a partition can have.
    pub fn first_usable(sector: u64) -> u64 {
        PRIMARY_ENTRIES + Table::entry_sectors(sector)
    }

    /// The last sector that a partition can have; none on a disk that is too small for a table.
    pub fn last_usable(sector: u64, sectors: u64) -> Option<u64> {
        sectors
            .checked_sub(Table::entry_sectors(sector) + 2)
            .filter(|last| *last >= Table::first_usable(sector))
    }

    /// Reads the table whose header is in the sector `here`. `read` is asked for so many bytes at a place of the disk.
    ///
    /// # Errors
    /// [`ReadTableError`]; what `read` does not give is damage.
    pub fn read(
        sector: u64,
        here: u64,
        mut read: impl FnMut(u64, usize) -> Option<Vec<u8>>,
    ) -> Result<Table, ReadTableError> {
        use ReadTableError::{Damaged, NoTable, Unusual};
        let at = here.checked_mul(sector).ok_or(Damaged)?;
        let mut header = read(at, HEADER).ok_or(Damaged)?;
        if !header.starts_with(SIGNATURE) {
            return Err(NoTable);
        }
        let sum = u32_at(&header, 16).ok_or(Damaged)?;
        header[16..20].fill(0);
        let shape = [8, 12, 80, 84].map(|at| u32_at(&header, at));
        if shape != [REVISION, HEADER as u32, COUNT as u32, ENTRY as u32].map(Some) {
            return Err(Unusual);
        }
        if crc(&header) != sum || u64_at(&header, 24) != Some(here) {
            return Err(Damaged);
        }
        let entries_at = u64_at(&header, 72).and_then(|first| first.checked_mul(sector));
        let entries = read(entries_at.ok_or(Damaged)?, ENTRIES).ok_or(Damaged)?;
        if Some(crc(&entries)) != u32_at(&header, 88) {
            return Err(Damaged);
        }
        let there = u64_at(&header, 32).ok_or(Damaged)?;
        Ok(Table {
            disk: Guid(at_offset(&header, 56).ok_or(Damaged)?),
            sector,
            sectors: here.max(there).checked_add(1).ok_or(Damaged)?,
            partitions: entries.chunks_exact(ENTRY).map(partition).collect(),
        })
    }

    /// The table of the same partitions on a disk of `sectors` sectors, with the last of them as large as it can be. None
    /// where that would win less than [`ALIGNMENT`], or the partition `number` is not the last one.
    pub fn grown(&self, number: u32, sectors: u64) -> Option<Table> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let old = self.partitions.get(index)?.as_ref()?;
        let is_last = self
            .partitions
            .iter()
            .flatten()
            .all(|other| other.last <= old.last);
        let end = Table::last_usable(self.sector, sectors)? + 1;
        let last = (end - end % (ALIGNMENT / self.sector)).checked_sub(1)?;
        let wins = last.checked_sub(old.last)?.checked_mul(self.sector)?;
        if !is_last || wins < ALIGNMENT {
            return None;
        }
        let mut table = self.clone();
        table.sectors = sectors;
        table.partitions[index] = Some(Partition {
            last,
            ..old.clone()
        });
        Some(table)
    }

    /// The second table, at the end of the disk. Written and synced before [`Table::primary`], it makes every moment one at
    /// which one of the two is whole.
    pub fn backup(&self) -> [Piece; 2] {
        let entries = self.sectors - 1 - Table::entry_sectors(self.sector);
        self.pieces(self.sectors - 1, PRIMARY, entries)
    }

    /// The first table, at the beginning of the disk.
    pub fn primary(&self) -> [Piece; 2] {
        self.pieces(PRIMARY, self.sectors - 1, PRIMARY_ENTRIES)
    }

    /// The first sector's part behind the boot loader: a table of the old kind which says that all of the disk is in use, so
    /// that programs which know no other kind leave it alone.
    pub fn protective(&self) -> Piece {
        let mut bytes = vec![0; 512 - PROTECTIVE];
        let size = u32::try_from(self.sectors - 1).unwrap_or(u32::MAX);
        // The old addresses of heads and cylinders, which nobody reads, begin at the second sector and end nowhere.
        bytes[..8].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
        bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&size.to_le_bytes());
        bytes[512 - PROTECTIVE - 2..].copy_from_slice(&[0x55, 0xaa]);
        Piece {
            at: PROTECTIVE as u64,
            bytes,
        }
    }

    /// The entries and then the header: what says that the entries are there comes last.
    fn pieces(&self, here: u64, there: u64, entries_at: u64) -> [Piece; 2] {
        let mut entries = vec![0; ENTRIES];
        for (record, partition) in entries.chunks_exact_mut(ENTRY).zip(&self.partitions) {
            if let Some(partition) = partition {
                partition.encode(record);
            }
        }
        let first = Table::first_usable(self.sector);
        let last = self.sectors - 2 - Table::entry_sectors(self.sector);
        let mut header = SIGNATURE.to_vec();
        for number in [REVISION, HEADER as u32, 0, 0] {
            header.extend(number.to_le_bytes());
        }
        for number in [here, there, first, last] {
            header.extend(number.to_le_bytes());
        }
        header.extend(self.disk.0);
        header.extend(entries_at.to_le_bytes());
        for number in [COUNT as u32, ENTRY as u32, crc(&entries)] {
            header.extend(number.to_le_bytes());
        }
        let sum = crc(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        // The rest of its sector is to be zeros, whatever was there.
        header.resize(self.sector as usize, 0);
        let piece = |at: u64, bytes| Piece {
            at: at * self.sector,
            bytes,
        };
        [piece(entries_at, entries), piece(here, header)]
    }
}

/// Where in the first sector the table of the old kind begins; before it is the boot loader.
pub const PROTECTIVE: usize = 446;

impl Partition {
    fn encode(&self, record: &mut [u8]) {
        record[..16].copy_from_slice(&self.kind.0);
        record[16..32].copy_from_slice(&self.guid.0);
        for (at, number) in [(32, self.first), (40, self.last), (48, self.attributes)] {
            record[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (unit, place) in self
            .name
            .encode_utf16()
            .zip(record[56..].chunks_exact_mut(2))
        {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
}

fn partition(record: &[u8]) -> Option<Partition> {
    let kind = Guid(at_offset(record, 0)?);
    if kind == Guid::NONE {
        return None;
    }
    let units: Vec<u16> = record[56..]
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    Some(Partition {
        kind,
        guid: Guid(at_offset(record, 16)?),
        first: u64_at(record, 32)?,
        last: u64_at(record, 40)?,
        attributes: u64_at(record, 48)?,
        name: String::from_utf16_lossy(&units),
    })
}

fn at_offset<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    at_offset(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    at_offset(bytes, offset).map(u64::from_le_bytes)
}

/// CRC-32 as Ethernet has it (IEEE 802.3), bit by bit: a table has 16 KiB.
fn crc(bytes: &[u8]) -> u32 {
    let all = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ ((sum & 1) * 0xedb8_8320)
        })
    });
    !all
}

#[cfg(test)]
mod tests;
