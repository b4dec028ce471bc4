//! The console of a machine as something to wait for and to type into.

use std::io::{self, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// How many lines of the console an error shows.
const TAIL_LINES: usize = 20;
/// How much is read at once.
const CHUNK: usize = 4096;

/// The console's both directions. What the machine says is read by a thread as it comes, with the time.
#[derive(Debug)]
pub struct Console {
    input: ChildStdin,
    shared: Arc<Shared>,
    /// Up to where [`Console::expect`] has consumed what was said.
    consumed: usize,
}

#[derive(Debug, Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
}

/// Everything that the machine has said.
#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    /// When the bytes up to each position had arrived.
    arrivals: Vec<(usize, Instant)>,
    ended: bool,
}

/// What was waited for did not come.
#[derive(Debug, Error)]
pub enum ExpectError {
    #[error("{expected:?} did not come within {} s; the last lines of the console:\n{tail}", .waited.as_secs())]
    Deadline {
        expected: String,
        waited: Duration,
        tail: String,
    },
    #[error("the machine ended before {expected:?} came; the last lines of the console:\n{tail}")]
    Ended { expected: String, tail: String },
    #[error("the machine did not end within {} s; the last lines of the console:\n{tail}", .waited.as_secs())]
    StillRunning { waited: Duration, tail: String },
}

impl Console {
    pub(crate) fn new(input: ChildStdin, output: ChildStdout) -> Console {
        let shared = Arc::new(Shared::default());
        let reader = Arc::clone(&shared);
        // It ends with the pipe, which ends with QEMU.
        thread::spawn(move || reader.read_all(output));
        Console {
            input,
            shared,
            consumed: 0,
        }
    }

    /// Waits for `text` in what the machine says after the last expected text, and returns what came before it.
    ///
    /// # Errors
    /// [`ExpectError`] with the console's last lines.
    pub fn expect(&mut self, text: &str, deadline: Duration) -> Result<String, ExpectError> {
        self.find(text, deadline).map(|(before, _)| before)
    }

    /// As [`Console::expect`], but returns when the last byte of `text` arrived.
    ///
    /// # Errors
    /// [`ExpectError`].
    pub fn expect_timed(&mut self, text: &str, deadline: Duration) -> Result<Instant, ExpectError> {
        self.find(text, deadline).map(|(_, at)| at)
    }

    /// Types `text`.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.input.write_all(text.as_bytes())?;
        self.input.flush()
    }

    /// Everything that was said so far; bytes that are no UTF-8 are replaced.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().bytes).into_owned()
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self) -> String {
        self.shared.lock().tail()
    }

    fn find(&mut self, text: &str, deadline: Duration) -> Result<(String, Instant), ExpectError> {
        let end = Instant::now() + deadline;
        let mut said = self.shared.lock();
        // What was searched already is not searched again, but for the bytes with which `text` may begin.
        let mut from = self.consumed;
        loop {
            if let Some(offset) = position(&said.bytes[from..], text.as_bytes()) {
                let begin = from + offset;
                let before =
                    String::from_utf8_lossy(&said.bytes[self.consumed..begin]).into_owned();
                self.consumed = begin + text.len();
                let arrival = said
                    .arrivals
                    .iter()
                    .find(|(upto, _)| *upto >= self.consumed);
                return Ok((before, arrival.map_or_else(Instant::now, |(_, at)| *at)));
            }
            from = said
                .bytes
                .len()
                .saturating_sub(text.len())
                .max(self.consumed);
            if said.ended {
                return Err(ExpectError::Ended {
                    expected: text.to_owned(),
                    tail: said.tail(),
                });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (expected, tail) = (text.to_owned(), said.tail());
                return Err(ExpectError::Deadline {
                    expected,
                    waited: deadline,
                    tail,
                });
            }
            said = self.shared.wait(said, left);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Said> {
        // What was said stays said, whoever panicked while looking at it.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, said: MutexGuard<'a, Said>, time: Duration) -> MutexGuard<'a, Said> {
        self.changed
            .wait_timeout(said, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn read_all(&self, mut output: ChildStdout) {
        let mut chunk = [0; CHUNK];
        loop {
            let count = match output.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(count) => count,
                Err(_) => 0,
            };
            let mut said = self.lock();
            said.bytes.extend_from_slice(&chunk[..count]);
            let upto = said.bytes.len();
            said.arrivals.push((upto, Instant::now()));
            said.ended = count == 0;
            drop(said);
            self.changed.notify_all();
            if count == 0 {
                return;
            }
        }
    }
}

impl Said {
    fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.lines().collect();
        let begin = lines.len().saturating_sub(TAIL_LINES);
        lines[begin..]
            .iter()
            .map(|line| format!("  {}", line.trim_end()))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len().max(1))
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn console(script: &str) -> (Console, Child) {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        (
            Console::new(child.stdin.take().unwrap(), child.stdout.take().unwrap()),
            child,
        )
    }

    #[test]
    fn what_is_expected_is_consumed_with_what_came_before() {
        let (mut console, mut child) = console("echo one two three; read x; echo got $x");
        assert_eq!(console.expect("two", SOON).unwrap(), "one ");
        console.send("it\n").unwrap();
        assert_eq!(console.expect("got it", SOON).unwrap(), " three\n");
        assert_eq!(console.transcript(), "one two three\ngot it\n");
        child.wait().unwrap();
    }

    #[test]
    fn an_end_and_a_deadline_are_told_apart_and_show_the_last_lines() {
        let (mut ended, mut child) = console("echo last words");
        let error = ended.expect("more", SOON).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the machine ended before \"more\" came; the last lines of the console:\n  last words"
        );
        child.wait().unwrap();
        let (mut silent, mut child) = console("read x");
        let error = silent
            .expect("more", Duration::from_millis(20))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"more\" did not come within 0 s"),
            "{error}"
        );
        drop(silent);
        child.wait().unwrap();
    }

    #[test]
    fn times_are_those_of_the_arrival() {
        let (mut console, mut child) = console("echo one; read x; echo two");
        let one = console.expect_timed("one", SOON).unwrap();
        console.send("\n").unwrap();
        let two = console.expect_timed("two", SOON).unwrap();
        assert!(one < two);
        child.wait().unwrap();
    }
}
