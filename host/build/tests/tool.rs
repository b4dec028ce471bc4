//! Tools that succeed, fail, are missing, are cancelled, and outlive the build that started them.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use common::{DEADLINE, context};
use nodeos_build::cache::{CacheError, KeyHasher, Kind, MakeEntryError};
use nodeos_build::tool::{self, Event, Tool, ToolError};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A shell with this script.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn lines_are_passed_on_and_all_output_is_in_the_log() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let mut lines = Vec::new();
    // Without input: reading it must end at once.
    let tool = Tool::new(
        shell("cat; echo one; echo aside >&2; printf two"),
        "dash",
        "demo",
    );
    let log = tool::run(&ctx, tool, &mut |event| {
        if let Event::Line(line) = event {
            lines.push(line.to_owned());
        }
    })
    .unwrap();
    assert_eq!(lines, ["one", "aside", "two"]);
    assert_eq!(log, root.path().join("logs/demo.log"));
    assert_eq!(fs::read_to_string(&log).unwrap(), "one\naside\ntwo");
    assert_eq!(recorder.lines(), ["run sh"]);
}

#[test]
fn output_is_captured_whole() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let output = tool::capture(
        &ctx,
        Tool::new(shell("echo one; echo aside >&2; echo two"), "dash", "demo"),
    );
    assert_eq!(output.unwrap(), "one\ntwo\n");
}

#[test]
fn a_failure_shows_the_last_lines_and_names_the_log() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let script = "for i in $(seq 20); do echo line $i; done; echo it broke >&2; exit 3";
    let error = tool::run(&ctx, Tool::new(shell(script), "dash", "demo"), &mut |_| {}).unwrap_err();
    let log = root.path().join("logs/demo.log");
    let ToolError::Failed { status, tail, .. } = &error else {
        panic!("{error}")
    };
    let mut expected: Vec<String> = (7..=20).map(|i| format!("line {i}")).collect();
    expected.push("it broke".to_owned());
    assert_eq!((status.code(), tail), (Some(3), &expected));
    let beginning = format!(
        "sh failed with exit status: 3\nits last lines (all of them are in {}):\n    ",
        log.display()
    );
    assert!(error.to_string().starts_with(&beginning), "{error}");
    assert_eq!(error.hint(), None);
}

#[test]
fn a_missing_tool_names_its_package() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let tool = Tool::new(Command::new("no-such-flex"), "flex", "demo");
    let error = tool::run(&ctx, tool, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "no-such-flex is not installed");
    assert_eq!(
        error.hint().unwrap(),
        "install it: sudo apt-get install flex"
    );
}

#[test]
fn a_missing_working_folder_is_not_taken_for_a_missing_tool() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let mut command = shell("true");
    command.current_dir(root.path().join("none"));
    let error = tool::run(&ctx, Tool::new(command, "dash", "demo"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ToolError::Start { .. }), "{error}");
    assert_eq!(error.to_string(), "cannot run sh");
}

#[test]
fn a_tool_that_fills_the_disk_makes_a_full_disk_of_the_entry() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let make = |_: &Path| {
        let tool = Tool::new(
            shell("LC_ALL=C head -c 1 /dev/zero > /dev/full"),
            "coreutils",
            "demo",
        );
        tool::run(&ctx, tool, &mut |_| {}).map(drop)
    };
    let key = KeyHasher::new("test").finish();
    let error = ctx
        .cache
        .get_or_make(&ctx, Kind::Kernels, &key, "linux", make)
        .unwrap_err();
    assert!(
        matches!(error, MakeEntryError::Cache(CacheError::Full { .. })),
        "{error}"
    );
}

#[test]
fn a_read_only_cache_does_not_stop_a_tool() {
    // A file where the folder should be stops root as well, whom permissions do not.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    fs::write(&root, "").unwrap();
    let (ctx, _) = context(&root);
    let log = tool::run(
        &ctx,
        Tool::new(shell("echo one"), "dash", "read-only-test"),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "one\n");
    fs::remove_file(log).unwrap();
}

#[test]
fn cancelling_ends_the_whole_group_even_what_ignores_the_request() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let (sender, pids) = mpsc::channel();
    let inside = ctx.clone();
    let running = thread::spawn(move || {
        let script = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait";
        tool::run(
            &inside,
            Tool::new(shell(script), "dash", "demo"),
            &mut |event| {
                if let Event::Line(line) = event {
                    sender.send(pid(line)).unwrap();
                }
            },
        )
    });
    let group = [
        pids.recv_timeout(DEADLINE).unwrap(),
        pids.recv_timeout(DEADLINE).unwrap(),
    ];
    ctx.cancel.store(true, Ordering::Relaxed);
    let error = running.join().unwrap().unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.to_string(), "sh was cancelled");
    for pid in group {
        assert!(!is_running(pid), "{pid:?} is still there");
    }
}

#[test]
fn a_work_folder_stays_locked_while_its_tool_outlives_the_build() {
    const ROOT: &str = "NODEOS_TEST_TOOL_ROOT";
    let test = "a_work_folder_stays_locked_while_its_tool_outlives_the_build";
    let key = KeyHasher::new("test").finish();
    if let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) {
        let (ctx, _) = context(&root);
        let work = ctx
            .cache
            .work_dir(&ctx, Kind::Kernels, &key, "linux")
            .unwrap();
        let tool = Tool::new(shell("echo tool $$; exec sleep 1000"), "coreutils", "demo");
        let tool = Tool {
            work: Some(&work),
            ..tool
        };
        let _ = tool::run(&ctx, tool, &mut |event| {
            if let Event::Line(line) = event {
                println!("{line}");
            }
        });
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let mut build = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROOT, root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(build.stdout.take().unwrap()).lines();
    let said = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("tool ").map(pid));
    let tool = said.expect("the build says its tool's number");
    build.kill().unwrap();
    build.wait().unwrap();

    let cleaned = ctx.cache.clean(None).unwrap();
    assert_eq!(
        (cleaned.entries, cleaned.busy),
        (0, vec!["linux".to_owned()])
    );
    let next = thread::spawn(move || {
        ctx.cache
            .work_dir(&ctx, Kind::Kernels, &key, "linux")
            .map(drop)
    });
    recorder.wait_for("begin waiting for another build of linux");
    kill_process(tool, Signal::KILL).unwrap();
    next.join().unwrap().unwrap();
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Whether the process does anything. One that has ended may stay in the table until its parent looks.
fn is_running(pid: Pid) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline && test_kill_process(pid).is_ok() {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim_start().chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return false;
        }
        thread::yield_now();
    }
    test_kill_process(pid).is_ok()
}
