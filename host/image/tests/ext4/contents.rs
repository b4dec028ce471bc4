//! What is in an image is what was in the tree.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;

use nodeos_image::ext4::{MIN_SIZE, Options};
use nodeos_image::tree::{Entry, Kind, Tree};

use crate::image::{
    GIB, MIB, allocated, assert_is_clean, assert_unpacks_to, debugfs, image, options,
};
use crate::judges::run;
use crate::trees::{everyday_tree, tree};

#[test]
fn debugfs_unpacks_what_the_tree_holds() {
    let tree = everyday_tree();
    let (_scratch, image) = image(&tree, &options(512 * MIB));
    assert_is_clean(&image);
    assert_unpacks_to(&image, &tree);
}

#[test]
fn owners_kinds_and_links_are_what_debugfs_sees() {
    let mut tree = tree([
        ("/", Entry::directory(0o751).owned_by(5, 6)),
        ("/dev", Entry::directory(0o755)),
        ("/dev/console", Entry::char_device(0o600, 5, 1)),
        (
            "/dev/disk",
            Entry::block_device(0o660, 259, 70_000).owned_by(0, 6),
        ),
        ("/dev/pipe", Entry::fifo(0o622)),
        ("/most", Entry::file(0o4755, *b"x").owned_by(65_535, 65_535)),
        ("/uid", Entry::file(0o755, *b"x").owned_by(70_000, 1)),
        ("/gid", Entry::directory(0o2755).owned_by(1, u32::MAX - 1)),
        ("/link", Entry::symlink("most").owned_by(3, 4)),
        ("/wide", Entry::directory(0o755)),
    ]);
    for n in 0..1000 {
        tree.insert(format!("/wide/{n}"), Entry::directory(0o755))
            .unwrap();
    }
    let (_scratch, image) = image(&tree, &options(512 * MIB));
    assert_is_clean(&image);

    let check = |path: &str, kind: &str, owner: (u32, u32), mode: &str, links: u32| {
        let text = debugfs(&image, &[&format!("stat {path}")]).remove(0);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        let (uid, gid) = owner;
        for expected in [
            format!("Type: {kind} "),
            // It shows them signed.
            format!("User: {} ", uid as i32),
            format!("Group: {} ", gid as i32),
            format!("Mode: {mode} "),
            format!("Links: {links} "),
            "ctime: 0x59682f00:00000000".into(),
            "atime: 0x59682f00:00000000".into(),
            "mtime: 0x59682f00:00000000".into(),
            "crtime: 0x59682f00:00000000".into(),
        ] {
            assert!(text.contains(&expected), "no {expected:?} in {text}");
        }
        text
    };
    let root = (0, 0);
    check("/", "directory", (5, 6), "0751", 6);
    check("/lost+found", "directory", root, "0700", 2);
    check("/dev", "directory", root, "0755", 2);
    let console = check("/dev/console", "character special", root, "0600", 1);
    assert!(
        console.contains("Device major/minor number: 05:01 "),
        "{console}"
    );
    let disk = check("/dev/disk", "block special", (0, 6), "0660", 1);
    assert!(
        disk.contains("(New-style) Device major/minor number: 259:70000 "),
        "{disk}"
    );
    check("/dev/pipe", "FIFO", root, "0622", 1);
    let most = (65_535, 65_535);
    check("/most", "regular", most, "04755", 1);
    check("/uid", "regular", (70_000, 1), "0755", 1);
    check("/gid", "directory", (1, 4_294_967_294), "02755", 2);
    let link = check("/link", "symlink", (3, 4), "0777", 1);
    assert!(link.contains("Fast link dest: \"most\""), "{link}");
    let wide = check("/wide", "directory", root, "0755", 1002);
    // `EXT4_INDEX_FL` and `EXT4_EXTENTS_FL`.
    assert!(wide.contains("Flags: 0x81000 "), "{wide}");

    let listing = debugfs(&image, &["ls -p /dev"]).remove(0);
    assert!(listing.contains("/020600/0/0/console/0/"), "{listing}");
    assert!(listing.contains("/060660/0/6/disk/0/"), "{listing}");
}

#[test]
fn times_beyond_2038_are_what_they_were() {
    for time in [0, 1 << 31, u32::MAX] {
        let options = Options {
            time,
            ..options(MIN_SIZE)
        };
        let (_scratch, image) = image(&Tree::new(), &options);
        let text = debugfs(&image, &["stat /"]).remove(0);
        let extra = u32::from(time >= 1 << 31);
        let expected = format!("crtime: 0x{time:08x}:{extra:08x}");
        assert!(text.contains(&expected), "no {expected} in {text}");
    }
}

#[test]
fn a_lost_and_found_of_the_trees_own_stays_what_it_is() {
    let entries = [
        ("/a", Entry::file(0o644, *b"a")),
        ("/lost+found", Entry::directory(0o711).owned_by(7, 8)),
        ("/lost+found/b", Entry::file(0o600, *b"b")),
    ];
    let tree = tree(entries);
    let (_scratch, image) = image(&tree, &options(64 * MIB));
    assert_is_clean(&image);
    assert_unpacks_to(&image, &tree);
    let text = debugfs(&image, &["stat /lost+found"]).remove(0);
    assert!(text.starts_with("Inode: 11 "), "{text}");
    // Four blocks.
    assert!(text.contains("Size: 16384"), "{text}");
}

#[test]
fn zeros_take_no_space() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("zeros");
    let mut file = File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    // Zeros that were written, a byte in the middle of nothing, and one at the end.
    file.write_all(&vec![0; 3 << 20]).unwrap();
    file.seek_relative((30 << 20) + 5).unwrap();
    file.write_all(b"x").unwrap();
    file.write_all_at(b"y", (64 << 20) - 1).unwrap();
    let tree = tree([
        ("/bytes", Entry::file(0o644, vec![0; 8 << 20])),
        ("/host", Entry::host_file(0o644, &path).unwrap()),
    ]);
    let (_scratch, image) = image(&tree, &options(512 * MIB));
    assert_is_clean(&image);
    assert_unpacks_to(&image, &tree);
    let allocated = allocated(&image);
    assert!(allocated < MIB, "{allocated} bytes");
}

#[test]
fn a_large_file_goes_over_many_groups() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("large");
    let size = 3 * GIB + 4097;
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    // At the beginning, around borders of groups, and at the end.
    let marks: Vec<u64> = (0..24).map(|n| n * 128 * MIB).chain([size - 3]).collect();
    for at in &marks {
        file.write_all_at(&at.to_le_bytes()[..3], *at).unwrap();
    }
    let tree = tree([("/large", Entry::host_file(0o644, &path).unwrap())]);
    let (_scratch, image) = image(&tree, &options(4 * GIB));
    let text = run("e2fsck", &["-fn".as_ref(), image.as_os_str()]);
    assert!(text.contains("12/262144 files"), "{text}");
    let allocated = allocated(&image);
    assert!(allocated < 2 * MIB, "{allocated} bytes");

    // More than four pieces need a block of the tree.
    let stat = debugfs(&image, &["stat /large"]).remove(0);
    assert!(stat.contains("(ETB0):"), "{stat}");
    let requests: Vec<String> = marks
        .iter()
        .map(|at| format!("bmap /large {}", at / 4096))
        .collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let image = File::open(&image).unwrap();
    let image_path = _scratch.path().join("image");
    for (at, block) in marks.iter().zip(debugfs(&image_path, &requests)) {
        let block: u64 = block.trim().parse().unwrap();
        let mut found = [0; 3];
        image
            .read_exact_at(&mut found, block * 4096 + at % 4096)
            .unwrap();
        assert_eq!(found, at.to_le_bytes()[..3], "{at}");
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes_in_whatever_order_it_was_made() {
    let one = everyday_tree();
    let mut other = Tree::new();
    let (directories, rest): (Vec<_>, Vec<_>) = one
        .iter()
        .partition(|(_, entry)| entry.kind == Kind::Directory);
    for (path, entry) in directories.into_iter().chain(rest.into_iter().rev()) {
        other.insert(path, entry.clone()).unwrap();
    }
    let images = [&one, &one, &other].map(|tree| {
        let (_scratch, image) = image(tree, &options(150 * MIB));
        fs::read(image).unwrap()
    });
    assert!(images[0] == images[1]);
    assert!(images[0] == images[2]);
}
