//! `--since`: a time as people give it.

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, Zoned};
use thiserror::Error;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseSinceError {
    #[error(
        "expected a time span such as 10m or 2h30m, a date, or a time such as 2026-11-29T14:30 or 2026-11-29T14:30:00Z"
    )]
    Form,
    #[error("that is longer ago than there are dates")]
    TooLongAgo,
}

/// The time that is meant: so long ago, or that time. One without a zone is of the zone of this host.
///
/// # Errors
/// [`ParseSinceError`].
pub fn parse(text: &str) -> Result<Timestamp, ParseSinceError> {
    at(text, &Zoned::now())
}

fn at(text: &str, now: &Zoned) -> Result<Timestamp, ParseSinceError> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    // With the name of its zone in brackets (RFC 9557).
    if let Ok(time) = text.parse::<Zoned>() {
        return Ok(time.timestamp());
    }
    if let Ok(time) = text.parse::<DateTime>() {
        let time = time.to_zoned(now.time_zone().clone());
        return time
            .map(|time| time.timestamp())
            .map_err(|_| ParseSinceError::TooLongAgo);
    }
    let span: Span = text.parse().map_err(|_| ParseSinceError::Form)?;
    // `10m ago` is what `10m` is.
    now.checked_sub(span.abs())
        .map(|time| time.timestamp())
        .map_err(|_| ParseSinceError::TooLongAgo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_so_long_ago_or_a_date_or_a_time() {
        let now: Zoned = "2026-11-29T14:30:00+01:00[+01:00]".parse().unwrap();
        let check = |text: &str, expected: &str| {
            let found = at(text, &now).map_or_else(|error| error.to_string(), |it| it.to_string());
            assert_eq!(found, expected, "{text}");
        };
        check("10m", "2026-11-29T13:20:00Z");
        check("2h30m", "2026-11-29T11:00:00Z");
        check("1.5h", "2026-11-29T12:00:00Z");
        check("90s", "2026-11-29T13:28:30Z");
        check("250ms", "2026-11-29T13:29:59.75Z");
        check("1 day 1 hour ago", "2026-11-28T12:30:00Z");
        check("PT10M", "2026-11-29T13:20:00Z");
        check("2026-11-28", "2026-11-27T23:00:00Z");
        check("2026-11-28T12:00", "2026-11-28T11:00:00Z");
        check("2026-11-28 12:00:30", "2026-11-28T11:00:30Z");
        check("2026-11-28T12:00:00Z", "2026-11-28T12:00:00Z");
        check("2026-11-28T12:00:00.5-05:00", "2026-11-28T17:00:00.5Z");
        check("2026-11-28T12:00+00:00[UTC]", "2026-11-28T12:00:00Z");
        for text in ["", "10", "soon", "yesterday", "2026-13-01", "10m-5", "-"] {
            check(text, &ParseSinceError::Form.to_string());
        }
        check("19000y", &ParseSinceError::TooLongAgo.to_string());
    }
}
