//! npm's rules of what is published (npm-packlist), and ours over them.
//!
//! npm: `files` of package.json if there is one; else, in every folder, its `.npmignore`, else its `.gitignore`. Ours: an
//! application with `"private": true` cannot be published, so its `.gitignore` says what is not kept in git and nothing
//! about what runs; and secrets and logs stay out.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use nodeos_spec::package::Package;
use serde_json::Value;

use crate::application::PrepareApplicationError;
use crate::application::project::{NOT_OURS, Project};

/// What npm never publishes, and what should not be in an image unless somebody asks for it.
const NEVER: [&str; 19] = [
    "node_modules/",
    ".git",
    ".svn",
    ".hg",
    "CVS",
    ".DS_Store",
    "._*",
    "*.orig",
    ".*.swp",
    "*.log",
    ".env",
    ".env.*",
    ".npmrc",
    ".gitignore",
    ".npmignore",
    "/package-lock.json",
    "/pnpm-lock.yaml",
    "/yarn.lock",
    "/.yarn/",
];

/// What npm publishes whatever the rules say.
const ALWAYS: &str = "package.json";

/// The rules that hold in a folder.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    include: Gitignore,
    /// Whether some folder is looked through only because of `include`.
    includes_within: Vec<String>,
    exclude: Gitignore,
    never: Gitignore,
    /// `files` of package.json.
    listed: Option<Gitignore>,
    /// Whether `.gitignore` counts.
    git: bool,
    /// The rule by which everything here is out that is not included.
    hidden: Option<String>,
    /// The ignore files of this folder and of those above, the nearest last.
    ignore: Vec<(Gitignore, &'static str)>,
}

/// What the rules say of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    In,
    /// What below this folder `files` of package.json names.
    Look,
    /// By this rule.
    Out {
        rule: String,
    },
    /// By this rule, but for what is included from below it.
    OutBut {
        rule: String,
    },
}

impl Rules {
    pub(super) fn of(
        project: &Project,
        config: &Package,
    ) -> Result<Rules, PrepareApplicationError> {
        let root = &project.root;
        let package = &project.root_package;
        let files = package.fields.get("files").and_then(Value::as_array);
        let listed = files.map(|files| {
            let patterns: Vec<String> = files
                .iter()
                .filter_map(Value::as_str)
                .map(|pattern| match pattern.strip_prefix('!') {
                    Some(pattern) => format!("!/{}", plain(pattern)),
                    None => format!("/{}", plain(pattern)),
                })
                .collect();
            globs(root, &patterns, "\"files\" in package.json")
        });
        let texts =
            |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        Ok(Rules {
            include: globs(root, &config.include, "\"nodeos.include\" in package.json")?,
            includes_within: config
                .include
                .iter()
                .map(|pattern| plain(pattern).to_owned())
                .collect(),
            exclude: globs(root, &config.exclude, "\"nodeos.exclude\" in package.json")?,
            never: globs(root, &texts(&NEVER), "the rules that always hold")?,
            listed: listed.transpose()?,
            git: !package.is_private(),
            hidden: None,
            ignore: Vec::new(),
        })
    }

    /// The rules in a folder below: those here, and its own.
    pub(super) fn in_folder(
        &self,
        root: &Path,
        below: &Path,
    ) -> Result<Rules, PrepareApplicationError> {
        let mut rules = self.clone();
        // With `files`, npm follows no ignore file beside it, but those further down.
        if rules.listed.is_some() && below == Path::new("") {
            return Ok(rules);
        }
        let names: &[&'static str] = if self.git {
            &[".npmignore", ".gitignore"]
        } else {
            &[".npmignore"]
        };
        for name in names {
            let file = root.join(below).join(name);
            if file.is_file() {
                let mut builder = GitignoreBuilder::new(root.join(below));
                if let Some(source) = builder.add(&file) {
                    return Err(pattern_error("a line", &file.display().to_string(), source));
                }
                let built = builder.build().map_err(|source| {
                    pattern_error("a line", &file.display().to_string(), source)
                })?;
                rules.ignore.push((built, name));
                break;
            }
        }
        Ok(rules)
    }

    /// These rules below a folder that is out by `rule`.
    pub(super) fn hidden_by(&self, rule: String) -> Rules {
        Rules {
            hidden: Some(rule),
            ..self.clone()
        }
    }

    pub(super) fn judge(&self, path: &Path, is_folder: bool) -> Verdict {
        let hits = |globs: &Gitignore| {
            globs
                .matched_path_or_any_parents(path, is_folder)
                .is_ignore()
        };
        if hits(&self.exclude) {
            return Verdict::Out {
                rule: "\"nodeos.exclude\" of package.json names it".to_owned(),
            };
        }
        if hits(&self.include) {
            return Verdict::In;
        }
        let out = match self.out(path, is_folder) {
            Some(rule) => Verdict::Out { rule },
            None => match &self.listed {
                Some(listed) if path != Path::new(ALWAYS) && !hits(listed) => Verdict::Look,
                _ => Verdict::In,
            },
        };
        match out {
            Verdict::Out { rule } if is_folder && self.may_include_below(path) => {
                Verdict::OutBut { rule }
            }
            verdict => verdict,
        }
    }

    /// The rule that keeps a path out, if any does.
    fn out(&self, path: &Path, is_folder: bool) -> Option<String> {
        if path == Path::new(ALWAYS) {
            return None;
        }
        if self.hidden.is_some() {
            return self.hidden.clone();
        }
        if let Match::Ignore(glob) = self.never.matched(path, is_folder) {
            return Some(format!(
                "{} stays out unless it is included",
                glob.original()
            ));
        }
        // The nearest file with a word about it decides; what is out as a folder is never looked at.
        let whole = self.never.path().join(path);
        let decided = self.ignore.iter().rev().find_map(|(rules, name)| {
            match rules.matched(&whole, is_folder) {
                Match::None => None,
                Match::Ignore(glob) => Some(Some(format!("{name} has {}", glob.original()))),
                Match::Whitelist(_) => Some(None),
            }
        });
        decided.flatten()
    }

    /// Whether a pattern to include may mean something below this folder: not, for the folders that have thousands of
    /// files that are not ours, unless it names one.
    fn may_include_below(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let is_not_ours = NOT_OURS.iter().any(|not_ours| name == *not_ours);
        self.includes_within.iter().any(|pattern| {
            // A pattern with a folder in it begins at the root: only what lies on its way is looked through.
            let fixed = pattern
                .split('/')
                .take_while(|part| !part.contains(['*', '?', '[']));
            let is_on_its_way = fixed
                .zip(path.components())
                .all(|(part, name)| name.as_os_str() == part);
            let may_be_here = !pattern.contains('/') || is_on_its_way;
            may_be_here && (!is_not_ours || pattern.contains(name.to_string_lossy().as_ref()))
        })
    }
}

/// A pattern without what says only that it begins here.
fn plain(pattern: &str) -> &str {
    pattern.trim_start_matches("./").trim_start_matches('/')
}

fn globs(
    root: &Path,
    patterns: &[String],
    file: &str,
) -> Result<Gitignore, PrepareApplicationError> {
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|source| pattern_error(pattern, file, source))?;
    }
    builder
        .build()
        .map_err(|source| pattern_error("a pattern", file, source))
}

fn pattern_error(pattern: &str, file: &str, source: ignore::Error) -> PrepareApplicationError {
    PrepareApplicationError::Pattern {
        pattern: pattern.to_owned(),
        file: file.to_owned(),
        source,
    }
}
