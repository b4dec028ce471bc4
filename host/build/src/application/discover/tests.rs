//! Projects of a few files, and what of them is run.

use std::error::Error;
use std::fs;

use tempfile::TempDir;

use super::*;

/// A project with this package.json and these files.
fn project(package: &str, files: &[&str]) -> (TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("package.json"), package).unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let project = Project::read(dir.path()).unwrap();
    (dir, project)
}

fn found(package: &str, files: &[&str]) -> Result<Found, PrepareApplicationError> {
    let (_dir, project) = project(package, files);
    find(&project, &project.package.config().unwrap(), None)
}

#[track_caller]
fn runs(package: &str, files: &[&str], expected: &str) {
    let text = match found(package, files).unwrap() {
        Found::File(start) => start.argv().join(" "),
        Found::Tool(tool) => format!("{}: {}", tool.name, tool.start.args.join(" ")),
    };
    assert_eq!(text, expected, "{package}");
}

#[track_caller]
fn refused(package: &str, files: &[&str], expected: &str) {
    let error = found(package, files).unwrap_err();
    let source = error.source().map(|source| format!(": {source}"));
    let text = format!("{error}{}", source.unwrap_or_default());
    assert!(text.contains(expected), "{package}: {text}");
    assert!(error.hint().is_some(), "{text}");
}

#[test]
fn what_is_named_first_is_run() {
    let all = r#""main": "m.js", "bin": "b.js", "scripts": {"start": "node s.js"}"#;
    let files = ["e.js", "s.js", "m.js", "b.js", "index.js", "server.js"];
    runs(
        &format!(r#"{{"nodeos": {{"entry": "./e.js"}}, {all}}}"#),
        &files,
        "/bin/node /app/e.js",
    );
    runs(&format!("{{{all}}}"), &files, "/bin/node /app/s.js");
    runs(
        r#"{"main": "m.js", "bin": "b.js"}"#,
        &files,
        "/bin/node /app/m.js",
    );
    runs(r#"{"bin": "b.js"}"#, &files, "/bin/node /app/b.js");
    runs("{}", &files, "/bin/node /app/index.js");
    runs("{}", &["server.js"], "/bin/node /app/server.js");
    runs(
        "{}",
        &["index.mjs", "server.js"],
        "/bin/node /app/index.mjs",
    );
}

#[test]
fn names_may_leave_out_what_nodejs_adds() {
    runs(
        r#"{"main": "lib"}"#,
        &["lib/index.js"],
        "/bin/node /app/lib/index.js",
    );
    runs(
        r#"{"main": "./lib/a"}"#,
        &["lib/a.js"],
        "/bin/node /app/lib/a.js",
    );
    runs(
        r#"{"main": "src/a.ts"}"#,
        &["src/a.ts"],
        "/bin/node /app/src/a.ts",
    );
    runs(
        r#"{"scripts": {"start": "node ."}, "main": "m.js"}"#,
        &["m.js"],
        "/bin/node /app/m.js",
    );
    // What `npm init` writes, whether or not there is such a file.
    runs(
        r#"{"main": "index.js"}"#,
        &["server.js"],
        "/bin/node /app/server.js",
    );
}

#[test]
fn arguments_and_the_environment_of_a_script_are_kept() {
    let package = r#"{"scripts": {"start": "A=b node --trace-warnings s.js -v"},
        "nodeos": {"nodeArgs": ["--expose-gc"], "args": ["x"]}}"#;
    runs(
        package,
        &["s.js"],
        "/bin/node --expose-gc --trace-warnings /app/s.js -v x",
    );
    match found(package, &["s.js"]).unwrap() {
        Found::File(start) => assert_eq!(start.env["A"], "b"),
        tool => panic!("{tool:?}"),
    }
}

#[test]
fn a_script_may_run_a_dependency_or_another_script() {
    runs(
        r#"{"scripts": {"start": "next start -p 3000"}}"#,
        &[],
        "next: start -p 3000",
    );
    runs(
        r#"{"scripts": {"start": "npx serve dist"}}"#,
        &[],
        "serve: dist",
    );
    let package =
        r#"{"scripts": {"start": "npm run serve -- --port 1", "serve": "node s.js --fast"}}"#;
    runs(package, &["s.js"], "/bin/node /app/s.js --fast --port 1");
}

#[test]
fn what_cannot_be_run_is_refused_in_words() {
    refused("{}", &[], "says what to run");
    refused(
        r#"{"main": "m.js"}"#,
        &[],
        "\"main\" of package.json names m.js, which is not in",
    );
    refused(
        r#"{"nodeos": {"entry": "e.js"}}"#,
        &["index.js"],
        "\"nodeos.entry\" of package.json names e.js",
    );
    refused(
        r#"{"scripts": {"start": "node s.js"}}"#,
        &["index.js"],
        "\"scripts.start\" of package.json names s.js",
    );
    refused(
        r#"{"scripts": {"start": "tsc && node s.js"}}"#,
        &["s.js"],
        "cannot run \"scripts.start\" of package.json, \"tsc && node s.js\": there is no shell in the machine, and & is shell syntax",
    );
    refused(
        r#"{"scripts": {"start": "node -e 1"}}"#,
        &[],
        "node is given no file",
    );
    refused(
        r#"{"scripts": {"start": "npm run serve"}}"#,
        &[],
        "there is no \"scripts.serve\"",
    );
    refused(
        r#"{"scripts": {"start": "npm start"}}"#,
        &[],
        "run each other without end",
    );
}

#[test]
fn a_program_of_a_dependency_has_to_be_there() {
    let (_dir, project) = project("{}", &[]);
    let tool = Tool {
        name: "nodemon".to_owned(),
        start: Start::default(),
    };
    let error = resolve(tool, &project, None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("runs nodemon, and no production dependency")
    );
    assert!(error.hint().unwrap().contains("devDependencies"));
}

#[test]
fn javascript_is_told_by_its_name_or_its_first_line() {
    let check = |name: &str, line: &str, expected: bool| {
        assert_eq!(
            is_javascript(Path::new(name), line.as_bytes()),
            expected,
            "{name} {line}"
        );
    };
    check("a.mjs", "", true);
    check("bin/next", "#!/usr/bin/env node\n", true);
    check("bin/x", "#!/usr/bin/node --max-old-space-size=1\n", true);
    check("bin/esbuild", "\u{7f}ELF", false);
    check("bin/run.sh", "#!/bin/sh\n", false);
}
