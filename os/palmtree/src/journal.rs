//! What palmtree itself has to say, in a log of its own.

use std::fmt;
use std::time::SystemTime;

use crate::clock;

/// A line of palmtree's own log. Every one has its time.
pub(crate) fn line(sentence: fmt::Arguments<'_>) -> String {
    format!("{} {sentence}\n", clock::utc(SystemTime::now()))
}
