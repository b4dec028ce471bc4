//! Lock files, and the package managers that follow them.

use std::fs;
use std::process::Command;

use nodeos_build::application::Source;
use nodeos_build::manifest::Manifest;
use nodeos_build::node;
use nodeos_build::recipe::{Arch, Libc};

use crate::{context, dependencies, made, order, project, refused};

#[test]
fn a_lock_file_is_followed() {
    let lock = r#"{"name": "a", "lockfileVersion": 3, "requires": true, "packages": {
        "": {"dependencies": {"ms": "^2.0.0"}},
        "node_modules/ms": {"version": "2.1.1",
            "integrity": "sha512-tgp+dl5cGk28utYktBsrFqA7HKgrhgPsg6Z/EfhWI4gl1Hwq8B/GmY/0oXZ6nF8hDVesS/FpnYaD/kOWhYQvyg=="}}}"#;
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "a", "main": "a.js", "dependencies": {"ms": "^2.0.0"}}"#,
        ),
        ("package-lock.json", lock),
        ("a.js", ""),
    ]);
    let application = made(dir.path());
    let package = &dependencies(&application)["files/node_modules/ms/package.json"];
    assert!(String::from_utf8_lossy(package).contains(r#""version": "2.1.1""#));
    assert_eq!(application.notes, [""; 0]);

    let package = r#"{"name": "a", "main": "a.js", "dependencies": {"ms": "^1.0.0"}}"#;
    fs::write(dir.path().join("package.json"), package).unwrap();
    let (error, text) = refused(&order(Source::Folder(dir.path().to_owned())));
    assert!(
        text.starts_with("cannot install the dependencies: "),
        "{text}"
    );
    assert!(
        error.hint().unwrap().contains("npm install"),
        "{:?}",
        error.hint()
    );
}

/// Says to a test that it is the program that the test has started, with pnpm and Yarn in its `PATH`.
const WITH_MANAGERS: &str = "NODEOS_TEST_WITH_MANAGERS";

#[test]
fn projects_of_pnpm_and_yarn_are_installed_by_their_own_tools() {
    check_with(
        r#"{"dependencies": {"pnpm": "9.15.9", "yarn": "1.22.22"}}"#,
        "projects_of_pnpm_and_yarn_are_installed_by_their_own_tools",
    );
}

/// Those read elsewhere what they install for.
#[test]
fn projects_of_newer_pnpm_and_yarn_are_installed_by_their_own_tools() {
    check_with(
        r#"{"dependencies": {"pnpm": "12.21.0", "@yarnpkg/cli-dist": "4.18.1"}}"#,
        "projects_of_newer_pnpm_and_yarn_are_installed_by_their_own_tools",
    );
}

/// Runs this test again, with these managers in its `PATH`.
fn check_with(managers: &str, test: &str) {
    if std::env::var_os(WITH_MANAGERS).is_some() {
        return check_managers();
    }
    let tools = project(&[("package.json", managers)]);
    // npm as it is in the image: a host need not have one.
    let (ctx, _) = context();
    let manifest = Manifest::load(&ctx.source).unwrap();
    let (arch, libc) = (Arch::X86_64, Libc::Musl);
    let node = node::prepare(&ctx, &manifest, arch, libc).unwrap();
    let host = node::host::prepare(&ctx, &manifest, &node, arch, libc).unwrap();
    let bin = tools.path().join("node_modules/.bin");
    let path = format!(
        "{}:{}:{}",
        bin.display(),
        host.bin.display(),
        std::env::var("PATH").unwrap()
    );
    let installed = Command::new(&host.program)
        .arg(&host.npm)
        .args(["install", "--no-audit", "--no-fund"])
        .current_dir(tools.path())
        .env("PATH", &path)
        .output()
        .unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("managers::{test}"), "--nocapture"])
        .env("PATH", path)
        .env(WITH_MANAGERS, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

fn check_managers() {
    let package = r#"{"name": "managed", "scripts": {"start": "cowsay hi"},
        "dependencies": {"cowsay": "1.6.0", "sharp": "0.34.5"}, "devDependencies": {"ms": "2.1.3"}}"#;
    // Newer pnpm asks which install scripts may run; older ones ask for packages. No other manager reads this.
    let scripts = (
        "pnpm-workspace.yaml",
        "packages: [.]\nallowBuilds:\n  sharp: false\n",
    );
    for (lock, command) in [
        (
            "pnpm-lock.yaml",
            &["pnpm", "install", "--lockfile-only"][..],
        ),
        ("yarn.lock", &["yarn", "install"]),
    ] {
        let dir = project(&[("package.json", package), scripts]);
        let made_lock = Command::new(command[0])
            .args(&command[1..])
            // Newer Yarn makes no lock file where it takes its host for a CI.
            .env("YARN_ENABLE_IMMUTABLE_INSTALLS", "false")
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(
            made_lock.status.success() && dir.path().join(lock).exists(),
            "{made_lock:?}"
        );
        let application = made(dir.path());
        assert_eq!(
            (application.libc, &application.notes),
            (Libc::Musl, &Vec::new()),
            "{lock}"
        );
        assert!(
            application
                .start
                .entry
                .ends_with("/node_modules/cowsay/cli.js")
                || application.start.entry == "node_modules/cowsay/cli.js"
        );
        let found = dependencies(&application);
        assert!(
            found.contains_key(&format!("files/{}", application.start.entry)),
            "{lock}"
        );
        assert!(
            found
                .keys()
                .any(|path| path.contains("sharp-linuxmusl-x64")),
            "{lock}"
        );
        assert!(
            !found.keys().any(|path| path.contains("node_modules/ms/")),
            "{lock}: it is for developing"
        );
    }
}

/// Says to a test that it is the program that the test has started, with nothing in its `PATH`.
const WITHOUT_PATH: &str = "NODEOS_TEST_WITHOUT_PATH";

#[test]
fn a_manager_that_is_not_there_is_named_with_its_lock_file() {
    let package = r#"{"main": "a.js", "dependencies": {"ms": "2"}}"#;
    if std::env::var_os(WITHOUT_PATH).is_none() {
        // So that the child finds Node.js in the cache.
        made(project(&[("package.json", package), ("a.js", "")]).path());
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "managers::a_manager_that_is_not_there_is_named_with_its_lock_file",
                "--nocapture",
            ])
            .env("PATH", "")
            .env(WITHOUT_PATH, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let dir = project(&[
        ("package.json", package),
        ("a.js", ""),
        ("pnpm-lock.yaml", ""),
    ]);
    let (error, text) = refused(&order(Source::Folder(dir.path().to_owned())));
    assert_eq!(text, "pnpm-lock.yaml asks for pnpm, which is not installed");
    assert!(error.is_missing_machinery());
    assert!(error.hint().unwrap().contains("npm install --global pnpm"));
}
