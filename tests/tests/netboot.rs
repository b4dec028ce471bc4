//! A machine without a disk, whose firmware fetches everything from a network: iPXE, which QEMU's network cards have.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeos_build::recipe::Format;
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::pc::build_as;
use nodeos_tests::podman::succeeded;
use nodeos_tests::system::BAREBONES;
use nodeos_vm::process;

#[test]
fn a_machine_boots_from_a_network_with_the_script_that_is_there() {
    let scratch = Scratch::new("netboot").unwrap();
    let kernel = build_as(&BAREBONES, Format::Netboot, &scratch.dir.join("out")).unwrap();
    let folder = kernel.parent().unwrap();
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(folder);
    assert_eq!(succeeded(check).unwrap(), "");

    let mut argv = vec![process::program()];
    let mut words = |words: &[&str]| argv.extend(words.iter().map(OsString::from));
    words(&[
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-m",
        "640",
        "-M",
        "q35",
        "-nodefaults",
    ]);
    words(&[
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
    ]);
    let server = format!("user,id=lan,tftp={},bootfile=boot.ipxe", folder.display());
    words(&[
        "-netdev",
        &server,
        "-device",
        "e1000e,netdev=lan",
        "-boot",
        "n",
    ]);
    let mut boot = scratch.start(&argv).unwrap();
    boot.console.expect("Welcome to Node.js", BOOT * 2).unwrap();
}

#[test]
fn the_initramfs_alone_is_the_same_files_without_sums() {
    let scratch = Scratch::new("initramfs-files").unwrap();
    let names = |format: Format| {
        let kernel = build_as(&BAREBONES, format, &scratch.dir.join("out")).unwrap();
        let folder: &Path = kernel.parent().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let few = ["boot.ipxe", "initramfs.cpio.lz4", "kernel", "sources.json"];
    assert_eq!(names(Format::Initramfs), few);
    assert_eq!(names(Format::Netboot), [&["SHA256SUMS"], &few[..]].concat());
}
