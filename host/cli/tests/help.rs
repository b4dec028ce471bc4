//! The help is pinned, and `docs/cli.md` is made of it. With `NODEOS_BLESS=1` both are written anew.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use nodeos::arguments::Cli;

/// Every command that has a help, as words after `nodeos`.
const COMMANDS: [&[&str]; 24] = [
    &[],
    &["build"],
    &["start"],
    &["run"],
    &["install"],
    &["init"],
    &["user"],
    &["user", "list"],
    &["user", "add"],
    &["user", "remove"],
    &["user", "passwd"],
    &["user", "lock"],
    &["user", "unlock"],
    &["ps"],
    &["logs"],
    &["stop"],
    &["exec"],
    &["cp"],
    &["stats"],
    &["rm"],
    &["doctor"],
    &["cache"],
    &["cache", "list"],
    &["cache", "clean"],
];

/// The width that the help is wrapped at here, whatever terminal the tests run in.
const WIDTH: usize = 100;

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn help(words: &[&str]) -> String {
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    let mut found = &mut command;
    for word in words {
        found = found
            .find_subcommand_mut(word)
            .unwrap_or_else(|| panic!("there is no command {words:?}"));
    }
    let text = found
        .clone()
        .term_width(WIDTH)
        .render_long_help()
        .to_string();
    let mut text: String = text
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn name(words: &[&str]) -> String {
    std::iter::once(&"nodeos")
        .chain(words)
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

fn compare(file: &Path, text: &str) {
    if std::env::var_os("NODEOS_BLESS").is_some() {
        fs::write(file, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }
    let pinned = fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    // Only the first difference: two whole pages side by side show nobody anything.
    let differing = pinned
        .lines()
        .zip(text.lines())
        .find(|(old, new)| old != new);
    assert!(
        pinned == text,
        "{} is out of date, first at {differing:?}: run this with NODEOS_BLESS=1",
        file.display()
    );
}

#[test]
fn the_help_of_every_command_is_as_pinned() {
    for words in COMMANDS {
        let file = crate_folder()
            .join("tests/help")
            .join(format!("{}.txt", name(words).replace(' ', "-")));
        compare(&file, &help(words));
    }
}

#[test]
fn every_command_is_listed_here() {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<String>) {
        found.push(path.join(" "));
        for sub in command.get_subcommands() {
            let mut path = path.to_vec();
            path.push(sub.get_name().to_owned());
            walk(sub, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &["nodeos".to_owned()], &mut found);
    assert_eq!(found, COMMANDS.map(name));
}

#[test]
fn the_reference_page_is_the_help() {
    let mut page = String::from(
        "# The command line\n\nThis page is the help of `nodeos`, written by its tests \
         (`NODEOS_BLESS=1 cargo test -p nodeos --test help`).\n\n\
         Exit codes: 0 done; 1 the operation failed; 2 the command line was not understood; \
         69 something has to be installed first (`nodeos doctor` says what); 130 stopped by Ctrl-C or a signal. \
         `nodeos run` and `nodeos exec` otherwise end with the code of what they ran.\n",
    );
    for words in COMMANDS {
        page.push_str(&format!(
            "\n## `{}`\n\n```text\n{}```\n",
            name(words),
            help(words)
        ));
    }
    let file: PathBuf = crate_folder().join("../../docs/cli.md");
    compare(&file, &page);
}
