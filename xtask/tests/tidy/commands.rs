//! Rules about commands in documents: whoever types one from there gets what it says.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::sources;

/// What clap says about a verb whose arguments are left out.
const INCOMPLETE: [ErrorKind; 3] = [
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
];

/// A command in a document, without its prompt and what a comment says about it.
struct Typed {
    place: String,
    /// Within a sentence, where the name of a verb is enough.
    in_a_sentence: bool,
    words: Vec<String>,
}

/// What begins with one of these, in a block of code or between backticks, is a command.
fn commands(program: &[&str]) -> Vec<Typed> {
    let mut found = Vec::new();
    for source in sources::all().iter().filter(|source| source.is_markdown()) {
        let mut fenced = false;
        for (number, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let pieces: Vec<&str> = if fenced {
                vec![line]
            } else {
                line.split('`').skip(1).step_by(2).collect()
            };
            for piece in pieces {
                let piece = piece
                    .trim_start_matches("$ ")
                    .split(" #")
                    .next()
                    .unwrap_or_default();
                let words: Vec<String> = piece
                    .split_whitespace()
                    .map(|word| word.replace('"', ""))
                    .collect();
                if words.len() > program.len()
                    && words.iter().zip(program).all(|(word, name)| word == name)
                {
                    found.push(Typed {
                        place: format!("{}:{}", source.path.display(), number + 1),
                        in_a_sentence: !fenced,
                        words,
                    });
                }
            }
        }
    }
    found
}

fn refusals(typed: &[Typed], parse: impl Fn(&[String]) -> Result<(), clap::Error>) -> Vec<String> {
    let refused = |typed: &Typed| {
        let error = parse(&typed.words).err().filter(clap::Error::use_stderr)?;
        if typed.in_a_sentence && INCOMPLETE.contains(&error.kind()) {
            return None;
        }
        Some(format!(
            "{}: {}: {error}",
            typed.place,
            typed.words.join(" ")
        ))
    };
    typed.iter().filter_map(refused).collect()
}

#[test]
fn nodeos_understands_the_commands_of_the_documents() {
    let typed = commands(&["nodeos"]);
    assert!(
        typed
            .iter()
            .any(|typed| typed.place.starts_with("README.md")),
        "the README shows no command"
    );
    sources::expect_none(&refusals(&typed, |words| {
        nodeos::arguments::Cli::try_parse_from(words).map(drop)
    }));
}

#[test]
fn xtask_understands_the_commands_of_the_documents() {
    let typed = commands(&["cargo", "xtask"]);
    assert!(!typed.is_empty(), "no document shows a chore");
    sources::expect_none(&refusals(&typed, |words| {
        xtask::Cli::try_parse_from(&words[1..]).map(drop)
    }));
}

#[test]
fn make_has_the_targets_of_the_documents() {
    let makefile = sources::read("Makefile");
    for typed in commands(&["make"]) {
        let target = &typed.words[1];
        assert!(
            makefile.contains(&format!("\n{target}:")),
            "{}: make has no target {target}",
            typed.place
        );
    }
}

#[test]
fn every_verb_is_in_a_document() {
    let documents: String = sources::all()
        .into_iter()
        .filter(|s| s.is_markdown())
        .map(|s| s.text)
        .collect();
    let ours = nodeos::arguments::Cli::command();
    let chores = xtask::Cli::command();
    let verbs = ours
        .get_subcommands()
        .map(|verb| format!("nodeos {}", verb.get_name()));
    let chores = chores
        .get_subcommands()
        .map(|verb| format!("cargo xtask {}", verb.get_name()));
    for command in verbs.chain(chores) {
        assert!(
            documents.contains(&command),
            "no document says what `{command}` is for"
        );
    }
}
