//! The kernel: from the fetched source and our fragments to a stripped `vmlinux` and a `bzImage`.
//!
//! Owns how the kernel is configured and compiled. What is in the fragments is the business of
//! `layers/barebones/kernel/`.

mod config;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cache::{CacheError, Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::fetch::{self, FetchError, Fetched, UsedInput};
use crate::manifest::Manifest;
use crate::progress::Unit;
use crate::recipe::Profile;
use crate::tool::{self, Event, Tool, ToolError};

/// Raised when the way of building changes, so that older kernels are built again.
const BUILD_VERSION: &str = "1";
/// Where fragments and profiles are, below the checkout.
const FOLDER: &str = "layers/barebones/kernel";
/// Stands in `uname -v` instead of the time of the build, so that the same inputs give the same kernel.
const TIMESTAMP: &str = "Thu Jan  1 00:00:00 UTC 1970";

/// A built kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The ELF file without symbols, with the PVH entry that QEMU and Firecracker start.
    pub vmlinux: PathBuf,
    /// The compressed image that boot loaders and UEFI start.
    pub bzimage: PathBuf,
    /// What `uname -r` says: `6.12.117-nodeos`.
    pub release: String,
    /// The source that it was made from.
    pub used: UsedInput,
    /// Changes whenever the kernel does.
    pub key: Key,
}

/// What `entry.json` keeps of a kernel.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    release: String,
    used: UsedInput,
}

/// A profile of `profiles.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    fragments: Vec<String>,
    steps: u64,
}

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum BuildKernelError {
    /// Its source could not be had.
    #[error("cannot get the source of the kernel")]
    Fetch(#[source] FetchError),
    /// The cache did not do its part.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A fragment or `profiles.toml` could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// `profiles.toml` is not what it should be.
    #[error("{} is not what it should be", .path.display())]
    Profiles {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    /// `profiles.toml` has no such profile.
    #[error("{} does not say what profile {profile} is", .path.display())]
    NoProfile { path: PathBuf, profile: Profile },
    /// A file of the build could not be written or moved.
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The source could not be unpacked.
    #[error("cannot unpack the source of the kernel")]
    Unpack(#[source] ToolError),
    /// Kconfig failed.
    #[error("cannot configure the kernel")]
    Configure(#[source] ToolError),
    /// Kconfig did not grant what the fragments ask for.
    #[error("the kernel's configuration dropped what was asked for:\n{}", dropped_lines(.dropped))]
    Dropped { dropped: Vec<config::Dropped> },
    /// The compilation failed.
    #[error("cannot compile the kernel")]
    Compile(#[source] ToolError),
}

impl BuildKernelError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildKernelError::Fetch(e) => e.hint(),
            BuildKernelError::Cache(e) => e.hint(),
            BuildKernelError::Unpack(e)
            | BuildKernelError::Configure(e)
            | BuildKernelError::Compile(e) => e.hint(),
            BuildKernelError::Dropped { .. } => Some(format!(
                "take these symbols out of the fragments in {FOLDER}, or add what they depend on"
            )),
            _ => None,
        }
    }

    /// The tool's error, when a tool was the reason.
    pub fn tool(&self) -> Option<&ToolError> {
        match self {
            BuildKernelError::Unpack(e)
            | BuildKernelError::Configure(e)
            | BuildKernelError::Compile(e) => Some(e),
            _ => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            BuildKernelError::Fetch(e) => e.is_cancelled(),
            BuildKernelError::Cache(e) => e.is_cancelled(),
            _ => self.tool().is_some_and(ToolError::is_cancelled),
        }
    }
}

fn dropped_lines(dropped: &[config::Dropped]) -> String {
    dropped
        .iter()
        .map(|dropped| format!("  {dropped}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The kernel of `profile`: from the cache, else compiled, which takes minutes. A build that was killed goes on where
/// it stopped.
///
/// # Errors
/// [`BuildKernelError`].
pub fn build(
    ctx: &Context,
    manifest: &Manifest,
    profile: Profile,
) -> Result<Kernel, BuildKernelError> {
    let fetched = fetch::fetch(ctx, manifest, "linux").map_err(BuildKernelError::Fetch)?;
    let plan = Plan::read(ctx, profile)?;
    let key = plan.key(&fetched, &compiler());
    let label = format!("linux {} {profile}", fetched.used.version);
    let make = |dir: &Path| compile(ctx, &fetched, &plan, &key, &label, dir);
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Kernels, &key, &label, make)
        .map_err(MakeEntryError::into_make)?;
    let record = entry.dir.join("entry.json");
    let made: MadeFrom = entry.made_from().ok_or_else(|| BuildKernelError::Read {
        path: record,
        source: io::Error::other("it does not say what the kernel was made from"),
    })?;
    Ok(Kernel {
        vmlinux: entry.dir.join("vmlinux"),
        bzimage: entry.dir.join("bzImage"),
        release: made.release,
        used: made.used,
        key,
    })
}

/// What is asked for: the profile with the text of its fragments.
struct Plan {
    profile: Profile,
    fragments: String,
    steps: u64,
}

impl Plan {
    fn read(ctx: &Context, profile: Profile) -> Result<Plan, BuildKernelError> {
        let folder = ctx.source.join(FOLDER);
        let path = folder.join("profiles.toml");
        let text = read(&path)?;
        let mut profiles: BTreeMap<String, RawProfile> = match toml::from_str(&text) {
            Ok(profiles) => profiles,
            Err(source) => return Err(BuildKernelError::Profiles { path, source }),
        };
        let Some(raw) = profiles.remove(profile.as_str()) else {
            return Err(BuildKernelError::NoProfile { path, profile });
        };
        let mut fragments = String::new();
        for name in &raw.fragments {
            fragments += &read(&folder.join(name))?;
            fragments.push('\n');
        }
        Ok(Plan {
            profile,
            fragments,
            steps: raw.steps,
        })
    }

    fn key(&self, fetched: &Fetched, compiler: &str) -> Key {
        let mut hasher = KeyHasher::new("kernel")
            .text("version", BUILD_VERSION)
            .text("fragments", &self.fragments);
        for file in &fetched.used.files {
            hasher = hasher.text("source", &file.sha256);
        }
        hasher.text("compiler", compiler).finish()
    }
}

/// The C compiler, as the kernel's own build finds it; another one makes another kernel.
fn compiler() -> String {
    let output = Command::new("gcc").arg("-dumpfullversion").output();
    output.map_or_else(
        |_| "none".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn compile(
    ctx: &Context,
    fetched: &Fetched,
    plan: &Plan,
    key: &Key,
    label: &str,
    dir: &Path,
) -> Result<MadeFrom, BuildKernelError> {
    let source = source::unpacked(ctx, fetched)?;
    // Make finds out by itself what a killed build has left to do.
    let work = ctx.cache.work_dir(ctx, Kind::Kernels, key, label)?;
    let objects = work.path();
    let log = format!("kernel-{}", plan.profile);
    let make = |targets: &[&str]| {
        let mut command = Command::new("make");
        command
            .arg("-C")
            .arg(source.path())
            .arg(format!("O={}", objects.display()))
            .args(targets);
        command
            .env("LC_ALL", "C")
            .env("KBUILD_BUILD_TIMESTAMP", TIMESTAMP);
        command
            .env("KBUILD_BUILD_USER", "nodeos")
            .env("KBUILD_BUILD_HOST", "nodeos")
            .env("KBUILD_BUILD_VERSION", "1");
        // `make start` runs us: its own variables are not for the kernel's make.
        for variable in [
            "MAKEFLAGS",
            "MFLAGS",
            "MAKELEVEL",
            "MAKEOVERRIDES",
            "KCONFIG_CONFIG",
            "ARCH",
            "CROSS_COMPILE",
        ] {
            command.env_remove(variable);
        }
        Tool {
            command,
            package: "make",
            log: &log,
            work: Some(&work),
        }
    };

    let step = ctx
        .progress
        .begin(&format!("configure the kernel ({})", plan.profile), None);
    configure(ctx, plan, objects, &make)?;
    step.finish("");

    let title = format!("compile the kernel ({})", plan.profile);
    let mut step = ctx
        .progress
        .begin(&title, Some((plan.steps, Unit::Objects)));
    let mut done = 0;
    let jobs = format!("-j{}", ctx.jobs);
    tool::run(ctx, make(&[&jobs, "vmlinux", "bzImage"]), &mut |event| {
        // Kbuild's short form: two spaces, what it does, the file. (scripts/Kbuild.include)
        if let Event::Line(line) = event
            && line.starts_with("  ")
        {
            done += 1;
            step.advance(done, Some(plan.steps.max(done)));
        }
    })
    .map_err(BuildKernelError::Compile)?;
    let release_file = objects.join("include/config/kernel.release");
    let release = read(&release_file)?.trim().to_owned();

    let mut strip = Command::new("strip");
    strip
        .arg("-o")
        .arg(dir.join("vmlinux"))
        .arg(objects.join("vmlinux"));
    tool::run(
        ctx,
        Tool::new(strip, "binutils", &format!("{log}-strip")),
        &mut |_| {},
    )
    .map_err(BuildKernelError::Compile)?;
    let copies = [("arch/x86/boot/bzImage", "bzImage"), (".config", "config")];
    for (from, to) in copies {
        let path = dir.join(to);
        fs::copy(objects.join(from), &path)
            .map_err(|source| BuildKernelError::Write { path, source })?;
    }
    // The output folders hold links to these files: nobody is to change them.
    for name in ["vmlinux", "bzImage"] {
        let path = dir.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444))
            .map_err(|source| BuildKernelError::Write { path, source })?;
    }
    step.finish(&release);
    work.remove()?;
    Ok(MadeFrom {
        release,
        used: fetched.used.clone(),
    })
}

/// Merges the fragments over `tinyconfig`, and compares what was asked with what was granted.
fn configure<'a>(
    ctx: &Context,
    plan: &Plan,
    objects: &Path,
    make: &impl Fn(&[&str]) -> Tool<'a>,
) -> Result<(), BuildKernelError> {
    let path = objects.join(".config");
    let run = |target: &str| {
        tool::run(ctx, make(&["-s", target]), &mut |_| {}).map_err(BuildKernelError::Configure)
    };
    run("tinyconfig")?;
    let merged = read(&path)? + &plan.fragments;
    write(&path, &merged)?;
    run("olddefconfig")?;
    let granted = read(&path)?;
    let dropped = config::dropped(&plan.fragments, &granted);
    match dropped.is_empty() {
        true => Ok(()),
        false => Err(BuildKernelError::Dropped { dropped }),
    }
}

fn read(path: &Path) -> Result<String, BuildKernelError> {
    fs::read_to_string(path).map_err(|source| BuildKernelError::Read {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), BuildKernelError> {
    fs::write(path, text).map_err(|source| BuildKernelError::Write {
        path: path.to_owned(),
        source,
    })
}
