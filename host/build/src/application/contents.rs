//! What the images of an application hold, at the places that it has in a machine: for formats that have no images of its own.

use std::path::Path;

use nodeos_image::erofs::{self, ReadErofsError};
use nodeos_image::tree::{Entry, InsertEntryError, Kind, Tree};
use nodeos_spec::application::{FILES_NAME, FOLDER, SPEC_NAME};

use super::{Application, ForFiles, LayerImage};
use crate::cache::KeyHasher;

/// An application with all its files.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) application: &'a Application,
    /// Those of its volumes that are filesystems of their own.
    pub(crate) volumes: Vec<&'a str>,
    /// The lowest first.
    pub(crate) parts: Vec<Part>,
    /// Its orders, which the machine reads and a container has in another way.
    orders: Option<Entry>,
}

/// One of its images.
#[derive(Debug)]
pub(crate) struct Part {
    /// What is in it, for people.
    pub(crate) name: &'static str,
    uuid: [u8; 16],
    /// The application's folder, and nothing else.
    pub(crate) tree: Tree,
}

impl<'a> Contents<'a> {
    /// Reads the images. Their files are not copied.
    pub(crate) fn read(
        application: &'a Application,
        files: &'a ForFiles,
    ) -> Result<Contents<'a>, ReadErofsError> {
        let dependencies = application.dependencies.as_ref();
        let compile_cache = application.compile_cache.as_ref();
        let images = [
            dependencies.map(|image| ("dependencies", image)),
            compile_cache.map(|image| ("compile cache", image)),
            Some(("application", &application.application)),
        ];
        let mut parts = Vec::new();
        let mut orders = None;
        for (name, LayerImage { path, .. }) in images.into_iter().flatten() {
            let image = erofs::read(path)?;
            orders = image.tree.get(Path::new("/").join(SPEC_NAME)).cloned();
            let tree = placed(&image.tree).map_err(|error| ReadErofsError::Damaged {
                path: path.clone(),
                what: error.to_string(),
            })?;
            let uuid = image.uuid;
            parts.push(Part { name, uuid, tree });
        }
        Ok(Contents {
            application,
            volumes: files.volume_names(&application.config),
            parts,
            orders,
        })
    }

    /// What everything in it follows from.
    pub(crate) fn hash(&self, hasher: KeyHasher) -> KeyHasher {
        let parts = self.parts.iter();
        parts.fold(hasher, |hasher, part| hasher.bytes(part.name, &part.uuid))
    }

    /// Puts it into a machine's system, with its orders.
    pub(crate) fn put_into(&self, system: &mut Tree) -> Result<(), InsertEntryError> {
        for part in &self.parts {
            lay_over(system, part.tree.clone())?;
        }
        match &self.orders {
            Some(orders) => system.insert(Path::new("/").join(SPEC_NAME), orders.clone()),
            None => Ok(()),
        }
    }
}

/// Lays one tree over the other as overlayfs does: what was a folder and is something else now is gone with all that was in it.
pub(crate) fn lay_over(lower: &mut Tree, upper: Tree) -> Result<(), InsertEntryError> {
    for (path, entry) in upper.iter() {
        if entry.kind != Kind::Directory {
            lower.remove(path);
        }
    }
    lower.merge(upper)
}

/// The files of an image where a machine has them.
fn placed(image: &Tree) -> Result<Tree, InsertEntryError> {
    let files = Path::new("/").join(FILES_NAME);
    let mut tree = Tree::new();
    for (path, entry) in image.iter() {
        if let Ok(below) = path.strip_prefix(&files) {
            tree.insert(Path::new(FOLDER).join(below), entry.clone())?;
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        let mut tree = Tree::new();
        for (path, entry) in entries {
            tree.insert_with_folders(path, entry.clone(), 0o755)
                .unwrap();
        }
        tree
    }

    #[test]
    fn files_lie_in_the_applications_folder_and_the_topmost_count() {
        let dependencies = tree(&[
            ("/files/node_modules/a/index.js", Entry::file(0o644, *b"1")),
            ("/files/lib/old.js", Entry::file(0o644, *b"1")),
        ]);
        let own = tree(&[
            ("/application.json", Entry::file(0o400, *b"{}")),
            ("/files/lib", Entry::symlink("dist")),
            ("/files/node_modules/a/index.js", Entry::file(0o644, *b"2")),
        ]);
        let mut system = tree(&[
            ("/app", Entry::directory(0o555)),
            ("/bin/node", Entry::file(0o555, *b"n")),
        ]);
        for image in [&dependencies, &own] {
            lay_over(&mut system, placed(image).unwrap()).unwrap();
        }
        let names = system.iter().map(|(path, _)| path.display().to_string());
        let names: Vec<String> = names.collect();
        assert_eq!(
            names.join(" "),
            "/ /app /app/lib /app/node_modules /app/node_modules/a /app/node_modules/a/index.js /bin /bin/node"
        );
        let file = system.get("/app/node_modules/a/index.js").unwrap();
        assert_eq!(*file, Entry::file(0o644, *b"2"));
        assert_eq!(system.get("/app").unwrap().mode, 0o755);
    }
}
