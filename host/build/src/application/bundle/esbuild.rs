//! esbuild: the program, how it is asked, and what it answers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::application::PrepareApplicationError;
use crate::application::modules::read_error;
use crate::cache::{Key, KeyHasher, Kind, MakeEntryError, WorkDir};
use crate::context::Context;
use crate::fetch;
use crate::manifest::Manifest;
use crate::tool::{self, Event, Tool, ToolError};

/// Raised when the way of unpacking it changes.
const BUILD_VERSION: &str = "1";
/// Where the program is in npm's package, and how it is called in the cache's folder.
const IN_PACKAGE: &str = "package/bin/esbuild";
const PROGRAM: &str = "esbuild";
/// How it begins what is wrong, and where.
const ERROR: &str = "[ERROR] ";
const PLACE: &str = "    ";

/// esbuild, for this host.
#[derive(Debug)]
pub(super) struct Esbuild {
    program: PathBuf,
    pub(super) key: Key,
}

/// What it says of a bundle (its option `--metafile`).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metafile {
    pub(super) inputs: BTreeMap<String, Input>,
}

/// A module of the bundle.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub(super) imports: Vec<Import>,
    pub(super) format: Option<Format>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Import {
    pub(super) path: String,
    #[serde(default)]
    pub(super) external: bool,
}

/// What a module is written as, and a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Cjs,
    Esm,
}

/// Something that it cannot bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) text: String,
    /// The file, where it is about one, and the line and column in it.
    pub(super) place: Option<(String, String)>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    Complaints(Vec<Complaint>),
    Error(PrepareApplicationError),
}

impl From<PrepareApplicationError> for Refusal {
    fn from(error: PrepareApplicationError) -> Refusal {
        Refusal::Error(error)
    }
}

/// esbuild from the cache, else fetched.
pub(super) fn prepare(
    ctx: &Context,
    manifest: &Manifest,
) -> Result<Esbuild, PrepareApplicationError> {
    let name = format!("esbuild.{}", std::env::consts::ARCH);
    let fetched =
        fetch::fetch(ctx, manifest, &name).map_err(PrepareApplicationError::FetchBundler)?;
    let mut hasher = KeyHasher::new("esbuild").text("version", BUILD_VERSION);
    for file in &fetched.used.files {
        hasher = hasher.text("sum", &file.sha256);
    }
    let key = hasher.finish();
    let label = format!("esbuild {} for this host", fetched.used.version);
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Sources, &key, &label, |dir| {
            fetched.files.iter().try_for_each(|file| {
                unpack(file, &dir.join(PROGRAM)).map_err(|source| read_error(file, source))
            })
        })
        .map_err(MakeEntryError::into_make)?;
    Ok(Esbuild {
        program: entry.dir.join(PROGRAM),
        key,
    })
}

fn unpack(package: &Path, to: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(package)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()? == Path::new(IN_PACKAGE) {
            io::copy(&mut entry, &mut File::create_new(to)?)?;
            return fs::set_permissions(to, fs::Permissions::from_mode(0o755));
        }
    }
    Err(io::Error::other(format!("it has no {IN_PACKAGE}")))
}

impl Esbuild {
    /// Runs it in `folder`.
    pub(super) fn run(
        &self,
        ctx: &Context,
        work: &WorkDir,
        folder: &Path,
        args: &[String],
    ) -> Result<(), Refusal> {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .args(["--log-level=error", "--log-limit=0", "--color=false"])
            // Where it would look for packages otherwise.
            .env_remove("NODE_PATH")
            .current_dir(folder);
        let tool = Tool {
            work: Some(work),
            ..Tool::new(command, "npm", "bundle")
        };
        let mut lines = Vec::new();
        let mut listen = |event: Event<'_>| {
            if let Event::Line(line) = event {
                lines.push(line.to_owned());
            }
        };
        match tool::run(ctx, tool, &mut listen) {
            Ok(_) => Ok(()),
            Err(error @ ToolError::Failed { .. }) => Err(match complaints(&lines) {
                found if found.is_empty() => {
                    Refusal::Error(PrepareApplicationError::RunBundler(error))
                }
                found => Refusal::Complaints(found),
            }),
            Err(error) => Err(Refusal::Error(PrepareApplicationError::RunBundler(error))),
        }
    }
}

/// Reads what it writes for people: `X [ERROR] TEXT`, and some lines below `    FILE:LINE:COLUMN:`.
fn complaints(lines: &[String]) -> Vec<Complaint> {
    let mut found: Vec<Complaint> = Vec::new();
    for line in lines {
        if let Some((_, text)) = line.split_once(ERROR) {
            found.push(Complaint {
                text: text.to_owned(),
                place: None,
            });
        } else if let Some(complaint) = found.last_mut()
            && complaint.place.is_none()
        {
            complaint.place = line.strip_prefix(PLACE).and_then(place);
        }
    }
    found
}

fn place(line: &str) -> Option<(String, String)> {
    let (rest, column) = line.strip_suffix(':')?.rsplit_once(':')?;
    let (file, number) = rest.rsplit_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    (is_number(number) && is_number(column))
        .then(|| (file.to_owned(), format!("{number}:{column}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_read_with_its_place() {
        let text = "✘ [ERROR] Could not resolve \"nope\"\n\n    lib/a.js:3:10:\n      3 │ require(\"nope\")\n        \
                    ╵         ~~~~~~\n\n  You can mark the path \"nope\" as external.\n\n✘ [ERROR] Out of luck\n\n1 error\n";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let found = complaints(&lines);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text, "Could not resolve \"nope\"");
        assert_eq!(
            found[0].place,
            Some(("lib/a.js".to_owned(), "3:10".to_owned()))
        );
        assert_eq!(found[1].text, "Out of luck");
        assert_eq!(found[1].place, None);
    }
}
