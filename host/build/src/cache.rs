//! The cache: what was fetched or built, under `$XDG_CACHE_HOME/nodeos/<kind>/<key>/`.
//!
//! Owns where entries lie, how they become visible (whole or not at all) and how two builds keep out of each other's
//! way. Does not know what is in an entry: its maker does.

mod disk;
mod error;
mod key;
mod lock;
mod usage;
mod work;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Context;

pub use disk::{free_space, human_bytes};
pub use error::{CacheError, MakeEntryError, is_disk_full};
pub use key::{Key, KeyHasher};
pub use usage::{Cleaned, ListedEntry, State};
pub use work::WorkDir;

use lock::Lock;

/// The file in an entry that makes it one. It is written last.
const ENTRY_FILE: &str = "entry.json";
/// Raised when what an entry looks like changes, so that older entries are made again.
const ENTRY_FORMAT: u32 = 1;
/// Begins the name of a folder in which an entry is being made.
const MAKING: &str = ".making-";
/// Begins the name of a folder that is being deleted.
const REMOVING: &str = ".removing-";

/// What an entry is. The folder's name is the name in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Outside inputs, as they were fetched.
    Downloads,
    /// Unpacked sources.
    Sources,
    /// Built kernels.
    Kernels,
    /// Built programs of the target.
    Programs,
    /// Node.js, stripped, with its libraries.
    Nodes,
    /// System images.
    Images,
    /// What applications depend on, installed, and what Node.js has compiled of it, as images.
    Dependencies,
    /// Applications' own files, as images.
    Applications,
}

impl Kind {
    /// Every kind, in the order in which a build makes them.
    pub const ALL: &[Kind] = &[
        Kind::Downloads,
        Kind::Sources,
        Kind::Kernels,
        Kind::Programs,
        Kind::Nodes,
        Kind::Images,
        Kind::Dependencies,
        Kind::Applications,
    ];

    /// The name of the kind: of its folder, and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Downloads => "downloads",
            Kind::Sources => "sources",
            Kind::Kernels => "kernels",
            Kind::Programs => "programs",
            Kind::Nodes => "nodes",
            Kind::Images => "images",
            Kind::Dependencies => "dependencies",
            Kind::Applications => "applications",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of cache entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{name} is not a kind of cache entry (downloads, sources, kernels, programs, nodes, images, dependencies, applications)"
)]
pub struct ParseKindError {
    /// What was given.
    pub name: String,
}

impl std::str::FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(name: &str) -> Result<Kind, ParseKindError> {
        let kind = Kind::ALL.iter().find(|kind| kind.as_str() == name);
        kind.copied().ok_or_else(|| ParseKindError {
            name: name.to_owned(),
        })
    }
}

/// A cache folder. It need not exist: the first entry makes it.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// A complete entry of the cache.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The folder that holds what the maker wrote, and `entry.json`.
    pub dir: PathBuf,
    /// What the entry is, for people: `linux 6.12.117 cloud`.
    pub label: String,
    /// What the maker returned: what the entry was made from.
    pub made_from: serde_json::Value,
    /// When it was made.
    pub created: SystemTime,
    /// Whether this call made it or it was there.
    pub origin: Origin,
}

/// Whether an entry was in the cache already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Found,
    /// It was made by the call that returned it.
    Made,
}

impl Entry {
    /// What the maker returned, as the type it was. None when the entry holds something else.
    pub fn made_from<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.made_from.clone()).ok()
    }
}

/// `entry.json`.
#[derive(Debug, Serialize, Deserialize)]
struct EntryFile {
    format: u32,
    label: String,
    /// Seconds since 1970.
    created: u64,
    made_from: serde_json::Value,
}

impl Cache {
    /// The cache in the folder `root`. Nothing is read or written.
    pub fn open(root: PathBuf) -> Cache {
        Cache { root }
    }

    /// Where the cache is unless somebody says otherwise: `$XDG_CACHE_HOME/nodeos`, else `$HOME/.cache/nodeos`.
    ///
    /// As the XDG base directory specification says, a relative `XDG_CACHE_HOME` counts as unset.
    ///
    /// # Errors
    /// [`CacheError::NoHome`] when neither variable is set.
    pub fn default_root() -> Result<PathBuf, CacheError> {
        default_root(
            std::env::var_os("XDG_CACHE_HOME").as_deref(),
            std::env::var_os("HOME").as_deref(),
        )
    }

    /// The cache's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry, when it is there and whole. Takes no lock and writes nothing, so it works on a read-only cache.
    pub fn find(&self, kind: Kind, key: &Key) -> Option<Entry> {
        read_entry(&self.entry_dir(kind, key))
    }

    /// The entry; when it is not there, `make` fills the folder that it is given.
    ///
    /// What `make` returns is kept in `entry.json` (see [`Entry::made_from`]). Two builds that want the same entry at
    /// once make it once: the second one waits. The entry becomes visible when it is complete and on the disk. When
    /// `make` fails or panics, what it wrote is removed; what a killed process left is removed by the next build.
    ///
    /// # Errors
    /// What `make` returned, or [`CacheError`]: the cache cannot be written, the disk is full (also when that is why
    /// `make` failed), or the user cancelled while waiting.
    pub fn get_or_make<T, E>(
        &self,
        ctx: &Context,
        kind: Kind,
        key: &Key,
        label: &str,
        make: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<Entry, MakeEntryError<E>>
    where
        T: Serialize,
        E: Error + Send + Sync + 'static,
    {
        if let Some(entry) = self.find(kind, key) {
            return Ok(entry);
        }
        let lock = Lock::wait(ctx, &self.root, &self.lock_path(kind, key), label)?;
        if let Some(entry) = self.find(kind, key) {
            return Ok(entry);
        }
        self.remove_leftovers(kind, key);
        let parent = self.kind_dir(kind);
        fs::create_dir_all(&parent).map_err(|e| CacheError::write(&self.root, e))?;
        let making = tempfile::Builder::new()
            .prefix(&format!("{MAKING}{key}."))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(&parent)
            .map_err(|e| CacheError::write(&self.root, e))?;

        let made_from = make(making.path()).map_err(|e| match is_disk_full(&e) {
            true => CacheError::full(making.path(), Box::new(e)).into(),
            false => MakeEntryError::Make(e),
        })?;
        let file = EntryFile {
            format: ENTRY_FORMAT,
            label: label.to_owned(),
            created: seconds_since_1970(),
            made_from: serde_json::to_value(made_from)
                .expect("what makers return has string keys only"),
        };
        self.publish(making, &file, kind, key)
            .map_err(|(e, path)| match is_disk_full(&e) {
                true => CacheError::full(&path, Box::new(e)),
                false => CacheError::write(&self.root, e),
            })?;
        drop(lock);
        let mut entry = self.find(kind, key).ok_or_else(|| CacheError::Vanished {
            label: label.to_owned(),
        })?;
        entry.origin = Origin::Made;
        Ok(entry)
    }

    /// Makes a complete folder visible. Until the rename nobody sees it; after it, a power cut does not undo it.
    fn publish(
        &self,
        making: tempfile::TempDir,
        file: &EntryFile,
        kind: Kind,
        key: &Key,
    ) -> Result<(), (io::Error, PathBuf)> {
        let target = self.entry_dir(kind, key);
        let write = || {
            let text = serde_json::to_vec_pretty(file).expect("entry.json has string keys only");
            fs::write(making.path().join(ENTRY_FILE), text)?;
            disk::sync_tree(making.path())?;
            if target.symlink_metadata().is_ok() {
                // What `find` did not accept: of an older format, or damaged from outside.
                disk::remove(&target)?;
            }
            fs::rename(making.path(), &target)?;
            disk::sync(&self.kind_dir(kind))
        };
        match write() {
            Ok(()) => {
                // The folder has moved: there is nothing left to remove.
                let _ = making.keep();
                Ok(())
            }
            Err(e) => Err((e, making.path().to_owned())),
        }
    }

    fn kind_dir(&self, kind: Kind) -> PathBuf {
        self.root.join(kind.as_str())
    }

    fn entry_dir(&self, kind: Kind, key: &Key) -> PathBuf {
        self.kind_dir(kind).join(key.as_str())
    }

    fn lock_path(&self, kind: Kind, key: &Key) -> PathBuf {
        self.root.join("locks").join(format!("{kind}-{key}"))
    }
}

fn default_root(
    xdg_cache_home: Option<&OsStr>,
    home: Option<&OsStr>,
) -> Result<PathBuf, CacheError> {
    let absolute =
        |value: Option<&OsStr>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(xdg_cache_home).or_else(|| absolute(home).map(|home| home.join(".cache")));
    base.map(|base| base.join("nodeos"))
        .ok_or(CacheError::NoHome)
}

fn read_entry(dir: &Path) -> Option<Entry> {
    let text = fs::read(dir.join(ENTRY_FILE)).ok()?;
    let file: EntryFile = serde_json::from_slice(&text).ok()?;
    (file.format == ENTRY_FORMAT).then(|| Entry {
        dir: dir.to_owned(),
        label: file.label,
        made_from: file.made_from,
        created: UNIX_EPOCH + Duration::from_secs(file.created),
        origin: Origin::Found,
    })
}

fn seconds_since_1970() -> u64 {
    // A clock before 1970 is broken; the entry is good all the same.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_base_directory_specification_says() {
        let check = |xdg: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let root = default_root(xdg.map(OsStr::new), home.map(OsStr::new));
            assert_eq!(
                root.ok().as_deref(),
                expected.map(Path::new),
                "{xdg:?} {home:?}"
            );
        };
        check(Some("/x"), Some("/home/ada"), Some("/x/nodeos"));
        check(None, Some("/home/ada"), Some("/home/ada/.cache/nodeos"));
        check(Some(""), Some("/home/ada"), Some("/home/ada/.cache/nodeos"));
        check(
            Some("relative"),
            Some("/home/ada"),
            Some("/home/ada/.cache/nodeos"),
        );
        check(None, None, None);
        check(None, Some(""), None);
    }

    #[test]
    fn without_a_home_the_error_says_what_to_set() {
        let error = default_root(None, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot tell where the cache is: neither XDG_CACHE_HOME nor HOME is set"
        );
        assert_eq!(
            error.hint().unwrap(),
            "set XDG_CACHE_HOME to a folder for the cache"
        );
    }

    #[test]
    fn kinds_are_named_as_their_folders() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let error = "kernel".parse::<Kind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "kernel is not a kind of cache entry (downloads, sources, kernels, programs, nodes, images, dependencies, applications)"
        );
    }
}
