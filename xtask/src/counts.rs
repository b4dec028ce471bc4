//! [`Counts`]: how many tests passed and failed, read from what the test programs print.

use std::fmt;
use std::ops::AddAssign;

/// Tests of any number of test programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    /// Test programs that have announced their tests and not summed up yet, the one that began last at the end.
    open: Vec<Open>,
}

/// A test program under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    announced: u64,
    /// What others summed up meanwhile: programs that it started, if it sums up in the end, or those after it, if it
    /// never does.
    passed: u64,
    failed: u64,
}

/// What a test program says at its end.
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Takes one line of output into account. Lines that say nothing about tests change nothing.
    pub fn read(&mut self, line: &str) {
        if let Some(announced) = announced(line) {
            self.open.push(Open {
                announced,
                passed: 0,
                failed: 0,
            });
        } else if let Some(Sum {
            passed,
            failed,
            ignored,
        }) = summed_up(line)
        {
            let all = passed + failed + ignored;
            let its_own = self.open.iter().rposition(|open| open.announced == all);
            // What it had open within itself was the same tests in processes of their own, some of which became something
            // else and never summed up.
            self.open
                .truncate(its_own.unwrap_or(self.open.len().saturating_sub(1)));
            self.add(passed, failed);
        }
    }

    /// The output is over. A test program that has not summed up has failed all that it had announced.
    pub fn close(&mut self) {
        while let Some(open) = self.open.pop() {
            self.add(open.passed, open.failed + open.announced);
        }
    }

    fn add(&mut self, passed: u64, failed: u64) {
        match self.open.last_mut() {
            Some(around) => {
                around.passed += passed;
                around.failed += failed;
            }
            None => {
                self.passed += passed;
                self.failed += failed;
            }
        }
    }
}

/// Of outputs that are over.
impl AddAssign for Counts {
    fn add_assign(&mut self, mut other: Counts) {
        other.close();
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `running 3 tests`
fn announced(line: &str) -> Option<u64> {
    let (count, word) = line.strip_prefix("running ")?.split_once(' ')?;
    (word == "test" || word == "tests").then(|| count.parse().ok())?
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn summed_up(line: &str) -> Option<Sum> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut parts = counts.split("; ");
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    let ignored = parts.next()?.strip_suffix(" ignored")?.parse().ok()?;
    Some(Sum {
        passed,
        failed,
        ignored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: &str) {
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.read(line));
        counts.close();
        assert_eq!(counts.to_string(), expected, "{output}");
    }

    #[test]
    fn the_programs_are_added_up() {
        check(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             running 1 test\ntest c ... FAILED\n\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "2 passed, 1 failed",
        );
    }

    #[test]
    fn a_program_that_ends_early_has_failed() {
        check("running 3 tests\ntest a ... ok\n", "0 passed, 3 failed");
        check(
            "running 3 tests\nrunning 1 test\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "1 passed, 3 failed",
        );
    }

    #[test]
    fn a_test_that_starts_its_own_program_again_counts_once() {
        check(
            "running 4 tests\ntest a ... \nrunning 1 test\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s\nok\n\
             test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "4 passed, 0 failed",
        );
    }

    #[test]
    fn a_test_that_becomes_another_program_counts_once() {
        check(
            "running 2 tests\ntest a ... \nrunning 1 test\ntest role ... \nok\ntest b ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "2 passed, 0 failed",
        );
    }

    #[test]
    fn what_tests_print_is_no_result() {
        check(
            "running late tests\nrunning 3 tasks\ntest result: fine\nhello",
            "0 passed, 0 failed",
        );
    }
}
