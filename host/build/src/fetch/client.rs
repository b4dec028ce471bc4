//! What pip and npm have in common: one pinned file, downloaded into a scratch folder, checked, and moved in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::checksum::sha256_of;
use super::{ProviderError, UsedFile};
use crate::cache::human_bytes;
use crate::context::Context;
use crate::manifest::{Input, Sha256Sum};
use crate::progress::Unit;
use crate::tool::{self, Event, Tool};

/// The one file that a client is to bring.
pub(super) struct Wanted<'a> {
    pub(super) client: &'a str,
    pub(super) package: &'a str,
    pub(super) input: &'a Input,
    /// How the file's name ends.
    pub(super) suffix: &'a str,
    pub(super) sha256: &'a Sha256Sum,
    pub(super) bytes: u64,
}

/// Whether the program of a client is there.
pub(super) fn needs(program: &str, client: &str, remedy: &str) -> Result<(), ProviderError> {
    match tool::find_program(program) {
        Some(_) => Ok(()),
        None => Err(unavailable(client, remedy)),
    }
}

pub(super) fn unavailable(client: &str, remedy: &str) -> ProviderError {
    ProviderError::Unavailable {
        client: client.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// A folder beside the files of the entry for what is on its way. It goes with the value.
pub(super) fn scratch(dir: &Path) -> Result<TempDir, ProviderError> {
    let made = tempfile::Builder::new().prefix(".scratch-").tempdir_in(dir);
    made.map_err(|source| ProviderError::Write {
        path: dir.to_owned(),
        source,
    })
}

/// Runs the client, which downloads into `scratch`, and moves the file to `dir` when its sum is right.
pub(super) fn fetch_one(
    ctx: &Context,
    tool: Tool<'_>,
    wanted: &Wanted<'_>,
    scratch: &Path,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    let Wanted {
        client,
        package,
        input,
        ..
    } = wanted;
    let title = format!(
        "fetching {} {} ({client} {package})",
        input.name, input.version
    );
    let mut task = ctx
        .progress
        .begin(&title, Some((wanted.bytes, Unit::Bytes)));
    tool::run(ctx, tool, &mut |event| {
        if let Event::Tick = event {
            task.advance(bytes_in(scratch).min(wanted.bytes), None);
        }
    })?;
    let found = find_file(scratch, wanted.suffix).ok_or_else(|| ProviderError::NoFile {
        client: client.to_string(),
        wanted: format!("*{} of {package} {}", wanted.suffix, input.version),
    })?;
    let file = keep(
        &found,
        dir,
        &input.name,
        &input.version,
        wanted.sha256.as_str(),
    )?;
    task.advance(file.bytes, Some(file.bytes));
    task.finish(&human_bytes(file.bytes));
    Ok(vec![file])
}

/// Moves a file into the entry when its sum is the expected one; otherwise removes it.
pub(super) fn keep(
    file: &Path,
    dir: &Path,
    input: &str,
    version: &str,
    expected: &str,
) -> Result<UsedFile, ProviderError> {
    let failed = |source| ProviderError::Write {
        path: file.to_owned(),
        source,
    };
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let (found, bytes) = sha256_of(file).map_err(failed)?;
    if found != expected {
        fs::remove_file(file).map_err(failed)?;
        return Err(ProviderError::Sum {
            input: input.to_owned(),
            file: name,
            expected: expected.to_owned(),
            found,
        });
    }
    fs::rename(file, dir.join(&name)).map_err(failed)?;
    Ok(UsedFile {
        name,
        version: version.to_owned(),
        sha256: found,
        bytes,
    })
}

fn find_file(dir: &Path, suffix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    let ends = |path: &PathBuf| path.to_string_lossy().ends_with(suffix);
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(ends)
}

/// How much has arrived below a folder, for the progress bar only.
pub(super) fn bytes_in(dir: &Path) -> u64 {
    let size = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let meta = entry.metadata().ok()?;
        Some(if meta.is_dir() {
            bytes_in(&entry.path())
        } else {
            meta.len()
        })
    };
    fs::read_dir(dir).map_or(0, |entries| entries.filter_map(size).sum())
}
