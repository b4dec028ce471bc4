//! Writes the images of an application, and knows when one that is there will do.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nodeos_image::erofs;
use nodeos_image::tree::{Entry, Tree};
use nodeos_spec::application::{ApplicationSpec, FILES_NAME, SPEC_NAME};

use super::bundle::Bundled;
use super::files::{ItemKind, Listing};
use super::modules::{image_error, mode, read_error};
use super::{PrepareApplicationError, Start, syntax};
use crate::assemble::image::erofs_options;
use crate::cache::{Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::node::host::HostNode;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "2";
/// The image, in the cache's folder.
const FILE: &str = "application.img";
/// How old a change must be so that another one right behind it would have another time: two seconds are the coarsest
/// times of any filesystem that projects lie on (FAT).
const SETTLED: Duration = Duration::from_secs(2);

/// An EROFS image of a part of `/app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerImage {
    pub path: PathBuf,
    /// Its size; it has holes, so less may be on the disk.
    pub bytes: u64,
}

impl LayerImage {
    pub(super) fn of(path: &Path) -> Result<LayerImage, PrepareApplicationError> {
        let meta = fs::metadata(path).map_err(|source| read_error(path, source))?;
        Ok(LayerImage {
            path: path.to_owned(),
            bytes: meta.len(),
        })
    }
}

/// What the files of an image are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// Some may be large and are executed: those are placed so that huge pages map them.
    Mapped,
    /// They are read once.
    Read,
}

/// The image of an application's own files. Looks at no file's contents when it is there already.
pub(super) fn application(
    ctx: &Context,
    host: &HostNode,
    listing: &Listing,
    spec: &ApplicationSpec,
    start: &Start,
    bundle: Option<&Bundled>,
) -> Result<LayerImage, PrepareApplicationError> {
    let key = state(begin("application", listing, spec, bundle), listing)?;
    let label = format!("application {}", spec.name);
    let make = |dir: &Path| {
        let step = ctx.progress.begin(&format!("write {label}"), None);
        check_entry(ctx, host, listing, start)?;
        let tree = tree(listing, spec, bundle)?;
        // The image is named by what is in it, and not by when that was written.
        let contents = contents(listing, spec, bundle)?;
        write(&tree, &contents, Files::Read, &dir.join(FILE))?;
        step.finish("");
        Ok::<_, PrepareApplicationError>(())
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Applications, &key, &label, make)
        .map_err(MakeEntryError::into_make)?;
    LayerImage::of(&entry.dir.join(FILE))
}

/// What Node.js says of the file that is run. A program of a dependency was published by somebody, and lies elsewhere.
pub(super) fn check_entry(
    ctx: &Context,
    host: &HostNode,
    listing: &Listing,
    start: &Start,
) -> Result<(), PrepareApplicationError> {
    let entry = Path::new(&start.entry);
    match listing.items.iter().any(|item| item.path == entry) {
        true => syntax::check(ctx, host, &listing.root, &start.entry),
        false => Ok(()),
    }
}

/// The key by which what is made of these files is found again: of each file its name and what the filesystem says about its
/// contents, without reading them. The time of the last change of an inode cannot be set by anybody, and is set by every write.
/// Of a file that has only just changed the contents count: it may change again within one tick of that clock.
pub(super) fn state(hasher: KeyHasher, listing: &Listing) -> Result<Key, PrepareApplicationError> {
    state_at(hasher, listing, SystemTime::now())
}

fn state_at(
    mut hasher: KeyHasher,
    listing: &Listing,
    now: SystemTime,
) -> Result<Key, PrepareApplicationError> {
    for item in &listing.items {
        let name = item.path.as_os_str().as_bytes();
        hasher = match &item.kind {
            ItemKind::Link(target) => hasher
                .bytes("link", name)
                .bytes("target", target.as_os_str().as_bytes()),
            ItemKind::File(meta) if is_settled(meta, now) => {
                let state: Vec<u8> = numbers(meta)
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect();
                hasher.bytes("file", name).bytes("state", &state)
            }
            ItemKind::File(_) => {
                let path = listing.root.join(&item.path);
                hasher
                    .bytes("file", name)
                    .path("contents", &path)
                    .map_err(|source| read_error(&path, source))?
            }
        };
    }
    Ok(hasher.finish())
}

/// What the filesystem says of a file that is another one when its contents are others.
pub(super) fn numbers(meta: &fs::Metadata) -> [i128; 8] {
    [
        i128::from(mode(meta)),
        i128::from(meta.dev()),
        i128::from(meta.ino()),
        i128::from(meta.size()),
        i128::from(meta.mtime()),
        i128::from(meta.mtime_nsec()),
        i128::from(meta.ctime()),
        i128::from(meta.ctime_nsec()),
    ]
}

fn is_settled(meta: &fs::Metadata, now: SystemTime) -> bool {
    let changed = u64::try_from(meta.ctime().max(meta.mtime())).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
    // A change in the future is one by a clock that was set back: it is not to be relied on.
    now.duration_since(changed).is_ok_and(|age| age > SETTLED)
}

/// The hash of all that is in the image.
fn contents(
    listing: &Listing,
    spec: &ApplicationSpec,
    bundle: Option<&Bundled>,
) -> Result<Key, PrepareApplicationError> {
    let mut hasher = begin("application's contents", listing, spec, bundle);
    for item in &listing.items {
        let path = listing.root.join(&item.path);
        hasher = hasher
            .bytes("name", item.path.as_os_str().as_bytes())
            .path("contents", &path)
            .map_err(|source| read_error(&path, source))?;
    }
    Ok(hasher.finish())
}

fn begin(
    purpose: &str,
    listing: &Listing,
    spec: &ApplicationSpec,
    bundle: Option<&Bundled>,
) -> KeyHasher {
    KeyHasher::new(purpose)
        .text("version", BUILD_VERSION)
        .text("files", &listing.items.len().to_string())
        .text("spec", &spec.to_json())
        .text(
            "bundle",
            bundle.map_or("", |bundle| bundle.contents.as_str()),
        )
}

fn tree(
    listing: &Listing,
    spec: &ApplicationSpec,
    bundle: Option<&Bundled>,
) -> Result<Tree, PrepareApplicationError> {
    let mut tree = Tree::new();
    let files = Path::new("/").join(FILES_NAME);
    let mut add = |path: &Path, entry: Entry| {
        tree.insert_with_folders(path, entry, 0o755)
            .map_err(|source| image_error(path, source))
    };
    add(&files, Entry::directory(0o755))?;
    // Only the program that starts the application reads it, and it is root then.
    let spec = Entry::file(0o400, spec.to_json().into_bytes());
    add(&Path::new("/").join(SPEC_NAME), spec)?;
    for item in &listing.items {
        let entry = match &item.kind {
            ItemKind::Link(target) => Entry::symlink(target),
            ItemKind::File(meta) => {
                let path = listing.root.join(&item.path);
                Entry::host_file(mode(meta), &path).map_err(|source| image_error(&path, source))?
            }
        };
        add(&files.join(&item.path), entry)?;
    }
    if let Some((file, path)) = bundle.and_then(|bundle| bundle.file.as_ref()) {
        let entry = Entry::host_file(0o644, file).map_err(|source| image_error(file, source))?;
        add(&files.join(path), entry)?;
    }
    Ok(tree)
}

/// Writes an image whose UUID follows from the key.
pub(super) fn write(
    tree: &Tree,
    key: &Key,
    files: Files,
    path: &Path,
) -> Result<(), PrepareApplicationError> {
    let mut options = erofs_options(crate::assemble::image::uuid(key));
    if files == Files::Read {
        options.large_file_alignment = erofs::BLOCK;
    }
    let write = || -> io::Result<File> { File::create_new(path) };
    let file = write().map_err(|source| image_error(path, source))?;
    erofs::write(tree, &options, &file).map_err(|source| image_error(path, source))?;
    // Machines map this file: nobody is to change it.
    file.set_permissions(fs::Permissions::from_mode(0o444))
        .map_err(|source| image_error(path, source))
}

#[cfg(test)]
mod tests {
    use nodeos_spec::package::Package;

    use super::*;
    use crate::application::files;
    use crate::application::project::Project;

    fn spec() -> ApplicationSpec {
        ApplicationSpec::parse(r#"{"name": "a", "argv": ["/bin/node"]}"#).unwrap()
    }

    #[test]
    fn a_settled_file_is_not_read_and_a_young_one_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("package.json"), "{}").unwrap();
        let file = dir.path().join("a.js");
        let key = |now: SystemTime| {
            let project = Project::read(dir.path()).unwrap();
            let listing = files::list(&project, &Package::default()).unwrap();
            let hasher = begin("application", &listing, &spec(), None);
            state_at(hasher, &listing, now).unwrap()
        };
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::write(&file, "1").unwrap();
        let (young, settled) = (key(SystemTime::now()), key(later));
        assert_eq!(young, key(SystemTime::now()));
        assert_eq!(settled, key(later));
        // Same size, and at once: the clock of the filesystem may not have moved.
        fs::write(&file, "2").unwrap();
        assert_ne!(young, key(SystemTime::now()), "the contents count");
        fs::write(&file, "1").unwrap();
        assert_eq!(young, key(SystemTime::now()), "and nothing else");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(young, key(SystemTime::now()), "but for the mode");
    }

    #[test]
    fn an_image_is_named_by_what_is_in_it() {
        let image = || {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in [("package.json", "{}"), ("lib/a.js", "1"), (".env", "x")] {
                let path = dir.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let project = Project::read(dir.path()).unwrap();
            let listing = files::list(&project, &Package::default()).unwrap();
            let path = dir.path().join("application.img");
            let tree = tree(&listing, &spec(), None).unwrap();
            let contents = contents(&listing, &spec(), None).unwrap();
            write(&tree, &contents, Files::Read, &path).unwrap();
            let names: Vec<_> = tree
                .iter()
                .map(|(path, _)| path.display().to_string())
                .collect();
            (names, fs::read(path).unwrap())
        };
        let (names, bytes) = image();
        assert_eq!(
            names,
            [
                "/",
                "/application.json",
                "/files",
                "/files/lib",
                "/files/lib/a.js",
                "/files/package.json"
            ]
        );
        assert!(bytes == image().1, "the same files give the same bytes");
    }
}
