//! Narration as plain lines, for logs and pipes: each step's beginning and end, and each tenth of a long one.

use std::process::Command;
use std::time::{Duration, Instant};

use nodeos_build::progress::{Progress, Task, Unit};

use crate::output::progress::{Commands, amount};
use crate::output::streams::SharedWriter;
use crate::output::{quote, size};

/// A step that moves faster than this needs no lines between its first and its last.
const QUIET_TIME: Duration = Duration::from_secs(5);

/// Writes lines.
#[derive(Debug)]
pub struct Lines {
    writer: SharedWriter,
    commands: Commands,
}

struct LineTask {
    writer: SharedWriter,
    title: String,
    unit: Option<Unit>,
    total: Option<u64>,
    started: Instant,
    last_line: Instant,
    tenths: u64,
    finished: bool,
}

impl Lines {
    /// Narrates to `writer`.
    pub fn new(writer: SharedWriter, commands: Commands) -> Lines {
        Lines { writer, commands }
    }
}

impl Progress for Lines {
    fn begin(&self, title: &str, total: Option<(u64, Unit)>) -> Box<dyn Task> {
        let size = total
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!(" ({})", amount(count, unit)));
        self.writer
            .line(&format!("{title}: started{}", size.unwrap_or_default()));
        let now = Instant::now();
        Box::new(LineTask {
            writer: self.writer.clone(),
            title: title.to_owned(),
            unit: total.map(|(_, unit)| unit),
            total: total.map(|(count, _)| count),
            started: now,
            last_line: now,
            tenths: 0,
            finished: false,
        })
    }

    fn command(&self, command: &Command) {
        if self.commands == Commands::Shown {
            self.writer.line(&format!("+ {}", quote::command(command)));
        }
    }

    fn warn(&self, message: &str) {
        self.writer.line(&format!("warning: {message}"));
    }
}

impl Task for LineTask {
    fn advance(&mut self, done: u64, total: Option<u64>) {
        self.total = total.or(self.total);
        let Some(tenths) = self.total.and_then(|total| tenths(done, total)) else {
            return;
        };
        if tenths > self.tenths && self.last_line.elapsed() >= QUIET_TIME {
            let count = self.unit.map(|unit| format!(" ({})", amount(done, unit)));
            self.writer.line(&format!(
                "{}: {} %{}",
                self.title,
                tenths * 10,
                count.unwrap_or_default()
            ));
            self.last_line = Instant::now();
            self.tenths = tenths;
        }
    }

    fn finish(mut self: Box<Self>, note: &str) {
        self.finished = true;
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        let time = size::duration(self.started.elapsed());
        self.writer
            .line(&format!("{}: done in {time}{note}", self.title));
    }
}

impl Drop for LineTask {
    fn drop(&mut self) {
        if !self.finished {
            self.writer.line(&format!(
                "{}: failed after {}",
                self.title,
                size::duration(self.started.elapsed())
            ));
        }
    }
}

/// How many whole tenths are done; none for a total that cannot be true, and never ten: that is what `done in` says.
fn tenths(done: u64, total: u64) -> Option<u64> {
    (total > 0).then(|| (u128::from(done) * 10 / u128::from(total)).min(9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        /// What was written, with every time replaced: how long a test took says nothing.
        fn text(&self) -> String {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.split_inclusive(' ')
                .map(|word| {
                    if word
                        .trim_end()
                        .parse::<f64>()
                        .is_ok_and(|_| word.contains('.'))
                    {
                        "T "
                    } else {
                        word
                    }
                })
                .collect()
        }
    }

    fn lines(commands: Commands) -> (Lines, Page) {
        let page = Page::default();
        (Lines::new(SharedWriter::new(page.clone()), commands), page)
    }

    #[test]
    fn a_step_says_when_it_starts_and_ends() {
        let (lines, page) = lines(Commands::Hidden);
        lines.begin("configure the kernel", None).finish("");
        lines
            .begin("compile the kernel", Some((2200, Unit::Objects)))
            .finish("6.12.117-nodeos");
        drop(lines.begin("fetch node", None));
        assert_eq!(
            page.text(),
            "configure the kernel: started\n\
             configure the kernel: done in T s\n\
             compile the kernel: started (2200 objects)\n\
             compile the kernel: done in T s: 6.12.117-nodeos\n\
             fetch node: started\n\
             fetch node: failed after T s\n"
        );
    }

    #[test]
    fn a_quick_step_says_nothing_between() {
        let (lines, page) = lines(Commands::Hidden);
        let mut task = lines.begin("fetch", Some((100, Unit::Bytes)));
        (0..=100).for_each(|done| task.advance(done, None));
        task.finish("");
        assert_eq!(page.text().lines().count(), 2);
    }

    #[test]
    fn a_long_step_says_each_tenth_once() {
        let page = Page::default();
        let long_ago = Instant::now()
            .checked_sub(QUIET_TIME)
            .expect("this machine runs for longer than that");
        let mut task = LineTask {
            writer: SharedWriter::new(page.clone()),
            title: "compile".to_owned(),
            unit: Some(Unit::Objects),
            total: None,
            started: long_ago,
            last_line: long_ago,
            tenths: 0,
            finished: true,
        };
        task.advance(60, None);
        task.advance(60, Some(200));
        task.last_line = long_ago;
        task.advance(79, None);
        task.advance(80, None);
        task.last_line = long_ago;
        task.advance(400, None);
        drop(task);
        assert_eq!(
            page.text(),
            "compile: 30 % (60 objects)\ncompile: 40 % (80 objects)\ncompile: 90 % (400 objects)\n"
        );
    }

    #[test]
    fn commands_are_shown_only_when_asked_for() {
        let mut make = Command::new("make");
        make.arg("a b");
        for (commands, expected) in [(Commands::Shown, "+ make 'a b'\n"), (Commands::Hidden, "")] {
            let (lines, page) = lines(commands);
            lines.command(&make);
            assert_eq!(page.text(), expected);
        }
    }

    #[test]
    fn warnings_are_called_that() {
        let (lines, page) = lines(Commands::Hidden);
        lines.warn("npm is down");
        assert_eq!(page.text(), "warning: npm is down\n");
    }

    #[test]
    fn totals_that_cannot_be_true_do_not_matter() {
        assert_eq!(tenths(5, 0), None);
        assert_eq!(tenths(u64::MAX, u64::MAX), Some(9));
        assert_eq!(tenths(7, 10), Some(7));
    }
}
