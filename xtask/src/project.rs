//! The checkout that the chores work on: its folders, its packages, and cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// The root of the checkout: the one that this program was compiled in.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the checkout")
}

/// Cargo, in the checkout. It is the one that called us, where one did.
pub fn cargo() -> Command {
    let mut command =
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says about the workspace, and with `dependencies` about everything it links, for Linux on x86-64.
pub fn metadata(scope: Scope) -> anyhow::Result<Value> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    match scope {
        Scope::Workspace => command.arg("--no-deps"),
        Scope::Everything => command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]),
    };
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

/// How far [`metadata`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Workspace,
    Everything,
}

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// Relative to the root: `os/init`.
    pub folder: PathBuf,
}

impl Package {
    /// Whether it is a program, or a part of programs, of the target.
    pub fn is_of_the_target(&self) -> bool {
        self.folder.starts_with("os")
    }

    /// Whether its tests change the system that they run on. What a shell or a utility does is the same everywhere, and
    /// their tests need the others.
    pub fn is_tested_in_a_machine(&self) -> bool {
        let anywhere = ["os/shell", "os/utilities"];
        self.is_of_the_target()
            && !anywhere
                .iter()
                .any(|folder| self.folder.starts_with(folder))
    }
}

/// The crates of the workspace.
pub fn packages() -> anyhow::Result<Vec<Package>> {
    let metadata = metadata(Scope::Workspace)?;
    let list = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    list.iter().map(package).collect()
}

/// One element of `packages` of `cargo metadata`.
pub fn package(value: &Value) -> anyhow::Result<Package> {
    let name = value["name"].as_str().context("a package has no name")?;
    let manifest = Path::new(
        value["manifest_path"]
            .as_str()
            .context("a package has no manifest")?,
    );
    let folder = manifest
        .parent()
        .and_then(|folder| folder.strip_prefix(root()).ok());
    let folder =
        folder.with_context(|| format!("{} is outside of the checkout", manifest.display()))?;
    Ok(Package {
        name: name.to_owned(),
        folder: folder.to_owned(),
    })
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target` of the checkout.
pub fn target_folder() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}
