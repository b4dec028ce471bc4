//! Directories, small and large.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nodeos_image::ext4::Options;
use nodeos_image::tree::{Entry, Tree};

use crate::image::{GIB, MIB, assert_is_clean, assert_unpacks_to, debugfs, image, options};
use crate::trees::tree;

#[test]
fn every_name_in_a_large_directory_is_found_through_its_index() {
    let check = |names: Vec<Vec<u8>>, levels: u32| {
        let mut tree = tree([("/d", Entry::directory(0o755))]);
        for name in &names {
            let path = Path::new("/d").join(std::ffi::OsStr::from_bytes(name));
            tree.insert(path, Entry::fifo(0o644)).unwrap();
        }
        let options = Options {
            bytes_per_inode: 4096,
            ..options(GIB)
        };
        let (_scratch, image) = image(&tree, &options);
        // It checks every hash, and the order of the hashes.
        assert_is_clean(&image);
        let text = debugfs(&image, &["htree_dump /d"]).remove(0);
        let expected = format!("Indirect levels: {levels}");
        let count = names.len();
        assert!(text.contains(&expected), "{count}: {}", &text[..400]);
    };
    let plain = |count: usize| (0..count).map(|n| n.to_string().into_bytes()).collect();
    check(plain(400), 0);
    check(plain(5000), 0);
    let long = |n: usize| format!("{n:0>255}").into_bytes();
    // 15 of these fill a block, and the root leads to 507 blocks, other nodes to 510.
    check((0..507 * 15).map(long).collect(), 0);
    check((0..507 * 15 + 1).map(long).collect(), 1);
    check((0..510 * 15 + 1).map(long).collect(), 1);
    // All lengths, and bytes that are negative where characters are signed.
    let any = |n: usize| {
        let byte = |at: usize| match (n * 31 + at * 17) % 256 {
            0 | 0x2F => b'x',
            other => other as u8,
        };
        let rest = (0..n % 250).map(byte);
        format!("{n:05}")
            .into_bytes()
            .into_iter()
            .chain(rest)
            .collect()
    };
    check((0..2000).map(any).collect(), 0);
}

#[test]
fn directories_around_a_block_are_whole() {
    // `.`, `..` and the checksum take 36 bytes of a block; 254 names of 8 bytes take 16 each, which leaves none.
    for names in 252..=256 {
        let mut tree = Tree::new();
        for n in 0..names {
            let file = format!("/d/{n:08}");
            tree.insert_with_folders(file, Entry::file(0o644, []), 0o755)
                .unwrap();
        }
        let (_scratch, image) = image(&tree, &options(64 * MIB));
        assert_is_clean(&image);
        assert_unpacks_to(&image, &tree);
    }
}

#[test]
fn names_of_one_hash_can_lie_in_two_blocks() {
    // 14 names fill the first block up to the first of two that have the same hash, the greatest of all.
    let mut tree = Tree::new();
    for n in (0..14).chain([24_755, 250_856]) {
        let file = format!("/d/{n:0>255}");
        tree.insert_with_folders(file, Entry::fifo(0o644), 0o755)
            .unwrap();
    }
    let (_scratch, image) = image(&tree, &options(64 * MIB));
    assert_is_clean(&image);
    let text = debugfs(&image, &["htree_dump /d"]).remove(0);
    let second = "Entry #1: Hash 0xfe4589f1, block 2";
    assert!(text.contains(second), "no {second} in {text}");
}
