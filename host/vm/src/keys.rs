//! The keys of a keyboard with the layout of the United States, by QEMU's names (QKeyCode in qemu-qmp-ref(7)).

/// Characters that need the shift key, and the character of the same key without it.
const SHIFTED: &[(char, char)] = &[
    ('!', '1'),
    ('@', '2'),
    ('#', '3'),
    ('$', '4'),
    ('%', '5'),
    ('^', '6'),
    ('&', '7'),
    ('*', '8'),
    ('(', '9'),
    (')', '0'),
    ('_', '-'),
    ('+', '='),
    ('{', '['),
    ('}', ']'),
    (':', ';'),
    ('"', '\''),
    ('~', '`'),
    ('|', '\\'),
    ('<', ','),
    ('>', '.'),
    ('?', '/'),
];
/// Keys whose name is not their character.
const NAMED: &[(char, &str)] = &[
    ('\n', "ret"),
    ('\t', "tab"),
    (' ', "spc"),
    ('-', "minus"),
    ('=', "equal"),
    ('[', "bracket_left"),
    (']', "bracket_right"),
    (';', "semicolon"),
    ('\'', "apostrophe"),
    ('`', "grave_accent"),
    ('\\', "backslash"),
    (',', "comma"),
    ('.', "dot"),
    ('/', "slash"),
];

/// The keys to press at once for a character. None when the keyboard does not have it.
pub(crate) fn codes(character: char) -> Option<Vec<String>> {
    if character.is_ascii_uppercase() {
        return Some(vec![
            "shift".to_owned(),
            character.to_ascii_lowercase().to_string(),
        ]);
    }
    if let Some((_, plain)) = SHIFTED.iter().find(|(shifted, _)| *shifted == character) {
        return Some(vec!["shift".to_owned(), key(*plain)?]);
    }
    Some(vec![key(character)?])
}

fn key(character: char) -> Option<String> {
    if character.is_ascii_lowercase() || character.is_ascii_digit() {
        return Some(character.to_string());
    }
    NAMED
        .iter()
        .find(|(named, _)| *named == character)
        .map(|(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_keys() {
        let check = |character: char, expected: &[&str]| {
            assert_eq!(codes(character).unwrap(), expected, "{character:?}");
        };
        check('a', &["a"]);
        check('A', &["shift", "a"]);
        check('7', &["7"]);
        check('&', &["shift", "7"]);
        check('"', &["shift", "apostrophe"]);
        check('\n', &["ret"]);
        assert_eq!(codes('é'), None);
    }

    #[test]
    fn every_printable_ascii_character_has_keys() {
        for character in (' '..='~').chain(['\n', '\t']) {
            assert!(codes(character).is_some(), "{character:?}");
        }
    }
}
