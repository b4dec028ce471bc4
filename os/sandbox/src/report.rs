//! How the copies of a program that become another one tell it whether they did.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use rustix::process::Pid;

use crate::log::sentence;

/// The copies' end: lines, `pid NUMBER` from who made the last of them and `failed SENTENCE` from anybody.
#[derive(Debug)]
pub struct Report(pub File);

impl Report {
    /// Returns the code that the copy is to end with.
    pub fn started(&mut self, pid: Pid) -> i32 {
        self.line(&format!("pid {}", pid.as_raw_nonzero()));
        0
    }

    /// Returns the code that the copy is to end with.
    pub fn failed(&mut self, error: &dyn Error) -> i32 {
        self.line(&format!("failed {}", sentence(error)));
        1
    }

    fn line(&mut self, text: &str) {
        // One write: lines of several copies stay whole (pipe(7), PIPE_BUF). If it fails nobody is there to hear of it.
        let _ = self
            .0
            .write_all(format!("{}\n", text.replace('\n', " ")).as_bytes());
    }
}

/// What was told: a number, and why it failed.
pub fn heard(told: &[u8]) -> (Option<Pid>, Option<String>) {
    let told = String::from_utf8_lossy(told);
    let line = |begin: &str| told.lines().find_map(|line| line.strip_prefix(begin));
    let pid = line("pid ").and_then(|number| number.parse().ok());
    (
        pid.and_then(Pid::from_raw),
        line("failed ").map(str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_copies_tell_is_a_number_and_maybe_a_reason() {
        let check = |told: &str, pid: Option<i32>, reason: Option<&str>| {
            assert_eq!(
                heard(told.as_bytes()),
                (pid.and_then(Pid::from_raw), reason.map(str::to_owned)),
                "{told}"
            );
        };
        check("pid 12\n", Some(12), None);
        check(
            "failed cannot start /bin/x: No such file\npid 12\n",
            Some(12),
            Some("cannot start /bin/x: No such file"),
        );
        check("failed cannot enter\n", None, Some("cannot enter"));
        check("", None, None);
    }
}
