//! The three ways in which the system reaches a machine.

use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::system::{self, BAREBONES};

/// What is resident of Node.js in KiB: pages of files, and private ones (proc_pid_status(5)).
const RESIDENT: &str = "['RssFile', 'RssAnon'].map(k => +fs.readFileSync('/proc/self/status', 'utf8').split(k + ':')[1].split('kB')[0]).join()";

fn resident(root: RootKind) -> (u32, u32) {
    let scratch = Scratch::new(&format!("root-{root}")).unwrap();
    let recipe = Recipe { root, ..BAREBONES };
    let output = system::build(&recipe, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&recipe, &output);
    machine.memory_mib = 512;
    let mut vm = scratch.boot(&machine).unwrap();
    vm.prompt().unwrap();
    let answer = vm.evaluate(RESIDENT).unwrap();
    let numbers: Vec<u32> = answer
        .trim_matches('\'')
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
    (numbers[0], numbers[1])
}

#[test]
fn under_pmem_nodes_code_is_mapped_and_not_copied() {
    let (file, private) = resident(RootKind::Pmem);
    // What a DAX mapping shows is no page of the machine's memory, so it is not counted. The rest of libraries and
    // data that Node.js has written to is private.
    assert!(
        file < 1024,
        "{file} KiB of files are resident: they were copied into memory"
    );
    assert!(private > 1024, "{private} KiB are private, which cannot be");
}

#[test]
fn a_disk_boots_and_its_pages_are_copied() {
    let (file, _) = resident(RootKind::Disk);
    assert!(
        file > 10 * 1024,
        "{file} KiB of files are resident: the test for pmem proves nothing"
    );
}

#[test]
fn an_initramfs_boots() {
    let (file, _) = resident(RootKind::Initramfs);
    assert!(file > 1024, "{file} KiB of files are resident");
}

#[test]
fn forty_eight_megabytes_are_enough_under_pmem() {
    let scratch = Scratch::new("little-memory").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    machine.memory_mib = 48;
    let mut vm = scratch.boot(&machine).unwrap();
    vm.prompt().unwrap();
    assert_eq!(vm.evaluate("1 + 1").unwrap(), "2");
}

#[test]
fn an_initramfs_in_too_little_memory_ends_with_a_reason_and_not_in_silence() {
    let scratch = Scratch::new("initramfs-little-memory").unwrap();
    let recipe = Recipe {
        root: RootKind::Initramfs,
        ..BAREBONES
    };
    let output = system::build(&recipe, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&recipe, &output);
    machine.memory_mib = 96;
    let mut vm = scratch.boot(&machine).unwrap();
    // The kernel's own words, with `quiet`: it panics, and the machine ends.
    vm.console.expect("Kernel panic", BOOT).unwrap();
}
