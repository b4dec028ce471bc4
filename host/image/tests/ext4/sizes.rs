//! Filesystems of all sizes: whether they are right, what fits into them, and that they grow.

use nodeos_image::ext4::{self, MIN_SIZE, Options, WriteExt4Error};
use nodeos_image::tree::{Entry, Tree};

use crate::image::{GIB, MIB, allocated, assert_is_clean, assert_unpacks_to, image, options};
use crate::judges::run;
use crate::trees::{bytes, tree};

#[test]
fn filesystems_of_all_sizes_are_clean_and_take_little_space() {
    let group = 128 * MIB;
    for size in [
        MIN_SIZE,
        MIN_SIZE + 4096,
        32 * MIB - 4096,
        32 * MIB,
        64 * MIB,
        group - 4096,
        group,
        group + 4096,
        // Just too small and just large enough a last group.
        group + 565 * 4096,
        group + 566 * 4096,
        512 * MIB,
        16 * group,
        // Another flexible group, of one short group.
        16 * group + 600 * 4096,
        8 * GIB,
        // More descriptors than a block holds, and a journal in more than one group.
        8 * GIB + group,
        40 * GIB,
    ] {
        for tree in [Tree::new(), tree([("/file", Entry::file(0o644, *b"x"))])] {
            let (_scratch, image) = image(&tree, &options(size));
            assert_is_clean(&image);
            let allocated = allocated(&image);
            let metadata = MIB / 2 + size / 10_000;
            assert!(allocated < metadata, "{size}: {allocated} bytes");
        }
    }
}

#[test]
fn an_image_is_clean_with_any_number_of_inodes() {
    for bytes_per_inode in [4096, 5000, 1 << 20, u32::MAX] {
        for size in [MIN_SIZE, 64 * MIB, 300 * MIB, 3 * GIB] {
            let options = Options {
                bytes_per_inode,
                ..options(size)
            };
            let (_scratch, image) = image(&Tree::new(), &options);
            assert_is_clean(&image);
        }
    }
}

#[test]
fn a_filesystem_can_be_grown() {
    let mut tree = tree([
        ("/d", Entry::directory(0o700).owned_by(1000, 1000)),
        ("/d/large", Entry::file(0o600, bytes(5_000_000))),
    ]);
    for n in 0..500 {
        let file = Entry::file(0o644, n.to_string().as_bytes());
        tree.insert(format!("/d/{n}"), file).unwrap();
    }
    for (size, grown) in [
        // Within the group, and beyond it.
        (64 * MIB, 128 * MIB),
        (64 * MIB, 300 * MIB),
        (512 * MIB, GIB),
        // The descriptors need another block.
        (8 * GIB, 8 * GIB + 256 * MIB),
    ] {
        let (_scratch, image) = image(&tree, &options(size));
        let argument = format!("{}K", grown / 1024);
        run("resize2fs", &[image.as_os_str(), argument.as_ref()]);
        assert_is_clean(&image);
        let text = run("dumpe2fs", &["-h".as_ref(), image.as_os_str()]);
        let blocks = text
            .lines()
            .find_map(|line| line.strip_prefix("Block count:"));
        assert_eq!(blocks.unwrap().trim(), (grown / 4096).to_string());
        assert_unpacks_to(&image, &tree);
    }
}

#[test]
fn the_minimum_is_what_fits_and_a_block_less_does_not() {
    let many = |count: usize, size: usize| {
        let mut tree = Tree::new();
        for n in 0..count {
            let file = Entry::file(0o644, vec![1; size]);
            tree.insert(format!("/{n}"), file).unwrap();
        }
        tree
    };
    for tree in [
        Tree::new(),
        many(2000, 1),
        many(5000, 1),
        many(9000, 100),
        many(9, 10_000_000),
        many(15, 10_000_000),
    ] {
        let minimum = ext4::minimum_size(&tree, &options(0)).unwrap();
        let (_scratch, image) = image(&tree, &options(minimum));
        assert_is_clean(&image);
        let out = tempfile::tempfile().unwrap();
        let error = ext4::write(&tree, &options(minimum - 4096), &out).unwrap_err();
        let hint = error.hint().unwrap();
        match error {
            WriteExt4Error::Size { .. } => assert_eq!(minimum, MIN_SIZE),
            WriteExt4Error::DoesNotFit { minimum: said, .. }
            | WriteExt4Error::TooManyFiles { minimum: said, .. } => {
                assert_eq!(said, minimum);
                assert!(hint.contains(&minimum.to_string()), "{hint}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(out.metadata().unwrap().len(), 0);
    }
}
