//! Trees to be written in every format.

use std::path::Path;

use nodeos_image::tree::{Entry, Tree};

pub(crate) fn tree<P: AsRef<Path>>(entries: impl IntoIterator<Item = (P, Entry)>) -> Tree {
    let mut tree = Tree::new();
    for (path, entry) in entries {
        tree.insert(path, entry).unwrap();
    }
    tree
}

/// Bytes in which every place looks different.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32 / 4 + 1)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect()
}

/// What an ordinary user can unpack: no devices, nothing that its owner cannot read.
pub(crate) fn everyday_tree() -> Tree {
    let mut tree = tree([
        ("/", Entry::directory(0o711).owned_by(1000, 1001)),
        ("/empty", Entry::directory(0o1777)),
        ("/many", Entry::directory(0o755)),
        ("/sizes", Entry::directory(0o750).owned_by(70_000, 70_001)),
        ("/names", Entry::directory(0o700)),
        ("/link", Entry::symlink("many/1")),
        ("/link-59", Entry::symlink("y".repeat(59))),
        ("/link-60", Entry::symlink("z".repeat(60))),
        ("/long-link", Entry::symlink("x/".repeat(2047))),
        ("/setuid", Entry::file(0o6755, *b"s")),
    ]);
    for n in 0..5000 {
        let name = format!("/many/{n}");
        tree.insert(name, Entry::file(0o644, n.to_string().as_bytes()))
            .unwrap();
    }
    for size in [0, 1, 4095, 4096, 4097, 100_000, 2 << 20, (2 << 20) + 1] {
        let entry = Entry::file(0o600, bytes(size)).owned_by(65_535, 65_536);
        tree.insert(format!("/sizes/{size}"), entry).unwrap();
    }
    // Names before and after `.` and `..`, names beyond ASCII, and the longest ones: 15 of them fill a block.
    for name in ["!", "-", "...", ".a", "~", "ä", "€"] {
        tree.insert(format!("/names/{name}"), Entry::directory(0o755))
            .unwrap();
    }
    for n in b'a'..=b'z' {
        let name = String::from_utf8(vec![n; 255]).unwrap();
        tree.insert(format!("/names/{name}"), Entry::file(0o400, [n]))
            .unwrap();
    }
    let mut deep = String::new();
    for _ in 0..100 {
        deep.push_str("/deep");
        tree.insert(&deep, Entry::directory(0o755)).unwrap();
    }
    tree
}
