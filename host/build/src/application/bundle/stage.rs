//! The folder that is bundled from: the application's scripts and the installed packages, as they lie in the machine. Nothing of the
//! user's is written to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nodeos_image::tree::{Content, Kind};
use nodeos_spec::application::FILES_NAME;

use super::packages::is_script;
use crate::application::PrepareApplicationError;
use crate::application::files::{ItemKind, Listing};
use crate::application::modules;

/// What a bundle can be made of, besides scripts.
const OTHERS: [&str; 4] = ["json", "node", "jsx", "tsx"];

/// Fills the folder, and returns the application's scripts.
pub(super) fn fill(
    folder: &Path,
    listing: &Listing,
    installed: Option<&Path>,
) -> Result<BTreeSet<String>, PrepareApplicationError> {
    let mut own = BTreeSet::new();
    for item in &listing.items {
        let to = folder.join(&item.path);
        let placed = match &item.kind {
            ItemKind::Link(target) => place(&to, |to| symlink(target, to)),
            ItemKind::File(_) if is_wanted(&item.path) => {
                let from = listing.root.join(&item.path);
                place(&to, |to| fs::copy(from, to).map(drop))
            }
            ItemKind::File(_) => continue,
        };
        placed.map_err(|source| write_error(&to, source))?;
        if is_script(&item.path)
            && let Some(path) = item.path.to_str()
        {
            own.insert(path.to_owned());
        }
    }
    let Some(installed) = installed else {
        return Ok(own);
    };
    let files = Path::new("/").join(FILES_NAME);
    for (path, entry) in modules::read(installed)?.tree.iter() {
        let Ok(below) = path.strip_prefix(&files) else {
            continue;
        };
        let to = folder.join(below);
        let placed = match &entry.kind {
            Kind::Symlink(target) => place(&to, |to| symlink(target, to)),
            Kind::File(Content::Host { path: from, .. }) if is_wanted(below) => {
                // Linked where that can be: there may be many thousands.
                place(&to, |to| {
                    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
                })
            }
            _ => continue,
        };
        placed.map_err(|source| write_error(&to, source))?;
    }
    Ok(own)
}

fn is_wanted(path: &Path) -> bool {
    // Programs of packages often have no ending.
    let Some(ending) = path.extension().and_then(|ending| ending.to_str()) else {
        return true;
    };
    is_script(path) || OTHERS.contains(&ending)
}

fn place(to: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    make(to)
}

pub(super) fn write_error(path: &Path, source: io::Error) -> PrepareApplicationError {
    PrepareApplicationError::Write {
        path: path.to_owned(),
        source,
    }
}
