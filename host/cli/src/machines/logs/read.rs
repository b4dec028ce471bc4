//! The side of commands: the records of a log, from its oldest file on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use super::Stream;

/// The longest header of a record: two numbers and a word, with room.
const LONGEST_HEADER: u64 = 64;

/// A record with more bytes is none of ours: no frame is so long.
const LONGEST_RECORD: u64 = 1 << 20;

/// What an application wrote at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub stream: Stream,
    pub bytes: Vec<u8>,
}

/// A log cannot be read.
#[derive(Debug, Error)]
pub enum ReadLogError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has something in it that is no record", .path.display())]
    Nonsense { path: PathBuf },
}

/// Reads one file's records.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) path: PathBuf,
    pub(super) file: BufReader<File>,
    /// What is there of a record that is being written.
    pending: Vec<u8>,
}

impl Records {
    pub(super) fn open(path: PathBuf) -> Result<Option<Records>, ReadLogError> {
        match File::open(&path) {
            Ok(file) => Ok(Some(Records {
                path,
                file: BufReader::new(file),
                pending: Vec::new(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadLogError::Read { path, source }),
        }
    }

    /// The next record; none when it is not there, or not whole, yet.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, ReadLogError> {
        loop {
            if let Some(record) = self.take()? {
                return Ok(Some(record));
            }
            let found = self.file.fill_buf().map_err(|source| ReadLogError::Read {
                path: self.path.clone(),
                source,
            })?;
            if found.is_empty() {
                return Ok(None);
            }
            let count = found.len();
            self.pending.extend_from_slice(found);
            self.file.consume(count);
        }
    }

    /// Takes a whole record from what is pending.
    fn take(&mut self) -> Result<Option<Record>, ReadLogError> {
        let nonsense = || ReadLogError::Nonsense {
            path: self.path.clone(),
        };
        let Some(header) = self.pending.iter().position(|byte| *byte == b'\n') else {
            let is_long = self.pending.len() as u64 > LONGEST_HEADER;
            return if is_long { Err(nonsense()) } else { Ok(None) };
        };
        let (at_ms, stream, length) = parse_header(&self.pending[..header]).ok_or_else(nonsense)?;
        let begin = header + 1;
        let Some(bytes) = self.pending.get(begin..begin + length) else {
            return Ok(None);
        };
        match self.pending.get(begin + length) {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) => return Err(nonsense()),
        }
        let record = Record {
            at_ms,
            stream,
            bytes: bytes.to_vec(),
        };
        self.pending.drain(..=begin + length);
        Ok(Some(record))
    }
}

fn parse_header(line: &[u8]) -> Option<(u64, Stream, usize)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let at_ms = words.next()?.parse().ok()?;
    let stream = Stream::of_word(words.next()?)?;
    let length: u64 = words.next()?.parse().ok()?;
    let length = usize::try_from(length).ok()?;
    (words.next().is_none() && length as u64 <= LONGEST_RECORD).then_some((at_ms, stream, length))
}

/// Keeps the last lines of a log, both streams counted together.
#[derive(Debug)]
pub struct LastLines {
    count: usize,
    /// Records, and how many lines end in each.
    kept: VecDeque<(usize, Record)>,
    /// How many lines end in all of them.
    lines: usize,
}

impl LastLines {
    pub fn new(count: usize) -> LastLines {
        LastLines {
            count,
            kept: VecDeque::new(),
            lines: 0,
        }
    }

    /// The next record has come.
    pub fn push(&mut self, record: Record) {
        let ends = record.bytes.iter().filter(|byte| **byte == b'\n').count();
        self.lines += ends;
        self.kept.push_back((ends, record));
        // A whole record is let go of while the others have enough lines, one of which may not have ended yet.
        while let Some((first, _)) = self.kept.front()
            && self.lines - first > self.count
        {
            self.lines -= first;
            self.kept.pop_front();
        }
    }

    /// The lines, as pieces of records.
    pub fn finish(self) -> Vec<Record> {
        let is_open = self
            .kept
            .back()
            .is_some_and(|(_, record)| record.bytes.last() != Some(&b'\n'));
        let mut surplus = (self.lines + usize::from(is_open)).saturating_sub(self.count);
        let mut records = Vec::new();
        for (_, mut record) in self.kept {
            while surplus > 0
                && let Some(end) = record.bytes.iter().position(|byte| *byte == b'\n')
            {
                record.bytes.drain(..=end);
                surplus -= 1;
            }
            // What is left of a record before the first line that counts is the end of a line that does not.
            if surplus == 0 && !record.bytes.is_empty() {
                records.push(record);
            }
        }
        records
    }
}

#[cfg(test)]
pub(super) fn everything(folder: &Path) -> Vec<Record> {
    let mut follower = super::Follower::new(folder);
    std::iter::from_fn(|| follower.next_record().unwrap()).collect()
}

#[cfg(test)]
pub(super) fn text(records: &[Record]) -> String {
    let bytes: Vec<u8> = records
        .iter()
        .flat_map(|record| record.bytes.clone())
        .collect();
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::super::{LogWriter, file};
    use super::*;

    #[test]
    fn the_last_lines_are_counted_over_records_and_streams() {
        let check = |pieces: &[&str], count: usize, expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = LogWriter::new(folder.path());
            for (index, piece) in pieces.iter().enumerate() {
                let stream = [Stream::Out, Stream::Err][index % 2];
                writer.write(0, stream, piece.as_bytes()).unwrap();
            }
            let mut last = LastLines::new(count);
            everything(folder.path())
                .into_iter()
                .for_each(|record| last.push(record));
            assert_eq!(
                text(&last.finish()),
                expected,
                "the last {count} of {pieces:?}"
            );
        };
        check(&["a\nb\n", "c\n", "d\n"], 2, "c\nd\n");
        check(&["a\nb\nc\n"], 2, "b\nc\n");
        check(&["a\nb", "b\nc"], 2, "bb\nc");
        check(&["a\nb", "b\nc"], 1, "c");
        check(&["a\n"], 9, "a\n");
        check(&["a\nb\n"], 0, "");
        check(&["a\nb"], 0, "");
        check(&[], 3, "");
    }

    #[test]
    fn a_record_that_is_being_written_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), 0);
        for text in ["", "5", "5 out 3\n", "5 out 3\nabc"] {
            std::fs::write(&path, text).unwrap();
            let mut records = Records::open(path.clone()).unwrap().unwrap();
            assert_eq!(records.next_record().unwrap(), None, "{text}");
            let whole = "5 out 3\nabc\n";
            std::fs::write(&path, whole).unwrap();
            let record = records.next_record().unwrap().expect("it is whole now");
            assert_eq!(record.bytes, b"abc");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), 0);
        for text in ["hello\n", "5 in 1\nx\n", "5 out 1\nxy", "5 out 99999999\n"] {
            std::fs::write(&path, text).unwrap();
            let mut records = Records::open(path.clone()).unwrap().unwrap();
            assert!(
                matches!(records.next_record(), Err(ReadLogError::Nonsense { .. })),
                "{text}"
            );
        }
    }
}
