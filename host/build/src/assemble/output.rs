//! The output folder: what is common to those of all formats, and how files come into them.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::BuildError;
use crate::fetch::UsedInput;
use crate::layer::sources_json;
use crate::recipe::{Format, Recipe};

/// Beside what was built: what all of it was made from.
const SOURCES: &str = "sources.json";

/// `out/<arch>/<flavor>/<format>`.
pub(crate) fn folder(recipe: &Recipe, format: Format, out: &Path) -> PathBuf {
    out.join(recipe.arch.as_str())
        .join(recipe.flavor.as_str())
        .join(format.as_str())
}

/// Makes the folder, so that a build which cannot end well does not begin.
pub(super) fn prepare(recipe: &Recipe, format: Format, out: &Path) -> Result<PathBuf, BuildError> {
    let dir = folder(recipe, format, out);
    writable(&dir)?;
    Ok(dir)
}

/// Makes a folder, and sees whether a file can be made in it.
pub(super) fn writable(dir: &Path) -> Result<(), BuildError> {
    let try_out = || {
        fs::create_dir_all(dir)?;
        tempfile::tempfile_in(dir).map(drop)
    };
    try_out().map_err(|source| BuildError::Output {
        path: dir.to_owned(),
        source,
    })
}

/// Says what the files in `dir` were made from, and has `latest` lead there.
pub(super) fn publish(out: &Path, dir: &Path, inputs: &[UsedInput]) -> Result<(), BuildError> {
    write(&dir.join(SOURCES), &sources_json(inputs), 0o644)?;
    let target = dir.strip_prefix(out).expect("the folder is below out");
    replace(&out.join("latest"), |temporary| symlink(target, temporary))
}

/// A link to a file of the cache; a copy where the folder is on another file system.
pub(crate) fn link(from: &Path, to: &Path) -> Result<(), BuildError> {
    let same = |a: fs::Metadata, b: fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    if let (Ok(a), Ok(b)) = (fs::metadata(from), fs::symlink_metadata(to))
        && same(a, b)
    {
        return Ok(());
    }
    replace(to, |temporary| {
        fs::hard_link(from, temporary).or_else(|_| fs::copy(from, temporary).map(drop))
    })
}

/// A file with this text and mode.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), BuildError> {
    write_bytes(path, text.as_bytes(), mode)
}

/// A file with these bytes and mode.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<(), BuildError> {
    replace(path, |temporary| {
        fs::write(temporary, bytes)?;
        fs::set_permissions(temporary, fs::Permissions::from_mode(mode))
    })
}

/// Makes a file beside `path` and renames it over: nobody ever sees half of it.
pub(crate) fn replace(
    path: &Path,
    make: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), BuildError> {
    let dir = path.parent().expect("an output file lies in a folder");
    let whole = || {
        let scratch = tempfile::Builder::new()
            .prefix(".writing-")
            .tempdir_in(dir)?;
        let temporary = scratch.path().join("file");
        make(&temporary)?;
        fs::rename(&temporary, path)
    };
    whole().map_err(|source| BuildError::Output {
        path: path.to_owned(),
        source,
    })
}
