//! Dependencies that were installed as files, and an image of some of them: of what a bundle does not have in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nodeos_image::tree::{Kind as EntryKind, Tree};
use nodeos_spec::application::FILES_NAME;

use super::Installed;
use crate::application::PrepareApplicationError;
use crate::application::bundle::{Kept, package_of_file};
use crate::application::image::{self, LayerImage};
use crate::application::modules::{self, image_error};
use crate::cache::{KeyHasher, Kind, MakeEntryError};
use crate::context::Context;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "1";
/// The image, in the cache's folder.
const FILE: &str = "dependencies.img";

/// Moves what was installed in a folder to where it is kept. Links that say where the folder is are made to lead there from
/// anywhere, as they do in `tree`.
pub(super) fn keep(folder: &Path, tree: &Tree, to: &Path) -> Result<(), PrepareApplicationError> {
    let files = Path::new("/").join(FILES_NAME);
    for (path, entry) in tree.iter() {
        let (EntryKind::Symlink(target), Ok(below)) = (&entry.kind, path.strip_prefix(&files))
        else {
            continue;
        };
        let link = folder.join(below);
        let relink = || match fs::read_link(&link)? == *target {
            true => Ok(()),
            false => fs::remove_file(&link).and_then(|()| symlink(target, &link)),
        };
        relink().map_err(|source| image_error(&link, source))?;
    }
    fs::rename(folder, to).map_err(|source| image_error(to, source))
}

/// The image of those that are kept. None where that is none.
pub(in crate::application) fn image(
    ctx: &Context,
    installed: &Installed,
    kept: &Kept,
    name: &str,
) -> Result<Option<LayerImage>, PrepareApplicationError> {
    if matches!(kept, Kept::Packages(packages) if packages.is_empty()) {
        return Ok(None);
    }
    let text = serde_json::to_string(kept).expect("it has string keys only");
    let key = KeyHasher::new("part of dependencies")
        .text("version", BUILD_VERSION)
        .text("dependencies", installed.key.as_str())
        .text("kept", &text)
        .finish();
    let label = format!("dependencies of {name} outside its bundle");
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Dependencies, &key, &label, |dir| {
            let step = ctx.progress.begin(&format!("write {label}"), None);
            let tree = modules::read(&installed.path)?.tree;
            let tree = match kept {
                Kept::Everything => tree,
                Kept::Packages(packages) => part(&installed.path, &tree, packages)?,
            };
            image::write(&tree, &key, image::Files::Mapped, &dir.join(FILE))?;
            step.finish("");
            Ok::<_, PrepareApplicationError>(())
        })
        .map_err(MakeEntryError::into_make)?;
    LayerImage::of(&entry.dir.join(FILE)).map(Some)
}

/// The files of these packages, and the links that lead to them.
fn part(
    root: &Path,
    tree: &Tree,
    packages: &BTreeSet<String>,
) -> Result<Tree, PrepareApplicationError> {
    let files = Path::new("/").join(FILES_NAME);
    let root = fs::canonicalize(root).map_err(|source| modules::read_error(root, source))?;
    let is_kept = |path: &Path| {
        let package = path.to_str().and_then(package_of_file);
        package.is_some_and(|package| packages.contains(package))
    };
    let mut part = Tree::new();
    for (path, entry) in tree.iter() {
        let Ok(below) = path.strip_prefix(&files) else {
            continue;
        };
        let stays = match &entry.kind {
            EntryKind::Directory => false,
            EntryKind::Symlink(_) => fs::canonicalize(root.join(below))
                .is_ok_and(|target| target.strip_prefix(&root).is_ok_and(is_kept)),
            _ => is_kept(below),
        };
        if stays {
            part.insert_with_folders(path, entry.clone(), 0o755)
                .map_err(|source| image_error(path, source))?;
        }
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_part_there_are_its_files_and_the_links_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let write = |path: &str| {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        write("node_modules/.pnpm/a@1/node_modules/a/a.js");
        write("node_modules/.pnpm/b@1/node_modules/b/b.js");
        write("node_modules/c/c.js");
        write("node_modules/c/node_modules/d/d.js");
        // As a manager writes it that does not think of moving.
        symlink(
            from.join("node_modules/.pnpm/a@1/node_modules/a"),
            from.join("node_modules/a"),
        )
        .unwrap();
        symlink(".pnpm/b@1/node_modules/b", from.join("node_modules/b")).unwrap();
        let tree = modules::read(&from).unwrap().tree;
        keep(&from, &tree, &to).unwrap();
        let tree = modules::read(&to).unwrap().tree;
        let packages = ["node_modules/.pnpm/a@1/node_modules/a", "node_modules/c"];
        let packages = packages.map(str::to_owned).into();
        let part = part(&to, &tree, &packages).unwrap();
        let found: Vec<_> = part
            .iter()
            .filter(|(_, entry)| entry.kind != EntryKind::Directory)
            .map(|(path, _)| path.strip_prefix("/files/node_modules").unwrap().to_owned())
            .collect();
        assert_eq!(
            found,
            [".pnpm/a@1/node_modules/a/a.js", "a", "c/c.js"].map(Into::<std::path::PathBuf>::into)
        );
    }
}
