//! Native add-ons, and the C library that they decide for.

use std::process::Command;

use nodeos_build::application::{Source, prepare};
use nodeos_build::recipe::Libc;
use nodeos_spec::package::LibcChoice;
use tempfile::TempDir;

use crate::{context, dependencies, made, order, project, refused};

#[test]
fn native_add_ons_with_a_build_for_musl_run_with_musl() {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "native", "main": "a.js",
                "dependencies": {"better-sqlite3": "13.2.0", "sharp": "0.35.5", "bufferutil": "4.1.0", "ws": "8.23.0", "esbuild": "0.28.2"}}"#,
        ),
        ("a.js", ""),
    ]);
    let application = made(dir.path());
    assert_eq!(application.libc, Libc::Musl, "{:?}", application.notes);
    let found = dependencies(&application);
    assert!(
        found
            .keys()
            .any(|path| path.contains("sharp-linuxmusl-x64"))
    );
    assert!(!found.keys().any(|path| path.contains("sharp-linux-x64")));
    // Its install script has put the program for this processor there.
    let esbuild = &found["files/node_modules/esbuild/bin/esbuild"];
    assert!(esbuild.starts_with(b"\x7fELF"));

    let mut glibc = order(Source::Folder(dir.path().to_owned()));
    glibc.libc = Some(LibcChoice::Glibc);
    let application = prepare(&context().0, &glibc).unwrap();
    assert_eq!(application.libc, Libc::Glibc);
    assert!(
        dependencies(&application)
            .keys()
            .any(|path| path.contains("sharp-linux-x64"))
    );
}

/// A project with a dependency whose add-on wants what only glibc has.
fn with_glibc_addon() -> TempDir {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "old", "main": "a.js", "files": ["a.js"], "dependencies": {"only-glibc": "file:only-glibc.tgz"}}"#,
        ),
        ("a.js", ""),
        (
            "package/package.json",
            r#"{"name": "only-glibc", "version": "1.0.0"}"#,
        ),
        (
            "package/addon.c",
            "#include <gnu/libc-version.h>\nconst char *v(void) { return gnu_get_libc_version(); }\n",
        ),
    ]);
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program)
            .args(args)
            .current_dir(dir.path())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{program} has to be installed"
        );
    };
    run(
        "cc",
        &[
            "-shared",
            "-fPIC",
            "-o",
            "package/addon.node",
            "package/addon.c",
        ],
    );
    run("tar", &["-czf", "only-glibc.tgz", "package"]);
    dir
}

#[test]
fn an_add_on_for_glibc_only_decides_for_glibc_and_that_is_said_once() {
    let dir = with_glibc_addon();
    let application = made(dir.path());
    assert_eq!(application.libc, Libc::Glibc);
    let notes = application
        .notes
        .iter()
        .filter(|note| note.contains("glibc"));
    assert_eq!(
        notes.collect::<Vec<_>>(),
        ["the machine has glibc instead of musl, because only-glibc has no build for musl"]
    );

    let mut musl = order(Source::Folder(dir.path().to_owned()));
    musl.libc = Some(LibcChoice::Musl);
    let (error, text) = refused(&musl);
    assert_eq!(
        text,
        "native add-ons have no build that runs here with musl:\n    only-glibc: addon.node needs gnu_get_libc_version, which the machine's musl does not have"
    );
    assert_eq!(
        error.hint().unwrap(),
        "use the other C library: --libc glibc"
    );
}
