//! The disk in the files of hypervisors and clouds: others find nothing wrong with them, machines boot them, and the same
//! inputs give the same bytes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nodeos_build::recipe::Format;
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::cli;
use nodeos_tests::pc::{self, Attachment, Firmware, Pc};
use nodeos_tests::people::USERSFS;
use nodeos_tests::system::BAREBONES;

fn run(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

fn is_same(one: &Path, other: &Path) -> bool {
    let status = Command::new("cmp").arg(one).arg(other).status();
    status.unwrap().success()
}

#[test]
fn hypervisors_boot_the_disk_in_their_own_kind_of_file() {
    for (format, driver, attachment) in [
        (Format::Qcow2, "qcow2", Attachment::Virtio),
        (Format::Vmdk, "vmdk", Attachment::Ahci),
        (Format::Vhd, "vpc", Attachment::Ide),
        (Format::Vdi, "vdi", Attachment::Ahci),
    ] {
        let scratch = Scratch::new(&format!("virtual-disk-{format}")).unwrap();
        let disk = pc::build_as(&BAREBONES, format, &scratch.dir.join("one")).unwrap();
        let again = pc::build_as(&BAREBONES, format, &scratch.dir.join("two")).unwrap();
        assert!(is_same(&disk, &again), "two builds of {format} differ");
        // qemu-img has no check for vpc.
        if driver != "vpc" {
            run("qemu-img", &["check", "-f", driver], &disk);
        }
        let pc = Pc {
            scratch,
            disk,
            driver,
            firmware: Firmware::Bios,
            attachment,
            others: Vec::new(),
        };
        let mut boot = pc.start().unwrap();
        boot.console
            .expect("Welcome to Node.js", BOOT)
            .unwrap_or_else(|error| panic!("{format}: {error:#}"));
    }
}

#[test]
fn files_in_a_qcow2_are_there_after_the_next_boot_and_no_build_takes_them_away() {
    let scratch = Scratch::new("qcow2-kept").unwrap();
    let out = scratch.dir.join("out");
    let disk = pc::build_as(&USERSFS, Format::Qcow2, &out).unwrap();
    let pc = Pc {
        scratch,
        disk,
        driver: "qcow2",
        firmware: Firmware::Uefi,
        attachment: Attachment::Virtio,
        others: Vec::new(),
    };
    let before = fs::metadata(&pc.disk).unwrap().modified().unwrap();
    pc::build_as(&USERSFS, Format::Qcow2, &out).unwrap();
    let after = fs::metadata(&pc.disk).unwrap().modified().unwrap();
    assert_eq!(before, after, "what is there is not written again");
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo remembered > /note").unwrap();
    person.power_off().unwrap();
    let error = pc::build_as(&USERSFS, Format::Qcow2, &out).unwrap_err();
    assert!(format!("{error:#}").contains("disk.qcow2"), "{error:#}");
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "remembered");
    person.power_off().unwrap();
}

#[test]
fn azure_and_google_get_what_they_ask_for() {
    const MIB: u64 = 1 << 20;
    let scratch = Scratch::new("clouds").unwrap();
    let vhd = pc::build_as(&BAREBONES, Format::Vhd, &scratch.dir.join("vhd")).unwrap();
    // A fixed disk of whole mebibytes, and its footer.
    assert_eq!(fs::metadata(&vhd).unwrap().len() % MIB, 512);
    let said = run("qemu-img", &["info", "-f", "vpc"], &vhd);
    assert!(said.contains("file format: vpc"), "{said}");

    let archive = pc::build_as(&USERSFS, Format::Gce, &scratch.dir.join("one")).unwrap();
    let again = pc::build_as(&USERSFS, Format::Gce, &scratch.dir.join("two")).unwrap();
    assert!(is_same(&archive, &again), "two builds differ");
    assert_eq!(run("tar", &["-tzf"], &archive), "disk.raw\n");
    let unpacked = Command::new("tar")
        .args(["--sparse", "-xzf"])
        .arg(&archive)
        .arg("-C")
        .arg(&scratch.dir)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let disk = scratch.dir.join("disk.raw");
    assert_eq!(fs::metadata(&disk).unwrap().len() % (1024 * MIB), 0);
    let said = run("sgdisk", &["--verify"], &disk);
    assert!(said.contains("No problems found"), "{said}");
    let said = run("sfdisk", &["--verify"], &disk);
    assert!(said.contains("No errors detected"), "{said}");
    let pc = Pc::with(scratch, disk, Firmware::Bios);
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();
}

#[test]
fn without_qemu_img_it_is_said_what_to_install() {
    let scratch = Scratch::new("no-qemu-img").unwrap();
    let bin = scratch.dir.join("bin");
    fs::create_dir(&bin).unwrap();
    // Everything that a build from the cache calls, but for qemu-img.
    for program in ["cargo", "rustc", "grub-mkimage", "dpkg-query", "gcc", "cc"] {
        let found = run(
            "sh",
            &["-c", &format!("command -v {program} || true"), "sh"],
            &bin,
        );
        if !found.trim().is_empty() {
            std::os::unix::fs::symlink(found.trim(), bin.join(program)).unwrap();
        }
    }
    // Everything is there after this.
    pc::build_as(&BAREBONES, Format::Disk, &scratch.dir.join("borrowed")).unwrap();
    let output = Command::new(cli::nodeos())
        .env("NODEOS_SOURCE", nodeos_tests::system::source())
        .env("PATH", &bin)
        .args(["build", "--layer", "barebones", "--format", "vdi", "--out"])
        .arg(scratch.dir.join("out"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains("qemu-img is not installed"), "{error}");
    assert!(error.contains("apt-get install qemu-utils"), "{error}");
}
