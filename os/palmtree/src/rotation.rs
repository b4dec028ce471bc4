//! Where a log is cut: as late as its limit allows, and at the end of a line if there is one.

/// The longest that a log gets before it becomes `NAME.log.1`, in bytes. With the one before it a service has at most
/// twice as much.
pub(crate) const LIMIT: u64 = 1 << 20;

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) size: u64,
    /// Whether what is there ends with a whole line.
    pub(crate) at_line: bool,
}

impl Place {
    /// After these bytes.
    pub(crate) fn after(self, bytes: &[u8]) -> Place {
        Place {
            size: self.size + bytes.len() as u64,
            at_line: bytes.last().map_or(self.at_line, |last| *last == b'\n'),
        }
    }
}

/// How many of the bytes still go to the log that stands there. The rest goes to its successor.
pub(crate) fn fitting(place: Place, bytes: &[u8]) -> usize {
    let room = usize::try_from(LIMIT.saturating_sub(place.size)).unwrap_or(usize::MAX);
    let Some(front) = bytes.get(..room) else {
        return bytes.len();
    };
    if room == bytes.len() {
        return room;
    }
    match front.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        // Nothing is lost by a short log, and a line stays in one piece.
        None if place.at_line && place.size > 0 => 0,
        None => room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before_limit: u64, at_line: bool, bytes: &[u8], expected: usize) {
        let place = Place {
            size: LIMIT - before_limit,
            at_line,
        };
        assert_eq!(fitting(place, bytes), expected);
    }

    #[test]
    fn what_fits_is_written() {
        check(LIMIT, true, b"a\n", 2);
        check(2, true, b"a\n", 2);
        check(2, false, b"ab", 2);
    }

    #[test]
    fn a_log_is_cut_between_lines() {
        check(4, true, b"a\nbcd\n", 2);
        check(1, true, b"a\n", 0);
        check(0, true, b"a\n", 0);
        check(3, false, b"a\nbcd\n", 2);
    }

    #[test]
    fn a_line_that_is_longer_than_a_log_is_cut_where_it_is_full() {
        check(3, false, b"abcdef", 3);
        let endless = vec![b'x'; LIMIT as usize + 5];
        check(LIMIT, true, &endless, LIMIT as usize);
    }

    #[test]
    fn a_log_that_is_too_long_already_takes_nothing_more() {
        let place = Place {
            size: LIMIT + 5,
            at_line: true,
        };
        assert_eq!(fitting(place, b"a\n"), 0);
    }

    #[test]
    fn the_place_moves_with_what_is_written() {
        let place = Place {
            size: 1,
            at_line: false,
        };
        let after = |bytes| place.after(bytes);
        assert!(!after(b"").at_line);
        assert!(after(b"a\n").at_line);
        assert_eq!(after(b"a\nb").size, 4);
    }
}
