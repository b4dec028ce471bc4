//! The format `img`: a disk that boots, and the users partition beside it.

use std::fs;
use std::path::Path;

use nodeos_build::recipe::Format;
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::disk_image::partitions;
use nodeos_tests::pc::{self, Attachment, Firmware, Pc};
use nodeos_tests::people::{USERSFS, check_filesystem};
use nodeos_tests::system::BAREBONES;

#[test]
fn files_in_the_second_file_are_there_after_the_next_boot_and_the_next_build() {
    let scratch = Scratch::new("img").unwrap();
    let out = scratch.dir.join("out");
    let bootfs = pc::build_as(&USERSFS, Format::Img, &out).unwrap();
    let usersfs = bootfs.with_file_name("usersfs.img");
    let names: Vec<String> = partitions(&bootfs)
        .unwrap()
        .into_iter()
        .map(|partition| partition.name)
        .collect();
    assert_eq!(names.last().unwrap(), "nodeos-system-b");
    let mut pc = Pc::with(scratch, bootfs, Firmware::Bios);
    pc.attachment = Attachment::Ide;
    pc.others = vec![usersfs.clone()];
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo remembered > /note").unwrap();
    person.power_off().unwrap();
    check_filesystem(&usersfs).unwrap();
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = modified(&usersfs);
    pc::build_as(&USERSFS, Format::Img, &out).unwrap();
    assert_eq!(modified(&usersfs), before);
    let mut person = pc.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "remembered");
    person.power_off().unwrap();
}

#[test]
fn a_layer_without_users_is_one_file() {
    let scratch = Scratch::new("img-barebones").unwrap();
    let bootfs = pc::build_as(&BAREBONES, Format::Img, &scratch.dir.join("out")).unwrap();
    assert!(!bootfs.with_file_name("usersfs.img").exists());
    let pc = Pc::with(scratch, bootfs, Firmware::Uefi);
    let mut boot = pc.start().unwrap();
    boot.console.expect("Welcome to Node.js", BOOT * 2).unwrap();
}
