//! Machines that are not well: each says what is wrong and ends, or goes on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;

use nodeos_build::assemble;
use nodeos_image::tree::Entry;
use nodeos_spec::boot::{self, BootSpec};
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::system::{self, BAREBONES};
use nodeos_vm::machine::Root;

#[test]
fn a_full_tmp_is_an_error_of_the_program_and_not_of_the_machine() {
    let scratch = Scratch::new("full-tmp").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut vm = scratch.boot(&system::machine(&BAREBONES, &output)).unwrap();
    vm.prompt().unwrap();
    let fill = "try { for (let i = 0; ; i++) fs.writeFileSync('/tmp/' + i, Buffer.alloc(1 << 20)) } catch (e) { e.code }";
    assert_eq!(vm.evaluate(fill).unwrap(), "'ENOSPC'");
    assert_eq!(vm.evaluate("2 + 2").unwrap(), "4");
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn without_sbin_init_the_program_of_boot_json_is_started() {
    let scratch = Scratch::new("no-sbin-init").unwrap();
    let mut tree = assemble::tree(&system::context().unwrap(), &BAREBONES).unwrap();
    tree.remove("/sbin/init");
    let mut vm = scratch
        .boot(&system::machine_with(&tree, &scratch.dir).unwrap())
        .unwrap();
    vm.prompt().unwrap();
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn with_nothing_to_start_the_machine_says_so_and_powers_off() {
    let scratch = Scratch::new("nothing-to-start").unwrap();
    let mut tree = assemble::tree(&system::context().unwrap(), &BAREBONES).unwrap();
    tree.remove("/sbin/init");
    tree.insert(
        boot::PATH,
        Entry::file(0o444, BootSpec::default().to_json().into_bytes()),
    )
    .unwrap();
    let mut vm = scratch
        .boot(&system::machine_with(&tree, &scratch.dir).unwrap())
        .unwrap();
    vm.console.expect("init: ", BOOT).unwrap();
    vm.powered_off().unwrap();
    let console = vm.console.transcript();
    assert!(console.contains("/sbin/init"), "{console}");
}

#[test]
fn a_broken_boot_json_is_named_and_the_machine_goes_on() {
    let scratch = Scratch::new("broken-boot-json").unwrap();
    let mut tree = assemble::tree(&system::context().unwrap(), &BAREBONES).unwrap();
    tree.insert(boot::PATH, Entry::file(0o444, *b"{\"progam\": []}"))
        .unwrap();
    let mut vm = scratch
        .boot(&system::machine_with(&tree, &scratch.dir).unwrap())
        .unwrap();
    vm.prompt().unwrap();
    let console = vm.console.transcript();
    assert!(console.contains("unknown field `progam`"), "{console}");
}

#[test]
fn a_corrupt_system_image_stops_the_boot_with_the_kernels_reason() {
    let scratch = Scratch::new("corrupt-image").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let image = scratch.dir.join("corrupt.img");
    std::fs::copy(&output.system, &image).unwrap();
    std::fs::set_permissions(&image, std::fs::Permissions::from_mode(0o600)).unwrap();
    // The superblock is at 1024 (fs/erofs/erofs_fs.h); its checksum covers the block.
    let file = OpenOptions::new().write(true).open(&image).unwrap();
    file.write_all_at(&[0xff; 256], 1024).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    machine.root = Root::Pmem {
        image,
        size: output.system_bytes,
    };
    let mut vm = scratch.boot(&machine).unwrap();
    vm.console.expect("Unable to mount root fs", BOOT).unwrap();
    let status = vm.wait(BOOT).unwrap();
    assert!(
        !status.success(),
        "a machine that panics is no machine that powers off"
    );
}
