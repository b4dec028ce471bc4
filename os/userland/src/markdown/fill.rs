//! Words put into lines of a width, each with the look of its letters.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::markdown::Look;

/// How letters look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) underlined: bool,
    pub(super) code: bool,
}

/// A part of a paragraph.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Text(String, Style),
    /// The line ends here.
    Break,
}

/// What stands before the lines of a block within another.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    /// Before the next line, if that is special: a bullet.
    first: Option<String>,
    rest: String,
}

/// A line with the looks of its letters.
#[derive(Debug, Clone)]
pub(super) struct Line(Vec<(char, Style)>);

impl Style {
    pub(super) fn with_bold(self) -> Style {
        Style { bold: true, ..self }
    }

    pub(super) fn with_code(self) -> Style {
        Style { code: true, ..self }
    }

    /// The numbers that switch it on (ECMA-48, SGR).
    fn numbers(self) -> String {
        let all = [
            (self.bold, "1"),
            (self.italic, "3"),
            (self.underlined, "4"),
            (self.code, "36"),
        ];
        let on: Vec<&str> = all
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, number)| *number)
            .collect();
        on.join(";")
    }
}

impl Piece {
    pub(super) fn text(&self) -> &str {
        match self {
            Piece::Text(text, _) => text,
            Piece::Break => "\n",
        }
    }
}

impl Prefix {
    /// The same before each line.
    pub(super) fn every(text: &str) -> Prefix {
        Prefix {
            first: None,
            rest: text.to_owned(),
        }
    }

    /// Once, and blanks as wide as it before the lines that follow.
    pub(super) fn once(text: &str) -> Prefix {
        Prefix {
            first: Some(text.to_owned()),
            rest: " ".repeat(text.chars().count()),
        }
    }
}

/// What stands before the next line.
pub(super) fn next_prefix(prefixes: &mut [Prefix]) -> String {
    prefixes
        .iter_mut()
        .map(|prefix| prefix.first.take().unwrap_or_else(|| prefix.rest.clone()))
        .collect()
}

/// The lines of a paragraph.
pub(super) fn fill(pieces: &[Piece], width: usize, prefixes: &mut [Prefix]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::plain(next_prefix(prefixes));
    let mut is_begun = false;
    for word in words(pieces) {
        let Some(word) = word else {
            if is_begun {
                lines.push(line);
                line = Line::plain(next_prefix(prefixes));
                is_begun = false;
            }
            continue;
        };
        if is_begun && columns(&line.0) + 1 + columns(&word) > width {
            lines.push(line);
            line = Line::plain(next_prefix(prefixes));
            is_begun = false;
        }
        if is_begun {
            line.0.push((' ', Style::default()));
        }
        line.0.extend(word);
        is_begun = true;
    }
    if is_begun {
        lines.push(line);
    }
    lines
}

/// The words of a paragraph; none where the line ends. A word may consist of several pieces.
fn words(pieces: &[Piece]) -> Vec<Option<Vec<(char, Style)>>> {
    let mut words = Vec::new();
    let mut word = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text, style) => {
                for c in text.chars() {
                    if !matches!(c, ' ' | '\n' | '\t') {
                        word.push((c, *style));
                    } else if !word.is_empty() {
                        words.push(Some(std::mem::take(&mut word)));
                    }
                }
            }
            Piece::Break => {
                if !word.is_empty() {
                    words.push(Some(std::mem::take(&mut word)));
                }
                words.push(None);
            }
        }
    }
    if !word.is_empty() {
        words.push(Some(word));
    }
    words
}

fn columns(letters: &[(char, Style)]) -> usize {
    letters.iter().map(|(c, _)| c.width().unwrap_or(0)).sum()
}

impl Line {
    pub(super) fn plain(text: String) -> Line {
        Line(text.chars().map(|c| (c, Style::default())).collect())
    }

    /// A line of code, a little to the right of the text.
    pub(super) fn code(prefix: String, text: String, style: Style) -> Line {
        if text.is_empty() {
            return Line::plain(prefix.trim_end().to_owned());
        }
        let mut line = Line::plain(prefix + "    ");
        line.0.extend(text.chars().map(|c| (c, style)));
        line
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn write(&self, look: Look, text: &mut String) {
        let mut current = Style::default();
        for (c, style) in &self.0 {
            if look == Look::Styled && *style != current {
                if current != Style::default() {
                    text.push_str("\x1b[0m");
                }
                if *style != Style::default() {
                    let _ = write!(text, "\x1b[{}m", style.numbers());
                }
                current = *style;
            }
            text.push(*c);
        }
        if current != Style::default() {
            text.push_str("\x1b[0m");
        }
    }
}
