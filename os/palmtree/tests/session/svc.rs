//! What `svc` does to services, and says.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nodeos_spec::control::State;
use rustix::process;

use crate::harness::{self, Session, entry, paths, svc_at, wait_for_end};

#[test]
fn services_are_stopped_started_and_restarted() {
    let session = Session::start(&[entry("web", "wait web", "")]);
    let first = session.state("web");
    assert_eq!(first.state, State::Running);
    session.done("stop web");
    let stopped = session.state("web");
    assert_eq!((stopped.state, stopped.pid), (State::Stopped, None));
    assert_eq!(stopped.last_exit.as_deref(), Some("signal TERM"));
    session.done("stop web");

    session.done("start web");
    let second = session.state("web");
    assert_eq!(second.state, State::Running);
    session.done("start web");
    assert_eq!(session.state("web").pid, second.pid);

    session.done("restart web");
    let third = session.state("web");
    assert_eq!(third.state, State::Running);
    assert_ne!(third.pid, second.pid);
    // What somebody has asked for is no restart by itself.
    assert_eq!(third.restarts, 0);
    wait_for_end(second.pid.unwrap());
}

#[test]
fn one_that_waits_for_its_next_try_is_started_or_stopped_at_once() {
    let session = Session::start(&[entry("short", "exit 3", "")]);
    session.wait_for_log("palmtree", "next try in 2 s", 1);
    session.done("start short");
    session.done("stop short");
    assert_eq!(session.state("short").state, State::Stopped);
}

#[test]
fn one_that_cannot_be_started_says_why() {
    let more = r#", "enabled": false, "cwd": "/no/such/folder""#;
    let session = Session::start(&[
        entry("lost", "wait lost", more),
        r#"{"command": "no-such-program", "enabled": false, "env": {"PATH": "/no:/such"}}"#
            .to_owned(),
    ]);
    assert_eq!(
        session.refused("start lost"),
        "error: cannot start lost: cannot go to the folder /no/such/folder: No such file or directory\n"
    );
    assert_eq!(
        session.refused("start no-such-program"),
        "error: cannot start no-such-program: cannot find no-such-program in /no:/such\n"
    );
    assert_eq!(session.state("lost").state, State::Waiting);
}

#[test]
fn the_list_is_a_table() {
    let session = Session::start(&[entry("web", "wait web", "")]);
    let list = session.done("list");
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["NAME", "STATE", "PID", "SINCE", "RESTARTS", "LAST", "EXIT"]
    );
    assert_eq!(lines[2][..2], ["web", "running"]);
    assert_eq!(lines[2][5..], ["0", "-"]);
}

#[test]
fn a_service_that_is_not_there_is_named_with_a_hint() {
    let session = Session::start(&[]);
    for command in ["start", "stop", "restart", "logs"] {
        assert_eq!(
            session.refused(&format!("{command} web")),
            "error: there is no service web\nhint: svc list shows those that there are\n"
        );
    }
}

#[test]
fn without_a_palmtree_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(folder.path());
    let outcome = svc_at(&paths, "list");
    assert_eq!(outcome.code, 1);
    let expected = format!(
        "error: cannot reach palmtree at {}\ncaused by: No such file or directory\nhint: ",
        paths.socket.display()
    );
    assert!(outcome.err.starts_with(&expected), "{}", outcome.err);
}

#[test]
fn it_explains_itself_and_refuses_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let check = |line: &str, code: u8, expected: &str| {
        let outcome = svc_at(&paths(folder.path()), line);
        assert_eq!(outcome.code, code, "{line}");
        let text = [outcome.out, outcome.err].concat();
        assert!(text.starts_with(expected), "{line}: {text}");
    };
    check("--help", 0, "Usage: svc COMMAND\n");
    check(
        "--version",
        0,
        concat!("svc (NodeOS) ", env!("CARGO_PKG_VERSION"), "\n"),
    );
    check(
        "",
        2,
        "error: there is no command\nhint: svc --help shows what it takes\n",
    );
    check("lost", 2, "error: there is no command lost\n");
}

/// Only root can be two users; elsewhere there is nobody else who could try.
#[test]
fn another_user_is_not_answered() {
    if !process::geteuid().is_root() {
        return;
    }
    let session = Session::start(&[]);
    for (path, mode) in [
        (session.folder.path(), 0o755),
        (&session.paths.socket, 0o666),
    ] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let status = Command::new("/proc/self/exe")
        .args(harness::PLAY)
        .env(
            harness::ROLE,
            format!("stranger {}", session.paths.socket.display()),
        )
        .uid(1000)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(7));
    session.done("list");
}
