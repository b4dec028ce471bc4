//! The side of the monitor: records at the end of a file, which becomes an older one when it is long.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{FILE_BYTES, FILES, Stream, file};

/// Writes a log.
#[derive(Debug)]
pub struct LogWriter {
    folder: PathBuf,
    /// None after a failure: an application goes on without its log.
    file: Option<File>,
    /// How much is in the file.
    bytes: u64,
    limit: u64,
}

impl LogWriter {
    /// Begins a log.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(folder: &Path) -> io::Result<LogWriter> {
        let mut writer = LogWriter {
            folder: folder.to_owned(),
            file: None,
            bytes: 0,
            limit: FILE_BYTES,
        };
        writer.open()?;
        Ok(writer)
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    fn open(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(file(&self.folder, 0))?;
        self.file = Some(file);
        self.bytes = 0;
        Ok(())
    }

    /// Keeps what was written at this time, in milliseconds since 1970.
    ///
    /// # Errors
    /// The first failure, of a full disk for instance. Afterwards nothing is kept any more, and nothing fails.
    pub fn write(&mut self, now_ms: u64, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() || bytes.is_empty() {
            return Ok(());
        }
        let kept = self.append(now_ms, stream, bytes);
        if kept.is_err() {
            // A record of which only a part was written would hide what comes after it, if anything did.
            if let Some(file) = self.file.take() {
                let _ = file.set_len(self.bytes);
            }
        }
        kept
    }

    fn append(&mut self, now_ms: u64, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.bytes >= self.limit {
            self.rotate()?;
        }
        let mut record = format!("{now_ms} {} {}\n", stream.word(), bytes.len()).into_bytes();
        record.extend_from_slice(bytes);
        record.push(b'\n');
        let file = self.file.as_mut().expect("the caller has looked");
        file.write_all(&record)?;
        self.bytes += record.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for age in (1..FILES).rev() {
            match fs::rename(file(&self.folder, age - 1), file(&self.folder, age)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.open()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::read::{everything, text};
    use super::*;

    #[test]
    fn what_was_written_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(folder.path()).unwrap();
        writer.write(5, Stream::Out, b"one\n\0\xff").unwrap();
        writer.write(6, Stream::Err, b"7 out 3\nlie").unwrap();
        writer.write(7, Stream::Out, b"").unwrap();
        let records = everything(folder.path());
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.at_ms, record.stream, record.bytes.as_slice()))
            .collect();
        assert_eq!(
            found,
            [
                (5, Stream::Out, &b"one\n\0\xff"[..]),
                (6, Stream::Err, &b"7 out 3\nlie"[..])
            ]
        );
    }

    #[test]
    fn a_long_log_keeps_its_last_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(folder.path()).unwrap();
        writer.set_limit(1);
        for number in 0..5 {
            let line = format!("{number}\n");
            writer.write(number, Stream::Out, line.as_bytes()).unwrap();
        }
        assert_eq!(text(&everything(folder.path())), "2\n3\n4\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES);
    }

    #[test]
    fn a_full_disk_is_told_once_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/full", file(folder.path(), 0)).unwrap();
        let mut writer = LogWriter::create(folder.path()).unwrap();
        let error = writer.write(1, Stream::Out, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        writer.write(2, Stream::Out, b"x").unwrap();
    }
}
