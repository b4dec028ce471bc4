//! Making an image, and asking about it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nodeos_image::ext4::{self, BYTES_PER_INODE, Options};
use nodeos_image::tree::{Content, Kind, Tree};
use tempfile::TempDir;

use crate::judges::run;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) const GIB: u64 = 1 << 30;

pub(crate) fn options(size: u64) -> Options {
    Options {
        uuid: *b"0123456789abcdef",
        hash_seed: *b"fedcba9876543210",
        label: "nodeos-test-name".into(),
        time: 1_500_000_000,
        size,
        bytes_per_inode: BYTES_PER_INODE,
    }
}

/// An image of `tree` in a folder of its own.
pub(crate) fn image(tree: &Tree, options: &Options) -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("image");
    let size = ext4::write(tree, options, &File::create(&path).unwrap()).unwrap();
    assert_eq!(size, options.size);
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    (scratch, path)
}

/// `e2fsck` has nothing to say but how full it is: `LABEL: 12/512 files (0.0% non-contiguous), 1107/2048 blocks`.
pub(crate) fn assert_is_clean(image: &Path) {
    let text = run("e2fsck", &["-fn".as_ref(), image.as_os_str()]);
    let lines: Vec<&str> = text.lines().collect();
    let is_pass = |line: &&str| line.starts_with("Pass ") || line.starts_with("e2fsck 1.");
    let said: Vec<&&str> = lines.iter().filter(|line| !is_pass(line)).collect();
    assert_eq!(said.len(), 1, "{text}");
    assert!(said[0].ends_with(" blocks"), "{text}");
}

/// What `debugfs` says to each request.
pub(crate) fn debugfs(image: &Path, requests: &[&str]) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let script = scratch.path().join("script");
    fs::write(&script, requests.join("\n")).unwrap();
    let text = run(
        "debugfs",
        &["-f".as_ref(), script.as_os_str(), image.as_os_str()],
    );
    let (text, _version) = text.rsplit_once("debugfs 1.").unwrap();
    let answers = text.split("debugfs: ").skip(1);
    let answers = answers.map(|answer| answer.split_once('\n').unwrap().1.to_owned());
    answers.collect()
}

/// Lets `debugfs` unpack the image, and compares.
pub(crate) fn assert_unpacks_to(image: &Path, tree: &Tree) {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    fs::create_dir(&root).unwrap();
    let request = format!("rdump / {}", root.display());
    let text = run(
        "debugfs",
        &["-R".as_ref(), request.as_ref(), image.as_os_str()],
    );
    // Who is not root cannot give files away, which the program mentions; the owners are compared elsewhere.
    let is_mistake = |line: &&str| !line.starts_with("debugfs 1.") && !line.contains("owner");
    assert_eq!(text.lines().find(is_mistake), None);
    for (path, entry) in tree.iter().skip(1) {
        let unpacked = root.join(path.strip_prefix("/").unwrap());
        let found = unpacked.symlink_metadata().unwrap();
        if !matches!(entry.kind, Kind::Symlink(_)) {
            // It leaves out set-user-ID and the like, which are compared elsewhere.
            let mode = u32::from(entry.st_mode() & !0o7000);
            assert_eq!(found.mode(), mode, "{path:?}: {:o}", found.mode());
        }
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

pub(crate) fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}
