//! `cpio`, `tar` and `lz4` judge our archives.

mod judges;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use judges::run;
use nodeos_image::lz4::Lz4Writer;
use nodeos_image::tree::{Entry, Kind, Tree};
use nodeos_image::{cpio, tar};
use tempfile::TempDir;

const MTIME: u32 = 1_500_000_000;

/// One of everything.
fn tree() -> Tree {
    let long = "n".repeat(255);
    let entries = [
        ("/".into(), Entry::directory(0o711).owned_by(1, 2)),
        ("/bin".into(), Entry::directory(0o755)),
        ("/bin/node".into(), Entry::file(0o4755, *b"four")),
        ("/bin/empty".into(), Entry::file(0o600, [])),
        ("/bin/sh".into(), Entry::symlink("node").owned_by(7, 8)),
        ("/dev".into(), Entry::directory(0o1777)),
        ("/dev/console".into(), Entry::char_device(0o622, 5, 1)),
        (
            "/dev/disk".into(),
            Entry::block_device(0o660, 259, 70_000).owned_by(0, 6),
        ),
        ("/dev/pipe".into(), Entry::fifo(0o640)),
        (format!("/{long}"), Entry::directory(0o700)),
        (
            format!("/{long}/{long}"),
            Entry::file(0o644, *b"x").owned_by(70_000, 4_000_000_000),
        ),
        (
            format!("/{long}/link"),
            Entry::symlink(format!("../{long}")),
        ),
    ];
    let mut tree = Tree::new();
    for (path, entry) in entries {
        tree.insert(path, entry).unwrap();
    }
    tree
}

/// What a listing has to say about each entry, as words: mode, owner, group, size or device, name, `->`, target.
fn listing(tree: &Tree, name: impl Fn(&str, &Kind) -> String) -> Vec<String> {
    let line = |(path, entry): (&Path, &Entry)| {
        let kind = &entry.kind;
        let (letter, what) = match kind {
            Kind::Directory => ('d', "0".into()),
            Kind::File(content) => ('-', content.len().to_string()),
            Kind::Symlink(_) => ('l', "0".into()),
            Kind::CharDevice { major, minor } => ('c', format!("{major},{minor}")),
            Kind::BlockDevice { major, minor } => ('b', format!("{major},{minor}")),
            Kind::Fifo => ('p', "0".into()),
        };
        let target = match kind {
            Kind::Symlink(target) => format!(" -> {}", target.display()),
            _ => String::new(),
        };
        let (uid, gid, mode) = (entry.uid, entry.gid, permissions(entry.mode));
        let name = name(&path.to_str().unwrap()[1..], kind);
        format!("{letter}{mode} {uid} {gid} {what} {name}{target}")
    };
    tree.iter().map(line).collect()
}

/// `rwxr-xr-x`, as `ls` writes it.
fn permissions(mode: u16) -> String {
    let special = [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')];
    let mut text = String::new();
    for (class, (bit, letter)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * class);
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & bit != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A file with what `write` writes, in a folder of its own.
fn written(write: impl Fn(&mut dyn Write)) -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("archive");
    write(&mut File::create(&path).unwrap());
    (scratch, path)
}

#[test]
fn cpio_lists_what_the_tree_holds() {
    let (_scratch, archive) = written(|out| cpio::write(&tree(), MTIME, out).unwrap());
    let archive = format!("--file={}", archive.display());
    let text = run("cpio", &["-itv", "--numeric-uid-gid", "--quiet", &archive]);
    // crw--w--w-   1 0        0          5,   1 Jul 14  2017 dev/console
    let found: Vec<String> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (what, rest) = match words[4].ends_with(',') {
                true => (words[4].to_owned() + words[5], &words[6..]),
                false => (words[4].to_owned(), &words[5..]),
            };
            assert_eq!(rest[..3], ["Jul", "14", "2017"], "{line}");
            // The length of a link's text is not what the tree calls a size.
            let what = if line.starts_with('l') { "0" } else { &what };
            let (mode, uid, gid) = (words[0], words[2], words[3]);
            format!("{mode} {uid} {gid} {what} {}", rest[3..].join(" "))
        })
        .collect();
    let expected = listing(&tree(), |name, _| match name {
        "" => ".".into(),
        name => name.into(),
    });
    assert_eq!(found, expected);
}

#[test]
fn cpio_unpacks_what_the_files_held() {
    let big: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    let scratch = tempfile::tempdir().unwrap();
    let host = scratch.path().join("host");
    fs::write(&host, &big).unwrap();
    let mut tree = Tree::new();
    for (path, entry) in [
        ("/bytes", Entry::file(0o644, big.clone())),
        ("/host", Entry::host_file(0o644, &host).unwrap()),
        ("/last", Entry::file(0o644, *b"last")),
    ] {
        tree.insert(path, entry).unwrap();
    }
    let (_scratch, archive) = written(|out| cpio::write(&tree, MTIME, out).unwrap());
    let archive = format!("--file={}", archive.display());
    for (name, expected) in [("bytes", &big[..]), ("host", &big), ("last", b"last")] {
        let to = scratch.path().join("unpacked");
        let folder = format!("--directory={}", to.display());
        fs::create_dir_all(&to).unwrap();
        run("cpio", &["-iu", "--quiet", &folder, &archive, name]);
        assert!(fs::read(to.join(name)).unwrap() == expected, "{name}");
    }
}

#[test]
fn tar_lists_what_the_tree_holds() {
    let (_scratch, archive) = written(|out| tar::write(&tree(), MTIME.into(), out).unwrap());
    let archive = format!("--file={}", archive.display());
    let text = run("tar", &["--list", "-v", "--numeric-owner", &archive]);
    // crw--w--w- 0/0             5,1 2017-07-14 02:40 dev/console
    let found: Vec<String> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[3..5], ["2017-07-14", "02:40"], "{line}");
            let (mode, owner, what) = (words[0], words[1].replace('/', " "), words[2]);
            format!("{mode} {owner} {what} {}", words[5..].join(" "))
        })
        .collect();
    let expected = listing(&tree(), |name, kind| match (name, kind) {
        ("", _) => "./".into(),
        (name, Kind::Directory) => format!("{name}/"),
        (name, _) => name.into(),
    });
    assert_eq!(found, expected);
}

#[test]
fn tar_unpacks_what_a_file_of_the_host_held() {
    let scratch = tempfile::tempdir().unwrap();
    let host = scratch.path().join("host");
    fs::write(&host, vec![7; 1_000_001]).unwrap();
    let mut tree = Tree::new();
    tree.insert("/file", Entry::host_file(0o644, &host).unwrap())
        .unwrap();
    let (_scratch, archive) = written(|out| tar::write(&tree, MTIME.into(), out).unwrap());
    let archive = format!("--file={}", archive.display());
    let folder = format!("--directory={}", scratch.path().display());
    run("tar", &["--extract", &archive, &folder]);
    assert!(fs::read(scratch.path().join("file")).unwrap() == vec![7; 1_000_001]);
}

#[test]
fn lz4_unpacks_a_packed_archive() {
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7 % 253) as u8).collect();
    let (scratch, packed) = written(|out| {
        let mut writer = Lz4Writer::new(out).unwrap();
        writer.write_all(&bytes).unwrap();
        writer.finish().unwrap();
    });
    assert!(fs::metadata(&packed).unwrap().len() < bytes.len() as u64 / 10);
    let unpacked = scratch.path().join("unpacked");
    run(
        "lz4",
        &["-d".as_ref(), packed.as_os_str(), unpacked.as_os_str()],
    );
    assert!(fs::read(&unpacked).unwrap() == bytes);
}

#[test]
fn the_same_tree_gives_the_same_archives() {
    let archives = [tree(), tree()].map(|tree| {
        let (mut cpio, mut tar) = (Vec::new(), Vec::new());
        cpio::write(&tree, MTIME, &mut cpio).unwrap();
        tar::write(&tree, MTIME.into(), &mut tar).unwrap();
        (cpio, tar)
    });
    assert!(archives[0] == archives[1]);
}

#[test]
fn a_host_file_that_changed_is_an_error_and_no_archive() {
    let scratch = tempfile::tempdir().unwrap();
    let host = scratch.path().join("host");
    fs::write(&host, "12345").unwrap();
    let mut tree = Tree::new();
    tree.insert("/file", Entry::host_file(0o644, &host).unwrap())
        .unwrap();
    for now in ["1234", "123456"] {
        fs::write(&host, now).unwrap();
        let error = cpio::write(&tree, MTIME, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "cannot copy \"/file\" into the archive");
        assert!(error.hint().unwrap().contains("try again"));
        let error = tar::write(&tree, MTIME.into(), &mut std::io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "cannot put \"/file\" into the archive");
        assert!(error.hint().unwrap().contains("try again"));
    }
}
