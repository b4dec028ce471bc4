//! Variables of an application: `NAME=VALUE`, and files of such lines as `node --env-file` reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why there are no variables.
#[derive(Debug, Error)]
pub enum EnvError {
    #[error("expected NAME=VALUE, as in PORT=3000")]
    Form,
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// [`EnvError::Form`].
pub fn parse_variable(text: &str) -> Result<(String, String), EnvError> {
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(EnvError::Form),
    }
}

/// Reads a file's variables.
///
/// # Errors
/// [`EnvError::Read`].
pub fn read(path: &Path) -> Result<BTreeMap<String, String>, EnvError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        Err(source) => Err(EnvError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads lines `NAME=VALUE`, as Node.js does: `export` may stand before the name, a value may stand in quotes of one of three kinds
/// and then go over several lines, `\n` in double quotes is a line end, a `#` begins a comment, and what is no such line is
/// passed over.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let Some((name, value)) = line.split_once('=').filter(|_| !is_comment(line)) else {
            rest = after;
            continue;
        };
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim);
        let (value, next) = match quoted(&rest[line.len() - value.len()..]) {
            Some((value, behind)) => {
                let next = behind.split_once('\n').map_or("", |(_, next)| next);
                (value, next)
            }
            None => {
                let value = value.split_once('#').map_or(value, |(value, _)| value);
                (value.trim().to_owned(), after)
            }
        };
        if is_name(name) {
            variables.insert(name.to_owned(), value);
        }
        rest = next;
    }
    variables
}

/// A value in quotes, and what follows it. None where it does not begin with a quote, or that is never closed.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let quote = text
        .chars()
        .next()
        .filter(|first| "\"'`".contains(*first))?;
    let (value, behind) = text[1..].split_once(quote)?;
    let value = if quote == '"' {
        value.replace("\\n", "\n")
    } else {
        value.to_owned()
    };
    Some((value, behind))
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_nodejs_reads_them() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected: BTreeMap<String, String> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(parse(text), expected, "{text:?}");
        };
        check("A=1\nB = two words \r\n", &[("A", "1"), ("B", "two words")]);
        check("# A=1\n\n  # x\nB=2 # two\n", &[("B", "2")]);
        check("export A=1", &[("A", "1")]);
        check(
            "A=\"x # y\" # z\nB='it\"s'\n",
            &[("A", "x # y"), ("B", "it\"s")],
        );
        check("A=\"one\ntwo\"\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
        check(
            "A=\"one\\ntwo\"\nB='one\\ntwo'",
            &[("A", "one\ntwo"), ("B", "one\\ntwo")],
        );
        check("A=\"open\nB=2", &[("A", "\"open"), ("B", "2")]);
        check("A=a=b\nA=", &[("A", "")]);
        check("nonsense\n=1\nA B=1\n", &[]);
    }

    #[test]
    fn a_variable_is_a_name_and_a_value() {
        let check = |text: &str, name: &str, value: &str| {
            assert_eq!(
                parse_variable(text).unwrap(),
                (name.to_owned(), value.to_owned())
            );
        };
        check("A=1", "A", "1");
        check("A=", "A", "");
        check("A= b=c ", "A", " b=c ");
        for text in ["A", "=1", "", "A B=1"] {
            assert_eq!(
                parse_variable(text).unwrap_err().to_string(),
                "expected NAME=VALUE, as in PORT=3000"
            );
        }
    }
}
