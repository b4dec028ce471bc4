//! An ISO 9660 filesystem with a few files, on a medium that firmware starts: a CD, or a stick with the same bytes.
//!
//! The format is that of ECMA-119 (4th edition), which is ISO 9660's text, and of the "El Torito" Bootable CD-ROM Format
//! Specification, version 1.0. Names are short ones, which every system reads and shows in small letters. Where a file lies is
//! said before it is written, because boot loaders carry such numbers in themselves.

mod directories;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use thiserror::Error;

use crate::content;
use crate::copier::{Copier, CopyError};
use crate::tree::Content;
use directories::Directories;

/// The size of a sector in bytes. Everything begins at one.
pub const SECTOR: u64 = 2048;
/// The first sector of the descriptors. What is before it belongs to the machine.
const DESCRIPTORS: u64 = 16;
const PRIMARY: u64 = DESCRIPTORS;
const BOOT_RECORD: u64 = DESCRIPTORS + 1;
const TERMINATOR: u64 = DESCRIPTORS + 2;
/// What firmware can start.
const CATALOG: u64 = DESCRIPTORS + 3;
/// The list of all directories, with the least byte of numbers first and once more with the highest.
const PATHS: [u64; 2] = [DESCRIPTORS + 4, DESCRIPTORS + 5];
const ROOT: u64 = DESCRIPTORS + 6;
/// How long a medium's name can be.
const MAX_VOLUME: usize = 32;

/// A medium.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name: at most 32 capital letters, digits and underscores.
    pub volume: String,
    /// The day at whose beginning (UTC) everything was made: year, month, day.
    pub day: (u16, u8, u8),
    /// The first byte of the first file; directories are before it.
    pub files_at: u64,
    /// The size of all of it in bytes.
    pub size: u64,
    /// What firmware starts.
    pub boot: Vec<BootImage>,
}

/// Something that firmware loads from a CD and starts, without taking it for a floppy disk.
#[derive(Debug, Clone)]
pub struct BootImage {
    pub platform: Platform,
    /// Where it is, in bytes.
    pub at: u64,
    /// How much of it is loaded, in sectors of 512 bytes.
    pub sectors: u16,
}

/// Whose firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// That of old.
    Bios,
    Uefi,
}

#[derive(Debug, Error)]
pub enum WriteIsoError {
    #[error("{path:?} is not made of names of at most eight letters, and three behind a dot")]
    Name { path: String },
    #[error("{volume:?} is not a name that a medium can have")]
    Volume { volume: String },
    #[error("{path:?} is too large for an ISO 9660 filesystem")]
    Size { path: String },
    #[error("there are too many directories and files for an ISO 9660 filesystem of ours")]
    DoesNotFit,
    #[error("cannot copy {path:?} into the ISO 9660 filesystem")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the ISO 9660 filesystem")]
    Write(#[source] io::Error),
}

impl WriteIsoError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WriteIsoError::Read { source, .. } | WriteIsoError::Write(source) => {
                content::hint(source)
            }
            _ => None,
        }
    }
}

/// The bytes of each file, and where the last one ends: a medium that begins its files at `files_at` has them there.
pub fn places(files: &[(String, Content)], files_at: u64) -> (Vec<Range<u64>>, u64) {
    let mut next = files_at;
    let places = files.iter().map(|(_, content)| {
        let place = next..next + content.len();
        next = place.end.next_multiple_of(SECTOR);
        place
    });
    (places.collect(), next)
}

/// Writes the filesystem into `out`, which holds nothing where it comes to lie. Paths are relative, with `/` between their parts.
///
/// The same files and options give the same bytes.
///
/// # Errors
/// [`WriteIsoError`].
pub fn write(
    files: &[(String, Content)],
    options: &Options,
    out: &File,
) -> Result<(), WriteIsoError> {
    let (places, _) = places(files, options.files_at);
    let directories = Directories::of(files, &places, options)?;
    let end = directories.end();
    if end * SECTOR > options.files_at {
        return Err(WriteIsoError::DoesNotFit);
    }
    let mut sectors = vec![
        (PRIMARY, primary(options, &directories)?),
        (BOOT_RECORD, boot_record()),
        (TERMINATOR, descriptor(255)),
        (CATALOG, catalog(&options.boot)?),
    ];
    for (at, path_table) in PATHS.into_iter().zip(directories.path_tables()) {
        sectors.push((at, path_table));
    }
    sectors.extend(directories.records());
    for (sector, bytes) in sectors {
        out.write_all_at(&bytes, sector * SECTOR)
            .map_err(WriteIsoError::Write)?;
    }
    let mut copier = Copier::new(out);
    for ((path, content), place) in files.iter().zip(places) {
        copier
            .copy(content, &[place])
            .map_err(|error| match error {
                CopyError::Write(source) => WriteIsoError::Write(source),
                CopyError::Read(source) => WriteIsoError::Read {
                    path: path.clone(),
                    source,
                },
            })?;
    }
    Ok(())
}

/// What every descriptor begins with.
fn descriptor(kind: u8) -> Vec<u8> {
    let mut sector = vec![0; SECTOR as usize];
    sector[0] = kind;
    put(&mut sector, 1, *b"CD001");
    sector[6] = 1;
    sector
}

fn primary(options: &Options, directories: &Directories) -> Result<Vec<u8>, WriteIsoError> {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let volume = options.volume.as_bytes();
    if volume.len() > MAX_VOLUME || !volume.iter().copied().all(is_allowed) {
        return Err(WriteIsoError::Volume {
            volume: options.volume.clone(),
        });
    }
    let mut sector = descriptor(1);
    // The texts, which are blank where there is nothing to say: system, volume; then set, publisher, preparer, application
    // and the names of three files.
    sector[8..72].fill(b' ');
    sector[190..813].fill(b' ');
    sector[40..40 + volume.len()].copy_from_slice(volume);
    let count = u32::try_from(options.size / SECTOR).map_err(|_| WriteIsoError::DoesNotFit)?;
    put(&mut sector, 80, both_32(count));
    // It is the first of one.
    put(&mut sector, 120, both_16(1));
    put(&mut sector, 124, both_16(1));
    put(&mut sector, 128, both_16(SECTOR as u16));
    put(&mut sector, 132, both_32(directories.path_table_size()));
    put(&mut sector, 140, (PATHS[0] as u32).to_le_bytes());
    put(&mut sector, 148, (PATHS[1] as u32).to_be_bytes());
    let root = directories.root();
    sector[156..156 + root.len()].copy_from_slice(&root);
    // Made and changed; it does not expire, and is valid from when it was made.
    let (year, month, day) = options.day;
    let made = format!("{year:04}{month:02}{day:02}00000000");
    let never = "0".repeat(made.len());
    for (at, text) in [(813, &made), (830, &made), (847, &never), (864, &made)] {
        // A byte more is the time zone, which is UTC.
        sector[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    sector[881] = 1;
    Ok(sector)
}

/// Where the catalog is.
fn boot_record() -> Vec<u8> {
    let mut sector = descriptor(0);
    put(&mut sector, 7, *b"EL TORITO SPECIFICATION");
    put(&mut sector, 71, (CATALOG as u32).to_le_bytes());
    sector
}

/// The first entry is for the firmware of old, which reads no further; those of each other platform have a section.
fn catalog(images: &[BootImage]) -> Result<Vec<u8>, WriteIsoError> {
    const RECORD: usize = 32;
    const BOOTABLE: u8 = 0x88;
    const LAST_SECTION: u8 = 0x91;
    const SECTION: u8 = 0x90;
    let mut catalog = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let platform = match image.platform {
            Platform::Bios => 0,
            Platform::Uefi => 0xef,
        };
        let mut head = [0; RECORD];
        if index == 0 {
            head[0] = 1;
            head[1] = platform;
            put(&mut head, 30, [0x55, 0xaa]);
            // All its numbers together are zero.
            let words = head.as_chunks::<2>().0.iter();
            let sum = words.fold(0_u16, |sum, word| {
                sum.wrapping_add(u16::from_le_bytes(*word))
            });
            put(&mut head, 28, sum.wrapping_neg().to_le_bytes());
        } else {
            let is_last = index + 1 == images.len();
            head[0] = if is_last { LAST_SECTION } else { SECTION };
            head[1] = platform;
            put(&mut head, 2, 1_u16.to_le_bytes());
        }
        let mut entry = [0; RECORD];
        entry[0] = BOOTABLE;
        put(&mut entry, 6, image.sectors.to_le_bytes());
        let at = u32::try_from(image.at / SECTOR).map_err(|_| WriteIsoError::DoesNotFit)?;
        put(&mut entry, 8, at.to_le_bytes());
        catalog.extend([head, entry].concat());
    }
    if catalog.len() as u64 > SECTOR {
        return Err(WriteIsoError::DoesNotFit);
    }
    Ok(catalog)
}

/// Numbers are there twice, once for each kind of processor.
fn both_16(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

fn both_32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    put(&mut both, 0, number.to_le_bytes());
    put(&mut both, 4, number.to_be_bytes());
    both
}

/// Puts the bytes of a field at its offset.
fn put<const N: usize>(record: &mut [u8], at: usize, field: [u8; N]) {
    record[at..at + N].copy_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_one_behind_the_other_at_whole_sectors() {
        let file = |length: usize| ("file".to_owned(), Content::Bytes(vec![0; length].into()));
        let files = [file(1), file(0), file(2048), file(2049)];
        let (places, end) = places(&files, 4096);
        let expected = [4096..4097, 6144..6144, 6144..8192, 8192..10241];
        assert_eq!(places, expected);
        assert_eq!(end, 12288);
    }

    #[test]
    fn the_catalogs_first_record_adds_up_to_nothing_and_each_platform_has_an_entry() {
        let image = |platform, at, sectors| BootImage {
            platform,
            at,
            sectors,
        };
        let catalog = catalog(&[
            image(Platform::Bios, 1 << 20, 4),
            image(Platform::Uefi, 2 << 20, 6144),
        ])
        .unwrap();
        let words = catalog[..32].as_chunks::<2>().0.iter();
        let sum = words.fold(0_u16, |sum, word| {
            sum.wrapping_add(u16::from_le_bytes(*word))
        });
        assert_eq!(sum, 0);
        assert_eq!(catalog[32], 0x88);
        assert_eq!(catalog[38..44], [4, 0, 0, 2, 0, 0]);
        assert_eq!(catalog[64..68], [0x91, 0xef, 1, 0]);
        assert_eq!(catalog[102..108], [0, 24, 0, 4, 0, 0]);
        assert_eq!(catalog.len(), 128);
    }

    #[test]
    fn a_medium_has_a_name_of_capital_letters() {
        let write = |volume: &str| {
            let options = Options {
                volume: volume.to_owned(),
                day: (2014, 3, 1),
                files_at: 1 << 20,
                size: 2 << 20,
                boot: Vec::new(),
            };
            super::write(&[], &options, &tempfile::tempfile().unwrap())
        };
        assert!(write("NODEOS_1").is_ok());
        for wrong in ["nodeos", "NODE OS", &"N".repeat(33)] {
            let error = write(wrong).unwrap_err();
            let expected = format!("{wrong:?} is not a name that a medium can have");
            assert_eq!(error.to_string(), expected);
        }
    }
}
