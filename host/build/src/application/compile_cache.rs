//! V8's compile cache of an application as an image: made by a first start in a machine, the training, so that every later
//! start finds compiled what it loads.
//!
//! What a machine is and how it is talked to is not known here: whoever calls does the training. What comes of it follows from
//! the dependencies and from Node.js, so a changed line of the application trains nothing: Node.js compares every script with
//! what was compiled, and compiles what has changed. In a bundle that would be everything, so another bundle is trained again.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nodeos_image::tree::{Entry, Tree};
use nodeos_spec::application::{
    ApplicationSpec, COMPILE_CACHE, COMPILE_CACHE_VARIABLE, DEFAULT_ID, FILES_NAME, FOLDER,
};
use nodeos_spec::package::{CompileCache, Package};
use nodeos_spec::service::Restart;
use tar::{Archive, EntryType};

use super::image::{self, Files, LayerImage};
use super::modules::image_error;
use super::{Application, PrepareApplicationError, Start};
use crate::cache::{CacheError, Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::node::Node;
use crate::sentence::sentence;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "1";
/// The image, in the cache's folder.
const FILE: &str = "compile-cache.img";
/// What is loaded before the application, in the training.
const PRELOAD: &str = include_str!("compile_cache/preload.cjs");
/// Where that is in the training's machine, below the application's folder.
const PRELOAD_NAME: &str = ".nodeos-training/preload.cjs";
/// What makes Node.js keep nothing (node(1)).
const DISABLED: &str = "NODE_DISABLE_COMPILE_CACHE";
/// Flags of V8 may stand in it, which what is compiled depends on.
pub(super) const OPTIONS: &str = "NODE_OPTIONS";
/// More is no cache of scripts, but something else in its place.
const MAX_BYTES: u64 = 256 << 20;

/// What a training is to run. Its memory, and what Node.js is told of that, is for its maker to say.
#[derive(Debug)]
pub struct Training {
    pub spec: ApplicationSpec,
    /// The lowest of the machine's images.
    pub preload: LayerImage,
    /// The folder of the machine that is wanted when the application has been told to end.
    pub folder: &'static str,
    /// How its log is to be called, and what people are told.
    pub label: String,
}

/// What has come of it.
#[derive(Debug)]
pub enum Trained {
    /// The folder as a tar archive.
    Archive(Vec<u8>),
    /// Why there is none.
    Failed { reason: String },
    /// The user wanted to stop.
    Cancelled,
}

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error("{reason}")]
    Failed { reason: String },
    #[error("the training was cancelled")]
    Cancelled,
    #[error("what came from the machine is no archive")]
    Archive(#[source] std::io::Error),
    #[error("nothing that was loaded could be kept")]
    Nothing,
    #[error("{} is not what Node.js keeps", .path.display())]
    Strange { path: PathBuf },
    #[error("more than {} MiB were to be kept", MAX_BYTES >> 20)]
    TooMuch,
    #[error(transparent)]
    Application(#[from] PrepareApplicationError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("cannot make a temporary folder")]
    Scratch(#[source] std::io::Error),
}

/// What the compile cache of an application follows from: `dependencies` stands for all that is not the application's own, and for
/// the bundle where that is in one. None where there is to be none: the user has another one, or wants
/// none, or nothing is loaded but the application's own few files, whose compilation takes less than a look at a cache.
pub(super) fn key(
    config: &Package,
    start: &Start,
    spec: &ApplicationSpec,
    node: &Node,
    dependencies: Option<&Key>,
) -> Option<Key> {
    let dependencies = dependencies?;
    let is_users = [COMPILE_CACHE_VARIABLE, DISABLED]
        .iter()
        .any(|name| spec.env.contains_key(*name));
    if config.compile_cache == CompileCache::Off || is_users {
        return None;
    }
    let node_args = start.node_args.join("\0");
    let owner = other_user().map_or_else(String::new, |uid| uid.to_string());
    let options = spec.env.get(OPTIONS).map_or("", String::as_str);
    let key = KeyHasher::new("compile cache")
        .text("version", BUILD_VERSION)
        .text("preload", PRELOAD)
        .text("node", node.key.as_str())
        .text("dependencies", dependencies.as_str())
        .text("node arguments", &node_args)
        .text("options", options)
        .text("entry", &start.entry)
        .text("owner", &owner);
    Some(key.finish())
}

/// Gives the application its compile cache: the one that is there, or what comes of a training. Without one it starts all the
/// same, and a note says why; that is not tried again on the same day.
///
/// # Errors
/// Only where the user wants to stop.
pub fn provide(
    ctx: &Context,
    application: &mut Application,
    train: impl FnOnce(&Training) -> Trained,
) -> Result<(), PrepareApplicationError> {
    let Some(key) = application.training_key.clone() else {
        return Ok(());
    };
    let label = format!(
        "compile cache of {} ({})",
        application.name, application.libc
    );
    let failure = failure_key(&key);
    let is_there = ctx.cache.find(Kind::Dependencies, &key).is_some();
    if !is_there && ctx.cache.find(Kind::Dependencies, &failure).is_some() {
        return Ok(());
    }
    let make = |dir: &Path| make(ctx, application, &key, train, dir);
    let made = ctx
        .cache
        .get_or_make(ctx, Kind::Dependencies, &key, &label, make)
        .map_err(MakeEntryError::into_make)
        .and_then(|entry| Ok(LayerImage::of(&entry.dir.join(FILE))?));
    match made {
        Ok(image) => application.compile_cache = Some(image),
        Err(error) if error.is_cancelled() => {
            return Err(CacheError::Cancelled { label }.into());
        }
        Err(error) => {
            let reason = sentence(&error);
            let note = format!("its scripts are compiled anew at each start: {reason}");
            application.notes.push(note);
            let label = format!("no {label} on one day");
            let remember = |_: &Path| Ok::<_, CacheError>(reason.clone());
            // What cannot be remembered is found out again.
            let _ = ctx
                .cache
                .get_or_make(ctx, Kind::Dependencies, &failure, &label, remember);
        }
    }
    Ok(())
}

fn failure_key(key: &Key) -> Key {
    let today = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() / (24 * 60 * 60));
    KeyHasher::new("no compile cache")
        .text("key", key.as_str())
        .text("day", &today.to_string())
        .finish()
}

fn make(
    ctx: &Context,
    application: &Application,
    key: &Key,
    train: impl FnOnce(&Training) -> Trained,
    dir: &Path,
) -> Result<(), MakeError> {
    let name = &application.name;
    let step = ctx.progress.begin(&format!("warm up {name}"), None);
    let scratch = tempfile::tempdir().map_err(MakeError::Scratch)?;
    let preload = scratch.path().join("preload.img");
    image::write(&preload_tree()?, key, Files::Read, &preload)?;
    let training = Training {
        spec: training_spec(&application.spec),
        preload: LayerImage::of(&preload)?,
        folder: TRAINING_FOLDER,
        label: format!("warm-up-{name}-{}", application.libc),
    };
    let archive = match train(&training) {
        Trained::Archive(archive) => archive,
        Trained::Failed { reason } => return Err(MakeError::Failed { reason }),
        Trained::Cancelled => return Err(MakeError::Cancelled),
    };
    let (tree, count) = tree(&archive, other_user())?;
    image::write(&tree, key, Files::Read, &dir.join(FILE))?;
    step.finish(&format!("{count} scripts"));
    Ok(())
}

/// Where Node.js keeps its cache in the training: a place that can be written.
const TRAINING_FOLDER: &str = "/tmp/.node-compile-cache";

/// The application as it is, but for what hands its cache over. When it has ended it is to be started again: until then its
/// machine stays.
fn training_spec(spec: &ApplicationSpec) -> ApplicationSpec {
    let mut spec = spec.clone();
    let preload = format!("{FOLDER}/{PRELOAD_NAME}");
    spec.argv.splice(1..1, ["--require".to_owned(), preload]);
    spec.env.insert(
        COMPILE_CACHE_VARIABLE.to_owned(),
        TRAINING_FOLDER.to_owned(),
    );
    spec.restart = Restart::Always;
    spec.volumes.clear();
    spec
}

fn preload_tree() -> Result<Tree, PrepareApplicationError> {
    let path = Path::new("/").join(FILES_NAME).join(PRELOAD_NAME);
    let mut tree = Tree::new();
    tree.insert_with_folders(&path, Entry::file(0o644, PRELOAD.as_bytes()), 0o755)
        .map_err(|source| image_error(&path, source))?;
    Ok(tree)
}

/// Whom the application may run as instead: a volume that is a folder of this host decides that, and mostly belongs to whoever
/// has us make this. Nobody runs as root.
fn other_user() -> Option<u32> {
    let uid = rustix::process::getuid().as_raw();
    (uid != 0 && uid != DEFAULT_ID).then_some(uid)
}

/// The image's contents, and how many scripts' they are: the archive has a folder for each version of Node.js, set of flags and
/// user, and in each a file for each script. It was written in a machine by programs of strangers. `also` is a user for whom the
/// same holds.
fn tree(archive: &[u8], also: Option<u32>) -> Result<(Tree, usize), MakeError> {
    let place = Path::new("/").join(FILES_NAME).join(COMPILE_CACHE);
    let mut tree = Tree::new();
    let mut aliases = BTreeMap::new();
    let mut bytes = 0;
    let mut count = 0;
    let mut archive = Archive::new(archive);
    for entry in archive.entries().map_err(MakeError::Archive)? {
        let mut entry = entry.map_err(MakeError::Archive)?;
        let path = entry.path().map_err(MakeError::Archive)?.into_owned();
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular => {}
            _ => return Err(MakeError::Strange { path }),
        }
        let Some(below) = below_first(&path) else {
            return Err(MakeError::Strange { path });
        };
        bytes += entry.size();
        if bytes > MAX_BYTES {
            return Err(MakeError::TooMuch);
        }
        let mut contents = Vec::new();
        entry
            .read_to_end(&mut contents)
            .map_err(MakeError::Archive)?;
        let mut add = |path: &Path, entry: Entry| {
            tree.insert_with_folders(path, entry, 0o755)
                .map_err(|source| image_error(path, source))
        };
        add(&place.join(&below), Entry::file(0o644, contents))?;
        if let Some((folder, name)) = also.and_then(|uid| folder_of(&below, uid)) {
            aliases.insert(place.join(name), folder);
        }
        count += 1;
    }
    for (path, folder) in aliases {
        tree.insert_with_folders(&path, Entry::symlink(folder), 0o755)
            .map_err(|source| image_error(&path, source))?;
    }
    match count {
        0 => Err(MakeError::Nothing),
        count => Ok((tree, count)),
    }
}

/// The path of a file without the archive's own folder: a folder and a name.
fn below_first(path: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    match parts.as_slice() {
        [
            Component::Normal(_),
            Component::Normal(folder),
            Component::Normal(name),
        ] => Some(Path::new(folder).join(name)),
        _ => None,
    }
}

/// The folder that a file lies in, and what it is called for another user: its name ends with the number of who has written it.
fn folder_of(file: &Path, uid: u32) -> Option<(PathBuf, String)> {
    let folder = file.parent()?;
    let stem = folder.to_str()?.strip_suffix(&format!("-{DEFAULT_ID}"))?;
    Some((folder.to_owned(), format!("{stem}-{uid}")))
}

impl MakeError {
    fn is_cancelled(&self) -> bool {
        match self {
            MakeError::Cancelled => true,
            MakeError::Cache(error) => error.is_cancelled(),
            MakeError::Application(error) => error.is_cancelled(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
