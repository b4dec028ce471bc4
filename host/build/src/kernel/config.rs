//! Kconfig: what was asked for, and what of it was granted.

use std::collections::BTreeMap;
use std::fmt;

/// A symbol that the fragments set and that the configuration does not have so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The symbol: `CONFIG_FOO`.
    pub symbol: String,
    /// What the fragments say; `n` for "is not set".
    pub asked: String,
    /// What the configuration says.
    pub granted: String,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dropped {
            symbol,
            asked,
            granted,
        } = self;
        write!(f, "{symbol}: asked for {asked}, got {granted}")
    }
}

/// The symbols of `asked` that `granted`, a whole `.config`, does not have with the same value.
///
/// Kconfig drops what does not exist or whose dependencies are not met without a word
/// (Documentation/kbuild/kconfig.rst).
pub(super) fn dropped(asked: &str, granted: &str) -> Vec<Dropped> {
    let granted = symbols(granted);
    let differs = |(symbol, asked): (String, String)| {
        let granted = granted.get(&symbol).map_or("n", String::as_str).to_owned();
        (granted != asked).then_some(Dropped {
            symbol,
            asked,
            granted,
        })
    };
    symbols(asked).into_iter().filter_map(differs).collect()
}

/// Symbols and values of a configuration; of several lines on the same symbol the last one counts.
fn symbols(text: &str) -> BTreeMap<String, String> {
    let symbol = |line: &str| {
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix("# ")
            .and_then(|line| line.strip_suffix(" is not set"))
        {
            return name
                .starts_with("CONFIG_")
                .then(|| (name.to_owned(), "n".to_owned()));
        }
        let (name, value) = line.split_once('=')?;
        name.starts_with("CONFIG_")
            .then(|| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(symbol).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &str, granted: &str, expected: &[&str]) {
        let lines: Vec<String> = dropped(asked, granted)
            .iter()
            .map(Dropped::to_string)
            .collect();
        assert_eq!(lines, expected, "{asked:?} against {granted:?}");
    }

    #[test]
    fn what_was_not_granted_is_named() {
        check("CONFIG_A=y\n", "CONFIG_A=y\n", &[]);
        check("CONFIG_A=y\n", "", &["CONFIG_A: asked for y, got n"]);
        check(
            "CONFIG_A=y\n",
            "CONFIG_A=m\n",
            &["CONFIG_A: asked for y, got m"],
        );
        check(
            "# CONFIG_A is not set\n",
            "CONFIG_A=y\n",
            &["CONFIG_A: asked for n, got y"],
        );
        check("# CONFIG_A is not set\n", "", &[]);
        check(
            "CONFIG_A=\"x y\"\n",
            "CONFIG_A=\"x\"\n",
            &["CONFIG_A: asked for \"x y\", got \"x\""],
        );
    }

    #[test]
    fn the_last_line_on_a_symbol_counts_and_prose_does_not() {
        check(
            "CONFIG_A=y\n# CONFIG_A is not set\n# about CONFIG_B=y\n",
            "",
            &[],
        );
    }
}
