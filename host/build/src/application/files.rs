//! Which of a project's files go into its image: what npm would publish, and what `nodeos.include` and `nodeos.exclude` say.

mod rules;

use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use nodeos_spec::package::Package;

use super::PrepareApplicationError;
use super::project::Project;
use rules::{Rules, Verdict};

/// Files of a project, by their paths in it, sorted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) root: PathBuf,
    pub(super) items: Vec<Item>,
    /// Folders that were looked through, the root among them as an empty path.
    pub(super) folders: Vec<PathBuf>,
    /// Files that were left out, and why: of those that might be missed only.
    pub(super) left_out: Vec<(PathBuf, String)>,
}

#[derive(Debug)]
pub(super) struct Item {
    /// Below the root.
    pub(super) path: PathBuf,
    pub(super) kind: ItemKind,
}

#[derive(Debug)]
pub(super) enum ItemKind {
    File(Metadata),
    Link(PathBuf),
}

impl Listing {
    /// The file that is run has to be there.
    pub(super) fn must_have(&self, entry: &str) -> Result<(), PrepareApplicationError> {
        let entry = Path::new(entry);
        if self.items.iter().any(|item| item.path == entry) {
            return Ok(());
        }
        let rule = self
            .left_out
            .iter()
            .find(|(path, _)| entry.starts_with(path))
            .map_or_else(
                || "npm would not publish it".to_owned(),
                |(_, rule)| rule.clone(),
            );
        Err(PrepareApplicationError::LeftOut {
            entry: entry.display().to_string(),
            rule,
        })
    }

    pub(super) fn of_one(root: &Path, path: &Path) -> Result<Listing, PrepareApplicationError> {
        let item = item(root, path)?;
        Ok(Listing {
            root: root.to_owned(),
            items: vec![item],
            folders: vec![PathBuf::new()],
            left_out: Vec::new(),
        })
    }
}

/// Looks through a project's folder. Reads names and rules, and no file's contents.
pub(super) fn list(
    project: &Project,
    config: &Package,
) -> Result<Listing, PrepareApplicationError> {
    let mut listing = Listing {
        root: project.root.clone(),
        ..Listing::default()
    };
    let rules = Rules::of(project, config)?;
    folder(&rules, Path::new(""), &mut listing)?;
    listing.items.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

fn folder(
    rules: &Rules,
    below: &Path,
    listing: &mut Listing,
) -> Result<(), PrepareApplicationError> {
    let root = listing.root.clone();
    let rules = rules.in_folder(&root, below)?;
    listing.folders.push(below.to_owned());
    let read_error = |source| read_error(&root.join(below), source);
    for entry in fs::read_dir(root.join(below)).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        let path = below.join(entry.file_name());
        let is_folder = entry.file_type().map_err(read_error)?.is_dir();
        match rules.judge(&path, is_folder) {
            Verdict::In | Verdict::Look if is_folder => folder(&rules, &path, listing)?,
            Verdict::In => listing.items.push(item(&root, &path)?),
            Verdict::Look => {
                let rule = "\"files\" of package.json does not name it".to_owned();
                listing.left_out.push((path, rule));
            }
            Verdict::Out { rule } => listing.left_out.push((path, rule)),
            Verdict::OutBut { rule } => {
                folder(&rules.hidden_by(rule.clone()), &path, listing)?;
                listing.left_out.push((path, rule));
            }
        }
    }
    Ok(())
}

fn item(root: &Path, path: &Path) -> Result<Item, PrepareApplicationError> {
    let whole = root.join(path);
    let meta = fs::symlink_metadata(&whole).map_err(|source| read_error(&whole, source))?;
    let kind = if meta.is_symlink() {
        let target = fs::read_link(&whole).map_err(|source| read_error(&whole, source))?;
        if !stays_below(path, &target) {
            return Err(PrepareApplicationError::LinkLeaves {
                path: whole,
                target,
            });
        }
        ItemKind::Link(target)
    } else if meta.is_file() {
        ItemKind::File(meta)
    } else {
        return Err(PrepareApplicationError::Special { path: whole });
    };
    Ok(Item {
        path: path.to_owned(),
        kind,
    })
}

/// Whether a link at `path`, below some folder, leads to a place below the same folder.
pub(super) fn stays_below(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

fn read_error(path: &Path, source: io::Error) -> PrepareApplicationError {
    PrepareApplicationError::Read {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
