//! [`Steps`]: the checks of one run, each with its name and time, and what became of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::narration::{self, duration};

/// A run of checks. A failed one does not keep the others from running: one wants to know everything that is wrong.
#[derive(Debug)]
pub struct Steps {
    started: Instant,
    ended: Vec<(&'static str, Duration, Outcome)>,
    counts: Counts,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// It could not be done here, for this reason.
    Skipped(String),
}

impl Steps {
    /// Starts the clock.
    pub fn begin() -> Steps {
        Steps {
            started: Instant::now(),
            ended: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Does one step. An error is a failure, and is shown.
    pub fn step(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut Counts) -> anyhow::Result<Outcome>,
    ) {
        narration::line(format_args!("\n== {name}"));
        let started = Instant::now();
        let mut counts = Counts::default();
        let outcome = act(&mut counts).unwrap_or_else(|error| {
            narration::error(&error);
            Outcome::Failed
        });
        self.counts += counts;
        narration::line(format_args!(
            "== {}",
            describe(name, started.elapsed(), &outcome)
        ));
        self.ended.push((name, started.elapsed(), outcome));
    }

    /// Prints every step again, and the line that says how many tests passed. The exit code is that of the whole run.
    pub fn finish(self, out: &mut dyn Write) -> ExitCode {
        narration::line("");
        for (name, time, outcome) in &self.ended {
            narration::line(describe(name, *time, outcome));
        }
        narration::line(format_args!(
            "everything took {}",
            duration(self.started.elapsed())
        ));
        // The one line that programs read. A closed pipe takes nothing away from the exit code.
        let _ = writeln!(out, "{}", self.counts);
        let failed = self
            .ended
            .iter()
            .any(|(_, _, outcome)| *outcome == Outcome::Failed);
        if failed || self.counts.failed > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn describe(name: &str, time: Duration, outcome: &Outcome) -> String {
    let time = duration(time);
    match outcome {
        Outcome::Passed => format!("passed   {name} ({time})"),
        Outcome::Failed => format!("FAILED   {name} ({time})"),
        Outcome::Skipped(reason) => format!("skipped  {name}: {reason}"),
    }
}

/// Runs a command whose exit code is the outcome.
pub fn run(command: &mut Command) -> anyhow::Result<Outcome> {
    let status = command.stdin(Stdio::null()).status()?;
    Ok(if status.success() {
        Outcome::Passed
    } else {
        Outcome::Failed
    })
}

/// Runs a command that runs tests: what it prints is passed on to `out`, and counted.
pub fn run_tests(
    command: &mut Command,
    counts: &mut Counts,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().expect("standard output was piped");
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        // A reader of ours that has gone away must not end the tests.
        let _ = out.write_all(&line);
        counts.read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    counts.close();
    Ok(if child.wait()?.success() {
        Outcome::Passed
    } else {
        Outcome::Failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> (Outcome, String) {
        let mut counts = Counts::default();
        let mut out = Vec::new();
        let outcome = run_tests(
            Command::new("sh").args(["-c", script]),
            &mut counts,
            &mut out,
        )
        .unwrap();
        assert!(
            out.starts_with(b"running 2 tests\n"),
            "what is printed is passed on"
        );
        (outcome, counts.to_string())
    }

    #[test]
    fn the_exit_code_decides_and_the_output_is_counted() {
        const OK: &str =
            "echo 'running 2 tests'; echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(sh(OK), (Outcome::Passed, "2 passed, 0 failed".to_owned()));
        assert_eq!(
            sh(&format!("{OK}; exit 101")),
            (Outcome::Failed, "2 passed, 0 failed".to_owned())
        );
        assert_eq!(
            sh("echo 'running 2 tests'; kill -9 $$"),
            (Outcome::Failed, "0 passed, 2 failed".to_owned())
        );
    }

    #[test]
    fn a_step_that_cannot_be_done_here_is_no_failure_and_one_that_errs_is() {
        let check = |outcome: Result<Outcome, &'static str>, expected: ExitCode| {
            let mut steps = Steps::begin();
            steps.step("example", |_| outcome.map_err(anyhow::Error::msg));
            let mut out = Vec::new();
            // Exit codes cannot be compared but by what they show.
            assert_eq!(
                format!("{:?}", steps.finish(&mut out)),
                format!("{expected:?}")
            );
            assert_eq!(out, b"0 passed, 0 failed\n");
        };
        check(Ok(Outcome::Passed), ExitCode::SUCCESS);
        check(
            Ok(Outcome::Skipped("no network".to_owned())),
            ExitCode::SUCCESS,
        );
        check(Ok(Outcome::Failed), ExitCode::FAILURE);
        check(Err("no compiler"), ExitCode::FAILURE);
    }
}
