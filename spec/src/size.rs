//! Amounts of memory as people write them: `512M`.

/// The letters behind a number, and the power of two that each stands for.
const UNITS: [(char, u32); 3] = [('K', 10), ('M', 20), ('G', 30)];

/// Bytes, from a whole number with `K`, `M`, `G` or nothing behind it. None for anything else.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, power) = UNITS
        .iter()
        .find_map(|&(unit, power)| Some((text.strip_suffix(unit)?, power)))
        .unwrap_or((text, 0));
    // `parse` would take a sign, which is none of an amount.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_numbers_with_a_unit() {
        let check = |text, expected| assert_eq!(parse_bytes(text), expected, "{text}");
        check("512M", Some(512 << 20));
        check("1G", Some(1 << 30));
        check("64K", Some(64 << 10));
        check("4096", Some(4096));
        for bad in [
            "",
            "M",
            "1.5G",
            "-1M",
            "+1M",
            "1MB",
            "1T",
            "99999999999G",
            "1 M",
        ] {
            check(bad, None);
        }
    }
}
