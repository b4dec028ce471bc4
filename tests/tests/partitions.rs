//! Every way of naming the users partition, and every kind that it can be.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use nodeos_build::assemble::UsersOrder;
use nodeos_build::recipe::{Flavor, Recipe};
use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{Person, Site, USERSFS, check_filesystem};
use nodeos_vm::qmp::Qmp;
use serde_json::json;

const SECTOR: u64 = 512;
/// Where the partition begins, and how far its disk goes on behind it, in sectors.
const BEFORE: u64 = 2048;
const AFTER: u64 = 34;
/// The type of a Linux filesystem, and the partition's own number: GUIDs as they are on a disk.
const LINUX: [u8; 16] = *b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4";
const OWN: [u8; 16] = *b"\x04\x03\x02\x01\x06\x05\x08\x07\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
const OWN_TEXT: &str = "01020304-0506-0708-090a-0b0c0d0e0f10";
const SIGNATURE: u32 = 0x1234_5678;

#[test]
fn the_partition_is_found_by_every_name_that_it_has() {
    let order = UsersOrder {
        size: 32 << 20,
        ..UsersOrder::default()
    };
    let mut site = Site::with("names", &order).unwrap();
    let image = site.users.clone();
    let uuid = uuid(&image).unwrap();
    let old = site.scratch.dir.join("old.img");
    let new = site.scratch.dir.join("new.img");
    partition(&image, &old, Table::Old).unwrap();
    partition(&image, &new, Table::New).unwrap();
    for (disk, word) in [
        (&image, "/dev/vda".to_owned()),
        (&image, format!("UUID={uuid}")),
        (&old, "/dev/vda1".to_owned()),
        (&old, "PARTUUID=12345678-01".to_owned()),
        (&new, format!("PARTUUID={}", OWN_TEXT.to_uppercase())),
        (&new, "PARTLABEL=people".to_owned()),
        (&new, "LABEL=nodeos-users".to_owned()),
    ] {
        site.machine.disks = vec![disk.clone()];
        site.machine.append = vec![format!("nodeos.users={word}")];
        let person = site
            .boot()
            .unwrap_or_else(|error| panic!("{word}: {error:#}"));
        let console = person.boot.console.transcript();
        assert!(!console.contains("EVERYTHING IS LOST"), "{word}: {console}");
        drop(person);
    }
}

#[test]
fn a_partition_of_an_older_kind_is_a_users_partition_too() {
    for kind in ["ext2", "ext3"] {
        let mut site = Site::new(&format!("kind-{kind}")).unwrap();
        let image = site.scratch.dir.join("older.img");
        older(&image, kind).unwrap();
        site.machine.disks = vec![image.clone()];
        let words = vec!["nodeos.users=LABEL=older".to_owned()];
        site.machine.append = words.clone();
        let mut person = site.administrator().unwrap();
        let add = "mkdir /home/root; useradd ada --no-password; cp -r /usr/share/nodeos/users/root/etc /home/root";
        person.run(add).unwrap();
        person.boot.console.send("exit\r").unwrap();
        person.boot.powered_off().unwrap();
        site.machine.append = words;
        let mut person = site.boot().unwrap();
        person.log_in("ada", "").unwrap();
        person.run("echo kept > /note; sync").unwrap();
        person.power_off().unwrap();
        check_filesystem(&image).unwrap();
    }
}

#[test]
fn a_disk_that_is_plugged_in_late_is_waited_for_and_found_by_its_uuid() {
    // Only a workstation's kernel knows USB disks.
    let recipe = Recipe {
        flavor: Flavor::Workstation,
        ..USERSFS
    };
    let mut site = Site::of("late", &recipe, &UsersOrder::default()).unwrap();
    let image = site.users.clone();
    let uuid = uuid(&image).unwrap();
    let socket = site.scratch.dir.join("qmp");
    site.machine.qmp_socket = Some(socket.clone());
    site.machine.disks.clear();
    site.machine.append = vec![format!("nodeos.users=UUID={uuid}")];
    site.machine.extra = vec![
        "-drive".into(),
        format!("if=none,id=late,format=raw,file={}", image.display()).into(),
        "-device".into(),
        "qemu-xhci,id=usb".into(),
    ];
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    let waits = format!("boot: UUID={uuid} is not there yet, and waited for");
    boot.console.expect(&waits, BOOT).unwrap();
    let mut qmp = Qmp::connect(&socket, ANSWER).unwrap();
    let device = json!({"driver": "usb-storage", "drive": "late", "bus": "usb.0"});
    qmp.execute("device_add", device).unwrap();
    boot.console.expect("username: ", BOOT).unwrap();
    let mut person = Person { boot };
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();
}

/// The UUID in an ext filesystem's superblock (the kernel's Documentation/filesystems/ext4/super.rst).
fn uuid(image: &Path) -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    File::open(image)?.read_exact_at(&mut bytes, 1024 + 0x68)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

/// An empty filesystem of that kind.
fn older(image: &Path, kind: &str) -> anyhow::Result<()> {
    File::create(image)?.set_len(64 << 20)?;
    let paths = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("mke2fs")
        .env("PATH", format!("{paths}:/usr/sbin:/sbin"))
        .args(["-q", "-L", "older", "-t", kind])
        .arg(image)
        .output()
        .context("mke2fs: apt-get install e2fsprogs")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Table {
    Old,
    New,
}

/// Puts a filesystem onto a disk with one partition.
fn partition(image: &Path, disk: &Path, table: Table) -> anyhow::Result<()> {
    let length = fs::metadata(image)?.len() / SECTOR;
    let whole = BEFORE + length + AFTER;
    let file = OpenOptions::new().write(true).create_new(true).open(disk)?;
    file.set_len(whole * SECTOR)?;
    let (kind, begin, size) = match table {
        Table::Old => (0x83, BEFORE, length),
        Table::New => (0xee, 1, whole - 1),
    };
    let mut sector = vec![0; SECTOR as usize];
    sector[440..444].copy_from_slice(&SIGNATURE.to_le_bytes());
    sector[450] = kind;
    sector[454..458].copy_from_slice(&u32::try_from(begin)?.to_le_bytes());
    sector[458..462].copy_from_slice(&u32::try_from(size)?.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all_at(&sector, 0)?;
    if table == Table::New {
        let mut entries = vec![0; 128 * 128];
        entries[..16].copy_from_slice(&LINUX);
        entries[16..32].copy_from_slice(&OWN);
        entries[32..40].copy_from_slice(&BEFORE.to_le_bytes());
        entries[40..48].copy_from_slice(&(BEFORE + length - 1).to_le_bytes());
        for (place, unit) in "people".encode_utf16().enumerate() {
            entries[56 + 2 * place..][..2].copy_from_slice(&unit.to_le_bytes());
        }
        for (here, there, at) in [(1, whole - 1, 2), (whole - 1, 1, whole - 33)] {
            file.write_all_at(&entries, at * SECTOR)?;
            file.write_all_at(&header(here, there, at, whole, &entries), here * SECTOR)?;
        }
    }
    let mut source = File::open(image)?;
    let mut target = OpenOptions::new().write(true).open(disk)?;
    std::io::Seek::seek(&mut target, std::io::SeekFrom::Start(BEFORE * SECTOR))?;
    std::io::copy(&mut source, &mut target)?;
    Ok(target.flush()?)
}

/// A header of the table, by the UEFI Specification, section 5.3.2.
fn header(here: u64, there: u64, entries_at: u64, whole: u64, entries: &[u8]) -> Vec<u8> {
    let mut bytes = b"EFI PART\0\0\x01\0\x5c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    for number in [here, there, 34, whole - 34] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([7; 16]);
    bytes.extend(entries_at.to_le_bytes());
    for number in [128, 128, crc(entries)] {
        bytes.extend(u32::to_le_bytes(number));
    }
    let sum = crc(&bytes);
    bytes[16..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// CRC-32 as Ethernet has it (IEEE 802.3), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let all = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            let low = sum & 1;
            (sum >> 1) ^ (low * 0xedb8_8320)
        })
    });
    !all
}
