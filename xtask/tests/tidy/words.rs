//! Rules about words that stand in no file: registries and machines of one developer.

use crate::sources;

/// Registries are reached through their clients, which know where they are and can be told otherwise.
/// Written in halves, so that this file passes too.
const REGISTRIES: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("ftp.debian", ".org"),
    ("archive.ubuntu", ".com"),
    ("security.ubuntu", ".com"),
    ("ports.ubuntu", ".com"),
];

/// Where things lay on the machine that somebody worked on.
const MACHINES: &[(&str, &str)] = &[
    ("/work", "/"),
    ("/tmp", "/k/"),
    ("/tmp", "/brief"),
    ("/root", "/."),
];

/// What cargo writes names the registry, and cannot help it.
const WRITTEN_BY_CARGO: &str = "Cargo.lock";

fn findings(words: &[(&str, &str)], what: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources::all()
        .iter()
        .filter(|source| !source.path.ends_with(WRITTEN_BY_CARGO))
    {
        for (number, line) in source.text.lines().enumerate() {
            for (start, end) in words {
                let word = format!("{start}{end}");
                if line.contains(&word) {
                    findings.push(format!(
                        "{}:{}: {what} {word}",
                        source.path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    findings
}

#[test]
fn no_file_names_the_host_of_a_registry() {
    sources::expect_none(&findings(REGISTRIES, "names the registry host"));
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    sources::expect_none(&findings(MACHINES, "names a path of one machine,"));
}
