//! Rules about code: where `unsafe` may stand, who may print, who may wait by sleeping.

use crate::crates;
use crate::sources::{self, Source};

/// The only crate with `unsafe`.
const UNSAFE: &str = "os/sys";
/// Who may print: the chores, which narrate, and the harness of the boot tests, which says where it kept what is left of a
/// machine. The command line prints through its streams only.
const MAY_PRINT: &[&str] = &["xtask/src/narration.rs", "tests/src"];

/// Every place where `word` stands as a word of its own.
fn places(source: &Source, code: &str, word: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let stands = line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        });
        if stands {
            found.push(format!("{}:{}: {word}", source.path.display(), number + 1));
        }
    }
    found
}

#[test]
fn only_os_sys_has_unsafe_code() {
    let findings: Vec<String> = sources::rust()
        .iter()
        .filter(|source| !source.path.starts_with(UNSAFE))
        .flat_map(|source| {
            places(
                source,
                &sources::without_comments_and_strings(&source.text),
                "unsafe",
            )
        })
        .collect();
    sources::expect_none(&findings);
}

#[test]
fn every_crate_but_os_sys_forbids_unsafe_code() {
    let findings: Vec<String> = crates::roots()
        .into_iter()
        .filter(|root| !root.starts_with(UNSAFE))
        .filter(|root| !sources::read(root.to_str().unwrap()).contains("#![forbid(unsafe_code)]"))
        .map(|root| format!("{} does not say #![forbid(unsafe_code)]", root.display()))
        .collect();
    sources::expect_none(&findings);
}

#[test]
fn libraries_do_not_print() {
    let of_a_crate = |source: &&Source| {
        source
            .path
            .components()
            .any(|part| part.as_os_str() == "src")
    };
    let findings: Vec<String> = sources::rust()
        .iter()
        .filter(of_a_crate)
        .filter(|source| !MAY_PRINT.iter().any(|path| source.path.starts_with(path)))
        .flat_map(|source| {
            let code = source.code();
            ["print!", "println!", "eprint!", "eprintln!", "dbg!"]
                .iter()
                .flat_map(|name| places(source, &code, name))
                .collect::<Vec<_>>()
        })
        .collect();
    sources::expect_none(&findings);
}
