//! A package of npm's registry as an application: which release it is, and which program of it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nodeos_spec::package::FILE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::discover::{Start, Tool};
use super::project::PackageJson;
use super::{PrepareApplicationError, error};
use crate::cache::{KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::node::host::{HostNode, npm};
use crate::tool::{self, ToolError};

/// A release of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) name: String,
    pub(super) version: String,
    /// The program that is run.
    program: String,
}

impl Release {
    /// Its program, as a dependency's.
    pub(super) fn tool(&self) -> Tool {
        Tool {
            name: self.program.clone(),
            start: Start::default(),
        }
    }
}

/// Asks the registry what `NAME` or `NAME@RANGE` is, once a day: a machine of a package starts without the network then.
pub(super) fn look_up(
    ctx: &Context,
    node: &HostNode,
    package: &str,
) -> Result<Release, PrepareApplicationError> {
    let today = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() / (24 * 60 * 60));
    let key = KeyHasher::new("release 1")
        .text("package", package)
        .text("day", &today.to_string())
        .finish();
    let label = format!("the release of {package} on one day");
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Dependencies, &key, &label, |_| {
            ask(ctx, node, package)
        })
        .map_err(MakeEntryError::into_make)?;
    error::record(&entry)
}

fn ask(ctx: &Context, node: &HostNode, package: &str) -> Result<Release, PrepareApplicationError> {
    let mut command = npm(node);
    command.args(["view", "--json", package, "name", "version", "bin"]);
    // A package.json where somebody is does not concern the question.
    command.current_dir(std::env::temp_dir());
    let step = ctx
        .progress
        .begin(&format!("ask the registry about {package}"), None);
    let tool = tool::Tool::new(command, "nodejs", "npm-view");
    let answer = tool::capture(ctx, tool).map_err(|source| match is_unknown(&source) {
        true => PrepareApplicationError::NoPackage {
            package: package.to_owned(),
        },
        false => PrepareApplicationError::Registry {
            package: package.to_owned(),
            source,
        },
    })?;
    step.finish("");
    release(package, &answer)
}

/// npm's words for what the registry does not have: `E404`, and `ETARGET` for a version.
fn is_unknown(error: &ToolError) -> bool {
    let ToolError::Failed { tail, .. } = error else {
        return false;
    };
    tail.iter().any(|line| {
        line.starts_with("npm error code E404") || line.starts_with("npm error code ETARGET")
    })
}

/// Reads `npm view --json`: an object, or of a range an array of them in no order.
fn release(package: &str, answer: &str) -> Result<Release, PrepareApplicationError> {
    let no_package = || PrepareApplicationError::NoPackage {
        package: package.to_owned(),
    };
    if answer.trim().is_empty() {
        return Err(no_package());
    }
    let value: Value =
        serde_json::from_str(answer).map_err(|source| PrepareApplicationError::Answer {
            package: package.to_owned(),
            source,
        })?;
    let all = match value {
        Value::Array(all) => all,
        one => vec![one],
    };
    let newest = all
        .into_iter()
        .filter_map(|value| match value {
            Value::Object(fields) => Some(fields),
            _ => None,
        })
        .filter_map(|fields| {
            let version: nodejs_semver::Version = fields.get("version")?.as_str()?.parse().ok()?;
            Some((version, fields))
        })
        .max_by(|(a, _), (b, _)| a.cmp(b));
    let (version, fields) = newest.ok_or_else(no_package)?;
    let release = PackageJson {
        path: FILE.into(),
        fields,
    };
    let name = release.text("name").ok_or_else(no_package)?.to_owned();
    Ok(Release {
        version: version.to_string(),
        program: program(&name, &release)?,
        name,
    })
}

/// The program of the package's own name, or the only one.
fn program(name: &str, release: &PackageJson) -> Result<String, PrepareApplicationError> {
    let programs: Vec<String> = release.bins().into_keys().collect();
    let own = name.rsplit('/').next().unwrap_or_default();
    match programs.as_slice() {
        [only] => Ok(only.clone()),
        _ if programs.iter().any(|program| program == own) => Ok(own.to_owned()),
        _ => Err(PrepareApplicationError::NoBin {
            package: name.to_owned(),
            programs,
        }),
    }
}

/// A project that depends on the release and nothing else.
pub(super) fn project_for(release: &Release) -> Result<TempDir, PrepareApplicationError> {
    let write = || {
        let dir = tempfile::tempdir()?;
        let package = json!({
            "private": true,
            "dependencies": { release.name.as_str(): release.version.as_str() },
        });
        fs::write(dir.path().join(FILE), package.to_string())?;
        Ok(dir)
    };
    write().map_err(|source| PrepareApplicationError::Write {
        path: std::env::temp_dir(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_and_its_own_program_are_taken() {
        let check = |answer: &str, version: &str, program: &str| {
            let release = release("p", answer).unwrap();
            assert_eq!(
                (release.version.as_str(), release.program.as_str()),
                (version, program)
            );
        };
        check(
            r#"{"name": "p", "version": "1.2.3", "bin": {"p": "./a.js", "q": "./a.js"}}"#,
            "1.2.3",
            "p",
        );
        check(
            r#"{"name": "@s/p", "version": "1.0.0", "bin": {"q": "./a.js"}}"#,
            "1.0.0",
            "q",
        );
        check(
            r#"{"name": "@s/p", "version": "1.0.0", "bin": "a.js"}"#,
            "1.0.0",
            "p",
        );
        check(
            r#"[{"name": "p", "version": "1.9.0", "bin": "a"}, {"name": "p", "version": "1.10.0", "bin": "a"}]"#,
            "1.10.0",
            "p",
        );
    }

    #[test]
    fn a_library_is_no_application() {
        let check = |answer: &str, expected: &str| {
            assert_eq!(release("p", answer).unwrap_err().to_string(), expected);
        };
        check(
            r#"{"name": "p", "version": "1.0.0"}"#,
            "p has no program to run",
        );
        check(
            r#"{"name": "p", "version": "1.0.0", "bin": {"a": "x", "b": "y"}}"#,
            "p has no program to run by its name; it has a, b",
        );
        check("", "the registry has no package p");
    }
}
