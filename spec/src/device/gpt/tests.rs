//! Tables that are written and read again, damaged, and grown.

use alloc::borrow::ToOwned;

use super::*;

const SECTOR: u64 = 512;
/// 64 MiB.
const SECTORS: u64 = 131_072;

fn table() -> Table {
    let partition = |number: u128, first, last, name: &str| {
        Some(Partition {
            kind: Guid::LINUX,
            guid: Guid::of(number),
            first,
            last,
            attributes: 0,
            name: name.to_owned(),
        })
    };
    let mut partitions = vec![
        partition(1, 2048, 4095, "system"),
        None,
        partition(3, 4096, 129_023, "users"),
    ];
    partitions.resize(COUNT, None);
    Table {
        disk: Guid::of(7),
        sector: SECTOR,
        sectors: SECTORS,
        partitions,
    }
}

/// A disk with these pieces and nothing else.
fn disk(sectors: u64, pieces: &[Piece]) -> Vec<u8> {
    let mut disk = vec![0; usize::try_from(sectors * SECTOR).unwrap()];
    write(&mut disk, pieces);
    disk
}

fn write(disk: &mut [u8], pieces: &[Piece]) {
    for piece in pieces {
        let at = usize::try_from(piece.at).unwrap();
        disk[at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
}

fn read(disk: &[u8], here: u64) -> Result<Table, ReadTableError> {
    Table::read(SECTOR, here, |at, length| {
        let at = usize::try_from(at).ok()?;
        Some(disk.get(at..at.checked_add(length)?)?.to_vec())
    })
}

#[test]
fn both_tables_are_read_as_they_are_written() {
    let table = table();
    let pieces = [table.backup(), table.primary()].concat();
    let disk = disk(SECTORS, &pieces);
    assert_eq!(read(&disk, 1), Ok(table.clone()));
    assert_eq!(read(&disk, SECTORS - 1), Ok(table));
}

#[test]
fn a_guid_is_written_as_everybody_writes_it() {
    assert_eq!(
        Guid::EFI_SYSTEM.to_string(),
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
    );
    assert_eq!(Guid::BIOS_BOOT.0, *b"Hah!IdontNeedEFI");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let table = table();
    let mut disk = disk(34, &table.primary());
    let header = 512..512 + HEADER;
    let entries = 1024..1024 + 3 * ENTRY;
    for at in header.chain(entries) {
        disk[at] ^= 0x10;
        assert!(read(&disk, 1).is_err(), "byte {at}");
        disk[at] ^= 0x10;
    }
}

#[test]
fn what_is_no_table_of_ours_is_refused() {
    let table = table();
    let whole = disk(34, &table.primary());
    let check = |change: &dyn Fn(&mut Vec<u8>), expected| {
        let mut disk = whole.clone();
        change(&mut disk);
        assert_eq!(read(&disk, 1), Err(expected));
    };
    check(&|disk| disk.fill(0), ReadTableError::NoTable);
    check(&|disk| disk.truncate(600), ReadTableError::Damaged);
    check(&|disk| disk.truncate(2000), ReadTableError::Damaged);
    check(&|disk| disk[512 + 80] = 64, ReadTableError::Unusual);
    // A header that was copied from elsewhere.
    let [_, mut header] = table.backup();
    header.at = SECTOR;
    assert_eq!(read(&disk(34, &[header]), 1), Err(ReadTableError::Damaged));
}

#[test]
fn the_last_partition_grows_to_the_end_and_no_other_does() {
    let table = table();
    let users = |table: &Table| table.partitions[2].clone().unwrap();
    let larger = table.grown(3, 2 * SECTORS).unwrap();
    assert_eq!(larger.sectors, 2 * SECTORS);
    assert_eq!(users(&larger).first, 4096);
    // The last whole MiB that leaves room for the second table.
    assert_eq!(users(&larger).last, 2 * SECTORS - 2048 - 1);
    assert_eq!(larger.partitions[0], table.partitions[0]);
    for (number, sectors) in [
        (3, SECTORS),
        (3, SECTORS + 32),
        (3, SECTORS / 2),
        (3, 10),
        (1, 2 * SECTORS),
        (2, 2 * SECTORS),
        (0, 2 * SECTORS),
        (200, 2 * SECTORS),
    ] {
        assert_eq!(table.grown(number, sectors), None, "{number} {sectors}");
    }
    assert_eq!(
        users(&table.grown(3, SECTORS + 33).unwrap()).last,
        SECTORS - 1
    );
}

#[test]
fn at_every_moment_of_growing_one_table_is_whole() {
    let old = table();
    let new = old.grown(3, 2 * SECTORS).unwrap();
    let mut disk = disk(2 * SECTORS, &[old.backup(), old.primary()].concat());
    // Sector by sector, as a disk writes.
    for piece in [new.backup(), new.primary()].concat() {
        for (index, sector) in piece.bytes.chunks(512).enumerate() {
            let at = piece.at + index as u64 * SECTOR;
            write(
                &mut disk,
                &[Piece {
                    at,
                    bytes: sector.to_vec(),
                }],
            );
            let first = read(&disk, 1);
            let second = read(&disk, 2 * SECTORS - 1);
            let is_whole = first == Ok(old.clone()) || second == Ok(new.clone());
            assert!(is_whole, "{at}: {first:?}, {second:?}");
        }
    }
    assert_eq!(read(&disk, 1), Ok(new));
}

#[test]
fn a_large_disk_is_one_that_the_old_kind_of_table_cannot_count() {
    let check = |sectors, expected: u32| {
        let piece = Table { sectors, ..table() }.protective();
        assert_eq!(u32_at(&piece.bytes, 12), Some(expected));
        assert!(piece.bytes.ends_with(&[0x55, 0xaa]));
        assert_eq!(piece.at + piece.bytes.len() as u64, 512);
    };
    check(SECTORS, 131_071);
    check(1 << 40, u32::MAX);
}

#[test]
fn sectors_of_4_kib_hold_the_same_in_fewer() {
    assert_eq!(Table::first_usable(512), 34);
    assert_eq!(Table::first_usable(4096), 6);
    assert_eq!(Table::last_usable(512, 1000), Some(966));
    assert_eq!(Table::last_usable(4096, 1000), Some(994));
    assert_eq!(Table::last_usable(512, 60), None);
    assert_eq!(Table::last_usable(512, 0), None);
}
