//! The files that the rules are about, and Rust without what is not code.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::project;

/// A text file of the checkout.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path
            .extension()
            .is_some_and(|extension| extension == "rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path
            .extension()
            .is_some_and(|extension| extension == "md")
    }

    /// The code: comments and the insides of strings are blank, and so is the module of tests at the end.
    pub(crate) fn code(&self) -> String {
        let code = without_comments_and_strings(&self.text);
        match code.find("#[cfg(test)]\nmod tests {") {
            Some(tests) => code[..tests].to_owned(),
            None => code,
        }
    }
}

/// What is built or fetched, and what belongs to git.
const NOT_OURS: [&str; 3] = [".git", "target", "out"];

/// Every text file of the checkout, sorted.
pub(crate) fn all() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(project::root(), &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        sources.iter().any(|source| source.is_rust()),
        "there is no Rust in {}",
        project::root().display()
    );
    sources
}

/// Every Rust file of the checkout, sorted.
pub(crate) fn rust() -> Vec<Source> {
    all().into_iter().filter(Source::is_rust).collect()
}

/// The text of one file.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(project::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let relative = path.strip_prefix(project::root()).unwrap().to_owned();
        let kind = entry.file_type().unwrap();
        // In a second working tree of git, .git is a file.
        if NOT_OURS.iter().any(|name| relative == Path::new(name)) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, sources);
        } else if kind.is_file() {
            // What is not UTF-8 is no text.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            sources.push(Source {
                path: relative,
                text,
            });
        }
    }
}

/// Fails with every finding, if there is one.
pub(crate) fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Rust with blanks for comments and for the insides of strings and characters. Lines stay lines.
pub(crate) fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = token_length(rest, code.chars().next_back());
        match token {
            // Strings and comments.
            Some(length) => code.extend(
                rest[..length]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            ),
            None => code.push(first),
        }
        rest = &rest[token.unwrap_or(first.len_utf8())..];
    }
    code
}

/// The length in bytes of the comment, string or character that `text` begins with; none when it begins with code.
fn token_length(text: &str, before: Option<char>) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && let Some(length) = raw_string(text) {
        return Some(length);
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // 'a' and '\n' are characters, 'a is a lifetime.
    let mut after = text.strip_prefix('\'')?.chars();
    let is_character = after.next()? == '\\' || after.next()? == '\'';
    is_character.then(|| quoted(text, '\''))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#`, and the same of bytes and C strings.
fn raw_string(text: &str) -> Option<usize> {
    let opening = ["r", "br", "cr"]
        .iter()
        .find(|prefix| text.starts_with(*prefix))?;
    let hashes = text[opening.len()..]
        .chars()
        .take_while(|c| *c == '#')
        .count();
    let start = opening.len() + hashes;
    let inside = text[start..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&closing)?;
    Some(start + 1 + end + closing.len())
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

#[test]
fn only_code_is_left_of_rust() {
    let check = |text: &str, expected: &str| {
        let code = without_comments_and_strings(text);
        assert_eq!(
            code.split_whitespace().collect::<Vec<_>>().join(" "),
            expected,
            "{text}"
        );
        assert_eq!(code.lines().count(), text.lines().count(), "{text}");
    };
    check("a // unsafe\nb /* c /* d */ e */ f", "a b f");
    check(r#"a("unsafe \" b", 'c', '"', '\'') d"#, "a( , , , ) d");
    check("a(r#\"un\"safe\"#, br\"b\", c\"d\") e", "a( , , c ) e");
    check(
        "fn a<'a>(b: &'a str) -> &'static str",
        "fn a<'a>(b: &'a str) -> &'static str",
    );
    check("for_r\"a\" x", "for_r x");
}
