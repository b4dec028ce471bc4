//! The compile cache of an application, by the real command: what a machine's Node.js has of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nodeos_tests::boot::Scratch;
use nodeos_tests::nodeos_run::{nobody_is_left, said};

/// Loads something of a package, and ends by itself.
const SCRIPT: &str =
    "const ms = require('ms'); console.log(ms('2 days'), process.env.NODE_COMPILE_CACHE);";

/// A project that no earlier test has had a training for.
fn project(scratch: &Scratch, name: &str, script: &str, more: &str) -> PathBuf {
    let folder = scratch.dir.join(name);
    fs::create_dir(&folder).unwrap();
    let unique = format!("--title={:?}", SystemTime::now());
    let package = format!(
        r#"{{"name": "{name}", "private": true, "dependencies": {{"ms": "2.1.3"}}, "nodeos": {{"nodeArgs": [{unique:?}]{more}}}}}"#
    );
    fs::write(folder.join("package.json"), package).unwrap();
    fs::write(folder.join("index.js"), script).unwrap();
    folder
}

/// Runs it to its end, with Node.js telling of its compile cache.
fn run(scratch: &Scratch, folder: &Path) -> (String, String) {
    let words = ["run", "--env", "NODE_DEBUG_NATIVE=COMPILE_CACHE"];
    let words = words.iter().map(|word| (*word).to_owned());
    let words = words.chain([folder.display().to_string()]);
    let (code, stdout, stderr) = said(scratch, words).unwrap();
    assert_eq!(code, 0, "{stdout}{stderr}");
    // Node.js tells on its standard output or error, which is its affair.
    (stdout.clone(), stdout + &stderr)
}

fn was(accepted: &str, file: &str, said: &str) -> bool {
    let line = format!("V8 code cache for CommonJS {file} was {accepted}");
    said.contains(&line)
}

#[test]
fn a_first_start_finds_compiled_what_it_loads_and_a_changed_line_is_compiled_anew() {
    let scratch = Scratch::new("run-warm").unwrap();
    let folder = project(&scratch, "warm", SCRIPT, "");
    let (_, said) = run(&scratch, &folder);
    let package = "/app/node_modules/ms/index.js";
    assert!(
        said.contains("172800000 /app/.node-compile-cache"),
        "{said}"
    );
    assert!(was("accepted", package, &said), "{said}");
    assert!(was("accepted", "/app/index.js", &said), "{said}");

    fs::write(folder.join("index.js"), format!("{SCRIPT} // changed")).unwrap();
    let (_, said) = run(&scratch, &folder);
    assert!(!said.contains("warm up"), "{said}");
    assert!(was("accepted", package, &said), "{said}");
    assert!(was("not initialized", "/app/index.js", &said), "{said}");
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn a_server_without_a_port_that_anybody_knows_is_stopped_when_it_is_quiet() {
    let scratch = Scratch::new("run-warm-server").unwrap();
    // In the training nobody tells it to end.
    let script = format!(
        "{SCRIPT} require('node:http').createServer().listen(3000); if (process.argv[2]) process.exit();"
    );
    let folder = project(&scratch, "quiet", &script, "");
    let (code, stdout, stderr) = said(
        &scratch,
        ["run".as_ref(), "--dry-run".as_ref(), folder.as_os_str()],
    )
    .unwrap();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("/compile-cache.img"), "{stdout}{stderr}");
    let words = ["run", "--env", "NODE_DEBUG_NATIVE=COMPILE_CACHE"].map(str::to_owned);
    let words = words.into_iter().chain([
        folder.display().to_string(),
        "--".to_owned(),
        "end".to_owned(),
    ]);
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    let said = stdout + &stderr;
    assert_eq!(code, 0, "{said}");
    assert!(was("accepted", "/app/index.js", &said), "{said}");
    assert!(
        was("accepted", "/app/node_modules/ms/index.js", &said),
        "{said}"
    );
}

#[test]
fn who_wants_no_compile_cache_has_none() {
    let scratch = Scratch::new("run-cold").unwrap();
    let folder = project(&scratch, "cold", SCRIPT, r#", "compileCache": false"#);
    let (_, said) = run(&scratch, &folder);
    assert!(said.contains("172800000 undefined"), "{said}");
    assert!(!said.contains("code cache"), "{said}");
    let line = ["run".as_ref(), "--dry-run".as_ref(), folder.as_os_str()];
    let (_, argv, _) = nodeos_tests::nodeos_run::said(&scratch, line).unwrap();
    assert!(!argv.contains("compile-cache"), "{argv}");
}

#[test]
fn an_application_that_keeps_nothing_runs_all_the_same_and_a_note_says_so_once() {
    let scratch = Scratch::new("run-untrained").unwrap();
    // In the training there is no variable of this name.
    let script = format!(
        "const forget = () => require('node:fs').rmSync(process.env.NODE_COMPILE_CACHE, {{ recursive: true }});
        if (!process.env.AGAIN) process.on('exit', forget);
        {SCRIPT}"
    );
    let folder = project(&scratch, "untrained", &script, "");
    let words = || {
        let words = ["run", "--env", "AGAIN=1"].map(str::to_owned);
        words.into_iter().chain([folder.display().to_string()])
    };
    let (code, stdout, stderr) = said(&scratch, words()).unwrap();
    assert_eq!(
        (code, stdout.as_str()),
        (0, "172800000 undefined\n"),
        "{stderr}"
    );
    let note = "note: its scripts are compiled anew at each start: ";
    assert!(stderr.contains(note), "{stderr}");
    let (code, stdout, stderr) = said(&scratch, words()).unwrap();
    assert_eq!(
        (code, stdout.as_str()),
        (0, "172800000 undefined\n"),
        "{stderr}"
    );
    assert!(!stderr.contains(note), "{stderr}");
    nobody_is_left(&scratch).unwrap();
}
