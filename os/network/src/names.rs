//! Names of machines and domains that come from elsewhere: checked before they reach a file or the kernel.

/// The longest name of a machine that the kernel takes (`__NEW_UTS_LEN`).
const LONGEST_HOSTNAME: usize = 64;
/// The longest domain and the longest part of it (RFC 1035, 2.3.4).
const LONGEST_DOMAIN: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The text as the name of a machine: its first part where it is a whole domain.
pub fn hostname(text: &str) -> Option<String> {
    let name = domain(text)?;
    let first = name.split('.').next()?;
    (first.len() <= LONGEST_HOSTNAME && !first.contains('_')).then(|| first.to_owned())
}

/// The text as a domain, without the dot at its end.
pub fn domain(text: &str) -> Option<String> {
    // Servers written in C send the NUL as well.
    let text = text.trim_end_matches('\0').trim_end_matches('.');
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (text.len() <= LONGEST_DOMAIN && text.split('.').all(is_label))
        .then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_letters_digits_and_hyphens() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(domain(text).as_deref(), expected, "{text:?}");
        };
        check("example.org", Some("example.org"));
        check("Example.ORG.", Some("example.org"));
        check("example.org\0", Some("example.org"));
        check("_sites.example.org", Some("_sites.example.org"));
        for refused in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a\nb",
            "a/../b",
            "ä.org",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn the_name_of_a_machine_is_the_first_part() {
        assert_eq!(hostname("one.example.org").as_deref(), Some("one"));
        assert_eq!(hostname("../../etc/passwd"), None);
        assert_eq!(hostname("a_b"), None);
    }
}
