//! The files and directories of a FAT filesystem, and which clusters each has: one behind the other, without gaps.

use std::collections::BTreeMap;

use super::{END, FIRST, Kind, Options, WriteFatError, label, put};
use crate::tree::Content;

/// In bytes.
pub(super) const RECORD: usize = 32;
/// 1980-01-01, before which there is no time.
const DATE: u16 = 1 << 5 | 1;
/// What a record is about.
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const FILE: u8 = 0x20;
/// Of a name that is written with capitals and meant without.
const LOWER_CASE: u8 = 0x08 | 0x10;

/// A file or a directory with its first cluster.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) path: String,
    pub(super) content: Content,
    pub(super) cluster: u32,
    clusters: u32,
}

#[derive(Debug)]
pub(super) struct Files {
    placed: Vec<Placed>,
    /// What is in the root.
    root: Vec<u8>,
}

/// What is in a directory.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<String, Node>,
    content: Option<Content>,
}

impl Files {
    pub(super) fn of(
        files: &[(String, Content)],
        options: &Options,
        kind: Kind,
    ) -> Result<Files, WriteFatError> {
        let mut root = Node::default();
        for (path, content) in files {
            let name = || WriteFatError::Name { path: path.clone() };
            let mut node = &mut root;
            for part in path.split('/') {
                short_name(part).ok_or_else(name)?;
                node = node.children.entry(part.to_owned()).or_default();
            }
            node.content = Some(content.clone());
        }
        let mut placed = Vec::new();
        let mut next = FIRST;
        // FAT16's root has a place of its own.
        let root_clusters = match kind {
            Kind::Fat16 => 0,
            Kind::Fat32 => clusters(records(&root, Level::Root), options),
        };
        let here = Directory {
            path: String::new(),
            cluster: take(&mut next, root_clusters),
            parent: 0,
            level: Level::Root,
        };
        let root = fill(&root, &here, &mut next, options, &mut placed)?;
        if kind == Kind::Fat32 {
            placed.push(here.placed(root.clone(), root_clusters));
        }
        placed.sort_by_key(|file: &Placed| file.cluster);
        Ok(Files { placed, root })
    }

    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }

    /// How many clusters all of them have.
    pub(super) fn clusters(&self) -> u32 {
        self.placed.iter().map(|file| file.clusters).sum()
    }

    /// The entries of the table, from the first cluster on.
    pub(super) fn chains(&self) -> impl Iterator<Item = u32> {
        self.placed.iter().flat_map(|file| {
            let last = file.cluster + file.clusters - 1;
            (file.cluster..=last)
                .map(move |cluster| if cluster == last { END } else { cluster + 1 })
        })
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &Placed> {
        self.placed.iter()
    }
}

/// The root has its label instead of itself and the one above.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Below,
}

struct Directory {
    path: String,
    cluster: u32,
    /// Zero in a directory of the root.
    parent: u32,
    level: Level,
}

impl Directory {
    fn placed(self, records: Vec<u8>, clusters: u32) -> Placed {
        Placed {
            path: self.path,
            content: Content::Bytes(records.into()),
            cluster: self.cluster,
            clusters,
        }
    }
}

/// The size of a directory in bytes.
fn records(node: &Node, level: Level) -> u64 {
    let own = match level {
        Level::Root => 1,
        Level::Below => 2,
    };
    ((own + node.children.len()) * RECORD) as u64
}

/// Gives all that is in a directory its clusters. The records of it.
fn fill(
    node: &Node,
    here: &Directory,
    next: &mut u32,
    options: &Options,
    placed: &mut Vec<Placed>,
) -> Result<Vec<u8>, WriteFatError> {
    let mut records = Vec::new();
    match here.level {
        Level::Root => records.extend(record(label(options), VOLUME, 0, 0, 0)),
        Level::Below => {
            records.extend(record(*b".          ", DIRECTORY, 0, here.cluster, 0));
            records.extend(record(*b"..         ", DIRECTORY, 0, here.parent, 0));
        }
    }
    for (name, child) in &node.children {
        let path = format!("{}{name}", here.path);
        let wrong = || WriteFatError::Name { path: path.clone() };
        let (short, case) = short_name(name).ok_or_else(wrong)?;
        match &child.content {
            Some(content) => {
                let size = u32::try_from(content.len()).map_err(|_| WriteFatError::DoesNotFit {
                    bytes: content.len(),
                })?;
                let clusters = self::clusters(content.len(), options);
                // A file without content has no cluster.
                let cluster = if clusters == 0 {
                    0
                } else {
                    take(next, clusters)
                };
                records.extend(record(short, FILE, case, cluster, size));
                if clusters > 0 {
                    placed.push(Placed {
                        path,
                        content: content.clone(),
                        cluster,
                        clusters,
                    });
                }
            }
            None => {
                let clusters = self::clusters(self::records(child, Level::Below), options);
                let directory = Directory {
                    path: format!("{path}/"),
                    cluster: take(next, clusters),
                    parent: match here.level {
                        Level::Root => 0,
                        Level::Below => here.cluster,
                    },
                    level: Level::Below,
                };
                let inside = fill(child, &directory, next, options, placed)?;
                records.extend(record(short, DIRECTORY, case, directory.cluster, 0));
                placed.push(directory.placed(inside, clusters));
            }
        }
    }
    Ok(records)
}

fn clusters(bytes: u64, options: &Options) -> u32 {
    // More than there are is found out by the one who asks how many all are.
    u32::try_from(bytes.div_ceil(options.sector)).unwrap_or(u32::MAX)
}

fn take(next: &mut u32, clusters: u32) -> u32 {
    let first = *next;
    *next = next.saturating_add(clusters);
    first
}

fn record(name: [u8; 11], kind: u8, case: u8, cluster: u32, size: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    put(&mut record, 0, name);
    record[11] = kind;
    record[12] = case;
    // Made, read and written.
    for at in [16, 18, 24] {
        put(&mut record, at, DATE.to_le_bytes());
    }
    let [a, b, c, d] = cluster.to_le_bytes();
    put(&mut record, 20, [c, d]);
    put(&mut record, 26, [a, b]);
    put(&mut record, 28, size.to_le_bytes());
    record
}

/// A name as a record has it, and in which case it is meant. None for a name that has to be a long one.
fn short_name(name: &str) -> Option<([u8; 11], u8)> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let has_lower = name.bytes().any(|byte| byte.is_ascii_lowercase());
    let has_upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3 && !name.ends_with('.');
    if !fits || !is_plain(base) || !is_plain(extension) || (has_lower && has_upper) {
        return None;
    }
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    short.make_ascii_uppercase();
    Some((short, if has_lower { LOWER_CASE } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_of_one_case() {
        let check = |name: &str, expected: Option<(&[u8; 11], u8)>| {
            let expected = expected.map(|(short, case)| (*short, case));
            assert_eq!(short_name(name), expected, "{name}");
        };
        check("BOOTX64.EFI", Some((b"BOOTX64 EFI", 0)));
        check("grub.cfg", Some((b"GRUB    CFG", LOWER_CASE)));
        check("a", Some((b"A          ", LOWER_CASE)));
        let long = [
            "",
            ".",
            "..",
            "a.",
            "kernel-6.12",
            "BootX64.efi",
            "a.conf",
            "ninechars",
        ];
        for name in long {
            check(name, None);
        }
    }
}
