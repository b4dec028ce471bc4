//! The image around one test program: NodeOS's own `init`, the agent, the program, and nothing else.
//!
//! It is an initramfs, because tests want a root that they can write to, and a few megabytes are unpacked in no time.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nodeos_guest::order::{self, Order};
use nodeos_image::tree::{Entry, Kind, Tree};
use nodeos_spec::boot::{self, BootSpec};

/// PID 1, as the kernel looks for it in an initramfs.
const INIT: &str = "/init";
/// Where programs are. Tests find them at the path that they have on the host, through links.
const PROGRAMS: &str = "/programs";
/// The program under test.
const TEST: &str = "/test";
/// The names of their programs, as cargo builds them.
const INIT_BINARY: &str = "init";
const AGENT_BINARY: &str = "nodeos-guest";
/// Where `init` mounts what every Linux program expects.
const MOUNT_POINTS: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];
/// Variables of cargo and of Rust's test programs are passed on: `RUST_BACKTRACE`, `CARGO_BIN_EXE_init`.
const PASSED_ON: [&str; 2] = ["RUST_", "CARGO_"];

/// The folder in which cargo has put `init`, the agent, and whatever else the tests call by `CARGO_BIN_EXE_*`.
pub fn folder_of_programs(test: &Path) -> anyhow::Result<&Path> {
    let folder = test
        .parent()
        .filter(|folder| folder.ends_with("deps"))
        .and_then(Path::parent);
    folder.with_context(|| format!("{} is not where cargo puts test programs", test.display()))
}

/// Everything that the machine of one test program has.
pub fn tree(test: &Path, arguments: &[String]) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    for point in MOUNT_POINTS {
        tree.insert(point, Entry::directory(0o755))?;
    }
    // The kernel opens the console before anything is mounted.
    let console = Entry {
        kind: Kind::CharDevice { major: 5, minor: 1 },
        mode: 0o600,
        uid: 0,
        gid: 0,
    };
    tree.insert("/dev/console", console)?;
    tree.insert(PROGRAMS, Entry::directory(0o755))?;
    let folder = folder_of_programs(test)?;
    let mut links = BTreeMap::new();
    for path in programs(folder)? {
        let inside = Path::new(PROGRAMS).join(path.file_name().expect("it was found in a folder"));
        tree.insert(&inside, program(&path)?)?;
        links.insert(utf8(&path)?, utf8(&inside)?);
    }
    let [init, agent] = [INIT_BINARY, AGENT_BINARY].map(|name| Path::new(PROGRAMS).join(name));
    for needed in [&init, &agent] {
        let found = tree.get(needed).is_some();
        ensure!(
            found,
            "{} lacks the program for {}: cargo xtask guest-test builds it",
            folder.display(),
            needed.display()
        );
    }
    tree.insert(INIT, Entry::symlink(init))?;
    tree.insert(TEST, program(test)?)?;
    let order = Order {
        program: TEST.to_owned(),
        arguments: arguments.to_vec(),
        env: environment(),
        links,
    };
    tree.insert_with_folders(
        Path::new(order::PATH),
        Entry::file(0o444, order.to_json().into_bytes()),
        0o755,
    )?;
    let spec = BootSpec {
        banner: format!(
            "NodeOS guest test {}",
            test.file_name().unwrap_or(OsStr::new("")).display()
        ),
        program: vec![utf8(&agent)?],
        ..BootSpec::default()
    };
    tree.insert_with_folders(
        Path::new(boot::PATH),
        Entry::file(0o444, spec.to_json().into_bytes()),
        0o755,
    )?;
    Ok(tree)
}

fn program(path: &Path) -> anyhow::Result<Entry> {
    Entry::host_file(0o555, path).with_context(|| format!("cannot read {}", path.display()))
}

fn utf8(path: &Path) -> anyhow::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The executable files of a folder.
fn programs(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            programs.push(entry.path());
        }
    }
    Ok(programs)
}

/// The environment of the program under test: a plain one, and what [`PASSED_ON`] lets through.
fn environment() -> BTreeMap<String, String> {
    let mut env = BTreeMap::from(
        [("HOME", "/"), ("PATH", "/bin:/sbin")].map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    for (name, value) in std::env::vars_os() {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else {
            continue;
        };
        if PASSED_ON.iter().any(|prefix| name.starts_with(prefix)) {
            env.insert(name, value);
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target folder with one test program, and those around it that the machine needs.
    fn target_folder(programs: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let deps = scratch.path().join("debug/deps");
        fs::create_dir_all(&deps).unwrap();
        fs::write(scratch.path().join("debug/notes"), "not a program").unwrap();
        let test = deps.join("mounts-0123456789abcdef");
        let files = programs
            .iter()
            .map(|name| scratch.path().join("debug").join(name))
            .chain([test.clone()]);
        for path in files {
            fs::write(&path, "program").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        (scratch, test)
    }

    #[test]
    fn the_machine_has_init_the_agent_and_the_program_with_its_arguments() {
        let (_scratch, test) = target_folder(&["init", "nodeos-guest"]);
        let tree = tree(&test, &["--nocapture".to_owned()]).unwrap();
        for path in [
            "/init",
            "/programs/nodeos-guest",
            "/test",
            "/proc",
            "/dev/console",
            "/etc/guest.json",
            "/etc/nodeos/boot.json",
        ] {
            assert!(tree.get(path).is_some(), "{path}");
        }
        assert!(tree.get("/programs/notes").is_none());
    }

    #[test]
    fn what_is_missing_is_said_with_who_builds_it() {
        let (_scratch, test) = target_folder(&["init"]);
        let error = tree(&test, &[]).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "lacks the program for /programs/nodeos-guest: cargo xtask guest-test builds it"
            ),
            "{error}"
        );
        let error = tree(Path::new("/bin/true"), &[]).unwrap_err().to_string();
        assert_eq!(error, "/bin/true is not where cargo puts test programs");
    }
}
