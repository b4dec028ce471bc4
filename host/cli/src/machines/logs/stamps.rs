//! `--timestamps`: each line of a log with its time before it.

use jiff::Timestamp;

use super::{Record, Stream};

/// Writes the time before lines. Each of the two streams has its own lines.
#[derive(Debug, Default)]
pub struct Stamps {
    is_within: [bool; 2],
}

impl Stamps {
    /// The bytes of the next record, with its time before each line that begins in it.
    pub fn stamped(&mut self, record: &Record) -> Vec<u8> {
        let is_within = match record.stream {
            Stream::Out => &mut self.is_within[0],
            Stream::Err => &mut self.is_within[1],
        };
        let time = time(record.at_ms);
        let mut stamped = Vec::with_capacity(record.bytes.len() + time.len());
        for line in record.bytes.split_inclusive(|byte| *byte == b'\n') {
            if !*is_within {
                stamped.extend_from_slice(time.as_bytes());
            }
            stamped.extend_from_slice(line);
            *is_within = line.last() != Some(&b'\n');
        }
        stamped
    }
}

/// As RFC 3339 has it, in UTC, always of one length.
fn time(at_ms: u64) -> String {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX);
    format!("{time:.3} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_time_of_its_beginning() {
        let mut stamps = Stamps::default();
        let mut check = |at_ms: u64, stream: Stream, bytes: &str, expected: &str| {
            let bytes = bytes.as_bytes().to_vec();
            let record = Record {
                at_ms,
                stream,
                bytes,
            };
            assert_eq!(
                String::from_utf8(stamps.stamped(&record)).unwrap(),
                expected
            );
        };
        let (first, second) = ("1970-01-01T00:00:00.000Z ", "1970-01-01T00:00:01.500Z ");
        check(
            0,
            Stream::Out,
            "one\n\ntw",
            &format!("{first}one\n{first}\n{first}tw"),
        );
        check(1500, Stream::Err, "bad\n", &format!("{second}bad\n"));
        check(1500, Stream::Out, "o\nthree", &format!("o\n{second}three"));
        check(9999, Stream::Out, "\n", "\n");
        let last = time(u64::MAX);
        assert!(last.starts_with("9999-12-30T"), "{last}");
    }
}
