//! The end of services and of the session.

use std::fs;

use crate::harness::{ROLE, Session, entry, wait_for_end};
use crate::roles::END;

/// A service that writes its name into a file when it is told to end.
fn teller(name: &str, end: &str) -> String {
    let more = format!(r#", "env": {{"{ROLE}": "tell {name}", "{END}": "{end}"}}"#);
    entry(name, "", &more)
}

#[test]
fn a_session_ends_with_its_services_in_reverse_order() {
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let entries = ["a", "b", "c"].map(|name| teller(name, end.to_str().unwrap()));
    let mut session = Session::start_in(folder, &entries);
    let pids = ["a", "b", "c"].map(|name| {
        session.wait_for_log(name, "is here", 1);
        session.state(name).pid.unwrap()
    });
    assert_eq!(session.end().code(), Some(0));
    assert_eq!(fs::read_to_string(&end).unwrap(), "c\nb\na\n");
    for pid in pids {
        wait_for_end(pid);
    }
    assert!(!session.paths.socket.exists());
    let journal = session.journal();
    assert!(journal.ends_with(" the session has ended\n"), "{journal}");
}

#[test]
fn what_does_not_stop_within_the_grace_period_is_killed() {
    let session = Session::start(&[entry("stubborn", "stubborn", "")]);
    session.wait_for_log("stubborn", "is here", 1);
    session.done("stop stubborn");
    let state = session.state("stubborn");
    assert_eq!(state.last_exit.as_deref(), Some("signal KILL"));
    let journal = session.journal();
    assert!(
        journal.contains("stubborn did not stop within 5 s: KILL"),
        "{journal}"
    );
}

#[test]
fn a_service_that_waits_for_its_next_try_does_not_hold_the_end_up() {
    let mut session = Session::start(&[entry("short", "exit 3", "")]);
    session.wait_for_log("palmtree", "next try in 4 s", 1);
    assert_eq!(session.end().code(), Some(0));
    let journal = session.journal();
    let (_, after) = journal.split_once("the session ends").unwrap();
    assert!(!after.contains("short"), "{journal}");
}
