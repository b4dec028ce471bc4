//! The kernel's source, unpacked.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::BuildKernelError;
use crate::cache::{KeyHasher, Kind, WorkDir};
use crate::context::Context;
use crate::fetch::{Fetched, Layout};
use crate::tool::{self, Tool};

/// Written when everything is unpacked.
const COMPLETE: &str = ".nodeos-unpacked";
/// Parts that no kernel of ours is built from. Half of the source's size are register lists of graphics cards.
const LEFT_OUT: &[&str] = &[
    "*/drivers/gpu/drm/amd/include/asic_reg",
    "*/tools/testing/selftests",
];

/// The source that was fetched, unpacked. It stays in the cache, for the next profile and the next change of a
/// fragment.
pub(super) fn unpacked(ctx: &Context, fetched: &Fetched) -> Result<WorkDir, BuildKernelError> {
    let mut hasher = KeyHasher::new("kernel source");
    for file in &fetched.used.files {
        hasher = hasher.text("sum", &file.sha256);
    }
    let label = format!("linux {}", fetched.used.version);
    let work = ctx
        .cache
        .work_dir(ctx, Kind::Sources, &hasher.finish(), &label)?;
    let complete = work.path().join(COMPLETE);
    if complete.exists() {
        return Ok(work);
    }
    let step = ctx.progress.begin(&format!("unpack {label}"), None);
    let write_error = |source| BuildKernelError::Write {
        path: work.path().to_owned(),
        source,
    };
    empty(work.path()).map_err(write_error)?;
    let mut command = Command::new("tar");
    for pattern in LEFT_OUT {
        command.arg(format!("--exclude={pattern}"));
    }
    command
        .args(["--strip-components=1", "--no-same-owner", "-C"])
        .arg(work.path())
        .arg("-xJf");
    let archive = fetched.files.first().expect("every input has a file");
    match fetched.layout {
        // A Debian package that holds the archive.
        Layout::Deb => {
            let inner = work.path().join(".source.tar.xz");
            take_archive(ctx, archive, &inner, &work)?;
            command.arg(&inner);
            run(ctx, command, &work)?;
            fs::remove_file(&inner).map_err(write_error)?;
        }
        _ => {
            command.arg(archive);
            run(ctx, command, &work)?;
        }
    }
    fs::write(&complete, "").map_err(write_error)?;
    step.finish("");
    Ok(work)
}

/// Takes `usr/src/linux-source-*.tar.xz` out of a Debian package.
fn take_archive(
    ctx: &Context,
    package: &Path,
    to: &Path,
    work: &WorkDir,
) -> Result<(), BuildKernelError> {
    let read_error = |source| BuildKernelError::Read {
        path: package.to_owned(),
        source,
    };
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    ctx.progress.command(&command);
    let mut unpacker = command.spawn().map_err(read_error)?;
    let found = take_from_tar(unpacker.stdout.take().expect("it is piped"), to);
    // It is done, or it is told by the closed pipe that nobody reads on.
    let _ = unpacker.wait();
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(read_error(std::io::Error::other(
            "there is no usr/src/linux-source-*.tar.xz in it",
        ))),
        Err(source) => Err(BuildKernelError::Write {
            path: work.path().to_owned(),
            source,
        }),
    }
}

fn take_from_tar(tar: impl std::io::Read, to: &Path) -> std::io::Result<bool> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path.parent().is_some_and(|dir| dir.ends_with("usr/src"))
            && path.extension().is_some_and(|e| e == "xz")
        {
            std::io::copy(&mut entry, &mut fs::File::create(to)?)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn run(ctx: &Context, command: Command, work: &WorkDir) -> Result<(), BuildKernelError> {
    let tool = Tool {
        command,
        package: "xz-utils",
        log: "kernel-unpack",
        work: Some(work),
    };
    tool::run(ctx, tool, &mut |_| {})
        .map(drop)
        .map_err(BuildKernelError::Unpack)
}

/// Removes what a killed unpacking has left.
fn empty(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}
