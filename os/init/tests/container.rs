//! `init` as a container has it: not PID 1, and PID 1 of a PID namespace. The program that it runs is this test binary
//! again, told by its arguments to run [`role`] alone, and by [`ROLE`] in its environment what to do there.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nodeos_sys::entry::exit_now;
use rustix::event;
use rustix::process::{self, Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGWINCH};

const ROLE: &str = "NODEOS_TEST_ROLE";

/// What tells this binary to play its role.
const PLAY: [&str; 3] = ["--exact", "role", "--nocapture"];

/// Where `init` is: as Cargo built it, or, in a guest that has no folder of Cargo's, as its PID 1.
fn init() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_init"));
    if built.exists() {
        built.to_owned()
    } else {
        PathBuf::from("/init")
    }
}

/// This binary in a role.
fn in_role(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(PLAY).env(ROLE, role);
    command
}

/// `init` with this binary in a role as its program.
fn init_with(role: &str) -> Command {
    let mut command = Command::new(init());
    command
        .arg(std::env::current_exe().unwrap())
        .args(PLAY)
        .env(ROLE, role);
    command
}

/// The ways in which `init` runs in a container: not being PID 1, and as PID 1 of a PID namespace. The second is left out
/// where there is no unshare(1), as in a guest, or no permission, as for some users.
fn every_way(role: &str) -> Vec<Command> {
    let mut ways = vec![init_with(role)];
    if namespace()
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let mut command = namespace();
        command
            .arg(init())
            .arg(std::env::current_exe().unwrap())
            .args(PLAY)
            .env(ROLE, role);
        ways.push(command);
    }
    ways
}

fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--mount-proc"]);
    if !process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

fn check(role: &str, expected_code: i32) -> Vec<(String, String)> {
    every_way(role)
        .into_iter()
        .map(|mut command| {
            let Output {
                status,
                stdout,
                stderr,
            } = command.output().unwrap();
            let (stdout, stderr) = (
                String::from_utf8_lossy(&stdout),
                String::from_utf8_lossy(&stderr),
            );
            assert_eq!(
                status.code(),
                Some(expected_code),
                "{role}: {stdout}{stderr}"
            );
            (stdout.into_owned(), stderr.into_owned())
        })
        .collect()
}

#[test]
fn it_ends_with_the_code_of_its_program() {
    check("exit 0", 0);
    check("exit 7", 7);
}

#[test]
fn it_ends_with_128_and_the_signal_that_ended_its_program() {
    check("kill itself", 137);
}

#[test]
fn it_hands_signals_on_to_its_program() {
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::USR1,
        Signal::WINCH,
    ] {
        let mut child = init_with("tell").stdout(Stdio::piped()).spawn().unwrap();
        wait_for_line(&mut child, "the program is ready");
        process::kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(100 + signal.as_raw()));
    }
}

#[test]
fn what_the_program_leaves_behind_is_stopped_before_the_end() {
    // Standard error ends when its last holder has ended, so this also proves that none is left.
    for (stdout, stderr) in check("leave orphan", 3) {
        assert!(stdout.contains("orphan is here"), "{stdout}");
        assert_eq!(stderr, "init: stopping: TERM to all processes\n");
    }
}

#[test]
fn what_does_not_stop_within_the_grace_period_is_killed() {
    for (_, stderr) in check("leave stubborn", 3) {
        let (before, after) = stderr
            .split_once("KILL")
            .unwrap_or_else(|| panic!("no KILL: {stderr}"));
        assert_eq!(
            before,
            "init: stopping: TERM to all processes\ninit: 1 process did not stop within 5 s: "
        );
        assert!(after.starts_with(" ("), "{after}");
    }
}

#[test]
fn a_program_that_is_missing_or_no_program_is_a_sentence_and_a_code_as_of_a_shell() {
    let check = |program: &str, code: i32, expected: &str| {
        let output = Command::new(init()).arg(program).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert_eq!(output.status.code(), Some(code));
    };
    check(
        "/missing",
        127,
        "init: cannot start /missing: No such file or directory\n",
    );
    check(
        "/proc",
        126,
        "init: cannot start /proc: Permission denied\n",
    );
}

#[test]
fn it_explains_itself_and_refuses_what_it_does_not_know() {
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = Command::new(init()).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(
            String::from_utf8_lossy(&text).starts_with(expected),
            "{arguments:?}"
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    };
    check(&["--help"], 0, "Usage: init ");
    check(
        &["--version"],
        0,
        concat!("init (NodeOS) ", env!("CARGO_PKG_VERSION"), "\n"),
    );
    check(
        &["--frobnicate"],
        2,
        "error: init has no argument --frobnicate\nhint: init --help ",
    );
}

#[test]
fn the_commands_that_stop_a_machine_explain_themselves_and_take_no_arguments() {
    for name in ["poweroff", "reboot", "halt"] {
        let check = |argument: &str, code: i32, expected: &str| {
            let output = Command::new(init())
                .arg0(format!("/sbin/{name}"))
                .arg(argument)
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            assert!(
                String::from_utf8_lossy(&text).starts_with(expected),
                "{name} {argument}"
            );
            assert_eq!(output.status.code(), Some(code), "{name} {argument}");
        };
        check("--help", 0, &format!("Usage: {name}\n"));
        check("-f", 2, &format!("error: {name} has no argument -f\n"));
    }
}

/// What the program in the container does. Without a role this makes sure that a mistyped one is not taken for played.
#[test]
fn role() {
    let role = std::env::var(ROLE).unwrap_or_else(|_| "none".to_owned());
    assert_eq!(play(&role), role != "none", "{role}");
}

fn play(role: &str) -> bool {
    match role {
        "exit 0" => exit_now(0),
        "exit 7" => exit_now(7),
        "kill itself" => process::kill_process(process::getpid(), Signal::KILL).unwrap(),
        "tell" => {
            let signals = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGWINCH];
            let mut signals = signal_hook::iterator::Signals::new(signals).unwrap();
            println!("the program is ready");
            exit_now(100 + signals.forever().next().unwrap());
        }
        "leave orphan" | "leave stubborn" => {
            let left = in_role(role.trim_start_matches("leave "))
                .stdout(Stdio::piped())
                .spawn();
            println!("{}", wait_for_line(&mut left.unwrap(), "is here"));
            exit_now(3);
        }
        "orphan" | "stubborn" => {
            if role == "stubborn" {
                signal_hook::flag::register(SIGTERM, Arc::<AtomicBool>::default()).unwrap();
            }
            println!("{role} is here");
            loop {
                // An interrupted wait is not the end of it.
                let _ = event::poll(&mut [], None);
            }
        }
        _ => return false,
    }
    true
}

/// The first line of a child's standard output that contains the text.
fn wait_for_line(child: &mut Child, text: &str) -> String {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .find(|line| line.contains(text))
        .expect("the child says so before it ends")
}
