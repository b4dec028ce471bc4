//! The workstation: the same system with a screen and a keyboard.

use std::path::{Path, PathBuf};
use std::time::Instant;

use nodeos_build::assemble::UsersOrder;
use nodeos_build::recipe::{Flavor, Recipe};
use nodeos_tests::boot::{ANSWER, BOOT, Boot, Scratch};
use nodeos_tests::people::{Site, USERSFS};
use nodeos_tests::screen::Screen;
use nodeos_tests::system::{self, BAREBONES};
use nodeos_vm::machine::{self, Machine};
use nodeos_vm::qmp::Qmp;

/// What the screen shows when `found` finds what it looks for on it.
fn wait_for<T>(
    qmp: &mut Qmp,
    file: &Path,
    what: &str,
    mut found: impl FnMut(&Screen) -> Option<T>,
) -> T {
    let deadline = Instant::now() + BOOT;
    loop {
        qmp.screendump(file).unwrap();
        // Before the first frame there may be no whole picture.
        if let Some(found) = Screen::read(file).ok().and_then(|screen| found(&screen)) {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} is not on the screen; its last picture is {}",
            file.display()
        );
    }
}

/// A booting machine with a screen, QEMU's control of it, and a file for pictures of its screen.
fn with_screen(scratch: &Scratch, mut machine: Machine) -> (Boot, Qmp, PathBuf) {
    machine.screen = machine::Screen::Hidden;
    let socket = scratch.dir.join("qmp");
    machine.qmp_socket = Some(socket.clone());
    let vm = scratch.boot(&machine).unwrap();
    let qmp = Qmp::connect(&socket, ANSWER).unwrap();
    (vm, qmp, scratch.dir.join("screen.ppm"))
}

/// Waits until so many lines of the screen have something on them.
fn wait_for_lines(qmp: &mut Qmp, picture: &Path, count: usize, what: &str) {
    wait_for(qmp, picture, what, |screen| {
        (screen.lines_in_use() >= count).then_some(())
    });
}

/// A workstation that has come to the prompt of Node.js.
fn workstation(scratch: &Scratch) -> (Boot, Qmp, PathBuf) {
    let recipe = Recipe {
        flavor: Flavor::Workstation,
        ..BAREBONES
    };
    let output = system::build(&recipe, &scratch.dir.join("out")).unwrap();
    let machine = system::machine(&recipe, &output);
    let (vm, mut qmp, picture) = with_screen(scratch, machine);
    // Three lines of greeting and the prompt.
    wait_for_lines(&mut qmp, &picture, 4, "the prompt");
    (vm, qmp, picture)
}

/// In Node.js at its prompt: learns what digits look like, and has it compute.
fn compute(qmp: &mut Qmp, picture: &Path) {
    let digits = "0123456789";
    qmp.type_keys(&format!("'{digits}'\n")).unwrap();
    let alphabet = wait_for(qmp, picture, "the echo and the answer", |screen| {
        screen.learn(digits)
    });
    qmp.type_keys("123456789 * 8\n").unwrap();
    wait_for(qmp, picture, "987654312", |screen| {
        alphabet
            .lines(screen)
            .iter()
            .any(|line| line == "987654312")
            .then_some(())
    });
}

#[test]
fn what_is_typed_on_the_keyboard_is_answered_on_the_screen() {
    let scratch = Scratch::new("screen").unwrap();
    let (mut vm, mut qmp, picture) = workstation(&scratch);
    compute(&mut qmp, &picture);
    qmp.type_keys(".exit\n").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn ctrl_alt_del_on_the_keyboard_restarts_the_machine() {
    let scratch = Scratch::new("ctrl-alt-del-key").unwrap();
    let (mut vm, mut qmp, _) = workstation(&scratch);
    qmp.ctrl_alt_del().unwrap();
    let event = qmp.wait_event("SHUTDOWN", ANSWER).unwrap();
    assert_eq!(event.data["reason"], "guest-reset", "{event:?}");
    vm.powered_off().unwrap();
}

#[test]
fn people_log_in_on_the_screen() {
    let recipe = Recipe {
        flavor: Flavor::Workstation,
        ..USERSFS
    };
    let site = Site::of("screen-login", &recipe, &UsersOrder::default()).unwrap();
    let (mut vm, mut qmp, picture) = with_screen(&site.scratch, site.machine.clone());
    // The words are not known yet, but their lengths: `username:`, `password:`, `~ >`, and `>` on a line of its own.
    let wait = |qmp: &mut Qmp, length: usize, count: usize, what: &str| {
        wait_for(qmp, &picture, what, |screen| {
            (screen.lines_with_first_word(length) >= count).then_some(())
        });
    };
    wait(&mut qmp, 9, 1, "the question for a name");
    qmp.type_keys("nodeos\n").unwrap();
    wait(&mut qmp, 9, 2, "the question for a password");
    qmp.type_keys("nodeos\n").unwrap();
    wait(&mut qmp, 1, 1, "the shell's prompt");
    qmp.type_keys("node\n").unwrap();
    wait(&mut qmp, 1, 2, "the prompt of Node.js");
    compute(&mut qmp, &picture);
    qmp.type_keys(".exit\n").unwrap();
    // After three lines of Node.js's.
    wait(&mut qmp, 1, 5, "the shell's prompt again");
    qmp.type_keys("poweroff\n").unwrap();
    vm.powered_off().unwrap();
}
