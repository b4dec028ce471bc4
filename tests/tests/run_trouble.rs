//! Applications that want too much, and machines that have too little.

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;

use nodeos_tests::boot::Scratch;
use nodeos_tests::http::free_port;
use nodeos_tests::nodeos_run::{READY, Running, nobody_is_left, nodeos, said, script};
use nodeos_vm::process::has_ended_within;

/// What somebody sees whose application took all memory that there was.
fn is_out_of_memory(stderr: &str) -> bool {
    let numbers = stderr.lines().find_map(|line| {
        let (peak, limit) = line
            .strip_prefix("error: there was no memory left for the application: it had up to ")?
            .split_once(" of ")?;
        Some(peak.ends_with(" MB") && limit.ends_with(" MB"))
    });
    numbers == Some(true) && stderr.ends_with("hint: give the machine more with --memory\n")
}

#[test]
fn who_takes_all_memory_is_ended_and_told_so() {
    let scratch = Scratch::new("run-memory").unwrap();
    let text = "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));";
    let script = script(&scratch, "memory.js", text).unwrap();
    let script = script.to_str().unwrap();
    for memory in ["96M", "48M"] {
        let (code, stdout, stderr) = said(&scratch, ["run", "--memory", memory, script]).unwrap();
        assert_eq!((code, stdout.as_str()), (137, ""), "{memory}: {stderr}");
        assert!(is_out_of_memory(&stderr), "{memory}: {stderr}");
    }
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn a_machine_that_would_not_boot_for_lack_of_memory_is_refused() {
    let scratch = Scratch::new("run-too-little").unwrap();
    let script = script(&scratch, "nothing.js", "").unwrap();
    let script = script.to_str().unwrap();
    for root in ["pmem", "disk"] {
        let words = ["run", "--root", root, "--memory", "32M", script];
        let (code, _, stderr) = said(&scratch, words).unwrap();
        let expected = "error: 32 MiB of memory are too little for an application: it needs at least 48 MiB\n\
                        hint: give --memory 48M, or leave it away\n";
        assert_eq!((code, stderr.as_str()), (2, expected));
        // What it says is enough.
        let words = ["run", "--root", root, "--memory", "48M", script];
        let (code, _, stderr) = said(&scratch, words).unwrap();
        assert_eq!(code, 0, "{root}: {stderr}");
    }
    let folder = scratch.dir.join("project");
    fs::create_dir(&folder).unwrap();
    let package = r#"{"main": "a.js", "nodeos": {"memory": "40M", "cpus": 3}}"#;
    fs::write(folder.join("package.json"), package).unwrap();
    fs::write(folder.join("a.js"), "").unwrap();
    let folder = folder.to_str().unwrap();
    let (code, _, stderr) = said(&scratch, ["run", folder]).unwrap();
    let expected = "error: package.json gives the application 40 MiB of memory, which are too little on 3 processors: \
                    it needs at least 56 MiB\n\
                    hint: write \"nodeos\": {\"memory\": \"56M\"} there, or give --memory\n";
    assert!(code == 1 && stderr.ends_with(expected), "{stderr}");
    let files = scratch.dir.join("files");
    let words = ["build", "--app", folder, "--out", files.to_str().unwrap()];
    let (code, _, stderr) = said(&scratch, words).unwrap();
    assert!(code == 1 && stderr.ends_with(expected), "{stderr}");
    let (code, _, stderr) = said(&scratch, ["run", "--memory", "56M", folder]).unwrap();
    assert_eq!(code, 0, "{stderr}");
    let words = ["run", "--root", "initramfs", "--memory", "128M", script];
    let (code, _, stderr) = said(&scratch, words).unwrap();
    assert_eq!(code, 1, "{stderr}");
    let (_, needed) = stderr
        .split_once("error: 128 MiB of memory are too little for an initramfs of this size: it needs at least ")
        .unwrap_or_else(|| panic!("{stderr}"));
    // What it says is enough.
    let (needed, _) = needed.split_once(" MiB\nhint: ").unwrap();
    let words = ["run", "--root", "initramfs", "--memory", needed, script];
    let (code, _, stderr) = said(&scratch, words).unwrap();
    assert_eq!(code, 0, "{stderr}");
    nobody_is_left(&scratch).unwrap();
}

/// Writes 200 MiB to standard output: each MiB the same.
const MANY_BYTES: &str = r#"
    import fs from 'node:fs';
    const part = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
    for (let i = 0; i < 200; i++) {
        for (let at = 0; at < part.length; at += fs.writeSync(1, part, at));
    }
"#;

#[test]
fn very_much_output_comes_whole_and_who_wants_only_its_beginning_ends_it() {
    let scratch = Scratch::new("run-output").unwrap();
    let script = script(&scratch, "output.mjs", MANY_BYTES).unwrap();
    let path = scratch.dir.join("output");
    let mut child = nodeos(&scratch)
        .arg("run")
        .arg(&script)
        .stdin(Stdio::null())
        .stdout(File::create(&path).unwrap())
        .spawn()
        .unwrap();
    assert!(has_ended_within(&child, READY), "it did not end");
    assert!(child.wait().unwrap().success());
    let part: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251) as u8).collect();
    let (mut file, mut found) = (File::open(&path).unwrap(), vec![0; part.len()]);
    for number in 0..200 {
        file.read_exact(&mut found).unwrap();
        assert!(found == part, "part {number} is another");
    }
    assert_eq!(file.read(&mut found).unwrap(), 0);
    std::fs::remove_file(&path).unwrap();

    let mut child = nodeos(&scratch)
        .arg("run")
        .arg(&script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begin = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut begin).unwrap();
    drop(stdout);
    assert_eq!(begin, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(has_ended_within(&child, READY), "it did not end");
    // As every command whose output nobody reads any more.
    assert!(child.wait().unwrap().success());
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn a_full_tmp_is_an_error_and_ten_thousand_processes_end_in_words() {
    let scratch = Scratch::new("run-greed").unwrap();
    let text = r#"
        import fs from 'node:fs';
        import { spawn } from 'node:child_process';
        const file = fs.openSync('/tmp/everything', 'w');
        const part = Buffer.alloc(1 << 20);
        try {
            for (;;) fs.writeSync(file, part);
        } catch (error) {
            console.log(error.code);
        }
        fs.unlinkSync('/tmp/everything');
        fs.closeSync(file);
        for (let i = 0; i < 10000; i++) {
            const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
            child.on('error', () => {});
            child.on('exit', () => {});
        }
    "#;
    let script = script(&scratch, "greed.mjs", text).unwrap();
    let (code, stdout, stderr) = said(&scratch, ["run".as_ref(), script.as_os_str()]).unwrap();
    assert_eq!((code, stdout.as_str()), (137, "ENOSPC\n"), "{stderr}");
    assert!(is_out_of_memory(&stderr), "{stderr}");
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_never_listens_goes_on_and_that_is_said() {
    let scratch = Scratch::new("run-silent").unwrap();
    let text = "setInterval(() => {}, 1000)";
    let script = script(&scratch, "silent.js", text).unwrap();
    let mut attended = Running::start(&scratch, &script, &["--name", "attended"]).unwrap();
    let port = format!("{}:3000", free_port().unwrap());
    let mut words = vec!["run", "--detach", "--name", "silent", "--port", &port];
    words.push(script.to_str().unwrap());
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    assert_eq!((code, stdout.as_str()), (0, "silent\n"), "{stderr}");
    let note = "note: nothing listens on port 3000 of the machine after 60 s; it goes on";
    assert!(stderr.ends_with(&format!("{note}\n")), "{stderr}");
    attended.wait_for(note, READY).unwrap();
    let (code, stdout, _) = said(&scratch, ["stop", "silent", "attended"]).unwrap();
    assert_eq!((code, stdout.as_str()), (0, "silent\nattended\n"));
    assert_eq!(attended.ended(READY).unwrap().0, 143);
    nobody_is_left(&scratch).unwrap();
}
