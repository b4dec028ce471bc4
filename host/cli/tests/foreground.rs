//! What happens to the child in the foreground when this program is told to end. One test: signals are a process's own.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::thread;

use nodeos::foreground::{describe, run};
use rustix::process::{Signal, getpid, kill_process};

/// Runs a shell script that prints a line when it is ready, and sends ourselves a signal then.
fn signalled(signal: Signal, script: &str) -> (bool, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdout(writer);
    let sender = thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        kill_process(getpid(), signal).unwrap();
    });
    let ended = run(&mut command, || ()).unwrap();
    // Its pipe ends with the command, should the script never have been ready.
    drop(command);
    sender.join().unwrap();
    (ended.by_us, describe(ended.status))
}

#[test]
fn a_signal_to_us_ends_the_child() {
    let check = |signal: Signal, script: &str, expected: &str| {
        assert_eq!(
            signalled(signal, script),
            (true, expected.to_owned()),
            "{script}"
        );
    };
    check(Signal::TERM, "echo ready; exec sleep 600", "SIGTERM");
    check(Signal::HUP, "echo ready; exec sleep 600", "SIGTERM");
    // A child that does not listen is killed when its time is over.
    check(
        Signal::TERM,
        "trap '' TERM; echo ready; while :; do sleep 1; done",
        "SIGKILL",
    );
    // Ctrl-C is the child's affair, and no reason for us to end.
    let patient = "echo ready; sleep 1; exit 7";
    assert_eq!(
        signalled(Signal::INT, patient),
        (false, "exit code 7".to_owned())
    );
}
