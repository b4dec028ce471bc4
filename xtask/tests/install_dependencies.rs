//! `bin/install-dependencies` on hosts that lack something, each a folder of stand-ins for the distribution's tools.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use xtask::project;

/// What the script itself is written with, taken from this host.
const TOOLS: [&str; 3] = ["cat", "dirname", "env"];
/// A package database that knows no package.
const NOTHING_INSTALLED: (&str, &str) = ("dpkg-query", "exit 1");
const EVERYTHING_INSTALLED: (&str, &str) = ("dpkg-query", "echo installed");
const CARGO: (&str, &str) = ("cargo", "exit 0");
const PIP: (&str, &str) = ("python3", "exit 0");
const ROOT: (&str, &str) = ("id", "echo 0");
const SOMEBODY: (&str, &str) = ("id", "echo 1000");

struct Host {
    path: TempDir,
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Host {
    /// A host with these programs, each a line of shell.
    fn with(programs: &[(&str, &str)]) -> Host {
        let path = tempfile::tempdir().unwrap();
        for tool in TOOLS {
            symlink(find(tool), path.path().join(tool)).unwrap();
        }
        for (name, line) in programs {
            let file = path.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{line}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Host { path }
    }

    fn install(&self, arguments: &[&str]) -> Said {
        let script = project::root().join("bin/install-dependencies");
        let mut command = Command::new("/bin/sh");
        command
            .arg(script)
            .args(arguments)
            .env_clear()
            .env("PATH", self.path.path());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What the program wrote into the file `log` beside it.
    fn log(&self) -> String {
        fs::read_to_string(self.path.path().join("log")).unwrap_or_default()
    }
}

fn find(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|file| file.exists());
    found.unwrap_or_else(|| panic!("this host has no {tool}"))
}

/// Writes its arguments down, and succeeds.
const LOGGED: &str = "echo \"${0##*/} $*\" >>\"${0%/*}/log\"";

#[test]
fn where_everything_is_there_it_says_so_in_one_line() {
    let host = Host::with(&[EVERYTHING_INSTALLED, CARGO, PIP, ROOT, ("apt-get", LOGGED)]);
    let said = host.install(&[]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "Everything that NodeOS needs is there.\n")
    );
    assert_eq!(host.log(), "");
}

#[test]
fn what_is_missing_is_named_with_its_reason_and_installed() {
    let host = Host::with(&[NOTHING_INSTALLED, CARGO, ROOT, ("apt-get", LOGGED)]);
    let said = host.install(&[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for line in [
        "  qemu-system-x86: boots the machines",
        "  python3-pip: fetches Node.js",
        "  zstd: compresses the kernel",
    ] {
        assert!(
            said.out.lines().any(|said| said == line),
            "{line} is not in {}",
            said.out
        );
    }
    assert!(
        !said.out.contains("erofs-utils"),
        "only the tests need it: {}",
        said.out
    );
    let calls = host.log();
    let mut calls = calls.lines();
    assert_eq!(calls.next(), Some("apt-get update -q"));
    let install = calls.next().unwrap();
    assert!(
        install.starts_with("apt-get install -q -y --no-install-recommends qemu-system-x86 gcc "),
        "{install}"
    );
}

#[test]
fn a_pip_that_works_need_not_be_the_distributions() {
    let host = Host::with(&[NOTHING_INSTALLED, CARGO, PIP, ROOT, ("apt-get", LOGGED)]);
    assert!(!host.install(&[]).out.contains("python3-pip"));
}

#[test]
fn who_is_not_root_installs_through_sudo_or_is_told_the_command() {
    let host = Host::with(&[
        NOTHING_INSTALLED,
        CARGO,
        SOMEBODY,
        ("apt-get", "exit 1"),
        ("sudo", LOGGED),
    ]);
    assert_eq!(host.install(&[]).code, Some(0));
    assert!(
        host.log()
            .starts_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get update"),
        "{}",
        host.log()
    );

    let said =
        Host::with(&[NOTHING_INSTALLED, CARGO, SOMEBODY, ("apt-get", "exit 1")]).install(&[]);
    assert_eq!(said.code, Some(69));
    assert!(
        said.err
            .contains("error: only root can install packages, and there is no sudo\n"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("hint: as root, run: apt-get install qemu-system-x86 gcc "),
        "{}",
        said.err
    );
}

#[test]
fn an_installation_that_fails_is_an_error() {
    let said = Host::with(&[NOTHING_INSTALLED, CARGO, ROOT, ("apt-get", "exit 100")]).install(&[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with("note: some package lists could not be updated"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("error: the packages could not be installed\n"),
        "{}",
        said.err
    );
}

#[test]
fn without_rust_nothing_is_installed() {
    let host = Host::with(&[NOTHING_INSTALLED, ROOT, ("apt-get", LOGGED)]);
    let said = host.install(&[]);
    assert_eq!(said.code, Some(69));
    assert!(
        said.err
            .contains("hint: install Rust as https://rustup.rs says"),
        "{}",
        said.err
    );
    assert_eq!(host.log(), "");
}

#[test]
fn other_distributions_get_the_list() {
    let said = Host::with(&[CARGO, ROOT]).install(&["--test"]);
    assert_eq!(said.code, Some(69));
    assert!(
        said.err
            .starts_with("error: this is neither Debian nor Ubuntu"),
        "{}",
        said.err
    );
    for package in ["libelf-dev", "erofs-utils"] {
        assert!(said.err.contains(&format!("  {package}: ")), "{}", said.err);
    }
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let said = Host::with(&[]).install(&["--tests"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.starts_with("error: --tests is not an option\n"),
        "{}",
        said.err
    );
}
