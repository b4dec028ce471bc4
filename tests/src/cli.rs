//! The `nodeos` program itself, in a cache of its own that begins with what the user's cache has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nodeos_build::cache::{Cache, Kind};

use crate::system;

/// The program, built once for all tests of a test binary.
pub fn nodeos() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(system::source())
            .args(["build", "--quiet", "--package", "nodeos", "--bin", "nodeos"])
            .status()
            .expect("cargo runs these tests");
        assert!(status.success(), "the command line does not compile");
        // This test program lies in target/debug/deps.
        let test = std::env::current_exe().expect("a test knows its own path");
        test.ancestors()
            .nth(2)
            .expect("it lies in target/debug/deps")
            .join("nodeos")
    })
}

/// `nodeos` with the cache in `home/cache` and the checkout as its source.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(nodeos());
    command
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("NODEOS_SOURCE", system::source());
    command
}

/// Fills `home/cache` with links to the entries of the user's cache, of the kinds given: a build finds them as if it
/// had made them itself.
pub fn borrow_cache(home: &Path, kinds: &[Kind]) -> anyhow::Result<()> {
    // Everything is there after this.
    system::build(&system::BAREBONES, &home.join("borrowed"))?;
    let from = Cache::default_root()?;
    for kind in kinds {
        copy_links(
            &from.join(kind.as_str()),
            &home.join("cache/nodeos").join(kind.as_str()),
        )?;
    }
    Ok(())
}

fn copy_links(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // What other builds are making at this moment is not an entry yet.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => copy_links(&entry.path(), &target)?,
            false => {
                if fs::hard_link(entry.path(), &target).is_err() {
                    fs::copy(entry.path(), &target)?;
                }
            }
        }
    }
    Ok(())
}
