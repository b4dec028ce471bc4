//! The compile cache of an application: of whom, when it is made, and what becomes of a training that fails.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use nodeos_build::application::compile_cache::{Trained, Training, provide};
use nodeos_build::application::{Application, Source, prepare};
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::service::Restart;

use crate::{context, made, order, project, unpacked};

/// One that no earlier run of these tests has left in the cache. What it depends on was installed before.
fn package(more: &str) -> String {
    let unique = format!("--title={:?}", SystemTime::now());
    format!(
        r#"{{"name": "warm", "dependencies": {{"ms": "2.1.3"}}, "nodeos": {{"nodeArgs": [{unique:?}]{more}}}}}"#
    )
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    builder
        .append_data(&mut header, "cache/v24-x64-0/00aa", b"code".as_slice())
        .unwrap();
    builder.into_inner().unwrap()
}

/// Provides it, and returns how often there was a training.
fn trainings(application: &mut Application, trained: Trained) -> usize {
    let mut count = 0;
    let train = |_: &Training| {
        count += 1;
        trained
    };
    provide(&context().0, application, train).unwrap();
    count
}

fn failed() -> Trained {
    Trained::Failed {
        reason: "there was no more room on the ark".to_owned(),
    }
}

#[test]
fn a_training_is_for_the_dependencies_and_a_changed_line_makes_none() {
    let dir = project(&[("package.json", &package("")), ("index.js", "// 1\n")]);
    let mut first = made(dir.path());
    let mut seen = None;
    let train = |training: &Training| {
        let preload = unpacked(&training.preload.path);
        seen = Some((training.spec.clone(), preload));
        Trained::Archive(archive())
    };
    provide(&context().0, &mut first, train).unwrap();
    let (spec, preload): (ApplicationSpec, _) = seen.unwrap();
    assert_eq!(spec.restart, Restart::Always);
    assert_eq!(
        spec.argv[1..3],
        ["--require", "/app/.nodeos-training/preload.cjs"]
    );
    let script = &preload["files/.nodeos-training/preload.cjs"];
    assert!(String::from_utf8_lossy(script).contains("flushCompileCache()"));

    let layers: Vec<&Path> = first.layers().map(|layer| layer.path.as_path()).collect();
    let image = first.compile_cache.as_ref().unwrap();
    assert_eq!((layers.len(), layers[1]), (3, image.path.as_path()));
    let found = unpacked(&image.path);
    assert_eq!(found["files/.node-compile-cache/v24-x64-0/00aa"], b"code");
    assert_eq!(found.len(), 1);
    assert_eq!(first.spec.restart, Restart::Never);

    fs::write(dir.path().join("index.js"), "// 2\n").unwrap();
    let mut changed = made(dir.path());
    assert_ne!(changed.application, first.application);
    assert_eq!(trainings(&mut changed, failed()), 0);
    assert_eq!(changed.compile_cache, first.compile_cache);
    // Arguments of the application are not its scripts.
    let mut with_args = order(Source::Folder(dir.path().to_owned()));
    with_args.args.push("--help".to_owned());
    let mut with_args = prepare(&context().0, &with_args).unwrap();
    assert_eq!(trainings(&mut with_args, failed()), 0);
    assert_eq!(with_args.compile_cache, first.compile_cache);
}

#[test]
fn there_is_no_training_where_nobody_wants_it_and_where_it_would_be_of_no_use() {
    let check = |files: &[(&str, &str)], source: &dyn Fn(&Path) -> Source| {
        let dir = project(files);
        let mut application = prepare(&context().0, &order(source(dir.path()))).unwrap();
        assert_eq!(trainings(&mut application, failed()), 0, "{files:?}");
        assert_eq!(application.compile_cache, None);
    };
    let folder = |path: &Path| Source::Folder(path.to_owned());
    let off = package(r#", "compileCache": false"#);
    check(&[("package.json", &off), ("index.js", "")], &folder);
    let own = package(r#", "env": {"NODE_COMPILE_CACHE": "/tmp/mine"}"#);
    check(&[("package.json", &own), ("index.js", "")], &folder);
    check(&[("package.json", "{}"), ("index.js", "")], &folder);
    check(&[("a.js", "")], &|path| Source::File(path.join("a.js")));
}

#[test]
fn a_training_that_fails_is_a_note_and_is_not_repeated_on_the_same_day() {
    let dir = project(&[("package.json", &package("")), ("index.js", "")]);
    let mut application = made(dir.path());
    let before = application.notes.len();
    assert_eq!(trainings(&mut application, failed()), 1);
    assert_eq!(
        application.notes[before..],
        ["its scripts are compiled anew at each start: there was no more room on the ark"]
    );
    assert_eq!(application.compile_cache, None);
    assert!(!application.spec.env.contains_key("NODE_COMPILE_CACHE"));
    let mut again = made(dir.path());
    assert_eq!(trainings(&mut again, Trained::Archive(archive())), 0);
    assert_eq!((again.notes.len(), again.compile_cache), (before, None));
}

#[test]
fn who_stops_a_training_has_not_made_it_fail() {
    let dir = project(&[("package.json", &package("")), ("index.js", "")]);
    let mut application = made(dir.path());
    let stopped = provide(&context().0, &mut application, |_| Trained::Cancelled);
    assert!(stopped.unwrap_err().is_cancelled());
    assert_eq!(
        trainings(&mut application, Trained::Archive(archive())),
        1,
        "it is made by the next who wants it"
    );
    assert!(application.compile_cache.is_some());
}
