//! A machine's screen as text: cells of the console's font, and the characters that have been learnt for them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// The kernel's console font for screens of this size: 8 by 16 points (lib/fonts/font_8x16.c).
const FONT: (usize, usize) = (8, 16);
/// The cursor's two lines of a cell, in bits of a [`Glyph`].
const BOTTOM_BITS: usize = 2 * FONT.0;
/// The brightness, of 255, from which a point is part of a character. The background is black.
const LIT: u8 = 64;

/// Which points of a cell are lit, row by row. An empty cell is zero.
pub type Glyph = u128;

/// What a screen shows, cell by cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    rows: Vec<Vec<Glyph>>,
}

impl Screen {
    /// Reads a picture in the binary PPM format, as QEMU's `screendump` writes it (ppm(5)).
    pub fn read(path: &Path) -> anyhow::Result<Screen> {
        Screen::parse(&std::fs::read(path)?)
            .with_context(|| format!("{} is no picture", path.display()))
    }

    fn parse(picture: &[u8]) -> anyhow::Result<Screen> {
        let mut fields = picture.splitn(4, |byte| byte.is_ascii_whitespace());
        let mut field = || fields.next().context("the header ends too early");
        ensure!(field()? == b"P6", "it is not a binary PPM file");
        let (width, height) = (number(field()?)?, number(field()?)?);
        let rest = field()?;
        let depth_end = rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .context("there is no depth")?;
        let points = &rest[depth_end + 1..];
        ensure!(
            points.len() == width * height * 3,
            "it has {} bytes for {width} by {height}",
            points.len()
        );
        let is_lit = |x: usize, y: usize| {
            points[(y * width + x) * 3..][..3]
                .iter()
                .any(|part| *part >= LIT)
        };
        let glyph = |column: usize, row: usize| {
            let cell = (0..FONT.0 * FONT.1)
                .map(|n| (column * FONT.0 + n % FONT.0, row * FONT.1 + n / FONT.0));
            cell.fold(0, |glyph: Glyph, (x, y)| {
                glyph << 1 | Glyph::from(is_lit(x, y))
            })
        };
        let row = |row: usize| {
            (0..width / FONT.0)
                .map(|column| glyph(column, row))
                .collect()
        };
        Ok(Screen {
            rows: (0..height / FONT.1).map(row).collect(),
        })
    }

    /// How many lines have anything on them.
    pub fn lines_in_use(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.iter().any(|glyph| *glyph != 0))
            .count()
    }

    /// How many lines begin with a word of so many characters. The cursor, which is a line at the bottom of its cell, is none.
    pub fn lines_with_first_word(&self, length: usize) -> usize {
        let is_empty = |glyph: &Glyph| glyph >> BOTTOM_BITS == 0;
        let begins = |row: &&Vec<Glyph>| {
            !row.iter().take(length).any(is_empty) && row.get(length).is_some_and(is_empty)
        };
        self.rows.iter().filter(begins).count()
    }

    /// Learns the characters of `text`, all different, from a screen on which it stands in quotes twice: as it was
    /// typed after a prompt, and as the answer at the beginning of a line. None when it does not stand there.
    pub fn learn(&self, text: &str) -> Option<Alphabet> {
        let length = text.chars().count();
        let is_quoted = |row: &&Vec<Glyph>| {
            let quote = row[0];
            let inside = &row[1..=length];
            let all_differ = inside
                .iter()
                .enumerate()
                .all(|(index, glyph)| !inside[..index].contains(glyph));
            quote != 0
                && row[length + 1] == quote
                && row[length + 2] == 0
                && all_differ
                && !inside.contains(&0)
        };
        let answer = self.rows.iter().filter(is_quoted).find(|answer| {
            let quoted = &answer[..length + 2];
            let echoes = |row: &&Vec<Glyph>| row[2..length + 4] == *quoted;
            self.rows.iter().any(|row| echoes(&row))
        })?;
        Some(Alphabet {
            characters: answer[1..=length]
                .iter()
                .copied()
                .zip(text.chars())
                .collect(),
        })
    }
}

fn number(digits: &[u8]) -> anyhow::Result<usize> {
    Ok(std::str::from_utf8(digits)?.parse()?)
}

/// Characters that are known by their looks.
#[derive(Debug)]
pub struct Alphabet {
    characters: HashMap<Glyph, char>,
}

impl Alphabet {
    /// The lines of the screen; cells with other characters become `·`.
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        let character = |glyph: &Glyph| match glyph {
            0 => ' ',
            glyph => self.characters.get(glyph).copied().unwrap_or('·'),
        };
        screen
            .rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(character)
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A screen of one row whose cells each have one lit point, at the position given; none where it is none.
    fn row(points: &[Option<usize>]) -> Vec<u8> {
        let width = points.len() * FONT.0;
        let mut picture = format!("P6\n{width} {}\n255\n", FONT.1).into_bytes();
        let begin = picture.len();
        picture.resize(begin + width * FONT.1 * 3, 0);
        for (cell, point) in points.iter().enumerate() {
            if let Some(point) = point {
                let (x, y) = (cell * FONT.0 + point % FONT.0, point / FONT.0);
                picture[begin + (y * width + x) * 3] = 255;
            }
        }
        picture
    }

    #[test]
    fn cells_are_told_apart_by_their_points() {
        let screen = Screen::parse(&row(&[Some(0), None, Some(127), Some(0)])).unwrap();
        assert_eq!(screen.rows, [vec![1 << 127, 0, 1, 1 << 127]]);
        assert!(Screen::parse(b"P6\n8 16\n255\n").is_err());
        assert!(Screen::parse(b"P5\n8 16\n255\n").is_err());
    }

    #[test]
    fn an_alphabet_reads_what_it_has_learnt() {
        let alphabet = Alphabet {
            characters: HashMap::from([(1, 'a')]),
        };
        let screen = Screen {
            rows: vec![vec![1, 0, 2, 0]],
        };
        assert_eq!(alphabet.lines(&screen), ["a ·"]);
    }
}
