//! `nodeos run` where a disk of this host is full: what is said, and what goes on.

use std::fs;
use std::path::Path;
use std::process::Command;

use nodeos_build::cache::Kind;
use nodeos_tests::boot::Scratch;
use nodeos_tests::nodeos_run::{nobody_is_left, nodeos, output_of_input, script};
use nodeos_tests::{cli, system};

/// A shell with a small filesystem mounted on this folder, in a namespace of its own: no root is needed. `$1` is the folder.
fn with_small_disk(scratch: &Scratch, folder: &Path, size: &str, script: &str) -> Command {
    fs::create_dir_all(folder).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} none \"$1\" || exit 99\n{script}");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
    command.arg("sh").arg(folder);
    for (name, value) in nodeos(scratch).get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("NODEOS", cli::nodeos());
    command
}

/// What a command said: its exit code, standard output, standard error.
fn said(command: Command) -> (i32, String, String) {
    let output = output_of_input(command, &[]).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn where_machines_are_kept() {
    let scratch = Scratch::new("full-state").unwrap();
    let script = script(&scratch, "small.js", "console.log('ran')").unwrap();
    let state = scratch.dir.join("state");
    let text = r#""$NODEOS" run --name small "$2"; code=$?; find "$1" -name 'small*'; exit $code"#;
    let mut command = with_small_disk(&scratch, &state, "4k", text);
    command.arg(script);
    let (code, stdout, stderr) = said(command);
    let folder = state.join("nodeos/machines/small");
    let expected = format!(
        "error: cannot write {}/machine.json.new\ncaused by: No space left on device (os error 28)\n\
         hint: free some space in {}, which has ",
        folder.display(),
        state.display()
    );
    assert!(stderr.contains(&expected), "{stderr}");
    assert_eq!((code, stdout.as_str()), (1, ""), "nothing is left of it");
}

#[test]
fn where_a_log_is_kept() {
    let scratch = Scratch::new("full-log").unwrap();
    let text = "
        process.stdout.write('x'.repeat(8 << 20), () => console.error('all is written'));
        process.on('SIGTERM', () => process.exit(5));
        setInterval(() => {}, 1000);";
    let script = script(&scratch, "talks.js", text).unwrap();
    let state = scratch.dir.join("state");
    // Nobody but the log takes what it writes.
    let text = r#"
        "$NODEOS" run --detach --name talks "$2" || exit
        "$NODEOS" logs --follow talks >/dev/null 2>"$1/../followed" &
        until "$NODEOS" exec talks node -e '' && "$NODEOS" logs talks 2>&1 >/dev/null | grep -q '^note: '; do :; done
        "$NODEOS" stop talks
        wait
        "$NODEOS" ps --all
        "$NODEOS" logs talks | wc -c"#;
    let mut command = with_small_disk(&scratch, &state, "2m", text);
    command.arg(script);
    let (code, stdout, stderr) = said(command);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.contains("\ntalks  exit code 5  "),
        "{stdout}{stderr}"
    );
    let kept: u32 = stdout.lines().last().unwrap().trim().parse().unwrap();
    assert!((1..8 << 20).contains(&kept), "{kept}");
    let note = format!(
        "note: not all that the application writes is kept: cannot write {}/nodeos/machines/talks/log: \
         No space left on device (os error 28); free some space in {}, which has ",
        state.display(),
        state.display()
    );
    assert!(stderr.contains(&note), "{stderr}");
}

#[test]
fn where_a_volume_grows() {
    let scratch = Scratch::new("full-volume").unwrap();
    let text = "
        const fs = require('node:fs');
        if (process.argv[2]) {
            console.log(fs.readFileSync('/data/kept', 'utf8'));
        } else {
            fs.writeFileSync('/data/kept', 'what was written before', { flush: true });
            fs.writeFileSync('/data/much', Buffer.alloc(64 << 20, 1), { flush: true });
            console.log('there was room');
        }";
    let script = script(&scratch, "grows.js", text).unwrap();
    let data = scratch.dir.join("data");
    // The volume is whole when there is room again.
    let text = r#"
        "$NODEOS" run --memory 256M --volume grows:/data "$2"
        echo "$?"
        mount -o remount,size=256m "$1" || exit 98
        exec "$NODEOS" run --volume grows:/data "$2" -- again"#;
    let mut command = with_small_disk(&scratch, &data, "32m", text);
    command.arg(script);
    let (code, stdout, stderr) = said(command);
    assert_eq!(
        (code, stdout.as_str()),
        (0, "1\nwhat was written before\n"),
        "{stderr}"
    );
    let expected = format!(
        "error: the volume {}/nodeos/volumes/grows.img cannot grow: this host's disk is full\n\
         hint: free some space in {}, which has ",
        data.display(),
        data.display()
    );
    assert!(stderr.contains(&expected), "{stderr}");
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn where_images_are_made() {
    let scratch = Scratch::new("full-cache").unwrap();
    let kinds: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|kind| !matches!(kind, Kind::Dependencies | Kind::Applications))
        .collect();
    // What every application stands upon is there already.
    system::build(
        &nodeos_tests::application::APPLICATION,
        &scratch.dir.join("out"),
    )
    .unwrap();
    cli::borrow_cache(&scratch.dir, &kinds).unwrap();
    let project = scratch.dir.join("project");
    fs::create_dir(&project).unwrap();
    fs::write(
        project.join("package.json"),
        r#"{"name": "large", "main": "a.js"}"#,
    )
    .unwrap();
    fs::write(project.join("a.js"), "console.log('ran')").unwrap();
    fs::write(project.join("large"), vec![1; 4 << 20]).unwrap();
    let images = scratch.dir.join("cache/nodeos/applications");
    let text = r#""$NODEOS" run "$2"; code=$?; find "$1" -type f -size +0; exit $code"#;
    let mut command = with_small_disk(&scratch, &images, "1m", text);
    command
        .arg(project)
        .env("XDG_CACHE_HOME", scratch.dir.join("cache"));
    let (code, stdout, stderr) = said(command);
    let expected = format!("error: no space left in {}/", images.display());
    assert!(stderr.contains(&expected), "{stderr}");
    let expected = format!(": the file system at {} has ", images.display());
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(stderr.contains("\nhint: free some space; "), "{stderr}");
    assert_eq!((code, stdout.as_str()), (1, ""), "nothing is left of it");
}
