//! Node.js for the image: the stripped program and every library that it needs, as a small filesystem of its own.

pub mod host;
mod needed;
mod unpack;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cache::{CacheError, Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::fetch::{self, FetchError, UsedInput};
use crate::manifest::Manifest;
use crate::recipe::{Arch, Libc};
use crate::tool::{self, Tool, ToolError};

pub use needed::ReadElfError;
pub use unpack::UnpackError;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "3";
/// The program, in the folder of the cache.
const PROGRAM: &str = "node";
/// Parts of glibc that Node.js itself does not need, and that native add-ons often do: they are why there is a glibc.
const FOR_ADDONS: [&str; 3] = ["libresolv.so.2", "librt.so.1", "libutil.so.1"];
/// npm's folder, in the folder of the cache.
const NPM: &str = "npm";

/// Node.js and what it needs.
#[derive(Debug, Clone)]
pub struct Node {
    /// The program.
    pub program: PathBuf,
    /// Where the kernel looks for the program that loads it: `/lib/ld-musl-x86_64.so.1`.
    pub loader: Library,
    /// The shared libraries, each with the path at which the loader finds it.
    pub libraries: Vec<Library>,
    /// The folder of npm, where the package brings it.
    pub npm: Option<PathBuf>,
    /// `24.19.0`.
    pub version: String,
    /// What it was made from.
    pub used: Vec<UsedInput>,
    /// Changes whenever any of it does.
    pub key: Key,
}

/// A file of [`Node`].
#[derive(Debug, Clone)]
pub struct Library {
    /// Where it is on the host.
    pub file: PathBuf,
    /// Where it belongs in the image.
    pub path: PathBuf,
}

/// A second name for a library of [`Node`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Where it belongs in the image.
    pub path: PathBuf,
    /// The library's path in the image.
    pub target: PathBuf,
}

impl Node {
    /// The names under which native add-ons look for the libraries that Node.js brings under names of its own: for
    /// `/lib/libstdc++-5d72f927.so.6.0.33` it is `/lib/libstdc++.so.6`.
    pub fn aliases(&self) -> Vec<Alias> {
        self.libraries
            .iter()
            .filter_map(|library| {
                let path = library.path.with_file_name(usual_name(&library.path)?);
                let target = library.path.clone();
                Some(Alias { path, target })
            })
            .collect()
    }
}

/// What a library was called before auditwheel put a part of its sum into its name. None where that is not so.
fn usual_name(path: &Path) -> Option<String> {
    let name = file_name(path);
    let (stem, version) = name.split_once(".so.")?;
    let (stem, sum) = stem.rsplit_once('-')?;
    let is_sum = sum.len() == 8 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let major = version.split('.').next()?;
    is_sum.then(|| format!("{stem}.so.{major}"))
}

/// What `entry.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    version: String,
    loader: PathBuf,
    libraries: Vec<PathBuf>,
    used: Vec<UsedInput>,
}

/// Why there is no Node.js.
#[derive(Debug, thiserror::Error)]
pub enum PrepareNodeError {
    /// An input could not be had.
    #[error("cannot get Node.js and its libraries")]
    Fetch(#[source] FetchError),
    /// The cache did not do its part.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A package could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A program's needs could not be read.
    #[error(transparent)]
    Elf(#[from] ReadElfError),
    /// A library is in none of the packages.
    #[error("{needed_by} needs {library}, which none of its packages has")]
    NoLibrary { library: String, needed_by: String },
    /// A file could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// strip failed.
    #[error("cannot strip {}", .path.display())]
    Strip {
        path: PathBuf,
        #[source]
        source: ToolError,
    },
    /// The image's Node.js does not run on this host.
    #[error("the Node.js of the image does not run on this host")]
    Run(#[source] ToolError),
    /// No package of Node.js brings npm.
    #[error("no package of Node.js brings npm")]
    NoNpm,
    /// `entry.json` does not say what it should.
    #[error("the cache entry {} says nothing about Node.js", .path.display())]
    Record { path: PathBuf },
}

impl PrepareNodeError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            PrepareNodeError::Fetch(e) => e.hint(),
            PrepareNodeError::Cache(e) => e.hint(),
            PrepareNodeError::Strip { source, .. } => source.hint(),
            PrepareNodeError::Record { .. } => {
                Some("remove it with `nodeos cache clean nodes`".to_owned())
            }
            _ => None,
        }
    }

    /// The tool's error, when a tool was the reason.
    pub fn tool(&self) -> Option<&ToolError> {
        match self {
            PrepareNodeError::Strip { source, .. } | PrepareNodeError::Run(source) => Some(source),
            _ => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            PrepareNodeError::Fetch(e) => e.is_cancelled(),
            PrepareNodeError::Cache(e) => e.is_cancelled(),
            _ => self.tool().is_some_and(ToolError::is_cancelled),
        }
    }
}

/// Node.js for `arch` and `libc`: from the cache, else fetched, unpacked and stripped.
///
/// # Errors
/// [`PrepareNodeError`].
pub fn prepare(
    ctx: &Context,
    manifest: &Manifest,
    arch: Arch,
    libc: Libc,
) -> Result<Node, PrepareNodeError> {
    let program = fetch::fetch(ctx, manifest, &format!("node.{libc}.{arch}"))
        .map_err(PrepareNodeError::Fetch)?;
    let runtime =
        fetch::fetch(ctx, manifest, &format!("{libc}.{arch}")).map_err(PrepareNodeError::Fetch)?;
    let mut hasher = KeyHasher::new("node")
        .text("version", BUILD_VERSION)
        .text("libc", libc.as_str());
    for file in program.used.files.iter().chain(&runtime.used.files) {
        hasher = hasher.text("sum", &file.sha256);
    }
    let key = hasher.finish();
    let label = format!("Node.js {} ({libc}, {arch})", program.used.version);
    let make = |dir: &Path| {
        let step = ctx.progress.begin(&format!("prepare {label}"), None);
        let scratch = dir.join("unpacked");
        unpack::unpack(&program, &scratch)?;
        unpack::unpack(&runtime, &scratch)?;
        let (loader, libraries) = collect(ctx, &scratch, dir)?;
        let (npm, kept) = (scratch.join(NPM), dir.join(NPM));
        if npm.exists() {
            fs::rename(&npm, &kept)
                .map_err(|source| PrepareNodeError::Write { path: kept, source })?;
        }
        fs::remove_dir_all(&scratch).map_err(|source| PrepareNodeError::Write {
            path: scratch.clone(),
            source,
        })?;
        step.finish("");
        let used = vec![program.used.clone(), runtime.used.clone()];
        Ok::<_, PrepareNodeError>(MadeFrom {
            version: program.used.version.clone(),
            loader,
            libraries,
            used,
        })
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Nodes, &key, &label, make)
        .map_err(MakeEntryError::into_make)?;
    let made: MadeFrom = entry.made_from().ok_or_else(|| PrepareNodeError::Record {
        path: entry.dir.clone(),
    })?;
    let library = |path: PathBuf| {
        let file = entry.dir.join(file_name(&path));
        Library { file, path }
    };
    Ok(Node {
        program: entry.dir.join(PROGRAM),
        npm: Some(entry.dir.join(NPM)).filter(|npm| npm.exists()),
        loader: library(made.loader),
        libraries: made.libraries.into_iter().map(library).collect(),
        version: made.version,
        used: made.used,
        key,
    })
}

/// Finds the program and, from library to library, everything that it needs; strips all of it into `dir`. Returns
/// the paths of the loader and of the libraries in the image.
fn collect(
    ctx: &Context,
    scratch: &Path,
    dir: &Path,
) -> Result<(PathBuf, Vec<PathBuf>), PrepareNodeError> {
    let node = scratch.join(PROGRAM);
    strip(ctx, &node, &dir.join(PROGRAM))?;
    let program = needed::read(&node)?;
    let loader = program
        .interpreter
        .ok_or_else(|| PrepareNodeError::NoLibrary {
            library: "a loader".to_owned(),
            needed_by: PROGRAM.to_owned(),
        })?;
    let loader_name = file_name(&loader);
    // Where this loader looks by default: musl in /lib, Debian's glibc in the folder of the architecture.
    let folder = match loader_name.starts_with("ld-musl") {
        true => Path::new("/lib"),
        false => Path::new("/lib/x86_64-linux-gnu"),
    };
    let mut libraries = Vec::new();
    let mut wanted: Vec<(String, String)> = program
        .needed
        .into_iter()
        .map(|library| (library, PROGRAM.to_owned()))
        .collect();
    wanted.push((loader_name.clone(), PROGRAM.to_owned()));
    for library in FOR_ADDONS {
        if scratch.join(library).exists() {
            wanted.push((library.to_owned(), "native add-ons".to_owned()));
        }
    }
    while let Some((library, needed_by)) = wanted.pop() {
        let to = dir.join(&library);
        if to.exists() {
            continue;
        }
        // musl's loader is its libc: it answers to every name that begins so without looking for a file
        // (musl, ldso/dynlink.c).
        if library.starts_with("libc.musl-") {
            continue;
        }
        let from = scratch.join(&library);
        if !from.exists() {
            return Err(PrepareNodeError::NoLibrary { library, needed_by });
        }
        strip(ctx, &from, &to)?;
        wanted.extend(
            needed::read(&from)?
                .needed
                .into_iter()
                .map(|needed| (needed, library.clone())),
        );
        if library != loader_name {
            libraries.push(folder.join(&library));
        }
    }
    libraries.sort();
    Ok((loader, libraries))
}

fn strip(ctx: &Context, from: &Path, to: &Path) -> Result<(), PrepareNodeError> {
    let mut command = Command::new("strip");
    command
        .arg("--enable-deterministic-archives")
        .arg("-o")
        .arg(to)
        .arg(from);
    let log = format!("strip-{}", file_name(to));
    tool::run(ctx, Tool::new(command, "binutils", &log), &mut |_| {})
        .map(drop)
        .map_err(|source| PrepareNodeError::Strip {
            path: from.to_owned(),
            source,
        })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_a_sum_in_its_name_has_a_usual_one() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(usual_name(Path::new(name)).as_deref(), expected, "{name}");
        };
        check("/lib/libstdc++-5d72f927.so.6.0.33", Some("libstdc++.so.6"));
        check("/lib/libgcc_s-0cd532bd.so.1", Some("libgcc_s.so.1"));
        check("/lib/x86_64-linux-gnu/libstdc++.so.6", None);
        check("/lib/libvips-cpp.so.8", None);
    }
}
