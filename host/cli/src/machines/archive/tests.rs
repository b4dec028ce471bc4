//! What goes there and back, and what a machine may not do.

use std::os::unix::fs::symlink;

use tar::Header;
use tempfile::TempDir;

use super::*;

fn packed(path: &Path, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(path, name, &mut bytes).unwrap();
    bytes
}

/// An archive with names as they are, which `tar` itself would not write.
fn entry(name: &str, kind: EntryType, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn into(folder: &Path) -> Placement {
    Placement {
        folder: folder.to_owned(),
        name: None,
    }
}

/// A folder to unpack into, and one beside it where nothing must appear.
fn scratch() -> (TempDir, PathBuf, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let [inside, outside] = ["inside", "outside"].map(|name| scratch.path().join(name));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    (scratch, inside, outside)
}

#[test]
fn a_folder_comes_back_as_it_was_and_by_another_name() {
    let (scratch, inside, _) = scratch();
    let folder = scratch.path().join("folder");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/file"), b"\0text").unwrap();
    symlink("sub/file", folder.join("link")).unwrap();
    let bytes = packed(&folder, &name_of(&folder).unwrap());
    assert!(begins_with_folder(bytes.as_slice()));
    unpack(bytes.as_slice(), &into(&inside)).unwrap();
    unpack(bytes.as_slice(), &Placement::on_host(&inside.join("other"))).unwrap();
    for name in ["folder", "other"] {
        assert_eq!(
            fs::read(inside.join(name).join("sub/file")).unwrap(),
            b"\0text"
        );
        assert_eq!(
            fs::read_link(inside.join(name).join("link")).unwrap(),
            Path::new("sub/file")
        );
    }
    // A second time, into what is there now.
    unpack(bytes.as_slice(), &Placement::on_host(&inside)).unwrap();
}

#[test]
fn a_file_gets_the_name_of_its_destination() {
    let (scratch, inside, _) = scratch();
    let file = scratch.path().join("file");
    fs::write(&file, "text").unwrap();
    let bytes = packed(&file, "file");
    assert!(!begins_with_folder(bytes.as_slice()));
    unpack(bytes.as_slice(), &Placement::on_host(&inside.join("name"))).unwrap();
    assert_eq!(fs::read(inside.join("name")).unwrap(), b"text");
    assert_eq!(Placement::on_host(Path::new("name")).folder, Path::new("."));
    assert!(matches!(
        pack(&scratch.path().join("nowhere"), "x", io::sink()),
        Err(ArchiveError::Read { .. })
    ));
}

#[test]
fn nothing_comes_to_lie_outside() {
    let check = |archive: &dyn Fn(&Path) -> Vec<u8>| {
        let (_scratch, inside, outside) = scratch();
        let bytes = archive(&outside);
        let unpacked = unpack(bytes.as_slice(), &into(&inside));
        assert!(unpacked.is_err(), "it should be refused");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    };
    let file = EntryType::Regular;
    check(&|_| entry("../outside/x", file, "", b"x"));
    check(&|_| entry("a/../../outside/x", file, "", b"x"));
    check(&|outside| entry(&format!("{}/x", outside.display()), file, "", b"x"));
    check(&|outside| {
        let link = entry("a", EntryType::Symlink, &outside.display().to_string(), b"");
        [link, entry("a/x", file, "", b"x")].concat()
    });
    check(&|outside| {
        let link = entry("a", EntryType::Symlink, &outside.display().to_string(), b"");
        [link, entry("a", EntryType::Directory, "", b"")].concat()
    });
    check(&|_| entry("a", EntryType::Link, "../outside/x", b""));
}

#[test]
fn a_link_that_is_there_is_replaced_and_not_written_through() {
    let (_scratch, inside, outside) = scratch();
    fs::write(outside.join("x"), "old").unwrap();
    symlink(outside.join("x"), inside.join("a")).unwrap();
    let bytes = entry("a", EntryType::Regular, "", b"new");
    unpack(bytes.as_slice(), &into(&inside)).unwrap();
    assert_eq!(fs::read(outside.join("x")).unwrap(), b"old");
    assert_eq!(fs::read(inside.join("a")).unwrap(), b"new");
}

#[test]
fn hard_links_are_made_where_the_files_are() {
    let (_scratch, inside, _) = scratch();
    let bytes = [
        entry("a/", EntryType::Directory, "", b""),
        entry("a/one", EntryType::Regular, "", b"text"),
        entry("a/two", EntryType::Link, "a/one", b""),
        entry("a/device", EntryType::Char, "", b""),
    ]
    .concat();
    unpack(bytes.as_slice(), &Placement::on_host(&inside.join("b"))).unwrap();
    assert_eq!(fs::read(inside.join("b/two")).unwrap(), b"text");
    assert!(!inside.join("b/device").exists());
    assert!(matches!(
        unpack(&b""[..], &into(&inside)),
        Err(ArchiveError::Empty)
    ));
}
