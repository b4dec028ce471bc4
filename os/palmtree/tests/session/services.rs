//! Services are started, restarted, and taken from the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nodeos_spec::control::State;
use rustix::process::{self, Pid, Signal};

use crate::harness::{self, Session, entry, wait_for_end};

#[test]
fn a_service_starts_in_a_clean_state_with_its_own_environment_and_folder() {
    let more = format!(
        r#", "cwd": "/proc", "env": {{"{}": "state", "GREETING": "hello"}}"#,
        harness::ROLE
    );
    let session = Session::start(&[entry("state", "", &more)]);
    let log = session.wait_for_log("state", "that was all", 1);
    for line in [
        "SigBlk:\t0000000000000000",
        "leads its session: true",
        "input: /dev/null",
        "folder: /proc",
        "greeting: hello",
    ] {
        assert!(log.lines().any(|found| found == line), "{line}: {log}");
    }
    // Whatever else the one who runs the tests has left open: palmtree's own descriptors are not handed on.
    for own in ["signalfd", "/log/"] {
        assert!(!log.contains(own), "{own}: {log}");
    }
}

#[test]
fn a_service_that_ends_is_started_again_after_a_growing_delay() {
    let session = Session::start(&[entry("short", "exit 3", "")]);
    session.wait_for_log("short", "ending with 3", 3);
    session.wait_for_log("palmtree", "short ended with code 3", 3);
    let delays: Vec<String> = session
        .journal()
        .lines()
        .filter_map(|line| Some(line.split_once("next try in ")?.1.to_owned()))
        .take(3)
        .collect();
    assert_eq!(delays, ["1 s", "2 s", "4 s"]);
    let state = session.state("short");
    assert_eq!(state.state, State::Waiting);
    assert_eq!(state.last_exit.as_deref(), Some("code 3"));
    assert!(
        state.restarts >= 3 && state.next_try_ms.is_some(),
        "{state:?}"
    );
}

#[test]
fn restart_says_whether_an_end_is_final() {
    let session = Session::start(&[
        entry("done", "exit 0", r#", "restart": "on-failure""#),
        entry("broken", "exit 1", r#", "restart": "never""#),
        entry(
            "missing",
            "",
            r#", "restart": "never", "cwd": "/no/such/folder""#,
        ),
        entry("off", "wait off", r#", "enabled": false"#),
    ]);
    session.wait_for_log("palmtree", "done ended with code 0", 1);
    session.wait_for_log("palmtree", "broken ended with code 1", 1);
    let check = |name: &str, state: State, last: Option<&str>| {
        let found = session.state(name);
        assert_eq!(
            (found.state, found.last_exit.as_deref()),
            (state, last),
            "{name}"
        );
    };
    check("done", State::Stopped, Some("code 0"));
    check("broken", State::Failed, Some("code 1"));
    let missing = "cannot go to the folder /no/such/folder: No such file or directory";
    check("missing", State::Failed, Some(missing));
    check("off", State::Stopped, None);
}

#[test]
fn what_a_service_leaves_behind_is_told_to_end_with_it() {
    let session = Session::start(&[entry(
        "leave",
        "leave wait child",
        r#", "restart": "never""#,
    )]);
    let log = session.wait_for_log("leave", "left ", 1);
    let pid = log.split_once("left ").unwrap().1;
    wait_for_end(pid.lines().next().unwrap().parse().unwrap());
    session.wait_for_log("palmtree", "leave ended with code 0", 1);
    assert_eq!(session.state("leave").state, State::Stopped);
}

#[test]
fn orphans_are_reaped() {
    let session = Session::start(&[entry("leave", "leave exit 5", r#", "restart": "never""#)]);
    let log = session.wait_for_log("leave", "left ", 1);
    let pid: i32 = log
        .split_once("left ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // A service has ended when nobody of it is left.
    session.wait_for_log("palmtree", "leave ended with code 0", 1);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    assert!(stat.is_err(), "{stat:?}");
}

#[test]
fn the_homes_own_program_runs_once_with_its_output_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    let exe = std::env::current_exe().unwrap();
    fs::write(&init, format!("#!{} role\n", exe.display())).unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    let session = Session::start_in(folder, &[]);
    let log = session.wait_for_log("init", "init is here", 1);
    assert_eq!(log.matches("init is here").count(), 1);
    session.wait_for_log("palmtree", "ended with code 4", 1);
}

#[test]
fn a_program_of_the_home_that_cannot_be_executed_is_said_in_its_log_and_nothing_else_suffers() {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    fs::write(&init, "no program").unwrap();
    let session = Session::start_in(folder, &[entry("web", "wait web", "")]);
    session.wait_for_log("web", "web is here", 1);
    let expected = format!(
        "palmtree: cannot execute {}: Permission denied\n",
        init.display()
    );
    assert_eq!(session.done("logs init"), expected);
}

#[test]
fn a_broken_entry_is_said_by_name_and_line_and_the_others_start() {
    let session = Session::start(&[
        "{\"name\": \"typo\",\n \"comand\": \"/bin/true\"}".to_owned(),
        entry("web", "wait web", ""),
    ]);
    session.wait_for_log("web", "web is here", 1);
    let expected = "palmtree.json, line 4: service \"typo\": unknown field `comand`";
    assert!(
        session.journal().contains(expected),
        "{}",
        session.journal()
    );
    let outcome = session.svc("list");
    assert!(
        outcome.err.starts_with(&format!("warning: {expected}")),
        "{}",
        outcome.err
    );
    assert!(
        session
            .refused("start typo")
            .starts_with(&format!("error: {expected}"))
    );
}

#[test]
fn a_broken_file_is_said_with_line_and_column_and_can_be_repaired() {
    let folder = tempfile::tempdir().unwrap();
    // Palmtree has nobody to say that it is ready, so the one beside it does, which finds it there.
    let first = Session::start_in(folder, &[entry("web", "wait web", "")]);
    let good = fs::read_to_string(&first.paths.config).unwrap();
    let pid = first.state("web").pid;
    fs::write(&first.paths.config, "[\n{\"command\" \"a\"}\n]").unwrap();
    let broken = "palmtree.json is not what it should be: expected `:` at line 2 column 12";
    let refused = first.refused("reload");
    assert_eq!(
        refused,
        format!("error: {broken}: nothing has been changed\n")
    );
    assert!(first.journal().contains(broken), "{}", first.journal());
    assert_eq!(first.state("web").pid, pid);
    fs::write(&first.paths.config, good).unwrap();
    first.done("reload");
    assert_eq!(first.svc("list").err, "");
    assert_eq!(first.state("web").pid, pid);
}

#[test]
fn reload_starts_what_is_new_stops_what_is_gone_and_restarts_what_has_changed() {
    let session = Session::start(&[
        entry("same", "wait same", ""),
        entry("gone", "wait gone", ""),
        entry("changed", "wait before", ""),
    ]);
    let [same, gone, changed] = ["same", "gone", "changed"].map(|name| {
        session.wait_for_log(name, "is here", 1);
        session.state(name).pid.unwrap()
    });
    let entries = [
        entry("same", "wait same", ""),
        entry("changed", "wait after", ""),
        entry("new", "wait new", ""),
    ];
    fs::write(&session.paths.config, format!("[{}]", entries.join(","))).unwrap();
    session.done("reload");
    session.wait_for_log("new", "new is here", 1);
    session.wait_for_log("changed", "after is here", 1);
    wait_for_end(gone);
    wait_for_end(changed);
    assert_eq!(session.state("same").pid, Some(same));
    let names: Vec<String> = session
        .done("list")
        .lines()
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect();
    // The harness's own is gone as well.
    assert_eq!(names, ["NAME", "same", "changed", "new"]);
}

#[test]
fn a_second_palmtree_in_a_session_does_not_run() {
    let session = Session::start(&[]);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(harness::PLAY)
        .env(harness::ROLE, "palmtree")
        .env(harness::FOLDER, session.folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "palmtree runs already in this session: it answers at {}",
        session.paths.socket.display()
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&expected),
        "{output:?}"
    );
    session.done("list");
}

#[test]
fn the_file_is_read_again_by_a_signal_too() {
    let session = Session::start(&[]);
    let new = entry("new", "wait new", r#", "stdio": {"stderr": "ignore"}"#);
    fs::write(&session.paths.config, format!("[{new}]")).unwrap();
    process::kill_process(Pid::from_child(&session.palmtree), Signal::HUP).unwrap();
    // The signal is handled before the command that comes after it.
    session.wait_for_log("new", "new is here", 1);
}
