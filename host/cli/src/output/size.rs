//! Sizes and times as people read them.

use std::time::Duration;

/// Bytes with a decimal unit, as disks and downloads are sold: `118.1 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be rounded to 1000.0 and belongs to the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time span: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", span.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long ago something was, in its largest unit: `5 minutes`, `1 day`.
pub fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..=59 => return "just now".to_owned(),
        60..=3599 => (seconds / 60, "minute"),
        3600..=86_399 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_fits() {
        let check = |count: u64, expected: &str| assert_eq!(bytes(count), expected, "{count}");
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(118_067_200, "118.1 MB");
        check(999_949_999, "999.9 MB");
        check(999_999_999, "1.0 GB");
        check(4_000_000_000_000_000, "4000.0 TB");
    }

    #[test]
    fn times_have_the_units_that_fit() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(duration(Duration::from_millis(millis)), expected)
        };
        check(0, "0.0 s");
        check(9_949, "9.9 s");
        check(12_900, "12 s");
        check(185_000, "3 min 05 s");
        check(7_800_000, "2 h 10 min");
    }

    #[test]
    fn ages_name_one_unit() {
        let check =
            |seconds: u64, expected: &str| assert_eq!(age(Duration::from_secs(seconds)), expected);
        check(59, "just now");
        check(60, "1 minute");
        check(7_200, "2 hours");
        check(90_000, "1 day");
    }
}
