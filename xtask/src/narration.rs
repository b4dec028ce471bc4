//! What the chores tell the one who runs them, on standard error: steps, notes and errors.

use std::fmt;
use std::iter;
use std::process::Command;
use std::time::Instant;

use nodeos_build::progress::{Progress, Task, Unit};

/// Prints a line.
pub fn line(text: impl fmt::Display) {
    eprintln!("{text}");
}

/// What the user can do about an error: a context that [`error`] shows last.
#[derive(Debug)]
struct Hint(String);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error that carries its hint.
pub fn with_hint(
    hint: Option<String>,
    error: impl std::error::Error + Send + Sync + 'static,
) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    match hint {
        Some(hint) => error.context(Hint(hint)),
        None => error,
    }
}

/// Prints an error, what caused it, and what to do.
pub fn error(error: &anyhow::Error) {
    line(report(error));
}

fn report(error: &anyhow::Error) -> String {
    let hint = error.downcast_ref::<Hint>().map(Hint::to_string);
    let causes = error
        .chain()
        .map(ToString::to_string)
        .filter(|cause| Some(cause) != hint.as_ref());
    let words = iter::once("error").chain(iter::repeat("caused by"));
    let lines = words
        .zip(causes)
        .map(|(word, cause)| format!("{word}: {cause}"));
    let hint = hint.iter().map(|hint| format!("hint: {hint}"));
    lines.chain(hint).collect::<Vec<_>>().join("\n")
}

/// A duration in whole units: `7 s`, `12 min 5 s`.
pub fn duration(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Shows a build as plain lines, a long step's with every tenth of it.
#[derive(Debug, Default)]
pub struct Lines;

#[derive(Debug)]
struct Step {
    title: String,
    started: Instant,
    total: Option<u64>,
    /// Tenths of the total that have been shown.
    shown: u64,
}

impl Progress for Lines {
    fn begin(&self, title: &str, total: Option<(u64, Unit)>) -> Box<dyn Task> {
        line(format_args!("{title} ..."));
        Box::new(Step {
            title: title.to_owned(),
            started: Instant::now(),
            total: total.map(|(total, _)| total),
            shown: 0,
        })
    }

    fn command(&self, _command: &Command) {}

    fn warn(&self, message: &str) {
        line(format_args!("note: {message}"));
    }
}

impl Task for Step {
    fn advance(&mut self, done: u64, total: Option<u64>) {
        self.total = total.or(self.total);
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return;
        };
        let tenths = (done.saturating_mul(10) / total).min(10);
        if tenths > self.shown {
            self.shown = tenths;
            line(format_args!("{} {} %", self.title, tenths * 10));
        }
    }

    fn finish(self: Box<Self>, note: &str) {
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        line(format_args!(
            "{} done in {}{note}",
            self.title,
            duration(self.started.elapsed())
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn errors_are_shown_with_their_causes_and_the_hint_last() {
        use anyhow::Context;
        let broken = || std::fmt::Error;
        let check = |error: anyhow::Error, expected: &str| assert_eq!(report(&error), expected);
        let said = broken().to_string();
        check(with_hint(None, broken()), &format!("error: {said}"));
        let hinted = || with_hint(Some("do this".to_owned()), broken());
        check(hinted(), &format!("error: {said}\nhint: do this"));
        let deep = Err::<(), _>(hinted()).context("no kernel").unwrap_err();
        check(
            deep,
            &format!("error: no kernel\ncaused by: {said}\nhint: do this"),
        );
    }

    #[test]
    fn durations_are_in_whole_units() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(duration(Duration::from_secs(seconds)), expected)
        };
        check(0, "0 s");
        check(59, "59 s");
        check(60, "1 min 0 s");
        check(725, "12 min 5 s");
    }
}
