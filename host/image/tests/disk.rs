//! Disks, FAT filesystems and hash trees, judged by the programs of others.

mod judges;

use std::fs::{self, File};
use std::path::Path;

use nodeos_image::disk::{Layout, Part};
use nodeos_image::fat;
use nodeos_image::tree::Content;
use nodeos_image::verity;
use nodeos_spec::device::gpt::Guid;

const MIB: u64 = 1 << 20;

fn part(kind: Guid, number: u128, size: u64) -> Part {
    Part {
        kind,
        guid: Guid::of(number),
        name: format!("part {number}"),
        size,
    }
}

#[test]
fn sfdisk_and_sgdisk_find_nothing_wrong_with_a_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("disk.img");
    let parts = [
        part(Guid::BIOS_BOOT, 1, MIB),
        part(Guid::EFI_SYSTEM, 2, 40 * MIB),
        part(Guid::LINUX, 3, 5 * MIB + 1),
    ];
    let layout = Layout::of(Guid::of(0xabcd), 512, &parts);
    layout
        .write(&[0xfa; 440], &File::create_new(&path).unwrap())
        .unwrap();
    let path = path.to_str().unwrap();
    let said = judges::run("sfdisk", &["--verify", path]);
    assert!(said.contains("No errors detected"), "{said}");
    assert!(!said.contains("mismatch"), "{said}");
    let said = judges::run("sgdisk", &["--verify", path]);
    assert!(said.contains("No problems found"), "{said}");
    let said = judges::run("sfdisk", &["--dump", path]);
    assert!(
        said.contains("label-id: 00000000-0000-0000-0000-00000000ABCD"),
        "{said}"
    );
    assert!(
        said.contains("start=       86016, size=       12288"),
        "{said}"
    );
    assert!(said.contains("name=\"part 3\""), "{said}");
}

fn write_fat(path: &Path, size: u64, sector: u64) {
    let out = File::create_new(path).unwrap();
    out.set_len(size).unwrap();
    let bytes = |bytes: &[u8]| Content::Bytes(bytes.into());
    let loader: Vec<u8> = (0..300_000).map(|at| (at / 7) as u8).collect();
    let files = [
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), bytes(&loader)),
        ("nodeos/a/kernel".to_owned(), bytes(&[9; 70_000])),
        ("nodeos/grub.cfg".to_owned(), bytes(b"a menu\n")),
        ("nodeos/empty".to_owned(), bytes(b"")),
    ];
    let options = fat::Options {
        label: "NODEOS".to_owned(),
        volume_id: 0x1234_abcd,
        sector,
    };
    fat::write(&files, &options, &out, 0..size).unwrap();
}

#[test]
fn fsck_finds_nothing_wrong_with_a_fat_filesystem_and_the_files_are_there() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("fat.img");
    let name = path.to_str().unwrap();
    for (size, sector, bits) in [
        (3 * MIB, 512, 16),
        (32 * MIB, 512, 16),
        (33 * MIB, 512, 32),
        (128 * MIB, 512, 32),
        (128 * MIB, 4096, 16),
        (288 * MIB, 4096, 32),
    ] {
        write_fat(&path, size, sector);
        let said = judges::run("fsck.fat", &["-n", "-v", name]);
        assert!(said.contains(&format!("{bits} bit entries")), "{said}");
        assert!(
            said.contains(&format!("{sector} bytes per logical sector")),
            "{said}"
        );
        assert!(said.contains("9 files"), "{said}");
        assert!(!said.contains("differ") && !said.contains("rong"), "{said}");
        let listed = judges::run("mdir", &["-/", "-b", "-i", name, "::"]);
        let expected = "::/EFI/\n::/EFI/BOOT/\n::/EFI/BOOT/BOOTX64.EFI\n::/nodeos/\n::/nodeos/a/\n::/nodeos/a/kernel\n\
                        ::/nodeos/empty\n::/nodeos/grub.cfg\n";
        let mut lines: Vec<&str> = listed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines.join("\n") + "\n", expected);
        assert_eq!(
            judges::run("mtype", &["-i", name, "::nodeos/grub.cfg"]),
            "a menu\n"
        );
        let again = scratch.path().join("again.img");
        write_fat(&again, size, sector);
        assert!(fs::read(&path).unwrap() == fs::read(&again).unwrap());
        fs::remove_file(again).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn veritysetup_agrees_about_the_root_hash_and_finds_a_flipped_bit() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("image");
    for blocks in [1_u64, 2, 128, 129, 20_000] {
        let mut bytes: Vec<u8> = (0..blocks * verity::BLOCK)
            .map(|at| (at / 4093) as u8)
            .collect();
        // A hole, as images have.
        bytes[4096 * (blocks as usize / 2)..][..4096].fill(0);
        let options = verity::Options {
            uuid: *b"0123456789abcdef",
            salt: [0x5a; 32],
        };
        let size = bytes.len() as u64;
        let tree = verity::tree(&mut &bytes[..], size, &options).unwrap();
        assert_eq!(tree.bytes.len() as u64, verity::tree_bytes(blocks));
        bytes.extend(&tree.bytes);
        let root: String = tree.root.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = path.to_str().unwrap();
        let offset = format!("--hash-offset={size}");
        let arguments = ["verify", name, name, &root, &offset];
        fs::write(&path, &bytes).unwrap();
        judges::run("veritysetup", &arguments);
        bytes[size as usize - 1] ^= 1;
        fs::write(&path, &bytes).unwrap();
        judges::try_run("veritysetup", &arguments).unwrap_err();
    }
}
