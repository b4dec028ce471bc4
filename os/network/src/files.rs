//! Files that others read while this program writes them: each is there whole, in its old or its new form.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}", .path.display())]
pub struct WriteFileError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// Writes a file beside and renames it to its place. Folders above it are made where they are missing.
pub fn replace(path: &Path, text: &str) -> Result<(), WriteFileError> {
    let failed = |source| WriteFileError {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut beside = OsString::from(path);
    beside.push(".new");
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        // After a power cut an empty file would be there under the new name.
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed)
}

/// The same, unless the file has this text already. Whether it was written.
pub fn replace_if_other(path: &Path, text: &str) -> Result<bool, WriteFileError> {
    if fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(false);
    }
    replace(path, text).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_only_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system/hostname");
        assert!(replace_if_other(&path, "one\n").unwrap());
        assert!(!replace_if_other(&path, "one\n").unwrap());
        assert!(replace_if_other(&path, "two\n").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = replace(Path::new("/proc/none/file"), "").unwrap_err();
        assert_eq!(error.to_string(), "cannot write /proc/none/file");
    }
}
