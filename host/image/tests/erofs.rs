//! `fsck.erofs` and `dump.erofs` judge our EROFS images.

mod judges;
mod trees;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use judges::{run, try_run};
use nodeos_image::erofs::{self, Options, WriteErofsError};
use nodeos_image::tree::{Content, Entry, Kind, Tree};
use tempfile::TempDir;
use trees::{bytes, everyday_tree, tree};

const MIB: u64 = 1 << 20;

fn options() -> Options {
    Options {
        uuid: *b"0123456789abcdef",
        label: "nodeos-test".into(),
        mtime: 1_500_000_000,
        large_file_alignment: 2 * MIB,
        image_alignment: 2 * MIB,
    }
}

/// An image of `tree` in a folder of its own.
fn image(tree: &Tree, options: &Options) -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("image");
    let size = erofs::write(tree, options, &File::create(&path).unwrap()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    (scratch, path)
}

/// Every path below `root`, as the tree would call it.
fn unpacked_paths(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([PathBuf::from("/")]);
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            found.insert(Path::new("/").join(path.strip_prefix(root).unwrap()));
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// Lets `fsck.erofs` unpack the image, and compares.
fn assert_unpacks_to(image: &Path, tree: &Tree) {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    run(
        "fsck.erofs",
        &[
            format!("--extract={}", root.display()).as_ref(),
            "--preserve-perms".as_ref(),
            "--no-preserve-owner".as_ref(),
            image.as_os_str(),
        ],
    );
    let expected: BTreeSet<PathBuf> = tree.iter().map(|(p, _)| p.to_path_buf()).collect();
    assert_eq!(unpacked_paths(&root), expected);
    for (path, entry) in tree.iter() {
        let unpacked = root.join(path.strip_prefix("/").unwrap());
        let found = unpacked.symlink_metadata().unwrap();
        let mode = u32::from(entry.st_mode());
        assert_eq!(found.mode(), mode, "{path:?}: {:o}", found.mode());
        match &entry.kind {
            Kind::File(Content::Bytes(bytes)) => {
                assert!(fs::read(&unpacked).unwrap() == **bytes, "{path:?}")
            }
            Kind::File(Content::Host { path: host, .. }) => {
                let (ours, theirs) = (fs::read(&unpacked), fs::read(host));
                assert!(ours.unwrap() == theirs.unwrap(), "{path:?}")
            }
            Kind::Symlink(target) => assert_eq!(&fs::read_link(&unpacked).unwrap(), target),
            _ => {}
        }
    }
}

#[test]
fn fsck_unpacks_exactly_what_the_tree_holds() {
    let tree = everyday_tree();
    let (_scratch, image) = image(&tree, &options());
    assert_unpacks_to(&image, &tree);
}

#[test]
fn directories_whose_entries_end_at_a_blocks_end_are_whole() {
    // Block one: 27 bytes for `.` and `..`, 124 for the link, and 15 files of 12 + 251 bytes, which makes 4096; less
    // fits with the greater widths.
    for width in 251..=255 {
        let link = format!("/.{}", "-".repeat(111));
        let mut tree = tree([(link, Entry::symlink("x"))]);
        for n in 0..40 {
            tree.insert(format!("/{n:0>width$}"), Entry::file(0o644, [n]))
                .unwrap();
        }
        let (_scratch, image) = image(&tree, &options());
        assert_unpacks_to(&image, &tree);
    }
}

#[test]
fn fsck_notices_a_changed_superblock_so_the_checksum_is_checked() {
    let (_scratch, image) = image(&Tree::new(), &options());
    run("fsck.erofs", &[&image]);
    let file = File::options().write(true).open(&image).unwrap();
    // The label, which nothing else depends on.
    file.write_all_at(b"N", 1024 + 64).unwrap();
    let error = try_run("fsck.erofs", &[&image]).unwrap_err();
    assert!(error.contains("failed to verify superblock"), "{error}");
}

#[test]
fn the_superblock_says_what_the_options_said() {
    let (_scratch, image) = image(&everyday_tree(), &options());
    let text = run("dump.erofs", &["-s".as_ref(), image.as_os_str()]);
    let check = |field: &str, expected: &str| {
        let line = text.lines().find(|line| line.contains(field));
        let line = line.unwrap_or_else(|| panic!("no {field} in {text}"));
        assert!(line.ends_with(expected), "{line}");
    };
    check("inode count", &everyday_tree().iter().count().to_string());
    check("created", "Fri Jul 14 02:40:00 2017");
    check("features", "sb_csum mtime ");
    check("UUID", "30313233-3435-3637-3839-616263646566");
}

#[test]
fn owners_kinds_and_links_are_what_dump_erofs_sees() {
    let mut tree = tree([
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
    let (_scratch, image) = image(&tree, &options());
    run("fsck.erofs", &[&image]);

    let check = |path: &str, kind: &str, owner: (u32, u32), access: &str, links: u32| {
        let path = format!("--path={path}");
        let text = run("dump.erofs", &[path.as_ref(), image.as_os_str()]);
        let (uid, gid) = owner;
        for expected in [
            format!("{kind}\n"),
            format!("Uid: {uid} "),
            format!("Gid: {gid} "),
            format!("Access: {access}\n"),
            format!("Links: {links} "),
            "Timestamp: 2017-07-14 02:40:00.000000000\n".into(),
            // Never a tail beside the inode, which would end direct mapping without a word.
            "Layout: 0 ".into(),
        ] {
            assert!(text.contains(&expected), "no {expected:?} in {text}");
        }
    };
    // It leaves out set-user-ID and the like, which unpacking shows.
    let root = (0, 0);
    check("/dev", "directory", root, "0755/rwxr-xr-x", 2);
    check("/dev/console", "char dev", root, "0600/rw-------", 1);
    check("/dev/disk", "block dev", (0, 6), "0660/rw-rw----", 1);
    check("/dev/pipe", "FIFO file", root, "0622/rw--w--w-", 1);
    let most = (65_535, 65_535);
    check("/most", "regular file", most, "0755/rwxr-xr-x", 1);
    check("/uid", "regular file", (70_000, 1), "0755/rwxr-xr-x", 1);
    check("/gid", "directory", (1, 4_294_967_294), "0755/rwxr-xr-x", 2);
    check("/link", "symlink file", (3, 4), "0777/rwxrwxrwx", 1);
    check("/wide", "directory", root, "0755/rwxr-xr-x", 1002);
}

#[test]
fn large_files_begin_at_huge_pages_and_small_ones_before_them() {
    let check = |alignment: u64, image_alignment: u64| {
        let mut tree = tree([
            ("/a", Entry::file(0o644, bytes(3 << 20))),
            ("/b", Entry::file(0o644, *b"small")),
            ("/c", Entry::file(0o644, bytes(5 << 20))),
        ]);
        let marker = |n: u8| [[n; 8].as_slice(), b" begins here"].concat();
        for (n, path) in [(1, "/a"), (3, "/c")] {
            let entry = tree.get(path).unwrap().clone();
            let Kind::File(Content::Bytes(old)) = &entry.kind else {
                unreachable!()
            };
            let new = [marker(n), old[20..].to_vec()].concat();
            tree.insert(path, Entry::file(0o644, new)).unwrap();
        }
        let options = Options {
            large_file_alignment: alignment,
            image_alignment,
            ..options()
        };
        let (_scratch, image) = image(&tree, &options);
        let image = fs::read(image).unwrap();
        let find = |what: &[u8]| {
            let at = image.windows(what.len()).position(|w| w == what);
            at.unwrap() as u64
        };
        let (a, b, c) = (find(&marker(1)), find(b"small"), find(&marker(3)));
        assert_eq!((a % alignment, c % alignment), (0, 0));
        assert!(b < a && a < c);
        assert_eq!(image.len() as u64 % image_alignment, 0);
    };
    check(2 * MIB, 2 * MIB);
    check(MIB, 16 * MIB);
    check(4096, 4096);
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
    let (_scratch, image) = image(&tree, &options());
    assert_unpacks_to(&image, &tree);
    let allocated = fs::metadata(&image).unwrap().blocks() * 512;
    assert!(allocated < MIB, "{allocated} bytes");
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
        let (_scratch, image) = image(tree, &options());
        fs::read(image).unwrap()
    });
    assert!(images[0] == images[1]);
    assert!(images[0] == images[2]);
}

#[test]
fn an_image_is_not_written_from_or_into_what_would_corrupt_it() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::write(&source, bytes(10_000)).unwrap();
    let tree = tree([("/file", Entry::host_file(0o644, &source).unwrap())]);
    let check = |options: Options, content: &[u8], expected: &str| {
        let mut out = tempfile::tempfile().unwrap();
        out.write_all(content).unwrap();
        let error: WriteErofsError = erofs::write(&tree, &options, &out).unwrap_err();
        assert_eq!(error.to_string(), expected);
        error
    };
    let alignment = "an alignment of 6000 bytes is not a power of two of at least 4096";
    for (large_file_alignment, image_alignment) in [(6000, 4096), (4096, 6000)] {
        let wrong = Options {
            large_file_alignment,
            image_alignment,
            ..options()
        };
        check(wrong, b"", alignment);
    }
    let wrong = Options {
        label: "sixteen bytes ..".into(),
        ..options()
    };
    check(
        wrong,
        b"",
        "the label \"sixteen bytes ..\" is not made of at most 15 bytes without a zero",
    );
    check(options(), b"old", "the file for the image is not empty");

    fs::write(&source, bytes(10_001)).unwrap();
    let error = check(options(), b"", "cannot copy \"/file\" into the image");
    assert!(error.hint().unwrap().contains("try again"));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.ends_with("is no longer 10000 bytes long"), "{cause}");
}

#[test]
fn what_no_image_can_address_is_refused_and_not_attempted() {
    for size in [16 << 40, u64::MAX] {
        let path = PathBuf::from("/no/such/file");
        let kind = Kind::File(Content::Host { path, size });
        let entry = Entry {
            kind,
            ..Entry::file(0o644, [])
        };
        let out = tempfile::tempfile().unwrap();
        let error = erofs::write(&tree([("/x", entry)]), &options(), &out).unwrap_err();
        assert!(matches!(error, WriteErofsError::TooLarge), "{error}");
        assert_eq!(out.metadata().unwrap().len(), 0);
    }
}

/// A tree without what a file is read from: its contents instead.
fn contents(tree: &Tree) -> Vec<(PathBuf, Entry)> {
    let entries = tree.iter().map(|(path, entry)| {
        let mut entry = entry.clone();
        if let Kind::File(content) = &entry.kind {
            let mut bytes = Vec::new();
            content.open().unwrap().read_to_end(&mut bytes).unwrap();
            entry.kind = Kind::File(Content::Bytes(bytes.into()));
        }
        (path.to_owned(), entry)
    });
    entries.collect()
}

#[test]
fn what_was_written_is_read_back() {
    let mut written = everyday_tree();
    for (path, entry) in [
        ("/tty", Entry::char_device(0o620, 5, 0xf_1234)),
        ("/disk", Entry::block_device(0o660, 0xabc, 1)),
        ("/pipe", Entry::fifo(0o600)),
    ] {
        written.insert(path, entry).unwrap();
    }
    let (_scratch, path) = image(&written, &options());
    let read = erofs::read(&path).unwrap();
    assert_eq!(read.uuid, options().uuid);
    assert!(contents(&read.tree) == contents(&written));
    // And the same image comes of it again: nothing is lost.
    let (_again, again) = image(&read.tree, &options());
    assert!(fs::read(&again).unwrap() == fs::read(&path).unwrap());
}

#[test]
fn a_damaged_image_is_an_error_and_never_a_panic() {
    let mut small = tree([
        ("/folder", Entry::directory(0o755)),
        ("/folder/link", Entry::symlink("file")),
        ("/folder/tty", Entry::char_device(0o620, 5, 1)),
    ]);
    // More inodes than the block that has a checksum, and more names than a block.
    for n in 0..80 {
        let entry = Entry::file(0o644, [n]).owned_by(n.into(), 100_000);
        let name = format!("/folder/{n}{}", "x".repeat(50));
        small.insert(name, entry).unwrap();
    }
    let options = Options {
        large_file_alignment: 4096,
        image_alignment: 4096,
        ..options()
    };
    let (_scratch, path) = image(&small, &options);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let flip = |at: u64, bits: u8| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ bits], at).unwrap();
    };
    let mut refused = 0;
    for at in (4096..20_000).step_by(11) {
        flip(at, 0xa5);
        refused += usize::from(erofs::read(&path).is_err());
        flip(at, 0xa5);
    }
    // A name or an owner can be another one, and an image all the same.
    assert!(refused > 100, "{refused}");
    let said = || erofs::read(&path).unwrap_err().to_string();
    flip(1024 + 16, 1);
    assert!(said().ends_with("its superblock has another checksum"));
    flip(1024 + 16, 1);
    assert!(contents(&erofs::read(&path).unwrap().tree) == contents(&small));
    let length = file.metadata().unwrap().len();
    file.set_len(length - 1).unwrap();
    assert!(said().contains("is damaged: it ends at"), "{}", said());
    file.set_len(0).unwrap();
    file.set_len(length).unwrap();
    assert!(said().ends_with("is no EROFS image"), "{}", said());
}
