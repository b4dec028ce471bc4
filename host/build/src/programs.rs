//! The system programs of `os/`: static Rust, compiled by the host's Cargo for the target.

mod sources;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cache::{CacheError, Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::tool::{self, Tool, ToolError};

/// Raised when the way of building changes.
const BUILD_VERSION: &str = "1";
/// The Cargo profile of target programs.
const PROFILE: &str = "os";
/// Preferred: small, and free of the C library's habits.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// What every Rust for x86-64 Linux has.
const GNU: &str = "x86_64-unknown-linux-gnu";
/// Everything that a program is made from, below the checkout.
const FILES: [&str; 2] = ["Cargo.toml", "Cargo.lock"];
const FOLDERS: [&str; 2] = ["os", "spec"];
/// The packages that are no part of the system but run in its machines, with their folders.
const OUTSIDE: &[(&str, &str)] = &[
    ("nodeos-guest", "tests/guest"),
    ("nodeos-bench-init", "bench/init"),
];

/// A built program.
#[derive(Debug, Clone)]
pub struct Program {
    /// The static executable.
    pub path: PathBuf,
    /// Changes whenever the program does.
    pub key: Key,
}

/// Why a program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildProgramError {
    /// The sources, or the program itself, could not be read.
    #[error("cannot read {} of {binary}", .path.display())]
    Read {
        binary: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The cache did not do its part.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The sources could not be put into the cache.
    #[error("cannot copy the sources of {binary} to {}", .path.display())]
    Mirror {
        binary: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Cargo failed.
    #[error("cannot compile {binary}")]
    Compile {
        binary: String,
        #[source]
        source: ToolError,
    },
    /// The program did not say what it can be called.
    #[error("{} does not list its names", .path.display())]
    List {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The result could not be copied.
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl BuildProgramError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildProgramError::Cache(e) => e.hint(),
            BuildProgramError::Compile {
                source: ToolError::Missing { .. },
                ..
            } => Some("install Rust with rustup, as the README says".to_owned()),
            BuildProgramError::Compile { source, .. } => source.hint(),
            _ => None,
        }
    }

    /// The tool's error, when a tool was the reason.
    pub fn tool(&self) -> Option<&ToolError> {
        match self {
            BuildProgramError::Compile { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            BuildProgramError::Cache(e) => e.is_cancelled(),
            _ => self.tool().is_some_and(ToolError::is_cancelled),
        }
    }
}

/// The target that static programs are compiled for on this host, and the flags that make them static.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticTarget {
    /// The target triple.
    pub triple: &'static str,
    /// For `RUSTFLAGS`.
    pub flags: &'static [&'static str],
}

const STATIC_MUSL: StaticTarget = StaticTarget {
    triple: MUSL,
    flags: &["-C", "relocation-model=static"],
};
const STATIC_GNU: StaticTarget = StaticTarget {
    triple: GNU,
    flags: &[
        "-C",
        "target-feature=+crt-static",
        "-C",
        "relocation-model=static",
    ],
};

/// The Rust of this host.
struct Toolchain {
    target: StaticTarget,
    /// The names and sizes of the standard library's files: with another compiler they are others.
    library: String,
}

/// musl where the toolchain has it, else the GNU target, linked statically and without position independence, which
/// a program with a fixed place in an image does not need.
pub fn static_target() -> StaticTarget {
    toolchain().target
}

/// Asked once, and one question only: the compiler takes as long for its answer as everything else that is looked at before a
/// machine starts.
fn toolchain() -> &'static Toolchain {
    static FOUND: OnceLock<Toolchain> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut ask = Command::new("rustc");
        let output = ask
            .args(["--print", "target-libdir", "--target", MUSL])
            .output();
        let said = output.map_or_else(|_| Vec::new(), |output| output.stdout);
        let said = PathBuf::from(String::from_utf8_lossy(&said).trim());
        // `rustlib/TARGET/lib`, whether the target is installed or not.
        let of_gnu = || Some(said.parent()?.with_file_name(GNU).join("lib"));
        let (target, folder) = match said.is_dir() {
            true => (STATIC_MUSL, Some(said)),
            false => (STATIC_GNU, of_gnu()),
        };
        Toolchain {
            target,
            library: folder.map_or_else(String::new, |folder| library(&folder)),
        }
    })
}

/// Empty where there is none.
fn library(folder: &Path) -> String {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = files
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let size = file.metadata().ok()?.len();
            name.starts_with("libstd-")
                .then(|| format!("{name} {size}"))
        })
        .collect();
    files.sort();
    files.join(" ")
}

/// The program `binary` of `package`: from the cache, else compiled.
///
/// # Errors
/// [`BuildProgramError`].
pub fn build(ctx: &Context, package: &str, binary: &str) -> Result<Program, BuildProgramError> {
    let target = static_target();
    let key = key(ctx, package, binary, target)?;
    let label = format!("{binary} ({})", target.triple);
    let make = |dir: &Path| compile(ctx, package, binary, target, dir);
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Programs, &key, &label, make)
        .map_err(MakeEntryError::into_make)?;
    let path = entry.dir.join(binary);
    // Of what it is, not of what it was made from: a change in one program's sources makes no other program another.
    let key = KeyHasher::new("program contents")
        .path(binary, &path)
        .map_err(|source| BuildProgramError::Read {
            binary: binary.to_owned(),
            path: path.clone(),
            source,
        })?
        .finish();
    Ok(Program { path, key })
}

/// The names by which a program of many can be called, which it prints itself.
///
/// # Errors
/// [`BuildProgramError::List`].
pub fn names(program: &Program) -> Result<Vec<String>, BuildProgramError> {
    let list_error = |source| BuildProgramError::List {
        path: program.path.clone(),
        source,
    };
    let output = Command::new(&program.path)
        .arg("--list")
        .env_clear()
        .output()
        .map_err(list_error)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(list_error(io::Error::other(said)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

fn key(
    ctx: &Context,
    package: &str,
    binary: &str,
    target: StaticTarget,
) -> Result<Key, BuildProgramError> {
    let mut hasher = KeyHasher::new("program")
        .text("version", BUILD_VERSION)
        .text("package", package)
        .text("binary", binary)
        .text("target", target.triple)
        .text("flags", &target.flags.join(" "))
        .text("library", &toolchain().library);
    for name in FILES.iter().copied().chain(folders(package)) {
        let path = ctx.source.join(name);
        hasher = hasher
            .path(name, &path)
            .map_err(|source| BuildProgramError::Read {
                binary: binary.to_owned(),
                path,
                source,
            })?;
    }
    Ok(hasher.finish())
}

/// The folders that a program is made from.
fn folders(package: &str) -> Vec<&'static str> {
    let outside = OUTSIDE.iter().filter(|(outside, _)| *outside == package);
    let outside = outside.map(|(_, folder)| *folder);
    FOLDERS.into_iter().chain(outside).collect()
}

fn compile(
    ctx: &Context,
    package: &str,
    binary: &str,
    target: StaticTarget,
    dir: &Path,
) -> Result<(), BuildProgramError> {
    let step = ctx.progress.begin(&format!("compile {binary}"), None);
    // Cargo's own folder stays between builds: what did not change is not compiled again.
    let folder_key = KeyHasher::new("cargo folder")
        .text("target", target.triple)
        .finish();
    let work = ctx
        .cache
        .work_dir(ctx, Kind::Programs, &folder_key, "the system programs")?;
    let [source, results] = ["source", "target"].map(|name| work.path().join(name));
    sources::mirror(&ctx.source, &source, &folders(package)).map_err(|error| {
        BuildProgramError::Mirror {
            binary: binary.to_owned(),
            path: source.clone(),
            source: error,
        }
    })?;
    let mut command = Command::new("cargo");
    // The checkout may have settings of its own for Cargo, and a toolchain.
    command.current_dir(&ctx.source).args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        target.triple,
    ]);
    command
        .args(["--package", package, "--bin", binary, "--manifest-path"])
        .arg(source.join(FILES[0]))
        .arg("--target-dir")
        .arg(&results);
    let remap = format!("--remap-path-prefix={}=/nodeos", source.display());
    let flags: Vec<&str> = target
        .flags
        .iter()
        .copied()
        .chain([remap.as_str()])
        .collect();
    // The unit separator is what Cargo splits at (The Cargo Book, environment variables).
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    for variable in [
        "RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "RUSTC_WRAPPER",
        "MAKEFLAGS",
        "MAKELEVEL",
    ] {
        command.env_remove(variable);
    }
    let log = format!("cargo-{binary}");
    let tool = Tool {
        command,
        package: "cargo",
        log: &log,
        work: Some(&work),
    };
    tool::run(ctx, tool, &mut |_| {}).map_err(|source| BuildProgramError::Compile {
        binary: binary.to_owned(),
        source,
    })?;
    let built = results.join(target.triple).join(PROFILE).join(binary);
    let path = dir.join(binary);
    fs::copy(&built, &path).map_err(|source| BuildProgramError::Write { path, source })?;
    step.finish("");
    Ok(())
}
