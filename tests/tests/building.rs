//! Builds that are disturbed: by each other, by a kill, by a full disk, by a cache that cannot be written.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodeos_build::cache::Kind;
use nodeos_tests::boot::Scratch;
use nodeos_tests::cli;
use sha2::{Digest, Sha256};

/// All that takes long to make; Node.js and images are left to the build under test.
const SLOW: &[Kind] = &[Kind::Downloads, Kind::Kernels, Kind::Programs];

fn build(home: &Path, out: &Path) -> Command {
    let mut command = cli::command(home);
    command
        .arg("build")
        .arg("--out")
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The error that a build ends with.
fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

fn sum(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn image(out: &Path) -> String {
    sum(&out.join("x86_64/mainframe/qemu/system.img"))
}

#[test]
fn two_builds_of_the_same_inputs_are_the_same_bytes() {
    let scratch = Scratch::new("same-bytes").unwrap();
    let homes = ["one", "two"].map(|name| scratch.dir.join(name));
    for home in &homes {
        cli::borrow_cache(home, SLOW).unwrap();
        succeeds(build(home, &home.join("out")));
    }
    assert_eq!(image(&homes[0].join("out")), image(&homes[1].join("out")));
    // Into other folders, and from what is in the cache now.
    succeeds(build(&homes[0], &homes[0].join("again")));
    assert_eq!(image(&homes[0].join("again")), image(&homes[0].join("out")));
}

#[test]
fn two_builds_at_once_make_one_entry_and_both_succeed() {
    let scratch = Scratch::new("at-once").unwrap();
    cli::borrow_cache(&scratch.dir, SLOW).unwrap();
    let outs = ["one", "two"].map(|name| scratch.dir.join(name));
    let builds = outs
        .each_ref()
        .map(|out| build(&scratch.dir, out).spawn().unwrap());
    for running in builds {
        let output = running.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(image(&outs[0]), image(&outs[1]));
    let images = fs::read_dir(scratch.dir.join("cache/nodeos/images")).unwrap();
    let entries = images.filter(|entry| {
        !entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(entries.count(), 1);
}

#[test]
fn a_build_that_was_killed_twenty_times_is_completed_by_the_next() {
    let scratch = Scratch::new("killed").unwrap();
    cli::borrow_cache(&scratch.dir, SLOW).unwrap();
    let out = scratch.dir.join("out");
    // How long a whole build takes here, so that the kills fall into all of it.
    let reference = scratch.dir.join("reference");
    cli::borrow_cache(&reference, SLOW).unwrap();
    let begin = Instant::now();
    succeeds(build(&reference, &reference.join("out")));
    let whole = begin.elapsed();
    for round in 0..20_u32 {
        let mut running = build(&scratch.dir, &out).spawn().unwrap();
        // Spread over the build by the golden ratio: no two rounds alike, and every run the same.
        let share = (f64::from(round) * 0.618_033_988_75).fract();
        wait_at_most(&mut running, whole.mul_f64(share));
        running.kill().unwrap();
        running.wait().unwrap();
    }
    succeeds(build(&scratch.dir, &out));
    assert_eq!(image(&out), image(&reference.join("out")));
    let leftovers = walk(&scratch.dir.join("cache"))
        .into_iter()
        .filter(|name| name.contains(".making-") || name.contains(".removing-"))
        .collect::<Vec<_>>();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

/// Returns when the process has ended or the time is over: the time is what is tested with, not waited for.
fn wait_at_most(running: &mut std::process::Child, time: Duration) {
    let stderr = running.stderr.take().unwrap();
    let (sender, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        // The pipe closes when the process ends.
        let _ = std::io::copy(&mut { stderr }, &mut std::io::sink());
        drop(sender);
    });
    let _ = ended.recv_timeout(time);
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.display().to_string());
        if path.is_dir() && !path.is_symlink() {
            names.extend(walk(&path));
        }
    }
    names
}

#[test]
fn a_full_disk_is_named_with_what_is_free_and_what_to_do() {
    let scratch = Scratch::new("full-disk").unwrap();
    cli::borrow_cache(&scratch.dir, SLOW).unwrap();
    // A file system of 16 MiB for Node.js and images, in a namespace of its own: no root is needed.
    let nodeos = cli::nodeos().display().to_string();
    let script = format!(
        "mount -t tmpfs -o size=16m none {dir}/cache/nodeos/nodes && exec {nodeos} build --out {dir}/out",
        dir = scratch.dir.display()
    );
    fs::create_dir_all(scratch.dir.join("cache/nodeos/nodes")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    for (name, value) in cli::command(&scratch.dir).get_envs() {
        command.env(name, value.unwrap());
    }
    let error = fails(command);
    assert!(error.contains("error: no space left in "), "{error}");
    assert!(error.contains(" free\n"), "{error}");
    assert!(
        error.contains("hint: free some space; `nodeos cache clean --all` empties the cache"),
        "{error}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_serves_what_it_has_and_says_what_to_do_otherwise() {
    let scratch = Scratch::new("read-only-cache").unwrap();
    cli::borrow_cache(&scratch.dir, SLOW).unwrap();
    let read_only = |out: &str| {
        let nodeos = cli::nodeos().display().to_string();
        let script = format!(
            "mount --bind {dir}/cache {dir}/cache && mount -o remount,bind,ro {dir}/cache && exec {nodeos} build --out {dir}/{out}",
            dir = scratch.dir.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        for (name, value) in cli::command(&scratch.dir).get_envs() {
            command.env(name, value.unwrap());
        }
        command
    };
    let error = fails(read_only("first"));
    assert!(
        error.contains("error: cannot write the cache at "),
        "{error}"
    );
    assert!(
        error.contains("hint: set XDG_CACHE_HOME to a folder that you can write"),
        "{error}"
    );
    succeeds(build(&scratch.dir, &scratch.dir.join("filled")));
    succeeds(read_only("second"));
    assert_eq!(
        image(&scratch.dir.join("second")),
        image(&scratch.dir.join("filled"))
    );
}
