//! The package sources of the host's own distribution, read from apt's configuration, and the same for a newer release.
//!
//! Reads both forms that sources.list(5) describes. Sources of others (third parties name their suites otherwise) are
//! left out. Text in, text out: no file is touched here.

#[cfg(test)]
mod tests;

use std::fmt::Write;

/// A package source, one suite each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AptSource {
    pub(super) uris: Vec<String>,
    /// `bookworm-updates`.
    pub(super) suite: String,
    pub(super) components: Vec<String>,
    /// What else the host says about it, of [`OPTIONS`], under the name of the deb822 form.
    pub(super) options: Vec<(&'static str, String)>,
}

/// What a distribution adds to its codename. Third parties add other words, and what is only proposed is not wanted.
const ADDITIONS: [&str; 5] = ["", "-updates", "-security", BACKPORTS, "-backports-sloppy"];
/// Packages of the release after, built for this one: there are none for the release after itself.
const BACKPORTS: &str = "-backports";

/// The options that decide what is trusted, under the names of both forms. They are taken over.
const OPTIONS: [(&str, &str); 3] = [
    (SIGNED_BY, "signed-by"),
    ("Trusted", "trusted"),
    ("Check-Valid-Until", "check-valid-until"),
];
/// Keyring or key that the suite must be signed with: a path, fingerprints, or a key's text.
const SIGNED_BY: &str = "Signed-By";

/// The sources in the text of a `.sources` file.
pub(super) fn from_deb822(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    for stanza in stanzas(text) {
        let field = |name: &str| {
            stanza
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
        };
        let words = |name: &str| -> Vec<String> {
            field(name)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        let disabled = field("Enabled")
            .is_some_and(|v| matches!(v.trim(), "no" | "false" | "0" | "off" | "without"));
        if disabled || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for suite in words("Suites") {
            sources.push(AptSource {
                uris: words("URIs"),
                suite,
                components: words("Components"),
                options: OPTIONS
                    .iter()
                    .filter_map(|(name, _)| Some((*name, field(name)?.trim_end().to_owned())))
                    .collect(),
            });
        }
    }
    sources
}

/// The stanzas of a file in Debian's control format (deb822(5)): fields with their continuation lines.
fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let stanza = stanzas.last_mut().expect("there is always one");
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                // The line feed and the space matter for a key's text.
                let _ = write!(value, "\n{}", line.trim_end());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.retain(|stanza| !stanza.is_empty());
    stanzas
}

/// The sources in the text of a `sources.list`: `deb [ option=value ... ] uri suite component ...`.
pub(super) fn from_one_line(text: &str) -> Vec<AptSource> {
    let parse = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let rest = line.trim().strip_prefix("deb")?;
        if !rest.starts_with([' ', '\t', '[']) {
            return None;
        }
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let option = |(name, short): &(&'static str, &str)| {
            let given = |option: &str| {
                option
                    .strip_prefix(short)?
                    .strip_prefix('=')
                    .map(|value| value.replace(',', " "))
            };
            Some((*name, options.split_whitespace().find_map(given)?))
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        Some(AptSource {
            uris: vec![words.next()?],
            suite: words.next()?,
            components: words.collect(),
            options: OPTIONS.iter().filter_map(option).collect(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Those of the host's own distribution and release: their suite is its codename with an addition of its own, and they
/// are signed with its keyring, unless all are signed otherwise.
pub(super) fn of_release(
    sources: &[AptSource],
    distribution: &str,
    codename: &str,
) -> Vec<AptSource> {
    let ours = |source: &&AptSource| {
        let addition = source.suite.strip_prefix(codename);
        let is_medium = source.uris.iter().any(|uri| uri.starts_with("cdrom:"));
        addition.is_some_and(|addition| ADDITIONS.contains(&addition)) && !is_medium
    };
    let keyring = format!("/{distribution}-archive");
    let official = |source: &AptSource| {
        let signed_by = source.options.iter().find(|(name, _)| *name == SIGNED_BY);
        signed_by.is_none_or(|(_, value)| value.contains(&keyring))
    };
    let all: Vec<AptSource> = sources.iter().filter(ours).cloned().collect();
    match all.iter().any(official) {
        true => all.into_iter().filter(official).collect(),
        false => all,
    }
}

/// The same sources for a newer release.
pub(super) fn moved_to(sources: &[AptSource], codename: &str, newer: &str) -> Vec<AptSource> {
    let moved = |source: &AptSource| {
        let rest = source.suite.strip_prefix(codename)?;
        let suite = format!("{newer}{rest}");
        (!rest.starts_with(BACKPORTS)).then(|| AptSource {
            suite,
            ..source.clone()
        })
    };
    sources.iter().filter_map(moved).collect()
}

/// The text of a `.sources` file for one architecture.
pub(super) fn to_deb822(sources: &[AptSource], arch: &str) -> String {
    let mut text = String::new();
    for source in sources {
        let AptSource {
            uris,
            suite,
            components,
            options,
        } = source;
        let _ = writeln!(
            text,
            "Types: deb\nURIs: {}\nSuites: {suite}",
            uris.join(" ")
        );
        // A suite that is a path has none (sources.list(5)), but those are third parties'.
        let _ = writeln!(
            text,
            "Components: {}\nArchitectures: {arch}",
            components.join(" ")
        );
        for (name, value) in options {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
    }
    text
}
