//! The chart as text: one bar for each part, each beginning where the one before ended.

use std::fmt::Write;

use crate::chart::Parts;

/// Columns that the bars may take: with names and numbers beside them the chart fits 80.
const BAR_COLUMNS: usize = 40;

/// What bars are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Block elements, exact to an eighth of a column.
    Blocks,
    /// ASCII, for terminals whose locale is not UTF-8.
    Hashes,
}

impl Ink {
    /// What a locale can show: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set decides (locale(7)).
    pub fn of_locale(variables: [Option<&str>; 3]) -> Ink {
        let locale = variables
            .into_iter()
            .flatten()
            .find(|value| !value.is_empty())
            .unwrap_or("C")
            .to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") {
            Ink::Blocks
        } else {
            Ink::Hashes
        }
    }
}

/// Draws the chart, with a line end after each row.
pub fn draw(parts: &Parts, ink: Ink) -> String {
    let total = parts.total_seconds();
    let mut text = String::new();
    let mut before = 0.0;
    for (name, seconds) in parts.named() {
        let share = |part: f64| if total > 0.0 { part / total } else { 0.0 };
        let bar = bar(share(before), share(before + seconds), ink);
        let percent = share(seconds) * 100.0;
        let _ = writeln!(text, "{name:<19}  {bar}  {seconds:6.2} s  {percent:3.0} %");
        before += seconds;
    }
    let _ = writeln!(text, "{:<19}  {:BAR_COLUMNS$}  {total:6.2} s", "all", "");
    text
}

/// A bar between two shares of the whole width, padded to that width.
fn bar(from: f64, to: f64, ink: Ink) -> String {
    // The left end is at a whole column: blocks grow from the left only.
    let start = (from * BAR_COLUMNS as f64).round() as usize;
    let end = to * BAR_COLUMNS as f64;
    let length = (end - start as f64).max(0.0);
    let body = match ink {
        Ink::Hashes => "#".repeat((length.round() as usize).max(1)),
        Ink::Blocks => {
            const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
            // However short, a part is there.
            let eighths = ((length * 8.0).round() as usize).max(1);
            format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
        }
    };
    let start = start.min(BAR_COLUMNS - 1);
    format!("{:BAR_COLUMNS$}", format!("{:start$}{body}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Goal;

    const BOOT: Parts = Parts {
        firmware_seconds: 0.24,
        kernel_seconds: 0.72,
        init_seconds: 0.02,
        program_seconds: 1.02,
        goal: Goal::NodePrompt,
    };

    #[test]
    fn each_bar_begins_where_the_one_before_ended() {
        assert_eq!(
            draw(&BOOT, Ink::Hashes),
            "firmware and loader  #####                                       0.24 s   12 %\n\
             kernel                    ##############                         0.72 s   36 %\n\
             init                                    #                        0.02 s    1 %\n\
             Node.js                                  ####################    1.02 s   51 %\n\
             all                                                              2.00 s\n"
        );
    }

    #[test]
    fn blocks_are_exact_to_an_eighth() {
        assert_eq!(
            draw(&BOOT, Ink::Blocks),
            "firmware and loader  ████▊                                       0.24 s   12 %\n\
             kernel                    ██████████████▎                        0.72 s   36 %\n\
             init                                    ▋                        0.02 s    1 %\n\
             Node.js                                  ████████████████████    1.02 s   51 %\n\
             all                                                              2.00 s\n"
        );
    }

    #[test]
    fn a_boot_that_took_no_time_can_be_drawn() {
        let nothing = Parts {
            firmware_seconds: 0.0,
            kernel_seconds: 0.0,
            init_seconds: 0.0,
            program_seconds: 0.0,
            goal: Goal::NodePrompt,
        };
        assert!(draw(&nothing, Ink::Blocks).contains("0.00 s    0 %"));
    }

    #[test]
    fn every_row_is_as_wide_whatever_the_shares() {
        for program_seconds in [0.0, 0.001, 1.0, 9.0] {
            let parts = Parts {
                firmware_seconds: 1.0,
                kernel_seconds: 0.3,
                init_seconds: 0.0,
                program_seconds,
                goal: Goal::NodePrompt,
            };
            for ink in [Ink::Blocks, Ink::Hashes] {
                let text = draw(&parts, ink);
                let widths: Vec<_> = text
                    .lines()
                    .take(4)
                    .map(|line| line.chars().count())
                    .collect();
                assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
            }
        }
    }

    #[test]
    fn the_locale_decides_about_blocks() {
        let check = |variables: [Option<&str>; 3], expected: Ink| {
            assert_eq!(Ink::of_locale(variables), expected, "{variables:?}");
        };
        check([None, None, Some("C.UTF-8")], Ink::Blocks);
        check([Some("de_DE.utf8"), None, Some("C")], Ink::Blocks);
        check([Some("C"), None, Some("C.UTF-8")], Ink::Hashes);
        check([Some(""), Some("POSIX"), Some("C.UTF-8")], Ink::Hashes);
        check([None, None, None], Ink::Hashes);
    }
}
