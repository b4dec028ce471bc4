//! What is in the images of a project, and what is written when it changes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nodeos_build::application::{Source, prepare};
use nodeos_build::recipe::Libc;
use nodeos_spec::application::ApplicationSpec;

use crate::{context, dependencies, made, order, project, unpacked};

const EXPRESS: &str = r#"{"name": "@acme/shop", "private": true, "scripts": {"start": "node --trace-warnings server.js"},
    "dependencies": {"express": "4.21.2"}, "devDependencies": {"no-such-package-of-acme": "5.0.0"}, "nodeos": {"ports": ["8080:3000"]}}"#;

#[test]
fn a_project_becomes_two_images_and_stays_as_it_is() {
    let dir = project(&[
        ("package.json", EXPRESS),
        ("server.js", "require('express')().listen(3000)\n"),
        ("node_modules/express/index.js", "not this one"),
    ]);
    let application = made(dir.path());
    assert_eq!(
        (application.name.as_str(), application.libc),
        ("shop", Libc::Musl)
    );
    let found = dependencies(&application);
    let express = &found["files/node_modules/express/index.js"];
    assert!(
        express.starts_with(b"/*!"),
        "the project's own node_modules is not used"
    );
    assert!(found.contains_key("files/node_modules/send/index.js"));
    assert!(
        !found.keys().any(|path| path.contains("acme")),
        "it is for developing"
    );

    let own = unpacked(&application.application.path);
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["application.json", "files/package.json", "files/server.js"]
    );
    let spec = String::from_utf8(own["application.json"].clone()).unwrap();
    assert_eq!(ApplicationSpec::parse(&spec).unwrap(), application.spec);
    assert_eq!(
        application.spec.argv,
        ["/bin/node", "--trace-warnings", "/app/server.js"]
    );
    assert_eq!(application.spec.env["NODE_ENV"], "production");
    assert_eq!(application.spec.ports, [3000]);
    assert!(
        application
            .notes
            .iter()
            .any(|note| note.contains("no lock file")),
        "{:?}",
        application.notes
    );

    assert!(!dir.path().join("package-lock.json").exists());
    assert_eq!(
        fs::read_dir(dir.path().join("node_modules"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn one_changed_line_rewrites_only_the_application() {
    let dir = project(&[("package.json", EXPRESS), ("server.js", "// 1\n")]);
    let first = made(dir.path());
    let (ctx, recorder) = context();
    let order = order(Source::Folder(dir.path().to_owned()));
    let again = prepare(&ctx, &order).unwrap();
    assert_eq!(again.dependencies, first.dependencies);
    let lines = recorder.lines();
    let is_installed = lines.iter().any(|line| line.contains("install"));
    assert!(!is_installed, "{lines:?}");

    // A line that no earlier run of this test has left in the cache.
    let line = format!("// {:?}\n", std::time::SystemTime::now());
    fs::write(dir.path().join("server.js"), line).unwrap();
    let changed = prepare(&ctx, &order).unwrap();
    assert_ne!(changed.application, first.application);
    assert_eq!(changed.dependencies, first.dependencies);
    let steps = recorder.lines().split_off(lines.len());
    assert_eq!(steps[0], "begin write application shop");
    let is_check = steps[1].starts_with("run ") && steps[1].ends_with("/node");
    assert!(is_check && steps.len() == 2, "{steps:?}");
    let written = fs::metadata(&changed.application.path).unwrap().blocks() * 512;
    assert!(written <= 64 << 10, "{written} bytes for a line");
}

#[test]
fn workspaces_are_links_within_the_tree() {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "root", "private": true, "workspaces": ["packages/*"]}"#,
        ),
        (
            "packages/api/package.json",
            r#"{"name": "@acme/api", "version": "1.0.0", "main": "api.js", "dependencies": {"@acme/lib": "*", "ms": "2.1.3"}}"#,
        ),
        ("packages/api/api.js", "require('@acme/lib')"),
        (
            "packages/lib/package.json",
            r#"{"name": "@acme/lib", "version": "1.0.0", "main": "lib.js"}"#,
        ),
        ("packages/lib/lib.js", ""),
    ]);
    let application = made(&dir.path().join("packages/api"));
    assert_eq!(application.name, "api");
    assert_eq!(
        application.spec.argv,
        ["/bin/node", "/app/packages/api/api.js"]
    );
    assert_eq!(application.spec.cwd, "/app/packages/api");
    let found = dependencies(&application);
    assert_eq!(
        found["files/node_modules/@acme/lib"],
        b"-> ../../packages/lib"
    );
    assert!(found.contains_key("files/node_modules/ms/index.js"));
    assert!(
        !found.keys().any(|path| path.ends_with("lib.js")),
        "it is the application's"
    );
    assert!(unpacked(&application.application.path).contains_key("files/packages/lib/lib.js"));
}

#[test]
fn a_start_script_may_be_a_program_of_a_dependency() {
    let dir = project(&[(
        "package.json",
        r#"{"name": "moo", "scripts": {"start": "cowsay -f tux hi"}, "dependencies": {"cowsay": "1.6.0"}}"#,
    )]);
    let application = made(dir.path());
    let argv = application.spec.argv.join(" ");
    assert_eq!(argv, "/bin/node /app/node_modules/cowsay/cli.js -f tux hi");
}

#[test]
fn a_file_alone_is_an_application_of_one_file() {
    let dir = project(&[
        ("hello.ts", "const a: string = 'hi'\nconsole.log(a)\n"),
        ("secret", "x"),
    ]);
    let application = prepare(
        &context().0,
        &order(Source::File(dir.path().join("hello.ts"))),
    )
    .unwrap();
    assert_eq!(application.spec.argv, ["/bin/node", "/app/hello.ts"]);
    assert_eq!(application.dependencies, None);
    let own = unpacked(&application.application.path);
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    assert_eq!(names, ["application.json", "files/hello.ts"]);
}
