//! The last lines of a log, in parts that fit into messages.

/// What one message carries, in bytes. JSON makes up to six of one, and a message has at most 64 KiB.
const PART: usize = 8 << 10;

/// The last `lines` lines. What follows the last line's end is a line, too.
pub(crate) fn last_lines(text: &[u8], lines: u64) -> &[u8] {
    if lines == 0 {
        return &[];
    }
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let ends = body
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n');
    let nth = usize::try_from(lines - 1)
        .ok()
        .and_then(|nth| ends.map(|(at, _)| at).nth(nth));
    nth.and_then(|end| text.get(end + 1..)).unwrap_or(text)
}

/// The text in parts, none of them cut within a character. An empty text is no part.
pub(crate) fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let mut end = PART.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (part, rest) = text.split_at(end);
        parts.push(part);
        text = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        let check = |text: &str, lines, expected: &str| {
            assert_eq!(
                last_lines(text.as_bytes(), lines),
                expected.as_bytes(),
                "{text:?}"
            );
        };
        check("a\nb\nc\n", 2, "b\nc\n");
        check("a\nb\nc", 2, "b\nc");
        check("a\nb\n", 2, "a\nb\n");
        check("a\nb\n", 20, "a\nb\n");
        check("a\n\n\n", 2, "\n\n");
        check("a\n", 1, "a\n");
        check("a\n", 0, "");
        check("", 5, "");
        check("a\n", u64::MAX, "a\n");
    }

    #[test]
    fn parts_keep_characters_whole() {
        let text = "é".repeat(PART);
        let parts = parts(&text);
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().all(|part| part.len() <= PART));
        assert_eq!(super::parts(""), Vec::<&str>::new());
    }
}
