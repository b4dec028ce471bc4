//! Where sentences go: one line on standard error for each change, which the supervisor keeps.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write;
use std::time::Duration;

/// The log. What cannot be written cannot be told anywhere, so it has no errors.
pub struct Log<'a>(pub &'a mut dyn Write);

impl Log<'_> {
    pub fn say(&mut self, sentence: fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{sentence}");
    }

    /// Writes what went wrong with something, with all causes.
    pub fn problem(&mut self, what: &str, error: &dyn Error) {
        self.say(format_args!("{what}: {}", sentence(error)));
    }
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").finish()
    }
}

/// An error and its causes, joined by colons.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// A time in the largest unit that it has whole, or else in the two largest that it has: `24 h`, `90 min`, `1 h 1 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if seconds >= 7200 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds >= 120 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        7200.. => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        120.. => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_words_that_people_use() {
        let check = |seconds, expected: &str| {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        };
        check(86_400, "24 h");
        check(3600, "60 min");
        check(120, "2 min");
        check(119, "119 s");
        check(121, "2 min 1 s");
        check(86_340, "1439 min");
        check(86_341, "23 h 59 min");
        check(0, "0 s");
    }
}
