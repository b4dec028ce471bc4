//! Narration as bars, for people at a terminal. Finished steps become lines above the bars that still move.

use std::process::Command;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nodeos_build::progress::{Progress, Task, Unit};

use crate::output::progress::{Colour, Commands};
use crate::output::{quote, size};

/// How often a spinner turns: often enough to look alive, seldom enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// Draws bars on standard error.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    commands: Commands,
    colour: Colour,
}

struct BarTask {
    screen: MultiProgress,
    bar: ProgressBar,
    title: String,
    unit: Option<Unit>,
    colour: Colour,
    finished: bool,
}

impl Bars {
    /// Draws on standard error, which must be a terminal that can move its cursor.
    pub fn new(commands: Commands, colour: Colour) -> Bars {
        Bars {
            screen: MultiProgress::new(),
            commands,
            colour,
        }
    }

    fn say(&self, line: &str) {
        let _ = self.screen.println(line);
    }
}

impl Progress for Bars {
    fn begin(&self, title: &str, total: Option<(u64, Unit)>) -> Box<dyn Task> {
        let unit = total.map(|(_, unit)| unit);
        // A bar without a length spins; a length of nothing means that nobody knows it yet.
        let length = total.map(|(count, _)| count).filter(|count| *count > 0);
        let bar = match length {
            Some(count) => ProgressBar::new(count),
            None => ProgressBar::new_spinner(),
        };
        let bar = self.screen.add(
            bar.with_style(style(length.and(unit), self.colour))
                .with_message(title.to_owned()),
        );
        bar.tick();
        bar.enable_steady_tick(TICK);
        Box::new(BarTask {
            screen: self.screen.clone(),
            bar,
            title: title.to_owned(),
            unit,
            colour: self.colour,
            finished: false,
        })
    }

    fn command(&self, command: &Command) {
        if self.commands == Commands::Shown {
            self.say(&format!("+ {}", quote::command(command)));
        }
    }

    fn warn(&self, message: &str) {
        self.say(&format!(
            "{}warning:{} {message}",
            on(self.colour, "\x1b[33m"),
            on(self.colour, "\x1b[0m")
        ));
    }
}

impl Task for BarTask {
    fn advance(&mut self, done: u64, total: Option<u64>) {
        if let Some(total) = total.filter(|total| *total > 0 && self.bar.length() != Some(*total)) {
            if self.bar.length().is_none() {
                self.bar
                    .set_style(style(Some(self.unit.unwrap_or(Unit::Objects)), self.colour));
            }
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn finish(mut self: Box<Self>, note: &str) {
        self.finished = true;
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        self.end(
            &format!(
                "{}{note} ({})",
                self.title,
                size::duration(self.bar.elapsed())
            ),
            "\x1b[32m",
            "done  ",
        );
    }
}

impl BarTask {
    fn end(&self, line: &str, colour: &str, mark: &str) {
        self.bar.finish_and_clear();
        self.screen.remove(&self.bar);
        let _ = self.screen.println(format!(
            "{}{mark}{}{line}",
            on(self.colour, colour),
            on(self.colour, "\x1b[0m")
        ));
    }
}

impl Drop for BarTask {
    fn drop(&mut self) {
        if !self.finished {
            self.end(
                &format!("{} ({})", self.title, size::duration(self.bar.elapsed())),
                "\x1b[31m",
                "failed  ",
            );
        }
    }
}

/// The look of a bar: sizes for bytes, percent and count for objects, otherwise a spinner; always the time so far.
fn style(unit: Option<Unit>, colour: Colour) -> ProgressStyle {
    let bar = match colour {
        Colour::Yes => "{bar:14.cyan/dim}",
        Colour::No => "{bar:14}",
    };
    let template = match unit {
        Some(Unit::Bytes) => {
            format!("{{msg:38!}} {bar} {{decimal_bytes}} of {{decimal_total_bytes}}  {{elapsed}}")
        }
        Some(Unit::Objects) => {
            format!("{{msg:38!}} {bar} {{percent:>3}} %  {{pos}} of {{len}}  {{elapsed}}")
        }
        None => "{spinner} {msg}  {elapsed}".to_owned(),
    };
    ProgressStyle::with_template(&template)
        .expect("the templates are constant and tested")
        .progress_chars("=> ")
}

fn on(colour: Colour, sequence: &str) -> &str {
    match colour {
        Colour::Yes => sequence,
        Colour::No => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Keeps everything that is written to it, and moves no cursor.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            100
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn bars(paper: &Paper) -> Bars {
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        Bars {
            screen: MultiProgress::with_draw_target(target),
            commands: Commands::Shown,
            colour: Colour::No,
        }
    }

    #[test]
    fn every_style_is_a_valid_template() {
        for unit in [None, Some(Unit::Bytes), Some(Unit::Objects)] {
            for colour in [Colour::Yes, Colour::No] {
                style(unit, colour);
            }
        }
    }

    #[test]
    fn bars_show_how_far_a_step_is() {
        let check = |total: (u64, Unit), done: u64, known: Option<u64>, expected: &str| {
            let paper = Paper::default();
            let mut task = bars(&paper).begin("a step", Some(total));
            task.advance(done, known);
            task.finish("a note");
            let shown = paper.take();
            assert!(shown.contains(expected), "{expected:?} is not in {shown:?}");
            assert!(shown.contains("done  a step: a note ("), "{shown:?}");
        };
        check((60_000_000, Unit::Bytes), 0, None, "of 60.00 MB");
        check((2200, Unit::Objects), 0, None, "0 %  0 of 2200");
        check((0, Unit::Objects), 550, Some(2200), "a step");
    }

    #[test]
    fn a_step_that_is_dropped_has_failed() {
        let paper = Paper::default();
        drop(bars(&paper).begin("compile the kernel", None));
        assert!(paper.take().contains("failed  compile the kernel ("));
    }

    #[test]
    fn commands_and_warnings_stand_above_the_bars() {
        let paper = Paper::default();
        let bars = bars(&paper);
        let task = bars.begin("fetch", None);
        bars.warn("npm is down");
        bars.command(Command::new("make").arg("a b"));
        task.finish("");
        let shown = paper.take();
        assert!(
            shown.contains("warning: npm is down") && shown.contains("+ make 'a b'"),
            "{shown:?}"
        );
    }
}
