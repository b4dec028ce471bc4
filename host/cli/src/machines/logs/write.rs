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
    /// None where it has not been made yet.
    file: Option<File>,
    /// How much is in the file.
    bytes: u64,
    limit: u64,
}

impl LogWriter {
    /// A log of this folder, whose file is made with the first record.
    pub fn new(folder: &Path) -> LogWriter {
        LogWriter {
            folder: folder.to_owned(),
            file: None,
            bytes: 0,
            limit: FILE_BYTES,
        }
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The file that is written to.
    pub fn path(&self) -> PathBuf {
        file(&self.folder, 0)
    }

    /// Keeps what was written at this time, in milliseconds since 1970.
    ///
    /// # Errors
    /// Where it is not kept, on a full disk for instance. What comes later may be: the log goes on after a gap.
    pub fn write(&mut self, now_ms: u64, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let kept = self.append(now_ms, stream, bytes);
        if kept.is_err()
            && let Some(file) = &self.file
            // A record of which only a part was written would hide what comes after it.
            && file.set_len(self.bytes).is_err()
        {
            // What comes goes into another file.
            self.bytes = self.limit;
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
        self.open()?.write_all(&record)?;
        self.bytes += record.len() as u64;
        Ok(())
    }

    /// The file, made where there is none.
    fn open(&mut self) -> io::Result<&mut File> {
        if let Some(ref mut file) = self.file {
            return Ok(file);
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path())?;
        Ok(self.file.insert(file))
    }

    fn rotate(&mut self) -> io::Result<()> {
        for age in (1..FILES).rev() {
            match fs::rename(file(&self.folder, age - 1), file(&self.folder, age)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = None;
        self.bytes = 0;
        Ok(())
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
        let mut writer = LogWriter::new(folder.path());
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
        let mut writer = LogWriter::new(folder.path());
        writer.set_limit(1);
        for number in 0..5 {
            let line = format!("{number}\n");
            writer.write(number, Stream::Out, line.as_bytes()).unwrap();
        }
        assert_eq!(text(&everything(folder.path())), "2\n3\n4\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES);
    }

    #[test]
    fn a_log_goes_on_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/full", file(folder.path(), 0)).unwrap();
        let mut writer = LogWriter::new(folder.path());
        let error = writer.write(1, Stream::Out, b"lost").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // What is lost there cannot be cut off, so that it is left behind.
        writer.write(2, Stream::Out, b"kept").unwrap();
        fs::remove_file(file(folder.path(), 1)).unwrap();
        assert_eq!(text(&everything(folder.path())), "kept");
    }

    #[test]
    fn what_was_written_of_a_record_that_does_not_fit_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::new(folder.path());
        writer.write(1, Stream::Out, b"one").unwrap();
        // As a disk that becomes full in the middle of a record leaves it.
        let mut other = OpenOptions::new().append(true).open(writer.path()).unwrap();
        other.write_all(b"2 out 100\npart").unwrap();
        let written = writer.file.replace(File::open("/dev/full").unwrap());
        writer.write(2, Stream::Out, b"lost").unwrap_err();
        writer.file = written;
        writer.bytes = FILE_BYTES;
        writer.write(3, Stream::Out, b"two").unwrap();
        assert_eq!(text(&everything(folder.path())), "onetwo");
    }
}
