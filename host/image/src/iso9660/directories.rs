//! The directories of an ISO 9660 filesystem, each in sectors of its own, and the list of all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Options, ROOT, SECTOR, WriteIsoError, both_16, both_32, put};
use crate::tree::Content;

/// What a directory calls itself, and the one above.
const ITSELF: &[u8] = &[0];
const ABOVE: &[u8] = &[1];
/// Of a record: what it is about is a directory.
const DIRECTORY: u8 = 2;
/// What a record has before the name.
const BEFORE_NAME: usize = 33;

/// A directory's number in the list, from 0.
type Number = usize;

#[derive(Debug)]
struct Directory {
    name: Vec<u8>,
    parent: Number,
    children: BTreeMap<Vec<u8>, Child>,
    /// Its first sector.
    sector: u64,
    /// In sectors.
    length: u64,
}

#[derive(Debug, Clone)]
enum Child {
    Directory(Number),
    /// Its first sector, and its size in bytes.
    File(u32, u32),
}

#[derive(Debug)]
pub(super) struct Directories {
    /// The root is the first, those below a directory come behind all that are as high as it, in the order of their names.
    all: Vec<Directory>,
    /// As a record has it: the beginning of a day.
    time: [u8; 7],
}

impl Directories {
    pub(super) fn of(
        files: &[(String, Content)],
        places: &[Range<u64>],
        options: &Options,
    ) -> Result<Directories, WriteIsoError> {
        let (year, month, day) = options.day;
        let since_1900 = year.saturating_sub(1900).try_into().unwrap_or(u8::MAX);
        let mut directories = Directories {
            all: vec![Directory::new(ITSELF.to_vec(), 0)],
            time: [since_1900, month, day, 0, 0, 0, 0],
        };
        // One level after the other, so that the list has the order that it has to have.
        let mut level = vec![(0, root(files, places)?)];
        while !level.is_empty() {
            let mut below = Vec::new();
            for (number, node) in level {
                for (name, node) in node.children {
                    let child = match node.file {
                        Some(file) => file,
                        None => {
                            let own = directories.all.len();
                            directories.all.push(Directory::new(name.clone(), number));
                            below.push((own, node));
                            Child::Directory(own)
                        }
                    };
                    directories.all[number].children.insert(name, child);
                }
            }
            level = below;
        }
        let mut sector = ROOT;
        for directory in &mut directories.all {
            directory.sector = sector;
            directory.length = sectors_of(directory);
            sector += directory.length;
        }
        Ok(directories)
    }

    /// The first sector behind them.
    pub(super) fn end(&self) -> u64 {
        self.all
            .last()
            .map_or(ROOT, |last| last.sector + last.length)
    }

    /// What the descriptor says about the root.
    pub(super) fn root(&self) -> Vec<u8> {
        self.record_of(0, ITSELF)
    }

    /// The size of the list in bytes.
    pub(super) fn path_table_size(&self) -> u32 {
        let [list, _] = self.path_tables();
        u32::try_from(list.len()).unwrap_or(u32::MAX)
    }

    /// The list, with the least byte of each number first, and with the highest.
    pub(super) fn path_tables(&self) -> [Vec<u8>; 2] {
        let (mut little, mut big) = (Vec::new(), Vec::new());
        for directory in &self.all {
            let mut name = directory.name.clone();
            let head = [name.len() as u8, 0];
            if name.len() % 2 == 1 {
                name.push(0);
            }
            // Numbers count from 1 here.
            let (sector, parent) = (directory.sector as u32, directory.parent as u16 + 1);
            little.extend(head);
            little.extend(sector.to_le_bytes());
            little.extend(parent.to_le_bytes());
            little.extend(&name);
            big.extend(head);
            big.extend(sector.to_be_bytes());
            big.extend(parent.to_be_bytes());
            big.extend(&name);
        }
        [little, big]
    }

    /// Each directory with its first sector.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.all.iter().enumerate().map(|(number, directory)| {
            let mut records = vec![
                self.record_of(number, ITSELF),
                self.record_of(directory.parent, ABOVE),
            ];
            let children = directory.children.iter();
            records.extend(children.map(|(name, child)| match child {
                Child::Directory(number) => self.record_of(*number, name),
                Child::File(sector, size) => self.record(name, *sector, *size, 0),
            }));
            (directory.sector, in_sectors(&records))
        })
    }

    fn record_of(&self, number: Number, name: &[u8]) -> Vec<u8> {
        let directory = &self.all[number];
        let size = directory.length * SECTOR;
        self.record(name, directory.sector as u32, size as u32, DIRECTORY)
    }

    fn record(&self, name: &[u8], sector: u32, size: u32, flags: u8) -> Vec<u8> {
        let length = record_length(name);
        let mut record = vec![0; length];
        record[0] = length as u8;
        put(&mut record, 2, both_32(sector));
        put(&mut record, 10, both_32(size));
        put(&mut record, 18, self.time);
        record[25] = flags;
        // It is on the first medium of one.
        put(&mut record, 28, both_16(1));
        record[32] = name.len() as u8;
        record[BEFORE_NAME..BEFORE_NAME + name.len()].copy_from_slice(name);
        record
    }
}

impl Directory {
    fn new(name: Vec<u8>, parent: Number) -> Directory {
        Directory {
            name,
            parent,
            children: BTreeMap::new(),
            sector: 0,
            length: 0,
        }
    }
}

/// What is in a directory, by the names that are written.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Vec<u8>, Node>,
    file: Option<Child>,
}

fn root(files: &[(String, Content)], places: &[Range<u64>]) -> Result<Node, WriteIsoError> {
    let mut root = Node::default();
    for ((path, content), place) in files.iter().zip(places) {
        let wrong = || WriteIsoError::Name { path: path.clone() };
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut node = &mut root;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            let name = directory_name(part).ok_or_else(wrong)?;
            node = node.children.entry(name).or_default();
        }
        let name = file_name(name).ok_or_else(wrong)?;
        let too_large = |_| WriteIsoError::Size { path: path.clone() };
        let sector = u32::try_from(place.start / SECTOR).map_err(too_large)?;
        let size = u32::try_from(content.len()).map_err(too_large)?;
        node.children.entry(name).or_default().file = Some(Child::File(sector, size));
    }
    Ok(root)
}

/// Records are of even length, and do not go on in the next sector.
fn record_length(name: &[u8]) -> usize {
    (BEFORE_NAME + name.len()).next_multiple_of(2)
}

fn sectors_of(directory: &Directory) -> u64 {
    let own = [ITSELF, ABOVE].into_iter();
    let names = own.chain(directory.children.keys().map(Vec::as_slice));
    let records: Vec<Vec<u8>> = names.map(|name| vec![0; record_length(name)]).collect();
    (in_sectors(&records).len() as u64).div_ceil(SECTOR)
}

fn in_sectors(records: &[Vec<u8>]) -> Vec<u8> {
    let sector = SECTOR as usize;
    let mut bytes = Vec::new();
    for record in records {
        let left = sector - bytes.len() % sector;
        if record.len() > left {
            bytes.resize(bytes.len() + left, 0);
        }
        bytes.extend(record);
    }
    bytes
}

/// A name as it is written: with a dot always, and a version, of which there is one.
fn file_name(name: &str) -> Option<Vec<u8>> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_good = is_part(base, 8) && (extension.is_empty() || is_part(extension, 3));
    let written = format!("{base}.{extension};1").to_ascii_uppercase();
    (is_good && !name.ends_with('.')).then(|| written.into_bytes())
}

fn directory_name(name: &str) -> Option<Vec<u8>> {
    is_part(name, 8).then(|| name.to_ascii_uppercase().into_bytes())
}

fn is_part(text: &str, most: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=most).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_small() {
        let check = |name: &str, expected: Option<&[u8]>| {
            assert_eq!(file_name(name).as_deref(), expected, "{name}");
        };
        check("grub.cfg", Some(b"GRUB.CFG;1"));
        check("kernel", Some(b"KERNEL.;1"));
        for wrong in [
            "",
            ".",
            "a.",
            ".a",
            "Kernel",
            "ninechars",
            "a.conf",
            "a b",
            "a.b.c",
        ] {
            check(wrong, None);
        }
        assert_eq!(directory_name("nodeos").as_deref(), Some(&b"NODEOS"[..]));
        assert_eq!(directory_name("a.b"), None);
    }

    #[test]
    fn a_record_that_does_not_fit_into_a_sector_begins_the_next() {
        let records = vec![vec![1; 40]; 52];
        let bytes = in_sectors(&records);
        // 51 of 40 are 2040.
        assert_eq!(bytes.len(), 2048 + 40);
        assert_eq!(bytes[2039..2049], [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_list_has_those_that_are_higher_first() {
        let file = |path: &str| (path.to_owned(), Content::Bytes((*b"x").into()));
        let files = [file("b/a/one"), file("a/b/two"), file("a/three"), file("c")];
        let options = Options {
            volume: String::new(),
            day: (2014, 3, 1),
            files_at: 1 << 20,
            size: 2 << 20,
            boot: Vec::new(),
        };
        let (places, _) = super::super::places(&files, options.files_at);
        let directories = Directories::of(&files, &places, &options).unwrap();
        let names: Vec<(&[u8], usize)> = directories
            .all
            .iter()
            .map(|directory| (&directory.name[..], directory.parent))
            .collect();
        let expected: [(&[u8], usize); 5] = [(&[0], 0), (b"A", 0), (b"B", 0), (b"B", 1), (b"A", 2)];
        assert_eq!(names, expected);
        let [little, big] = directories.path_tables();
        assert_eq!(little[..10], [1, 0, 22, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(big[..10], [1, 0, 0, 0, 0, 22, 0, 1, 0, 0]);
    }
}
