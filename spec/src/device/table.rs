//! Partition tables: what a partition's own UUID is. The kernel reads the tables, and does not tell these.
//!
//! Whether a table is in order is for the kernel to say, which made a partition of it or not.

use alloc::format;
use alloc::string::String;

/// How much of the disk's begin the old kind of table needs, in bytes.
pub const MBR: usize = 512;
/// How much of a header of the new kind is needed, which is in the disk's second block.
pub const GPT_HEADER: usize = 92;
/// How much of an entry is needed.
pub const GPT_ENTRY: usize = 32;

/// The old kind gives a partition the disk's signature and its own number, as the kernel's `root=PARTUUID=` has it (its
/// `block/early-lookup.c`).
pub fn mbr_uuid(sector: &[u8; MBR], number: u32) -> Option<String> {
    let signature = u32::from_le_bytes(at(sector, 440)?);
    (sector.ends_with(&[0x55, 0xaa]) && signature != 0)
        .then(|| format!("{signature:08x}-{number:02x}"))
}

/// Whether the old kind of table is there only to say that there is one of the new kind.
pub fn is_protective(sector: &[u8; MBR]) -> bool {
    const ENTRIES: [usize; 4] = [446, 462, 478, 494];
    // The fifth byte of an entry is the partition's type.
    ENTRIES.iter().any(|entry| sector[entry + 4] == 0xee)
}

/// Where on the disk, in bytes, the entry of a partition is. None where there is no table of the new kind, which is in the
/// UEFI Specification, section 5.3.
pub fn gpt_entry(header: &[u8; GPT_HEADER], block: u64, number: u32) -> Option<u64> {
    let first = u64::from_le_bytes(at(header, 72)?);
    let count = u32::from_le_bytes(at(header, 80)?);
    let size = u32::from_le_bytes(at(header, 84)?);
    let is_there = header.starts_with(b"EFI PART") && (1..=count).contains(&number);
    let before = u64::from(number.checked_sub(1)?).checked_mul(size.into())?;
    first
        .checked_mul(block)?
        .checked_add(before)
        .filter(|_| is_there)
}

/// The UUID of an entry. Its first three parts are numbers, the least byte first.
pub fn gpt_uuid(entry: &[u8; GPT_ENTRY]) -> Option<String> {
    let one = u32::from_le_bytes(at(entry, 16)?);
    let two = u16::from_le_bytes(at(entry, 20)?);
    let three = u16::from_le_bytes(at(entry, 22)?);
    let four = u16::from_be_bytes(at(entry, 24)?);
    let [a, b, c, d, e, f] = at(entry, 26)?;
    Some(format!(
        "{one:08x}-{two:04x}-{three:04x}-{four:04x}-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}"
    ))
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_kind_is_a_signature_and_a_number() {
        let mut sector = [0; MBR];
        sector[440..444].copy_from_slice(&[0x78, 0x56, 0x34, 0x12]);
        assert_eq!(mbr_uuid(&sector, 1), None, "it is no table");
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(mbr_uuid(&sector, 1).as_deref(), Some("12345678-01"));
        assert!(!is_protective(&sector));
        sector[450] = 0xee;
        assert!(is_protective(&sector));
        assert_eq!(mbr_uuid(&sector, 11).as_deref(), Some("12345678-0b"));
    }

    #[test]
    fn entries_of_the_new_kind_are_where_the_header_says() {
        let mut header = [0; GPT_HEADER];
        header[..8].copy_from_slice(b"EFI PART");
        header[72] = 2;
        header[80] = 128;
        header[84] = 128;
        let check =
            |number, block, expected| assert_eq!(gpt_entry(&header, block, number), expected);
        check(1, 512, Some(1024));
        check(3, 4096, Some(8192 + 256));
        check(0, 512, None);
        check(129, 512, None);
        assert_eq!(gpt_entry(&[0xff; GPT_HEADER], 512, 1), None);
        header[72..80].fill(0xff);
        assert_eq!(gpt_entry(&header, 512, 2), None);
    }

    #[test]
    fn a_uuid_is_written_as_everybody_writes_it() {
        let mut entry = [0; GPT_ENTRY];
        for (place, byte) in (1..=16).enumerate() {
            entry[16 + place] = byte;
        }
        assert_eq!(
            gpt_uuid(&entry).as_deref(),
            Some("04030201-0605-0807-090a-0b0c0d0e0f10")
        );
    }
}
