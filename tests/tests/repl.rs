//! The machine that `nodeos start` boots: a Node.js prompt.

use nodeos_build::recipe::{Libc, Recipe};
use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::system::{self, BAREBONES};

/// Boots `recipe` to the prompt and returns what stood on the console before it.
fn conversation(name: &str, recipe: Recipe) {
    let scratch = Scratch::new(name).unwrap();
    let output = system::build(&recipe, &scratch.dir.join("out")).unwrap();
    let mut vm = scratch.boot(&system::machine(&recipe, &output)).unwrap();
    let before = vm.prompt().unwrap();
    assert!(
        before.contains(concat!(
            "NodeOS ",
            env!("CARGO_PKG_VERSION"),
            " (barebones)"
        )),
        "{before}"
    );
    assert!(
        before.contains("-nodeos"),
        "the kernel's release is on the banner: {before}"
    );
    assert!(before.contains("Welcome to Node.js v"), "{before}");

    assert_eq!(vm.evaluate("6 * 7").unwrap(), "42");
    assert_eq!(
        vm.evaluate("process.pid !== 1 && process.ppid === 1")
            .unwrap(),
        "true"
    );
    assert_eq!(
        vm.evaluate("process.report.getReport().header.glibcVersionRuntime !== undefined")
            .unwrap(),
        (recipe.libc == Libc::Glibc).to_string()
    );
    assert_eq!(
        vm.evaluate("fs.readFileSync('/proc/self/stat','utf8').split(' ')[5] == process.pid")
            .unwrap(),
        "true"
    );
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn the_repl_answers_as_a_child_of_pid_1_and_leaving_it_powers_off() {
    conversation("repl-musl", BAREBONES);
}

#[test]
fn the_repl_answers_with_glibc() {
    conversation(
        "repl-glibc",
        Recipe {
            libc: Libc::Glibc,
            ..BAREBONES
        },
    );
}

#[test]
fn the_system_has_a_name_and_says_what_it_was_made_from() {
    let scratch = Scratch::new("names").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut vm = scratch.boot(&system::machine(&BAREBONES, &output)).unwrap();
    vm.prompt().unwrap();
    let release = vm
        .evaluate("fs.readFileSync('/etc/os-release','utf8').split('\\n')[1]")
        .unwrap();
    assert_eq!(release, "'ID=nodeos'");
    assert!(
        vm.evaluate("os.release()")
            .unwrap()
            .contains(&output.kernel_release)
    );
    let names = vm
        .evaluate("JSON.parse(fs.readFileSync('/etc/nodeos/sources.json')).map(i => i.name).join()")
        .unwrap();
    assert_eq!(names, "'linux,node.musl.x86_64,musl.x86_64'");
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn the_prompt_has_history_and_colours() {
    let scratch = Scratch::new("history").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    machine.term = Some("xterm-256color".to_owned());
    machine.console_size = Some((132, 43));
    let mut vm = scratch.boot(&machine).unwrap();
    vm.prompt().unwrap();
    vm.console
        .send("[process.env.TERM, process.stdout.columns, process.stdout.rows].join()\r")
        .unwrap();
    vm.console
        .expect("'xterm-256color,132,43'", ANSWER)
        .unwrap();
    vm.console.send("20 + 3\r").unwrap();
    // 33 is yellow, the colour of numbers in the REPL.
    vm.console.expect("\u{1b}[33m23\u{1b}[39m", ANSWER).unwrap();
    // The key that goes back in the history, and Enter: the same again.
    vm.console.send("\u{1b}[A\r").unwrap();
    vm.console.expect("\u{1b}[33m23\u{1b}[39m", ANSWER).unwrap();
}
