//! The format `disk`: what is on it, and the PCs that boot it.

use std::fs::OpenOptions;
use std::process::Command;

use nodeos_build::recipe::{Recipe, SectorSize};
use nodeos_tests::boot::{ANSWER, BOOT, Scratch};
use nodeos_tests::disk_image::{cut, flip, judge, part, partitions, tool};
use nodeos_tests::pc::{self, Attachment, Firmware, Pc};
use nodeos_tests::people::{USERSFS, check_filesystem};
use nodeos_tests::system::BAREBONES;

const SECTOR: u64 = 512;
/// Numbers of partitions, from 0.
const EFI_SYSTEM: usize = 1;
const SYSTEM: usize = 2;
const USERS: usize = 4;

#[test]
fn files_on_a_disk_are_there_after_the_next_boot() {
    for (firmware, attachment) in [
        (Firmware::Bios, Attachment::Virtio),
        (Firmware::Uefi, Attachment::Nvme),
    ] {
        let name = format!("disk-{firmware:?}").to_lowercase();
        let mut pc = Pc::new(&name, &USERSFS, firmware).unwrap();
        pc.attachment = attachment;
        let mut person = pc.boot().unwrap();
        person.log_in("nodeos", "nodeos").unwrap();
        person.run("echo remembered > /note").unwrap();
        person.power_off().unwrap();
        let mut person = pc.boot().unwrap();
        person.log_in("nodeos", "nodeos").unwrap();
        assert_eq!(person.run("cat /note").unwrap(), "remembered");
        let line = person.run("cat /proc/cmdline").unwrap();
        assert!(line.contains("dm-mod.create"), "{line}");
        person.power_off().unwrap();
        check_filesystem(&part(&pc, USERS).unwrap()).unwrap();
        let error = pc::build(&USERSFS, &pc.scratch.dir.join("out")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("a machine has written to it"), "{said}");
    }
}

#[test]
fn a_disk_is_booted_from_wherever_it_is_attached() {
    let mut pc = Pc::new("attachments", &BAREBONES, Firmware::Bios).unwrap();
    for (firmware, attachment) in [
        (Firmware::Bios, Attachment::Ahci),
        (Firmware::Bios, Attachment::Nvme),
        (Firmware::Bios, Attachment::Ide),
        (Firmware::Bios, Attachment::Usb),
        (Firmware::Uefi, Attachment::Usb),
    ] {
        (pc.firmware, pc.attachment) = (firmware, attachment);
        let mut boot = pc.start().unwrap();
        boot.console
            .expect("Welcome to Node.js", BOOT)
            .unwrap_or_else(|error| panic!("{firmware:?} {attachment:?}: {error:#}"));
    }
}

#[test]
fn a_disk_with_large_sectors_keeps_files_and_grows() {
    let recipe = Recipe {
        sector_size: SectorSize::Of4096,
        ..USERSFS
    };
    let mut pc = Pc::new("large-sectors", &recipe, Firmware::Uefi).unwrap();
    pc.attachment = Attachment::Nvme4096;
    let disk = OpenOptions::new().write(true).open(&pc.disk).unwrap();
    disk.set_len(2 << 30).unwrap();
    let mut person = pc.boot().unwrap();
    let said = person.boot.console.transcript();
    assert!(!said.contains("boot: "), "{said}");
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo remembered > /note").unwrap();
    person.power_off().unwrap();
    let users = &partitions(&pc.disk).unwrap()[USERS];
    assert_eq!((users.last + 1) * 4096, (2 << 30) - (1 << 20));
    check_filesystem(&part(&pc, USERS).unwrap()).unwrap();
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "remembered");
}

#[test]
fn the_menu_offers_root_with_everybodys_files_and_nodejs_alone() {
    let pc = Pc::new("menu", &USERSFS, Firmware::Bios).unwrap();
    for (downs, expected) in [(2, "Administrator mode"), (3, "Welcome to Node.js")] {
        let mut boot = pc.start().unwrap();
        boot.console.expect("*NodeOS", BOOT).unwrap();
        // The arrow, as terminals send it.
        boot.console.send(&"\x1b[B".repeat(downs)).unwrap();
        boot.console.send("\r").unwrap();
        boot.console.expect("Loading NodeOS", ANSWER).unwrap();
        boot.console.expect(expected, BOOT).unwrap();
    }
}

#[test]
fn a_flipped_bit_stops_the_machine_with_a_sentence() {
    let pc = Pc::new("flipped", &BAREBONES, Firmware::Bios).unwrap();
    let partitions = partitions(&pc.disk).unwrap();
    // A digit of the table that says where directories are, which is read first.
    let system = partitions[SYSTEM].first * SECTOR + 1024 + 20;
    // Somewhere in the kernel, which lies on its partition as a whole.
    let kernel = partitions[EFI_SYSTEM].first * SECTOR + (6 << 20);
    for (place, sentence) in [
        (system, "dm-verity device corrupted"),
        (kernel, "The kernel on this disk is damaged"),
    ] {
        flip(&pc.disk, place).unwrap();
        let mut boot = pc.start().unwrap();
        boot.console.expect(sentence, BOOT).unwrap();
        drop(boot);
        flip(&pc.disk, place).unwrap();
    }
    let mut boot = pc.start().unwrap();
    boot.console.expect("Welcome to Node.js", BOOT).unwrap();
}

#[test]
fn the_users_partition_grows_to_the_end_of_a_larger_disk() {
    let pc = Pc::new("grown", &USERSFS, Firmware::Bios).unwrap();
    let disk = OpenOptions::new().write(true).open(&pc.disk).unwrap();
    disk.set_len(3 << 30).unwrap();
    for round in 1..=2 {
        let mut person = pc.boot().unwrap();
        let said = person.boot.console.transcript();
        assert!(!said.contains("boot: "), "round {round}: {said}");
        person.log_in("nodeos", "nodeos").unwrap();
        person.run("echo grown > /note").unwrap();
        person.power_off().unwrap();
        assert!(partitions(&pc.disk).is_ok(), "round {round}");
        if round == 1 {
            // As when the plug is pulled after the first table's entries and before its header: its sum is wrong.
            flip(&pc.disk, SECTOR + 16).unwrap();
            assert!(partitions(&pc.disk).is_err());
        }
    }
    let users = &partitions(&pc.disk).unwrap()[USERS];
    assert_eq!((users.last + 1) * SECTOR, (3 << 30) - (1 << 20));
    judge("sfdisk", &["--verify"], &pc.disk, "No errors detected").unwrap();
    judge("sgdisk", &["--verify"], &pc.disk, "No problems found").unwrap();
    let image = part(&pc, USERS).unwrap();
    check_filesystem(&image).unwrap();
    let said = judge("dumpe2fs", &["-h"], &image, "Block count").unwrap();
    let blocks = (users.last + 1 - users.first) * SECTOR / 4096;
    let is_whole = said
        .lines()
        .any(|line| line.starts_with("Block count:") && line.ends_with(&blocks.to_string()));
    assert!(is_whole, "{blocks} in {said}");
}

#[test]
fn others_find_nothing_wrong_with_a_disk_and_it_is_the_same_every_time() {
    let scratch = Scratch::new("judged").unwrap();
    let disk = pc::build(&USERSFS, &scratch.dir.join("one")).unwrap();
    let again = pc::build(&USERSFS, &scratch.dir.join("two")).unwrap();
    let same = Command::new("cmp").arg(&disk).arg(&again).status().unwrap();
    assert!(same.success(), "two builds differ");
    judge("sfdisk", &["--verify"], &disk, "No errors detected").unwrap();
    judge("sgdisk", &["--verify"], &disk, "No problems found").unwrap();
    let cut = |number| cut(&disk, number, &scratch.dir.join("part")).unwrap();
    judge("fsck.fat", &["-n"], &cut(EFI_SYSTEM), "files").unwrap();
    let slot = Command::new("mtype")
        .arg("-i")
        .arg(cut(EFI_SYSTEM))
        .arg("::nodeos/a/slot.cfg")
        .output()
        .expect("mtype: apt-get install mtools");
    let slot = String::from_utf8(slot.stdout).unwrap();
    let root = slot.split("sha256 ").nth(1).unwrap();
    let root = root.split(' ').next().unwrap();
    let system = cut(SYSTEM);
    let said = judge("fsck.erofs", &[], &system, "").unwrap();
    assert!(!said.contains("<E>"), "{said}");
    let blocks = slot.split(" 4096 4096 ").nth(1).unwrap();
    let blocks: u64 = blocks.split(' ').next().unwrap().parse().unwrap();
    let offset = format!("--hash-offset={}", blocks * 4096);
    let name = system.to_str().unwrap();
    let output = tool("veritysetup", &["verify", name, name, root, &offset]).unwrap();
    assert!(output.0, "{}", output.1);
    check_filesystem(&cut(USERS)).unwrap();
}
