//! `nodeos run --watch`: what changes on this host changes in a machine that goes on.

use std::fs;
use std::path::{Path, PathBuf};

use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::http::{ask, fetch, free_port};
use nodeos_tests::nodeos_run::{READY, Running, STOP, nobody_is_left, said, script};
use rustix::process::Signal;

/// Says which machine it is, what it is made of, and what of it is there.
const SERVER: &str = "
    const fs = require('node:fs');
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const word = require('./word.js');
    const names = fs.readdirSync('.', { recursive: true }).filter((name) => !name.includes('node_modules'));
    require('node:http').createServer((asked, answer) => {
        if (asked.url === '/crash') process.exit(3);
        answer.end(JSON.stringify({ boot, word, pid: process.pid, names: names.sort().join() }));
    }).listen(3000);";

/// A project without dependencies.
fn project(scratch: &Scratch) -> PathBuf {
    let folder = scratch.dir.join("project");
    fs::create_dir(&folder).unwrap();
    write(&folder, "package.json", r#"{"name": "watched"}"#);
    write(&folder, "server.js", SERVER);
    write(&folder, "word.js", "module.exports = 'first';");
    write(&folder, ".npmignore", "notes\n");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What the server says.
fn told(port: u16) -> serde_json::Value {
    let answer = fetch(port).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn watch(scratch: &Scratch, folder: &Path, more: &[&str]) -> Running {
    Running::ready(scratch, folder, &[&["--watch"], more].concat()).unwrap()
}

#[test]
fn files_that_change_come_and_go_do_so_in_the_same_machine() {
    let scratch = Scratch::new("watch-files").unwrap();
    let folder = project(&scratch);
    let mut running = watch(&scratch, &folder, &[]);
    let first = told(running.port);
    assert_eq!(first["names"], "package.json,server.js,word.js");

    // As an editor does.
    write(&folder, "word.js.new", "module.exports = 'second';");
    fs::rename(folder.join("word.js.new"), folder.join("word.js")).unwrap();
    let line = running.wait_for("restarted in ", ANSWER).unwrap();
    assert!(
        line.starts_with("changed: word.js; restarted in "),
        "{line}"
    );
    let second = told(running.port);
    assert_eq!(second["word"], "second");
    assert_eq!(second["boot"], first["boot"]);
    assert_ne!(second["pid"], first["pid"]);

    write(&folder, "new/deep/a.js", "");
    fs::remove_file(folder.join("word.js")).unwrap();
    write(&folder, "word/index.js", "module.exports = 'a folder';");
    write(&folder, "server.js", &SERVER.replace("./word.js", "./word"));
    let line = running.wait_for("restarted in ", ANSWER).unwrap();
    let expected = "changed: new/deep/a.js, server.js, word/index.js, word.js (removed); ";
    assert!(line.starts_with(expected), "{line}");
    let third = told(running.port);
    assert_eq!(
        third["names"],
        "new,new/deep,new/deep/a.js,package.json,server.js,word,word/index.js"
    );
    assert_eq!(third["word"], "a folder");
    assert_eq!(third["boot"], first["boot"]);

    // In a folder that was not there at first, and many at once.
    fs::remove_dir_all(folder.join("word")).unwrap();
    write(&folder, "word.js", "module.exports = 'again';");
    (0..1000).for_each(|number| write(&folder, &format!("new/deep/{number}.js"), ""));
    let line = running.wait_for("restarted in ", ANSWER).unwrap();
    assert!(line.contains(" more; restarted in "), "{line}");
    let fourth = told(running.port);
    assert_eq!(fourth["word"], "again");
    let names = fourth["names"].as_str().unwrap();
    assert_eq!(names.split(',').count(), 3 + 2 + 1 + 1000);
    // As many at once were one change.
    assert_eq!(running.heard().matches("restarted in ").count(), 3);
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.ended(STOP).unwrap().0, 130);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn what_is_left_out_restarts_nothing_and_what_cannot_run_changes_nothing() {
    let scratch = Scratch::new("watch-ignored").unwrap();
    let folder = project(&scratch);
    let volume = format!("{}:/data", folder.join("data").display());
    fs::create_dir(folder.join("data")).unwrap();
    let mut running = watch(&scratch, &folder, &["--volume", &volume]);
    let first = told(running.port);
    write(&folder, "notes", "ignored");
    write(&folder, "debug.log", "ignored");
    write(&folder, "node_modules/x/index.js", "ignored");
    write(&folder, "data/written", "into a volume");

    write(&folder, "server.js", "const a = ;");
    running
        .wait_for("error: server.js has a syntax error", ANSWER)
        .unwrap();
    assert_eq!(told(running.port), first, "it goes on as it was");
    write(&folder, "server.js", SERVER);
    let line = running.wait_for("restarted in ", ANSWER).unwrap();
    assert!(line.starts_with("changed: server.js; "), "{line}");
    let second = told(running.port);
    assert_eq!(second["boot"], first["boot"]);
    assert_eq!(running.heard().matches("changed: ").count(), 1);
    let (code, _) = running.stop().unwrap();
    assert_eq!(code, 143);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_crashes_is_started_by_the_next_change_and_a_debugger_finds_it_again() {
    let scratch = Scratch::new("watch-crash").unwrap();
    let folder = project(&scratch);
    let inspector = free_port().unwrap();
    let inspect = format!("--inspect={inspector}");
    let mut running = watch(&scratch, &folder, &[&inspect]);
    let first = told(running.port);
    let debuggers = || ask(inspector, "/json/list").unwrap();
    let before = debuggers();

    // It ends without an answer.
    let _ = ask(running.port, "/crash");
    let waits = "the application has ended with exit code 3; waiting for a change";
    running.wait_for(waits, ANSWER).unwrap();
    let (_, listed, _) = said(&scratch, ["ps"]).unwrap();
    let expected = "\nwatched  exit code 3, waits for a change  ";
    assert!(listed.contains(expected), "{listed}");
    write(&folder, "word.js", "throw new Error('broken');");
    let line = running.wait_for("waiting for a change", ANSWER).unwrap();
    let expected =
        "changed: word.js; the application has ended with exit code 1; waiting for a change";
    assert_eq!(line, expected);
    write(&folder, "word.js", "module.exports = 'repaired';");
    running.wait_for("restarted in ", ANSWER).unwrap();
    let repaired = told(running.port);
    assert_eq!(repaired["word"], "repaired");
    assert_eq!(repaired["boot"], first["boot"]);
    assert_ne!(debuggers(), before, "it is another process");

    let _ = ask(running.port, "/crash");
    running.wait_for(waits, ANSWER).unwrap();
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.ended(STOP).unwrap().0, 3);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn settings_and_dependencies_make_another_machine_and_broken_ones_none() {
    let scratch = Scratch::new("watch-anew").unwrap();
    let folder = project(&scratch);
    let mut running = watch(&scratch, &folder, &[]);
    let first = told(running.port);

    write(
        &folder,
        "package.json",
        r#"{"name": "watched", "nodeos": {"memry": 1}}"#,
    );
    running.wait_for("unknown key \"memry\"", ANSWER).unwrap();
    assert_eq!(told(running.port), first);

    let local = r#"{"name": "watched", "dependencies": {"local": "file:./none.tgz"}}"#;
    write(&folder, "package.json", local);
    running.wait_for("error: ", READY).unwrap();
    assert_eq!(told(running.port), first);

    write(
        &folder,
        "local/package.json",
        r#"{"name": "local", "version": "1.0.0"}"#,
    );
    write(
        &folder,
        "local/index.js",
        "module.exports = 'of a dependency';",
    );
    write(&folder, "word.js", "module.exports = require('local');");
    write(&folder, "package.json", &local.replace("none.tgz", "local"));
    running
        .wait_for("changed: dependencies; starting the machine anew", READY)
        .unwrap();
    running.wait_for("ready: ", READY).unwrap();
    let second = told(running.port);
    assert_eq!(second["word"], "of a dependency");
    assert_ne!(second["boot"], first["boot"]);

    fs::remove_dir_all(folder.join("local")).unwrap();
    write(&folder, "word.js", "module.exports = process.env.WORD;");
    let settings = r#"{"name": "watched", "nodeos": {"env": {"WORD": "a setting"}}}"#;
    write(&folder, "package.json", settings);
    running.wait_for("ready: ", READY).unwrap();
    let third = told(running.port);
    assert_eq!(third["word"], "a setting");
    assert_ne!(third["boot"], second["boot"]);
    write(
        &folder,
        "word.js",
        "module.exports = 'in the third machine';",
    );
    running.wait_for("restarted in ", ANSWER).unwrap();
    let last = told(running.port);
    assert_eq!(last["word"], "in the third machine");
    assert_eq!(last["boot"], third["boot"]);
    let (code, _) = running.stop().unwrap();
    assert_eq!(code, 143);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn a_file_alone_is_watched_too() {
    let scratch = Scratch::new("watch-alone").unwrap();
    let alone = script(
        &scratch,
        "alone.js",
        "console.error('first'); process.exit(4)",
    )
    .unwrap();
    let words = ["--watch", alone.to_str().unwrap()];
    let mut running = Running::begin(&scratch, words).unwrap();
    running
        .wait_for("exit code 4; waiting for a change", READY)
        .unwrap();
    fs::write(scratch.dir.join("beside.js"), "").unwrap();
    fs::write(
        &alone,
        "console.error('second'); setInterval(() => {}, 1000)",
    )
    .unwrap();
    running
        .wait_for("changed: alone.js; restarted in ", ANSWER)
        .unwrap();
    running.wait_for("second", ANSWER).unwrap();
    let (code, _) = running.stop().unwrap();
    assert_eq!(code, 143);
    nobody_is_left(&scratch).unwrap();
}
