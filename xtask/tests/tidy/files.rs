//! Rules about files: their length and how they begin.

use std::path::Path;

use crate::sources;

/// Longer than this needs a reason.
const LONG: usize = 450;
/// Longer than this is a mistake of design, whatever the reason.
const TOO_LONG: usize = 800;
/// The files that are longer than [`LONG`], each with its reason.
const REASONS: &[(&str, &str)] = &[];

#[test]
fn files_are_short_or_say_why() {
    let mut findings = Vec::new();
    for source in sources::rust() {
        let lines = source.text.lines().count();
        let path = source.path.display();
        let has_reason = REASONS
            .iter()
            .any(|(long, _)| source.path == Path::new(long));
        if lines > TOO_LONG {
            findings.push(format!(
                "{path} has {lines} lines: split it by noun, {TOO_LONG} is the most"
            ));
        } else if lines > LONG && !has_reason {
            findings.push(format!(
                "{path} has {lines} lines: split it, or give its reason in REASONS of this test"
            ));
        } else if lines <= LONG && has_reason {
            findings.push(format!(
                "{path} has only {lines} lines: take it out of REASONS of this test"
            ));
        }
    }
    sources::expect_none(&findings);
}

#[test]
fn every_module_opens_with_what_it_owns() {
    let opens = |text: &str| {
        text.lines()
            .next()
            .is_some_and(|line| line.starts_with("//! ") && line.len() > 10)
    };
    let findings: Vec<String> = sources::rust()
        .iter()
        .filter(|source| !opens(&source.text))
        .map(|source| {
            format!(
                "{} does not open with a //! sentence about what it owns",
                source.path.display()
            )
        })
        .collect();
    sources::expect_none(&findings);
}

#[test]
fn scripts_are_what_their_shell_understands() {
    for (shell, script) in [("sh", "bin/install-dependencies"), ("bash", ".ci/run")] {
        let path = xtask::project::root().join(script);
        let status = std::process::Command::new(shell)
            .arg("-n")
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success(), "{shell} does not understand {script}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be executed");
    }
    assert!(
        sources::read(".ci/run")
            .lines()
            .any(|line| line == "make test"),
        "CI runs what people run"
    );
}
