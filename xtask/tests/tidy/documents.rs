//! Rules about documents: what they point at exists, and what they claim is tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nodeos_build::recipe::Layer;
use xtask::project;

use crate::sources::{self, Source};

/// `[text](target)` outside of code, with the line it stands on.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        // What stands between backticks is every second part.
        let plain: String = line.split('`').step_by(2).collect();
        if fenced {
            continue;
        }
        for part in plain.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                links.push((number + 1, target.to_owned()));
            }
        }
    }
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

fn problem(source: &Source, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() {
        source.path.clone()
    } else {
        folder.join(path)
    };
    let file = project::root().join(file);
    if !file.exists() {
        return Some("does not exist".to_owned());
    }
    if anchor.is_empty() {
        return None;
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then(|| "has no such heading".to_owned())
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for source in sources::all().iter().filter(|source| source.is_markdown()) {
        for (number, target) in links(&source.text) {
            if let Some(problem) = problem(source, &target) {
                findings.push(format!(
                    "{}:{number}: {target} {problem}",
                    source.path.display()
                ));
            }
        }
    }
    sources::expect_none(&findings);
}

#[test]
fn links_are_told_from_code() {
    let text = "see [a](b.md#c), `[d](e)` and\n```\n[f](g)\n```\n[h](https://i)";
    assert_eq!(
        links(text),
        [(1, "b.md#c".to_owned()), (5, "https://i".to_owned())]
    );
    let expected = BTreeSet::from(["what-is-it".to_owned(), "pid-1-osinit".to_owned()]);
    assert_eq!(
        anchors("# What is it?\ntext\n## PID 1: `os/init`\n"),
        expected
    );
}

/// The lines of the section under a heading.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let from_heading = text.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = from_heading
        .take_while(|line| !line.starts_with("## "))
        .collect();
    assert!(!lines.is_empty(), "there is no section {heading:?}");
    lines
}

#[test]
fn every_invariant_of_the_architecture_names_its_test() {
    let text = sources::read("ARCHITECTURE.md");
    let code: String = sources::rust()
        .into_iter()
        .map(|source| source.text)
        .collect();
    let mut findings = Vec::new();
    let mut invariants = 0;
    for item in section(&text, "## Invariants")
        .join("\n")
        .split("\n* ")
        .skip(1)
    {
        invariants += 1;
        // The last word between backticks is the test.
        let test = item
            .trim()
            .strip_suffix("`)")
            .and_then(|item| item.rsplit_once("(test: `"))
            .map(|(_, test)| test);
        match test {
            None => findings.push(format!("an invariant names no test at its end: {item}")),
            Some(test) if !code.contains(&format!("fn {test}()")) => {
                findings.push(format!("there is no test {test}"))
            }
            Some(_) => {}
        }
    }
    assert!(invariants > 0, "the section lists no invariant");
    sources::expect_none(&findings);
}

#[test]
fn the_layers_of_the_readme_are_those_that_exist() {
    let readme = sources::read("README.md");
    let rows = section(&readme, "## The layers")
        .into_iter()
        .filter_map(|line| line.strip_prefix("| `"));
    let described: BTreeSet<String> = rows
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let buildable: BTreeSet<String> = Layer::ALL.iter().map(|layer| layer.to_string()).collect();
    let folders: BTreeSet<String> = fs::read_dir(project::root().join("layers"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        described, folders,
        "the README describes the folders of layers/"
    );
    assert_eq!(
        buildable, folders,
        "each folder of layers/ is a layer that can be built"
    );
}
