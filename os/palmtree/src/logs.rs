//! The logs: files that are written at their end, and kept short.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;

use crate::rotation::{self, LIMIT, Place};

/// All that are open. Nobody waits for a log: what one does not take is lost, and the service goes on.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    files: BTreeMap<PathBuf, Log>,
}

#[derive(Debug)]
struct Log {
    file: File,
    place: Place,
    /// A device has no length.
    is_regular: bool,
}

#[derive(Debug, Error)]
#[error("cannot open the log {}", path.display())]
pub(crate) struct OpenLogError {
    path: PathBuf,
    source: io::Error,
}

impl Logs {
    /// Makes a log ready, and begins a new one when it is full.
    pub(crate) fn open(&mut self, path: &Path) -> Result<(), OpenLogError> {
        let failed = |source| OpenLogError {
            path: path.to_owned(),
            source,
        };
        let log = self.ready(path).map_err(failed)?;
        if log.is_regular && log.place.size >= LIMIT {
            *log = rotate(path).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes to the end of a log, and of its successors.
    pub(crate) fn append(&mut self, path: &Path, bytes: &[u8]) {
        // A full disk, a folder in its place: there is no better place to tell of it than the one that fails.
        let _ = self.try_append(path, bytes);
    }

    pub(crate) fn close(&mut self, path: &Path) {
        self.files.remove(path);
    }

    fn try_append(&mut self, path: &Path, mut bytes: &[u8]) -> io::Result<()> {
        let log = self.ready(path)?;
        while !bytes.is_empty() {
            let fitting = if log.is_regular {
                rotation::fitting(log.place, bytes)
            } else {
                bytes.len()
            };
            let (now, later) = bytes.split_at(fitting);
            log.file.write_all(now)?;
            log.place = log.place.after(now);
            bytes = later;
            if !bytes.is_empty() {
                *log = rotate(path)?;
            }
        }
        Ok(())
    }

    /// The log, opened anew when it is not open or has been removed.
    fn ready(&mut self, path: &Path) -> io::Result<&mut Log> {
        let removed = |log: &Log| log.file.metadata().is_ok_and(|meta| meta.nlink() == 0);
        if self.files.get(path).is_some_and(removed) {
            self.files.remove(path);
        }
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), open(path)?);
        }
        self.files
            .get_mut(path)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What a full log is called.
pub(crate) fn predecessor(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// What a log and its predecessor hold. A missing one is empty; none of it is more than twice the limit.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for path in [predecessor(path), path.to_owned()] {
        // A device or a pipe in its place would be waited for.
        if fs::metadata(&path).is_ok_and(|meta| meta.is_file())
            && let Ok(file) = File::open(&path)
        {
            let _ = file.take(2 * LIMIT).read_to_end(&mut text);
        }
    }
    text
}

fn open(path: &Path) -> io::Result<Log> {
    if let Some(folder) = path.parent() {
        // Logs are their user's, like everything in a home.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    // A terminal must neither become this session's nor hold it up.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    Ok(Log {
        file,
        place: Place {
            size: metadata.len(),
            at_line: true,
        },
        is_regular: metadata.is_file(),
    })
}

/// Makes a log its own predecessor, and opens its successor.
fn rotate(path: &Path) -> io::Result<Log> {
    match fs::rename(path, predecessor(path)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Something stands in the way. A log that begins anew is better than one that fills the disk.
        Err(_) => File::options().write(true).open(path)?.set_len(0)?,
    }
    open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: usize) -> Vec<u8> {
        b"123456789012345\n".repeat(bytes / 16)
    }

    #[test]
    fn a_full_log_becomes_its_predecessor_and_nothing_is_lost_in_between() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new/folder/web.log");
        let mut logs = Logs::default();
        for _ in 0..129 {
            logs.append(&path, &lines(8192));
        }
        let [old, new] = [predecessor(&path), path.clone()].map(|path| fs::read(path).unwrap());
        assert_eq!((old.len(), new.len()), (1 << 20, 8192));
        assert_eq!(read(&path), [old, new].concat());
        logs.append(&path, &lines(1 << 20));
        assert_eq!(fs::metadata(predecessor(&path)).unwrap().len(), 1 << 20);
        assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
    }

    #[test]
    fn a_log_that_is_full_at_the_start_is_rotated_then() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("web.log");
        fs::write(&path, lines(1 << 20)).unwrap();
        Logs::default().open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::metadata(predecessor(&path)).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_log_that_somebody_removes_is_there_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("web.log");
        let mut logs = Logs::default();
        logs.append(&path, b"one\n");
        fs::remove_file(&path).unwrap();
        logs.append(&path, b"two\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
    }

    #[test]
    fn a_folder_in_the_way_of_the_old_log_does_not_let_the_new_one_grow() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("web.log");
        fs::create_dir_all(predecessor(&path).join("full")).unwrap();
        let mut logs = Logs::default();
        logs.append(&path, &lines(1 << 20));
        logs.append(&path, b"on\n");
        assert_eq!(fs::read(&path).unwrap(), b"on\n");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_said_and_then_passed_over() {
        let scratch = tempfile::tempdir().unwrap();
        let mut logs = Logs::default();
        let error = logs.open(scratch.path()).unwrap_err();
        let expected = format!("cannot open the log {}", scratch.path().display());
        assert_eq!(error.to_string(), expected);
        logs.append(scratch.path(), b"lost\n");
        logs.append(Path::new("/dev/null"), &lines(2 << 20));
    }
}
