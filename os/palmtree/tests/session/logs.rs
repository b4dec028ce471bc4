//! Where what services write goes.

use std::fs;

use crate::harness::{Session, entry};

#[test]
fn both_streams_of_a_service_are_in_its_log_in_order() {
    let session = Session::start(&[entry("both", "both", "")]);
    let log = session.wait_for_log("both", "three", 1);
    let words: Vec<&str> = log
        .lines()
        .filter(|line| ["one", "two", "three"].contains(line))
        .collect();
    assert_eq!(words, ["one", "two", "three"]);
    assert_eq!(session.done("logs -n 2 both"), "two\nthree\n");
}

#[test]
fn a_file_of_ones_own_is_appended_to_and_its_folder_made() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("var/deep/both.txt");
    let stdio = format!(r#", "stdio": {{"stdout": "{}"}}"#, own.display());
    let session = Session::start_in(folder, &[entry("both", "both", &stdio)]);
    // They come from two pipes, in whatever order.
    session.wait_for_log("both", "three", 1);
    let shown = session.wait_for_log("both", "two", 1);
    // With two logs it says which one is which.
    assert!(
        shown.contains(&format!("==> {} <==", own.display())),
        "{shown}"
    );
    session.done("stop both");
    session.done("start both");
    session.wait_for_log("both", "three", 2);
    let text = fs::read_to_string(&own).unwrap();
    assert_eq!(text.matches("one\n").count(), 2, "{text}");
    assert!(!text.contains("two"), "{text}");
    assert!(
        fs::read_to_string(session.file("log/both.log"))
            .unwrap()
            .contains("two\n")
    );
}

#[test]
fn a_log_is_rotated_while_the_service_runs_and_loses_no_line() {
    // A megabyte and a half.
    let count = 98_304;
    let session = Session::start(&[entry("write", &format!("write {count}"), "")]);
    session.wait_for_log("write", "that was all", 1);
    let [old, new] = ["log/write.log.1", "log/write.log"]
        .map(|path| fs::read_to_string(session.file(path)).unwrap());
    // Up to a line less than the limit.
    assert!((1 << 20) - old.len() < 16, "{}", old.len());
    assert!(old.ends_with('\n'));
    let numbers: Vec<usize> = old
        .lines()
        .chain(new.lines())
        .filter_map(|line| line.parse().ok())
        .collect();
    assert!(
        numbers.iter().copied().eq(0..count),
        "{} lines",
        numbers.len()
    );
    assert_eq!(session.done("logs -n 1 write"), "that was all\n");
}

#[test]
fn a_service_without_a_log_says_so() {
    let stdio = r#", "stdio": {"stdout": "ignore", "stderr": "inherit"}"#;
    let session = Session::start(&[entry("quiet", "wait quiet", stdio)]);
    assert_eq!(
        session.refused("logs quiet"),
        "error: quiet has no log: its file says so in stdio\n"
    );
}

#[test]
fn a_log_that_cannot_be_written_does_not_stop_the_service() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("log/write.log")).unwrap();
    let session = Session::start_in(folder, &[entry("write", "write 98304", "")]);
    // More than a pipe holds has been taken when the follower has seen the end.
    session.wait_for_log("palmtree", "cannot open the log", 1);
    session.done("restart write");
    session.done("stop write");
}
