//! What is refused, and how it is said.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use nodeos_image::ext4::{self, MAX_SIZE, MIN_SIZE, Options, WriteExt4Error};
use nodeos_image::tree::{Content, Entry, Kind, Tree};

use crate::image::options;
use crate::trees::{bytes, tree};

#[test]
fn an_image_is_not_written_from_or_into_what_would_corrupt_it() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::write(&source, bytes(8192)).unwrap();
    let tree = tree([("/file", Entry::host_file(0o644, &source).unwrap())]);
    let check = |tree: &Tree, options: Options, content: &[u8], expected: &str| {
        let mut out = tempfile::tempfile().unwrap();
        out.write_all(content).unwrap();
        let error: WriteExt4Error = ext4::write(tree, &options, &out).unwrap_err();
        assert_eq!(error.to_string(), expected);
        error
    };
    for size in [
        0,
        4096,
        MIN_SIZE - 4096,
        MIN_SIZE + 1,
        MAX_SIZE + 4096,
        u64::MAX,
    ] {
        let expected = format!(
            "a filesystem of {size} bytes is not possible: the size is a multiple of 4096 from 8 MiB to 8 TiB"
        );
        let error = check(&tree, options(size), b"", &expected);
        assert!(error.hint().unwrap().contains("the next size"));
    }
    let wrong = Options {
        bytes_per_inode: 4095,
        ..options(MIN_SIZE)
    };
    let expected = "an inode for every 4095 bytes is not possible: 4096 are the least";
    check(&tree, wrong, b"", expected);
    let wrong = Options {
        label: "seventeen bytes .".into(),
        ..options(MIN_SIZE)
    };
    let expected = "the label \"seventeen bytes .\" is not made of at most 16 bytes without a zero";
    check(&tree, wrong, b"", expected);
    let expected = "the file for the image is not empty";
    check(&tree, options(MIN_SIZE), b"old", expected);
    let mut wrong = tree.clone();
    wrong.insert("/lost+found", Entry::file(0o644, [])).unwrap();
    let expected = "/lost+found of the tree is not a directory";
    check(&wrong, options(MIN_SIZE), b"", expected);

    // One byte more, behind a content of whole blocks, and one less.
    for size in [8191, 8193] {
        fs::write(&source, bytes(size)).unwrap();
        let expected = "cannot copy \"/file\" into the image";
        let error = check(&tree, options(MIN_SIZE), b"", expected);
        assert!(error.hint().unwrap().contains("try again"));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.ends_with("is no longer 8192 bytes long"), "{cause}");
    }
}

#[test]
fn what_no_image_can_hold_is_refused_and_not_attempted() {
    for size in [8 << 40, u64::MAX] {
        let path = PathBuf::from("/no/such/file");
        let kind = Kind::File(Content::Host { path, size });
        let entry = Entry {
            kind,
            ..Entry::file(0o644, [])
        };
        let tree = tree([("/x", entry.clone()), ("/y", entry)]);
        let out = tempfile::tempfile().unwrap();
        let error = ext4::write(&tree, &options(MIN_SIZE), &out).unwrap_err();
        assert!(matches!(error, WriteExt4Error::TooLarge), "{error}");
        assert_eq!(out.metadata().unwrap().len(), 0);
    }
}
