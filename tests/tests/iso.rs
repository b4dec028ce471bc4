//! The format `iso`: a CD, and a stick with the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use nodeos_build::recipe::Format;
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::disk_image::{cut, flip, judge, partitions, tool};
use nodeos_tests::pc::{self, Attachment, Firmware, Pc};
use nodeos_tests::people::{USERSFS, check_filesystem};
use nodeos_tests::system::BAREBONES;

const SECTOR: u64 = 512;
/// Numbers of partitions, from 0.
const FILES: usize = 0;
const EFI_SYSTEM: usize = 1;
const SYSTEM: usize = 2;

#[test]
fn a_cd_and_a_stick_boot_with_both_kinds_of_firmware() {
    let scratch = Scratch::new("iso").unwrap();
    let iso = pc::build_as(&BAREBONES, Format::Iso, &scratch.dir.join("out")).unwrap();
    let mut pc = Pc::with(scratch, iso, Firmware::Bios);
    for (firmware, attachment) in [
        (Firmware::Bios, Attachment::Cd),
        (Firmware::Uefi, Attachment::Cd),
        (Firmware::Bios, Attachment::Usb),
        (Firmware::Uefi, Attachment::Usb),
    ] {
        (pc.firmware, pc.attachment) = (firmware, attachment);
        let mut boot = pc.start().unwrap();
        boot.console
            .expect("Welcome to Node.js", BOOT * 2)
            .unwrap_or_else(|error| panic!("{firmware:?} {attachment:?}: {error:#}"));
    }
}

#[test]
fn a_users_partition_on_another_disk_is_used_and_none_is_needed() {
    let scratch = Scratch::new("iso-users").unwrap();
    let out = scratch.dir.join("out");
    let iso = pc::build_as(&USERSFS, Format::Iso, &out).unwrap();
    let img = pc::build_as(&USERSFS, Format::Img, &out).unwrap();
    let users = img.with_file_name("usersfs.img");
    let mut pc = Pc::with(scratch, iso, Firmware::Bios);
    pc.attachment = Attachment::Cd;
    let mut person = pc.boot().unwrap();
    let said = person.boot.console.transcript();
    assert!(said.contains("EVERYTHING IS LOST"), "{said}");
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();

    pc.others = vec![users.clone()];
    let mut person = pc.boot().unwrap();
    let said = person.boot.console.transcript();
    assert!(!said.contains("EVERYTHING IS LOST"), "{said}");
    person.log_in("nodeos", "nodeos").unwrap();
    let line = person.run("cat /proc/cmdline").unwrap();
    assert!(line.contains("verity"), "{line}");
    person.run("echo remembered > /note").unwrap();
    person.power_off().unwrap();
    // The same from a stick.
    (pc.firmware, pc.attachment) = (Firmware::Uefi, Attachment::Usb);
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "remembered");
    person.power_off().unwrap();
    check_filesystem(&users).unwrap();
}

#[test]
fn a_flipped_bit_stops_the_machine_with_a_sentence() {
    let scratch = Scratch::new("iso-flipped").unwrap();
    let iso = pc::build_as(&BAREBONES, Format::Iso, &scratch.dir.join("out")).unwrap();
    let mut pc = Pc::with(scratch, iso, Firmware::Bios);
    let partitions = partitions(&pc.disk).unwrap();
    // A digit of the table that says where directories are, which is read first.
    let system = partitions[SYSTEM].first * SECTOR + 1024 + 20;
    // Somewhere in the kernel, which is almost all of what is there.
    let kernel = partitions[FILES].first * SECTOR + (6 << 20);
    for (place, attachment, sentence) in [
        (system, Attachment::Cd, "dm-verity device corrupted"),
        (
            kernel,
            Attachment::Usb,
            "The kernel on this medium is damaged",
        ),
    ] {
        pc.attachment = attachment;
        flip(&pc.disk, place).unwrap();
        let mut boot = pc.start().unwrap();
        boot.console.expect(sentence, BOOT).unwrap();
        drop(boot);
        flip(&pc.disk, place).unwrap();
    }
}

#[test]
fn others_find_nothing_wrong_with_it_and_it_is_the_same_every_time() {
    let scratch = Scratch::new("iso-judged").unwrap();
    let iso = pc::build_as(&USERSFS, Format::Iso, &scratch.dir.join("one")).unwrap();
    let again = pc::build_as(&USERSFS, Format::Iso, &scratch.dir.join("two")).unwrap();
    assert!(is_same(&iso, &again), "two builds differ");
    let name = iso.to_str().unwrap();
    let words = ["-indev", name, "-report_el_torito", "plain"];
    let (is_good, said) = tool("xorriso", &words).unwrap();
    assert!(is_good, "{said}");
    for complaint in ["WARNING", "SORRY", "FAILURE", "FATAL", "MISHAP"] {
        assert!(!said.contains(complaint), "{said}");
    }
    for expected in [
        "Volume id    : 'NODEOS'",
        "boot img :   1  BIOS  y   none",
        "boot img :   2  UEFI  y   none",
        "boot-info-table",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    judge("sfdisk", &["--verify"], &iso, "No errors detected").unwrap();
    judge("sgdisk", &["--verify"], &iso, "No problems found").unwrap();
    let cut = |number| cut(&iso, number, &scratch.dir.join("part")).unwrap();
    judge("fsck.fat", &["-n"], &cut(EFI_SYSTEM), "files").unwrap();
    let said = judge("fsck.erofs", &[], &cut(SYSTEM), "").unwrap();
    assert!(!said.contains("<E>"), "{said}");
    verified(&iso, &cut(SYSTEM), &scratch.dir.join("slot.cfg"));
}

/// Has veritysetup compare the system with the hash that the menu has.
fn verified(iso: &Path, system: &Path, slot: &Path) {
    let (iso, to) = (iso.to_str().unwrap(), slot.to_str().unwrap());
    let words = [
        "-osirrox",
        "on",
        "-indev",
        iso,
        "-extract",
        "/NODEOS/A/SLOT.CFG",
        to,
    ];
    let (is_good, said) = tool("xorriso", &words).unwrap();
    assert!(is_good, "{said}");
    let slot = std::fs::read_to_string(slot).unwrap();
    let word = |behind: &str| {
        let rest = slot.split(behind).nth(1).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let blocks: u64 = word(" 4096 4096 ").parse().unwrap();
    let offset = format!("--hash-offset={}", blocks * 4096);
    let name = system.to_str().unwrap();
    let words = ["verify", name, name, &word("sha256 "), &offset];
    let (is_good, said) = tool("veritysetup", &words).unwrap();
    assert!(is_good, "{said}");
}

fn is_same(one: &PathBuf, other: &PathBuf) -> bool {
    let status = Command::new("cmp").arg(one).arg(other).status();
    status.unwrap().success()
}
