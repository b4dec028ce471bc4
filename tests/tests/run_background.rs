//! Machines in the background: whose name one has, when the command returns, and what is left open of who started it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nodeos_tests::boot::Scratch;
use nodeos_tests::cli;
use nodeos_tests::nodeos_run::{nobody_is_left, nodeos, output_of_input, said, script};
use serde_json::Value;

const STAYS: &str = "setInterval(() => {}, 1000)";

/// What `ps` knows.
fn known(scratch: &Scratch) -> Vec<Value> {
    let (code, stdout, stderr) = said(scratch, ["ps", "--json"]).unwrap();
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn of_two_machines_of_one_name_at_once_one_starts_and_is_listed_then() {
    let scratch = Scratch::new("run-same").unwrap();
    let script = script(&scratch, "stays.js", STAYS).unwrap();
    // What is built is built before.
    let planned = said(&scratch, ["run", "--dry-run", script.to_str().unwrap()]).unwrap();
    assert_eq!(planned.0, 0, "{planned:?}");
    let start = || -> Child {
        nodeos(&scratch)
            .args(["run", "--detach", "--name", "same"])
            .arg(&script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut ended: Vec<(i32, String, String)> = [start(), start()]
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            // Whichever returns first: what it has started is listed.
            if output.status.success() {
                let list = known(&scratch);
                assert_eq!(list.len(), 1);
                assert_eq!(
                    (&list[0]["name"], &list[0]["state"]),
                    (&"same".into(), &"running".into())
                );
            }
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let code = output.status.code().unwrap();
            (code, text(output.stdout), text(output.stderr))
        })
        .collect();
    ended.sort();
    assert_eq!(
        (ended[0].0, ended[0].1.as_str()),
        (0, "same\n"),
        "{ended:?}"
    );
    let refused = "error: a machine named same runs already\n\
                   hint: stop it: nodeos stop same; or give this one another name with --name\n";
    assert_eq!(ended[1], (1, String::new(), refused.to_owned()));
    assert_eq!(
        said(&scratch, ["stop", "--time", "0", "same"]).unwrap().0,
        0
    );
    nobody_is_left(&scratch).unwrap();
}

/// What a process has open.
fn open(pid: &Value) -> Vec<PathBuf> {
    let folder = Path::new("/proc").join(pid.to_string()).join("fd");
    let entries = fs::read_dir(folder).unwrap();
    entries
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect()
}

#[test]
fn a_machine_in_the_background_has_nothing_open_of_who_started_it() {
    let scratch = Scratch::new("run-descriptors").unwrap();
    let script = script(&scratch, "stays.js", STAYS).unwrap();
    let lock = scratch.dir.join("lock-of-the-caller");
    // As flock(1) does, whose lock lasts for as long as anybody has the file open; the pipe is one that somebody waits at the end of.
    let text =
        r#"exec 9>"$1" && flock 9 && echo | (exec "$NODEOS" run --detach --name kept "$2" 8<&0)"#;
    let mut command = Command::new("sh");
    command.args(["-c", text, "sh"]).args([&lock, &script]);
    for (name, value) in nodeos(&scratch).get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("NODEOS", cli::nodeos());
    let output = output_of_input(command, &[]).unwrap();
    assert!(output.status.success(), "{output:?}");

    let list = known(&scratch);
    let (monitor, qemu) = (&list[0]["monitorPid"], &list[0]["qemuPid"]);
    let state = scratch.dir.join("state");
    let of_monitor = open(monitor);
    let has = |name: &str| of_monitor.iter().any(|path| path.ends_with(name));
    assert!(has("lock") && has("monitor.log"), "{of_monitor:?}");
    for path in of_monitor.iter().chain(&open(qemu)) {
        assert_ne!(path, &lock);
        // What it has of files is its own; QEMU has the images, too.
        let is_own = path.starts_with(&state) || !path.starts_with(&scratch.dir);
        assert!(is_own, "{}", path.display());
    }
    let pipes = of_monitor
        .iter()
        .filter(|path| path.to_str().is_some_and(|it| it.starts_with("pipe:")));
    assert_eq!(pipes.count(), 1, "that of the console: {of_monitor:?}");
    let taken = fs::File::open(&lock).unwrap().try_lock();
    taken.expect("the lock is free when its owner has gone");
    assert_eq!(
        said(&scratch, ["stop", "--time", "0", "kept"]).unwrap().0,
        0
    );
    nobody_is_left(&scratch).unwrap();
}
