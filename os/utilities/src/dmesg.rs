//! `dmesg`: the kernel's messages, from `/dev/kmsg`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

use rustix::fs::{Mode, OFlags};

use crate::complain;

const MESSAGES: &str = "/dev/kmsg";
/// The longest record that the kernel gives in one read.
const RECORD: usize = 8192;

pub(crate) fn run(args: Vec<OsString>) -> i32 {
    if let Some(arg) = args.get(1) {
        let usage = "Usage: dmesg\n\nShows the messages of the kernel.";
        return complain(usage, if arg == "--help" { 0 } else { 2 });
    }
    match read() {
        Ok(text) => {
            // A closed pipe is the reader's wish.
            let _ = io::stdout().write_all(text.as_bytes());
            0
        }
        Err(error) => complain(&format!("dmesg: cannot read {MESSAGES}: {error}"), 1),
    }
}

fn read() -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::open(MESSAGES, flags, Mode::empty())?);
    let mut text = String::new();
    let mut record = [0; RECORD];
    loop {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => text.push_str(&line(&String::from_utf8_lossy(&record[..length]))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // A message was overwritten while it was read; the next one is there.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// A record is `priority,number,microseconds,flags;message`, then lines for programs.
/// <https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg>
fn line(record: &str) -> String {
    let (head, rest) = record.split_once(';').unwrap_or(("", record));
    let message = rest.lines().next().unwrap_or_default();
    let time: u64 = head
        .split(',')
        .nth(2)
        .and_then(|time| time.parse().ok())
        .unwrap_or(0);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "[{:5}.{:06}] {message}",
        time / 1_000_000,
        time % 1_000_000
    );
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_record_is_a_time_and_a_message() {
        let check = |record: &str, expected: &str| assert_eq!(super::line(record), expected);
        check(
            "6,1,1500000,-;hello\n KEY=value\n",
            "[    1.500000] hello\n",
        );
        check("no record", "[    0.000000] no record\n");
    }
}
