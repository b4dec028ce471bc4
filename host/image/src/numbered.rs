//! A tree as inode tables have it: entries by number instead of by path, with what directories say of them.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::tree::{Entry, Kind};

/// An entry of a tree, whose number is its place among all of them.
#[derive(Debug)]
pub(crate) struct Numbered<'a> {
    pub(crate) path: &'a Path,
    pub(crate) entry: &'a Entry,
    /// The number of the directory that it is in. The root is in itself.
    pub(crate) parent: usize,
    /// How many names it has.
    pub(crate) links: u32,
    /// Of a file or symbolic link, in bytes; that of a directory is the format's business.
    pub(crate) size: u64,
    /// Of a directory: the names in it, without `.` and `..`, and the number that each means.
    pub(crate) names: Vec<(&'a [u8], usize)>,
}

impl<'a> Numbered<'a> {
    /// One name, and nothing in it yet.
    pub(crate) fn new(path: &'a Path, entry: &'a Entry, parent: usize) -> Numbered<'a> {
        let size = match &entry.kind {
            Kind::File(content) => content.len(),
            Kind::Symlink(target) => target.as_os_str().len() as u64,
            _ => 0,
        };
        Numbered {
            path,
            entry,
            parent,
            links: 1,
            size,
            names: Vec::new(),
        }
    }
}

impl Kind {
    /// The code of the kind in a directory, which EROFS and ext4 have from Linux (`FT_*` of its `include/linux/fs_types.h`).
    pub(crate) fn code(&self) -> u8 {
        match self {
            Kind::File(_) => 1,
            Kind::Directory => 2,
            Kind::CharDevice { .. } => 3,
            Kind::BlockDevice { .. } => 4,
            Kind::Fifo => 5,
            Kind::Symlink(_) => 7,
        }
    }
}

/// Numbers the entries in the order in which they come. The root is the first of them, and every directory comes before what is
/// in it.
pub(crate) fn number<'a>(
    entries: impl Iterator<Item = (&'a Path, &'a Entry)>,
) -> Vec<Numbered<'a>> {
    let mut all: Vec<Numbered<'a>> = Vec::new();
    let mut directories: HashMap<&Path, usize> = HashMap::new();
    for (number, (path, entry)) in entries.enumerate() {
        let parent = path.parent().map_or(0, |parent| directories[parent]);
        all.push(Numbered::new(path, entry, parent));
        if let Some(name) = path.file_name() {
            all[parent].names.push((name.as_bytes(), number));
        }
        if entry.kind == Kind::Directory {
            directories.insert(path, number);
            // Besides the name that it has, its own `.`, and its `..` for the parent.
            all[number].links += 1;
            if number != parent {
                all[parent].links += 1;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn every_name_is_counted_where_it_is() {
        let mut tree = Tree::new();
        let file = Entry::file(0o644, *b"text");
        tree.insert_with_folders("/a/b/file", file, 0o755).unwrap();
        tree.insert("/link", Entry::symlink("a/b")).unwrap();
        let all = number(tree.iter());
        let shown: Vec<_> = all
            .iter()
            .map(|one| (one.path.to_str().unwrap(), one.parent, one.links, one.size))
            .collect();
        assert_eq!(
            shown,
            [
                ("/", 0, 3, 0),
                ("/a", 0, 3, 0),
                ("/a/b", 1, 2, 0),
                ("/a/b/file", 2, 1, 4),
                ("/link", 0, 1, 3),
            ]
        );
        assert_eq!(all[0].names, [(b"a".as_slice(), 1), (b"link", 4)]);
    }
}
