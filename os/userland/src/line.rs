//! A line as it is typed, key by key: what it has become, and what of it is shown.

use unicode_width::UnicodeWidthChar;
use zeroize::{Zeroize, Zeroizing};

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ERASE_LINE: u8 = 0x15;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// Whether what is typed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

/// What a key has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The line goes on.
    More,
    /// Enter.
    Done,
    /// Ctrl-C, or Ctrl-D where nothing is typed.
    Abandoned,
}

/// The line so far. It is wiped when it is dropped, and has no `Debug`.
pub(crate) struct Line {
    text: Zeroizing<String>,
    /// The most bytes that it gets.
    limit: usize,
    echo: Echo,
    /// The beginning of a character of several bytes.
    begun: [u8; 4],
    begun_length: usize,
    sequence: Sequence,
}

/// Where in what an arrow key sends we are (ECMA-48): it is no text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    None,
    /// After ESC.
    Begun,
    /// After ESC and [ or O, up to a letter or ~.
    Parameters,
}

impl Line {
    pub(crate) fn new(limit: usize, echo: Echo) -> Line {
        Line {
            // It never grows, so no part of it stays behind in memory that was given back.
            text: Zeroizing::new(String::with_capacity(limit)),
            limit,
            echo,
            begun: [0; 4],
            begun_length: 0,
            sequence: Sequence::None,
        }
    }

    /// Takes a byte from the terminal, and adds what is to be shown of it.
    pub(crate) fn feed(&mut self, byte: u8, screen: &mut Vec<u8>) -> Outcome {
        if self.skips(byte) {
            return Outcome::More;
        }
        match byte {
            b'\n' | b'\r' => return Outcome::Done,
            INTERRUPT => return Outcome::Abandoned,
            END if self.text.is_empty() => return Outcome::Abandoned,
            BACKSPACE | DELETE => self.erase(screen),
            ERASE_LINE => {
                while !self.text.is_empty() {
                    self.erase(screen);
                }
            }
            // No other control character is text.
            0..0x20 => {}
            _ => self.append(byte, screen),
        }
        Outcome::More
    }

    pub(crate) fn into_text(mut self) -> Zeroizing<String> {
        std::mem::take(&mut self.text)
    }

    fn skips(&mut self, byte: u8) -> bool {
        self.sequence = match (self.sequence, byte) {
            (Sequence::None, ESCAPE) => Sequence::Begun,
            (Sequence::None, _) => return false,
            // Keys that end a line do so wherever they come.
            (_, b'\n' | b'\r' | INTERRUPT) => {
                self.sequence = Sequence::None;
                return false;
            }
            (Sequence::Begun, b'[' | b'O') => Sequence::Parameters,
            (Sequence::Begun, _) => Sequence::None,
            (Sequence::Parameters, 0x40..=0x7e) => Sequence::None,
            (Sequence::Parameters, _) => Sequence::Parameters,
        };
        true
    }

    fn append(&mut self, byte: u8, screen: &mut Vec<u8>) {
        self.begun[self.begun_length] = byte;
        self.begun_length += 1;
        let c = match str::from_utf8(&self.begun[..self.begun_length]) {
            Ok(text) => text.chars().next(),
            // The rest of it is still to come; four bytes are always enough.
            Err(error) if error.error_len().is_none() => return,
            // Not UTF-8: nobody could say what it is.
            Err(_) => None,
        };
        self.begun.zeroize();
        self.begun_length = 0;
        let Some(c) = c.filter(|c| !c.is_control()) else {
            return;
        };
        if self.text.len() + c.len_utf8() > self.limit {
            screen.push(BELL);
            return;
        }
        self.text.push(c);
        if self.echo == Echo::Shown {
            screen.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn erase(&mut self, screen: &mut Vec<u8>) {
        let Some(c) = self.text.pop() else {
            return;
        };
        if self.echo == Echo::Shown {
            for _ in 0..c.width().unwrap_or(0) {
                screen.extend_from_slice(b"\x08 \x08");
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.begun.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types everything and expects the line, what was shown, and how it ended.
    fn check(echo: Echo, typed: &[u8], text: &str, shown: &str, outcome: Outcome) {
        let mut line = Line::new(8, echo);
        let mut screen = Vec::new();
        let mut last = Outcome::More;
        for byte in typed {
            assert_eq!(last, Outcome::More, "{typed:?} goes on after its end");
            last = line.feed(*byte, &mut screen);
        }
        let typed = String::from_utf8_lossy(typed);
        assert_eq!(last, outcome, "{typed:?}");
        assert_eq!(line.into_text().as_str(), text, "{typed:?}");
        assert_eq!(String::from_utf8(screen).unwrap(), shown, "{typed:?}");
    }

    #[test]
    fn what_is_typed_is_the_line_and_is_shown() {
        check(Echo::Shown, b"ada\n", "ada", "ada", Outcome::Done);
        check(Echo::Shown, b"ada\r", "ada", "ada", Outcome::Done);
        check(Echo::Shown, "é🥬".as_bytes(), "é🥬", "é🥬", Outcome::More);
        check(Echo::Hidden, b"secret\n", "secret", "", Outcome::Done);
    }

    #[test]
    fn keys_that_erase_take_whole_characters_with_all_their_columns() {
        check(Echo::Shown, b"ab\x7fc", "ac", "ab\x08 \x08c", Outcome::More);
        check(
            Echo::Shown,
            "é\x08".as_bytes(),
            "",
            "é\x08 \x08",
            Outcome::More,
        );
        check(
            Echo::Shown,
            "家\x7f".as_bytes(),
            "",
            "家\x08 \x08\x08 \x08",
            Outcome::More,
        );
        check(Echo::Shown, b"\x7f\x7fa", "a", "a", Outcome::More);
        check(
            Echo::Shown,
            b"ab\x15c",
            "c",
            "ab\x08 \x08\x08 \x08c",
            Outcome::More,
        );
        check(Echo::Hidden, b"ab\x7fc\n", "ac", "", Outcome::Done);
    }

    #[test]
    fn there_is_a_way_out() {
        check(Echo::Shown, b"ab\x03", "ab", "ab", Outcome::Abandoned);
        check(Echo::Shown, b"\x04", "", "", Outcome::Abandoned);
        check(Echo::Shown, b"a\x04", "a", "a", Outcome::More);
        check(Echo::Shown, b"\x1b[\x03", "", "", Outcome::Abandoned);
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        check(Echo::Shown, b"a\x1b[Ab", "ab", "ab", Outcome::More);
        check(
            Echo::Shown,
            b"a\x1b[1;5Cb\x1bOHc",
            "abc",
            "abc",
            Outcome::More,
        );
        check(Echo::Shown, b"a\x00\x1a\x1cb", "ab", "ab", Outcome::More);
        check(Echo::Shown, b"a\xff\xc3b", "a", "a", Outcome::More);
        check(Echo::Shown, b"a\xc2\x9bb", "ab", "ab", Outcome::More);
    }

    #[test]
    fn more_than_the_limit_rings_the_bell() {
        check(
            Echo::Shown,
            b"123456789",
            "12345678",
            "12345678\x07",
            Outcome::More,
        );
        check(
            Echo::Shown,
            "1234567é".as_bytes(),
            "1234567",
            "1234567\x07",
            Outcome::More,
        );
        check(
            Echo::Hidden,
            b"123456789\n",
            "12345678",
            "\x07",
            Outcome::Done,
        );
    }
}
