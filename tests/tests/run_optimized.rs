//! Applications as one file, in machines: by the real command, with packages that can be in it and some that cannot.

use std::fs;
use std::path::{Path, PathBuf};

use nodeos_tests::boot::Scratch;
use nodeos_tests::http::fetch;
use nodeos_tests::nodeos_run::{Running, folder, nobody_is_left, said};

const OPTIMIZE: &[&str] = &["--optimize"];

fn project(scratch: &Scratch, files: &[(&str, &str)]) -> PathBuf {
    let folder = scratch.dir.join("project");
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn run(scratch: &Scratch, folder: &Path, more: &[&str]) -> (i32, String, String) {
    let words = ["run"].iter().chain(more).map(|word| (*word).to_owned());
    said(scratch, words.chain([folder.display().to_string()])).unwrap()
}

#[test]
fn express_answers_from_its_bundle_and_has_no_dependencies_beside_it() {
    let scratch = Scratch::new("run-optimized").unwrap();
    let express = folder("express");
    let running = Running::ready(&scratch, &express, OPTIMIZE).unwrap();
    let answer = fetch(running.port).unwrap();
    assert!(answer.ends_with("\r\n\r\nHello from express"), "{answer}");
    assert!(!running.heard().contains("note: "), "{}", running.heard());
    assert_eq!(running.stop().unwrap().0, 143);
    let images = |more: &[&str]| {
        let (code, argv, stderr) = run(&scratch, &express, more);
        assert_eq!(code, 0, "{stderr}");
        argv.matches("/dependencies.img").count()
    };
    assert_eq!(images(&["--dry-run"]), 1);
    assert_eq!(images(&["--dry-run", "--optimize"]), 0);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn an_add_on_is_named_and_runs_outside_of_the_bundle() {
    let scratch = Scratch::new("run-optimized-add-on").unwrap();
    let running = Running::ready(&scratch, &folder("leveldb"), OPTIMIZE).unwrap();
    let answer = fetch(running.port).unwrap();
    assert!(answer.ends_with("\r\n\r\nvisit 1"), "{answer}");
    let heard = running.heard();
    assert!(heard.contains("note: outside the bundle: "), "{heard}");
    assert!(
        heard.contains("classic-level (has a native add-on)"),
        "{heard}"
    );
    assert_eq!(running.stop().unwrap().0, 0);
}

#[test]
fn what_is_loaded_by_a_computed_name_is_one_with_the_bundle() {
    let scratch = Scratch::new("run-optimized-computed").unwrap();
    let files = [
        (
            "package.json",
            r#"{"dependencies": {"cowsay": "1.6.0", "ms": "2.1.3"},
                "nodeos": {"optimize": true, "compileCache": false}, "main": "src/main.js"}"#,
        ),
        (
            "src/main.js",
            "const { readFileSync } = require('node:fs');
             const state = require('../lib/state');
             if (require.main === module) state.value = 'shared';
             const file = [__dirname, '..', 'plugins', process.argv[2]].join('/');
             import(file).then(({ default: text }) => {
               console.log(text, require('./named/' + (process.argv[3] || 'a')), readFileSync(state.file, 'utf8'));
               console.log(require('cowsay').say({ text: 'moo' }));
             });",
        ),
        ("src/named/a.js", "module.exports = 'by its folder';"),
        (
            "lib/state.js",
            "exports.file = require('node:path').join(__dirname, 'text');",
        ),
        ("lib/text", "beside"),
        (
            "plugins/one.mjs",
            "import state from '../lib/state.js'; import ms from 'ms'; export default state.value + ms('1s');",
        ),
    ];
    let folder = project(&scratch, &files).display().to_string();
    let words = ["run", &folder, "--", "one.mjs"];
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.starts_with("shared1000 by its folder beside\n"),
        "{stdout}{stderr}"
    );
    assert!(stdout.contains("< moo >"), "{stdout}");
    for named in [
        "cowsay (uses files beside its modules)",
        "ms (nothing imports it by its name)",
        "lib/state.js (loaded from outside)",
    ] {
        assert!(stderr.contains(named), "{stderr}");
    }
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn what_cannot_be_bundled_is_refused_with_its_line_and_a_way_out() {
    let scratch = Scratch::new("run-optimized-refused").unwrap();
    let files = [
        ("package.json", r#"{"main": "a.js"}"#),
        ("a.js", "require('./b');"),
        ("b.js", "const b = 1;\nrequire('not-installed');"),
    ];
    let folder = project(&scratch, &files);
    let (code, _, stderr) = run(&scratch, &folder, OPTIMIZE);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("b.js:2:8: Could not resolve \"not-installed\""),
        "{stderr}"
    );
    assert!(
        stderr.contains("hint: correct that, or run the files as they are"),
        "{stderr}"
    );
}
