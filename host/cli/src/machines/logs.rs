//! What an application wrote, as a machine's folder keeps it: `log`, and older files `log.1` and `log.2`.
//!
//! A record is a line `MILLISECONDS out|err LENGTH`, that many bytes as the application wrote them, and a line end. So a log is
//! exact whatever was written, and can still be looked at with what one looks at texts with.

mod follow;
mod read;
pub mod since;
mod stamps;
mod write;

pub use follow::Follower;
pub use read::{LastLines, ReadLogError, Record};
pub use stamps::Stamps;
pub use write::LogWriter;

use std::path::{Path, PathBuf};

/// How many files there are at most, and how large each becomes: 30 MB hold a day of a busy server, and are no burden.
const FILES: usize = 3;
const FILE_BYTES: u64 = 10_000_000;

/// Which of an application's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Stream::Out => "out",
            Stream::Err => "err",
        }
    }

    fn of_word(word: &str) -> Option<Stream> {
        match word {
            "out" => Some(Stream::Out),
            "err" => Some(Stream::Err),
            _ => None,
        }
    }
}

/// The file that is written to, and with an age the older ones.
fn file(folder: &Path, age: usize) -> PathBuf {
    match age {
        0 => folder.join("log"),
        _ => folder.join(format!("log.{age}")),
    }
}
