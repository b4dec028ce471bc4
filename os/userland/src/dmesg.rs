//! `dmesg`: the kernel's log.

use std::fs::File;
use std::io::{self, Read};

use lexopt::Arg;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};

const LOG: &str = "/dev/kmsg";

/// The kernel gives one record a read, and none is longer (CONSOLE_EXT_LOG_MAX in linux/console.h).
const LONGEST: usize = 8192;

pub(crate) const HELP: &str = "\
Usage: dmesg

Shows the kernel's log, with the seconds since the start before each line. Only root's session has it.

Options:
  --help  Show this
";

#[derive(Debug, Error)]
enum DmesgError {
    #[error("cannot open the kernel's log {LOG}")]
    Open(#[source] Errno),
    #[error("cannot read the kernel's log {LOG}")]
    Read(#[source] io::Error),
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    match parser.next()? {
        None => {}
        Some(Arg::Long("help")) => return Err(Stop::Help),
        Some(argument) => return Err(argument.unexpected().into()),
    }
    // Without waiting, which is how the end of what there is shows itself.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = rustix::fs::open(LOG, flags, Mode::empty()).map_err(|errno| {
        Stop::failed(DmesgError::Open(errno)).hint("only root's session has the kernel's log")
    })?;
    let mut log = File::from(log);
    let mut record = [0; LONGEST];
    loop {
        let length = match log.read(&mut record) {
            Ok(0) => return Ok(DONE),
            Ok(length) => length,
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::AGAIN) => return Ok(DONE),
                // EPIPE: the oldest records were overwritten meanwhile, and the next read gives the oldest one left.
                Some(Errno::INTR | Errno::PIPE) => continue,
                _ => return Err(Stop::failed(DmesgError::Read(error))),
            },
        };
        if let Some(line) = line(&String::from_utf8_lossy(&record[..length])) {
            writeln!(call.out, "{line}")?;
        }
    }
}

/// The line of a record: `level,number,microseconds,flags;text`, and further lines that begin with a blank and are for
/// programs (the kernel's Documentation/ABI/testing/dev-kmsg).
fn line(record: &str) -> Option<String> {
    let (head, rest) = record.split_once(';')?;
    let microseconds: u64 = head.split(',').nth(2)?.parse().ok()?;
    let text: String = rest.lines().next().unwrap_or_default().to_owned();
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    Some(format!("[{seconds:>5}.{rest:06}] {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines_with_the_time_before_them() {
        let check = |record: &str, expected: Option<&str>| {
            assert_eq!(line(record).as_deref(), expected, "{record}");
        };
        check(
            "6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n",
            Some("[    5.140900] NET: Registered protocol family 10"),
        );
        check(
            "31,340,7,-,caller=T1;init: a; b\n",
            Some("[    0.000007] init: a; b"),
        );
        check("6,1,1,-;a\x1bb\n", Some("[    0.000001] a?b"));
        check("nonsense", None);
        check("6,1;x", None);
    }
}
