//! `getty` on a terminal. The program that it starts is this test binary again, told by its arguments to run [`role`] alone.

mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{Listener, Screen};
use nodeos_spec::broker::{self, Reply};
use rustix::process;
use rustix::termios::{self, LocalModes};

const ROLE: &str = "NODEOS_TEST_ROLE";
const USERLAND: &str = env!("CARGO_BIN_EXE_userland");

fn getty(screen: &Screen) -> Command {
    let mut command = Command::new(USERLAND);
    command
        .arg0("/sbin/getty")
        .arg(&screen.path)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "role", "--nocapture"])
        .env(ROLE, "tell")
        .env_remove("TERM");
    command
}

#[test]
fn the_program_leads_a_session_of_its_own_on_the_terminal() {
    // A child of this process leads no group, and one in a group of its own does: then getty needs a child for it.
    for leads_a_group in [false, true] {
        let mut screen = Screen::new();
        let mut command = getty(&screen);
        if leads_a_group {
            command.process_group(0);
        }
        let mut child = command.spawn().unwrap();
        screen.expect("TERM is vt220");
        screen.expect("leader: true");
        screen.expect("foreground: true");
        screen.expect("sane: true");
        screen.expect("size: 24 80");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_terminal_type_that_is_given_stays() {
    let mut screen = Screen::new();
    let mut child = getty(&screen)
        .env("TERM", "xterm-256color")
        .spawn()
        .unwrap();
    screen.expect("TERM is xterm-256color");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_done_is_a_sentence_and_the_code_that_has_it_tried_again() {
    let check = |args: &[&str], expected: &str| {
        let output = Command::new(USERLAND)
            .arg("getty")
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(expected), "{args:?}: {said}");
    };
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    check(
        &["no-such-terminal", this],
        "error: cannot open the terminal /dev/no-such-terminal\ncaused by: No such file or directory\nhint: ls /dev ",
    );
    check(&["null", this], "error: /dev/null is not a terminal\n");
    let screen = Screen::new();
    check(
        &[screen.path.to_str().unwrap(), "/no/such/program"],
        "error: cannot start /no/such/program\ncaused by: No such file or directory\n",
    );
}

#[test]
fn logon_on_its_terminal_reads_keys_that_would_be_signals_and_reaches_the_broker() {
    let socket = Path::new(broker::SOCKET);
    let listener = Listener::new(socket);
    let mut screen = Screen::new();
    let mut child = Command::new(USERLAND)
        .arg("getty")
        .arg(&screen.path)
        .args([USERLAND, "logon"])
        .spawn()
        .unwrap();
    let peer = listener.accept();
    screen.expect("username: ");
    // Ctrl-\ and Ctrl-Z would end or stop a program that has them as signals.
    screen.type_keys("\x1c\x1aeve\x03");
    screen.expect("username: ");
    screen.type_keys("ada\n");
    screen.expect("password: ");
    screen.type_keys("geheim\n");
    let (user, password, terminal) = peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("ada", "geheim"));
    assert!(termios::isatty(&terminal));
    peer.send(&Reply::Accepted);
    peer.send(&Reply::Ended { code: 1 });
    assert_eq!(child.wait().unwrap().code(), Some(0));
    std::fs::remove_file(socket).unwrap();
}

/// The program that getty starts. Without a role this makes sure that a mistyped one is not taken for played.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    assert_eq!(role, "tell");
    let terminal = std::io::stdin();
    let settings = termios::tcgetattr(&terminal).unwrap();
    let size = termios::tcgetwinsize(&terminal).unwrap();
    println!("TERM is {}", std::env::var("TERM").unwrap());
    let this = process::getpid();
    println!("leader: {}", termios::tcgetsid(&terminal) == Ok(this));
    println!("foreground: {}", termios::tcgetpgrp(&terminal) == Ok(this));
    let modes = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    println!("sane: {}", settings.local_modes.contains(modes));
    println!("size: {} {}", size.ws_row, size.ws_col);
    assert_eq!(std::env::var_os("NODEOS_GETTY_CHILD"), None);
}
