//! What a package manager has put into a project's folder: every `node_modules`, as a filesystem for an image.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nodeos_image::tree::{Entry, Tree};
use nodeos_spec::application::FILES_NAME;
use serde::{Deserialize, Serialize};

use super::PrepareApplicationError;
use super::discover;
use super::files::stays_below;

/// What managers keep for themselves beside the packages.
const NOT_PACKAGES: [&str; 5] = [
    ".package-lock.json",
    ".modules.yaml",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".cache",
];

/// A shebang line is longer for no program that there is.
const FIRST_LINE: u64 = 256;

/// What was installed.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// The image's contents.
    pub(super) tree: Tree,
    /// Native add-ons and shared libraries, by their paths below the project's root.
    pub(super) native: Vec<PathBuf>,
    /// The programs of each folder that has a `node_modules/.bin`: the root is `""`.
    pub(super) bins: BTreeMap<String, BTreeMap<String, Program>>,
}

/// A program of a dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    /// Its file, below the project's root.
    pub(super) file: String,
    /// Whether Node.js runs it.
    pub(super) is_javascript: bool,
}

/// Looks through a folder in which dependencies were installed.
pub(super) fn read(root: &Path) -> Result<Modules, PrepareApplicationError> {
    let mut modules = Modules::default();
    let mut left = vec![PathBuf::new()];
    while let Some(folder) = left.pop() {
        for (path, kind) in children(root, &folder)? {
            if !kind.is_dir() {
                continue;
            }
            if path.file_name().is_some_and(|name| name == "node_modules") {
                modules.take(root, &path)?;
                modules.find_bins(root, &folder)?;
            } else {
                left.push(path);
            }
        }
    }
    Ok(modules)
}

fn children(
    root: &Path,
    folder: &Path,
) -> Result<Vec<(PathBuf, fs::FileType)>, PrepareApplicationError> {
    let whole = root.join(folder);
    let read = || {
        let mut found = Vec::new();
        for entry in fs::read_dir(&whole)? {
            let entry = entry?;
            found.push((folder.join(entry.file_name()), entry.file_type()?));
        }
        Ok(found)
    };
    read().map_err(|source| read_error(&whole, source))
}

impl Modules {
    /// Everything below a `node_modules`, and itself.
    fn take(&mut self, root: &Path, folder: &Path) -> Result<(), PrepareApplicationError> {
        self.add(folder, Entry::directory(0o755))?;
        for (path, kind) in children(root, folder)? {
            let name = path.file_name().unwrap_or_default();
            if NOT_PACKAGES.iter().any(|not| name == *not) {
                continue;
            }
            let whole = root.join(&path);
            if kind.is_dir() {
                self.take(root, &path)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&whole).map_err(|source| read_error(&whole, source))?;
                let target = relative_target(root, &path, target)?;
                self.add(&path, Entry::symlink(target))?;
            } else if kind.is_file() {
                self.add_file(path, &whole)?;
            }
            // Sockets and the like, which an install script may leave, are nobody's dependency.
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, whole: &Path) -> Result<(), PrepareApplicationError> {
        let meta = fs::metadata(whole).map_err(|source| read_error(whole, source))?;
        let mode = mode(&meta);
        let entry = Entry::host_file(mode, whole).map_err(|source| image_error(whole, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".node") || name.ends_with(".so") || name.contains(".so.") {
            self.native.push(path.clone());
        }
        self.add(&path, entry)
    }

    fn add(&mut self, path: &Path, entry: Entry) -> Result<(), PrepareApplicationError> {
        let place = Path::new("/").join(FILES_NAME).join(path);
        self.tree
            .insert_with_folders(place, entry, 0o755)
            .map_err(|source| image_error(path, source))
    }

    /// What `node_modules/.bin` of a folder names.
    fn find_bins(&mut self, root: &Path, folder: &Path) -> Result<(), PrepareApplicationError> {
        let bin = folder.join("node_modules/.bin");
        if !root.join(&bin).is_dir() {
            return Ok(());
        }
        let root = fs::canonicalize(root).map_err(|source| read_error(root, source))?;
        let mut programs = BTreeMap::new();
        for (path, _) in children(&root, &bin)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // A link that leads nowhere is no program.
            let Ok(file) = fs::canonicalize(root.join(&path)) else {
                continue;
            };
            if let Some(program) = program(&root, &file).map_err(|e| read_error(&file, e))? {
                programs.insert(name.to_owned(), program);
            }
        }
        if let Some(folder) = folder.to_str() {
            self.bins.insert(folder.to_owned(), programs);
        }
        Ok(())
    }
}

/// A program by its file, or by the script that pnpm puts in its place.
fn program(root: &Path, file: &Path) -> io::Result<Option<Program>> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(File::open(file)?.take(FIRST_LINE));
    reader.read_until(b'\n', &mut line)?;
    let mut file = file.to_owned();
    let mut is_javascript = discover::is_javascript(&file, &line);
    if !is_javascript
        && line.starts_with(b"#!/bin/sh")
        && let Some(script) = behind_shim(&file)?
    {
        file = script;
        is_javascript = true;
    }
    let below = file.strip_prefix(root).ok().and_then(Path::to_str);
    Ok(below.map(|below| Program {
        file: below.to_owned(),
        is_javascript,
    }))
}

/// How newer pnpm says in a shell script what that runs.
const SHIM_TARGET: &str = "# cmd-shim-target=";

/// The JavaScript that a shell script of pnpm's runs. Older ones only have `exec node  "$basedir/../next/dist/bin/next" "$@"`.
fn behind_shim(file: &Path) -> io::Result<Option<PathBuf>> {
    let text = fs::read(file)?;
    let text = String::from_utf8_lossy(&text);
    let named = text.lines().find_map(|line| line.strip_prefix(SHIM_TARGET));
    let executed = || {
        text.lines().find_map(|line| {
            let (_, rest) = line
                .trim()
                .strip_prefix("exec node")?
                .split_once("\"$basedir/")?;
            rest.split('"').next()
        })
    };
    let script = named.or_else(executed);
    let folder = file.parent().unwrap_or(Path::new("/"));
    Ok(script.and_then(|script| fs::canonicalize(folder.join(script)).ok()))
}

/// A link's text, made relative where a manager has written it whole, so that it holds in the machine as well.
fn relative_target(
    root: &Path,
    path: &Path,
    target: PathBuf,
) -> Result<PathBuf, PrepareApplicationError> {
    let relative = match target.strip_prefix(root) {
        Ok(below) => {
            let up = path.components().count().saturating_sub(1);
            let up: PathBuf = std::iter::repeat_n("..", up).collect();
            up.join(below)
        }
        Err(_) => target.clone(),
    };
    match stays_below(path, &relative) {
        true => Ok(relative),
        false => Err(PrepareApplicationError::LinkLeaves {
            path: path.to_owned(),
            target,
        }),
    }
}

/// Everybody reads everything, and runs what its owner could run.
pub(super) fn mode(meta: &fs::Metadata) -> u16 {
    match meta.permissions().mode() & 0o111 {
        0 => 0o644,
        _ => 0o755,
    }
}

pub(super) fn read_error(path: &Path, source: io::Error) -> PrepareApplicationError {
    PrepareApplicationError::Read {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn image_error(
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> PrepareApplicationError {
    PrepareApplicationError::Image {
        path: path.to_owned(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_node_modules_is_taken_and_its_programs_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("package.json", "{}");
        write("node_modules/next/dist/next", "#!/usr/bin/env node\n");
        write("node_modules/a/build/a.node", "");
        write("node_modules/a/node_modules/b/index.js", "");
        write("node_modules/.package-lock.json", "{}");
        write(
            "node_modules/.bin/tool",
            "#!/bin/sh\nexec node  \"$basedir/../a/node_modules/b/index.js\" \"$@\"\n",
        );
        write(
            "node_modules/.bin/newer",
            "#!/bin/sh\nexec node  \"$basedir_abs\"/'../a/x.js' \"$@\"\n# cmd-shim-target=../a/node_modules/b/index.js\n",
        );
        write("packages/api/node_modules/c/index.js", "");
        write("packages/api/index.js", "");
        symlink(
            "../next/dist/next",
            dir.path().join("node_modules/.bin/next"),
        )
        .unwrap();
        symlink(
            dir.path().join("packages/api"),
            dir.path().join("node_modules/api"),
        )
        .unwrap();
        let modules = read(dir.path()).unwrap();
        let files: Vec<_> = modules
            .tree
            .iter()
            .filter(|(_, entry)| entry.kind != nodeos_image::tree::Kind::Directory)
            .map(|(path, _)| path.strip_prefix("/files").unwrap().display().to_string())
            .collect();
        assert_eq!(
            files,
            [
                "node_modules/.bin/newer",
                "node_modules/.bin/next",
                "node_modules/.bin/tool",
                "node_modules/a/build/a.node",
                "node_modules/a/node_modules/b/index.js",
                "node_modules/api",
                "node_modules/next/dist/next",
                "packages/api/node_modules/c/index.js",
            ]
        );
        let link = modules.tree.get("/files/node_modules/api").unwrap();
        assert_eq!(link, &Entry::symlink("../packages/api"));
        assert_eq!(
            modules.native,
            [PathBuf::from("node_modules/a/build/a.node")]
        );
        let bins = &modules.bins[""];
        assert_eq!(bins["next"].file, "node_modules/next/dist/next");
        assert_eq!(bins["tool"].file, "node_modules/a/node_modules/b/index.js");
        assert_eq!(bins["newer"], bins["tool"]);
        assert!(bins.values().all(|program| program.is_javascript));
    }

    #[test]
    fn a_link_out_of_the_project_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("node_modules")).unwrap();
        symlink("../../lib", dir.path().join("node_modules/lib")).unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(
            error.to_string().contains("outside of the project"),
            "{error}"
        );
    }
}
