//! ISO 9660 filesystems, judged by xorriso, which shows names as they are written: in capitals.

mod judges;

use std::fs::{self, File};
use std::path::Path;

use nodeos_image::iso9660::{self, BootImage, Options, Platform, SECTOR};
use nodeos_image::tree::Content;

const MIB: u64 = 1 << 20;

fn write(path: &Path) {
    let bytes = |bytes: &[u8]| Content::Bytes(bytes.into());
    let mut files = vec![
        ("nodeos/core.img".to_owned(), bytes(&[7; 5000])),
        ("nodeos/a/kernel".to_owned(), bytes(&[9; 70_000])),
        ("nodeos/grub.cfg".to_owned(), bytes(b"a menu\n")),
        ("nodeos/empty".to_owned(), bytes(b"")),
    ];
    // A directory of more than a sector.
    for number in 0..60 {
        let text = number.to_string();
        files.push((format!("many/file{number}.txt"), bytes(text.as_bytes())));
    }
    let (places, end) = iso9660::places(&files, MIB);
    let size = (end + 64 * SECTOR).next_multiple_of(MIB);
    let boot = |platform, at, sectors| BootImage {
        platform,
        at,
        sectors,
    };
    let options = Options {
        volume: "NODEOS".to_owned(),
        day: (2014, 3, 1),
        files_at: MIB,
        size,
        boot: vec![
            boot(Platform::Bios, places[0].start, 4),
            boot(Platform::Uefi, end, 256),
        ],
    };
    let out = File::create_new(path).unwrap();
    out.set_len(size).unwrap();
    iso9660::write(&files, &options, &out).unwrap();
}

#[test]
fn xorriso_reads_what_was_written_without_complaint() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("medium.iso");
    let name = path.to_str().unwrap();
    write(&path);
    let read = |words: &[&str]| {
        let words = [&["-indev", name], words].concat();
        judges::run("xorriso", &words)
    };
    let said = read(&["-report_el_torito", "plain"]);
    for complaint in ["WARNING", "SORRY", "FAILURE", "FATAL", "MISHAP"] {
        assert!(!said.contains(complaint), "{said}");
    }
    assert!(said.contains("Volume id    : 'NODEOS'"), "{said}");
    for line in [
        "boot img :   1  BIOS  y   none",
        "boot img :   2  UEFI  y   none",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let said = read(&["-find", "/", "-type", "f"]);
    assert!(said.contains("'/NODEOS/A/KERNEL'"), "{said}");
    let (one, many) = (scratch.path().join("one"), scratch.path().join("many"));
    let texts = [&one, &many].map(|path| path.to_str().unwrap());
    read(&["-osirrox", "on", "-extract", "/NODEOS", texts[0]]);
    read(&["-osirrox", "on", "-extract", "/MANY", texts[1]]);
    assert!(fs::read(one.join("A/KERNEL")).unwrap() == [9; 70_000]);
    assert_eq!(fs::read(one.join("GRUB.CFG")).unwrap(), b"a menu\n");
    assert_eq!(fs::read(one.join("EMPTY")).unwrap(), b"");
    assert_eq!(fs::read_dir(&many).unwrap().count(), 60);
    assert_eq!(fs::read(many.join("FILE59.TXT")).unwrap(), b"59");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| scratch.path().join(name));
    write(&one);
    write(&two);
    assert!(fs::read(one).unwrap() == fs::read(two).unwrap());
}
