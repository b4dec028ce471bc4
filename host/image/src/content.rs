//! Reading what a file holds, and noticing when a file of the host is no longer what it was.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::tree::Content;

/// Why the content of a file cannot be had. It travels inside [`io::Error`], as reads demand.
#[derive(Debug, Error)]
pub enum ReadContentError {
    #[error("cannot open {path:?}")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path:?}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path:?} is no longer {expected} bytes long")]
    Changed { path: PathBuf, expected: u64 },
    #[error("{path:?} is cut off: it ends before byte {end}")]
    CutOff { path: PathBuf, end: u64 },
}

impl Content {
    /// Size in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Host { size, .. } | Content::Part { size, .. } => *size,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader that ends after exactly [`Content::len`] bytes, or fails: an archive whose header says one size while
    /// another one follows would be corrupt. Errors contain a [`ReadContentError`].
    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Content::Bytes(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Content::Host { path, size } => Ok(Box::new(HostReader {
                file: open(path)?,
                path: path.clone(),
                start: 0,
                size: *size,
                left: *size,
                of: Of::Whole,
            })),
            Content::Part { path, start, size } => {
                let mut file = open(path)?;
                file.seek(SeekFrom::Start(*start)).map_err(|source| {
                    let path = path.clone();
                    wrapped(source.kind(), ReadContentError::Read { path, source })
                })?;
                Ok(Box::new(HostReader {
                    file,
                    path: path.clone(),
                    start: *start,
                    size: *size,
                    left: *size,
                    of: Of::Part,
                }))
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|source| {
        let path = path.to_owned();
        wrapped(source.kind(), ReadContentError::Open { path, source })
    })
}

/// What a user can do about a failed read or write of a file's content; `None` where nothing comes to mind.
pub(crate) fn hint(error: &io::Error) -> Option<String> {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    match inner {
        Some(ReadContentError::Changed { path, .. }) => Some(format!(
            "something wrote to {} while it was being copied: try again when it is at rest",
            path.display()
        )),
        Some(ReadContentError::Open { source, .. })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            Some("make the file readable for the user who builds".into())
        }
        Some(_) => None,
        None if error.kind() == ErrorKind::StorageFull => {
            Some("free some space where the output is written".into())
        }
        None => None,
    }
}

/// Fills `buffer` as far as the content goes; fewer bytes mean its end.
pub(crate) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

struct HostReader {
    file: File,
    path: PathBuf,
    start: u64,
    size: u64,
    left: u64,
    of: Of,
}

/// What of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Whole,
    Part,
}

impl Read for HostReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if self.of == Of::Part {
                return Ok(0);
            }
            // One byte more than promised is as wrong as one too few.
            return match self.read_file(&mut [0])? {
                0 => Ok(0),
                _ => Err(self.changed()),
            };
        }
        let room = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.read_file(&mut buffer[..room])?;
        if count == 0 {
            return Err(self.changed());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

impl HostReader {
    fn read_file(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|source| {
            let path = self.path.clone();
            // The kind stays: callers try again after `Interrupted`.
            wrapped(source.kind(), ReadContentError::Read { path, source })
        })
    }

    fn changed(&self) -> io::Error {
        let path = self.path.clone();
        let error = match self.of {
            Of::Whole => ReadContentError::Changed {
                path,
                expected: self.size,
            },
            Of::Part => ReadContentError::CutOff {
                path,
                end: self.start.saturating_add(self.size),
            },
        };
        wrapped(ErrorKind::InvalidData, error)
    }
}

fn wrapped(kind: ErrorKind, error: ReadContentError) -> io::Error {
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;
    use std::fs;
    use std::path::Path;

    fn read(content: &Content) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        content.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn content_is_what_the_file_or_the_bytes_hold() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        fs::write(&path, "12345").unwrap();
        let longer = scratch.path().join("longer");
        fs::write(&longer, "0123456").unwrap();
        for content in [
            Content::Bytes(Arc::from(*b"12345")),
            Content::Host { path, size: 5 },
            Content::Part {
                path: longer,
                start: 1,
                size: 5,
            },
        ] {
            assert_eq!(content.len(), 5);
            assert_eq!(read(&content).unwrap(), b"12345");
        }
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_an_error_that_says_so() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        for now in ["", "1234", "123456", "1234567890"] {
            fs::write(&path, now).unwrap();
            let path = path.clone();
            let error = read(&Content::Host { path, size: 5 }).unwrap_err();
            assert!(error.to_string().ends_with("is no longer 5 bytes long"));
            assert!(hint(&error).unwrap().contains("try again"));
        }
    }

    #[test]
    fn a_part_that_its_file_no_longer_has_is_an_error_that_says_so() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        for now in ["", "12", "1234"] {
            fs::write(&path, now).unwrap();
            let path = path.clone();
            let (start, size) = (3, 2);
            let error = read(&Content::Part { path, start, size }).unwrap_err();
            let said = error.to_string();
            assert!(
                said.ends_with("is cut off: it ends before byte 5"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_file_that_is_gone_is_named_with_the_reason_behind_it() {
        let path = Path::new("/no/such/file").to_path_buf();
        let error = read(&Content::Host { path, size: 5 }).unwrap_err();
        assert_eq!(error.to_string(), "cannot open \"/no/such/file\"");
        let source = error.source().unwrap().to_string();
        assert!(source.contains("No such file"), "{source}");
    }
}
