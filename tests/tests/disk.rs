//! The format `disk`: what is on it, and the PCs that boot it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nodeos_spec::device::gpt::{Partition, Table};
use nodeos_tests::boot::{ANSWER, BOOT, Scratch};
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

fn partitions(disk: &Path) -> anyhow::Result<Vec<Partition>> {
    let disk = fs::File::open(disk)?;
    let read = |at, length| {
        let mut bytes = vec![0; length];
        disk.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    };
    let table = Table::read(SECTOR, 1, read)?;
    Ok(table.partitions.into_iter().flatten().collect())
}

/// A partition of a PC that is switched off, as an image of its own.
fn part(pc: &Pc, number: usize) -> anyhow::Result<PathBuf> {
    cut(&pc.disk, number, &pc.scratch.dir.join("part"))
}

fn cut(disk: &Path, number: usize, to: &Path) -> anyhow::Result<PathBuf> {
    let partitions = partitions(disk)?;
    let partition = partitions.get(number).context("there is the partition")?;
    let to = to.with_extension(number.to_string());
    let (first, count) = (partition.first, partition.last + 1 - partition.first);
    let status = Command::new("dd")
        .arg(format!("if={}", disk.display()))
        .arg(format!("of={}", to.display()))
        .args(["bs=1M", "conv=sparse", "status=none"])
        // Partitions begin and end at whole mebibytes.
        .arg(format!("skip={}", first / 2048))
        .arg(format!("count={}", count / 2048))
        .status()?;
    ensure!(status.success(), "dd failed");
    Ok(to)
}

fn flip(disk: &Path, at: u64) -> anyhow::Result<()> {
    let disk = OpenOptions::new().read(true).write(true).open(disk)?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at)?;
    Ok(disk.write_all_at(&[byte[0] ^ 4], at)?)
}

/// What a program says of an image, which must be good and contain this.
fn judge(program: &str, words: &[&str], image: &Path, expected: &str) -> anyhow::Result<String> {
    let image = image.to_str().context("paths of tests are text")?;
    let (is_good, said) = tool(program, &[words, &[image]].concat())?;
    ensure!(is_good && said.contains(expected), "{program}: {said}");
    Ok(said)
}

fn tool(program: &str, words: &[&str]) -> anyhow::Result<(bool, String)> {
    let paths = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .env("PATH", format!("{paths}:/usr/sbin:/sbin"))
        .args(words)
        .output()
        .with_context(|| format!("{program}: bin/install-dependencies --test installs it"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
