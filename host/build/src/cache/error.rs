//! What can go wrong with the cache itself, and how a full disk is told from other failures.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, human_bytes};
use crate::tool::ToolError;

/// The cache could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is no place for it.
    #[error("cannot tell where the cache is: neither XDG_CACHE_HOME nor HOME is set")]
    NoHome,
    /// It cannot be written.
    #[error("cannot write the cache at {}", .root.display())]
    Write {
        /// The cache's folder.
        root: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the cache at {}", .path.display())]
    Read {
        /// The folder that could not be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left in {}: the file system at {} has {} free", .path.display(), .mount.display(), human_bytes(*.free))]
    Full {
        /// What was being written.
        path: PathBuf,
        /// Where its file system is mounted.
        mount: PathBuf,
        /// How many bytes are free there.
        free: u64,
        /// What failed for that reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The user wanted to stop.
    #[error("{label} was cancelled")]
    Cancelled {
        /// What was waited for or made.
        label: String,
    },
    /// An entry that was complete is gone: somebody cleaned the cache meanwhile.
    #[error("{label} was removed from the cache while it was used")]
    Vanished {
        /// What is gone.
        label: String,
    },
}

impl CacheError {
    /// The error of writing anywhere in the cache at `root`.
    pub(super) fn write(root: &Path, source: io::Error) -> CacheError {
        match is_disk_full(&source) {
            true => CacheError::full(root, Box::new(source)),
            false => CacheError::Write {
                root: root.to_owned(),
                source,
            },
        }
    }

    /// The error of writing `path` where nothing more fits.
    pub fn full(path: &Path, source: Box<dyn Error + Send + Sync>) -> CacheError {
        let (mount, free) = disk::free_space(path);
        CacheError::Full {
            path: path.to_owned(),
            mount,
            free,
            source,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            CacheError::NoHome => Some("set XDG_CACHE_HOME to a folder for the cache".to_owned()),
            CacheError::Write { .. } => Some(
                "set XDG_CACHE_HOME to a folder that you can write, or make this one writable"
                    .to_owned(),
            ),
            CacheError::Full { .. } => {
                Some("free some space; `nodeos cache clean --all` empties the cache".to_owned())
            }
            CacheError::Vanished { .. } => Some("run the same command again".to_owned()),
            CacheError::Read { .. } | CacheError::Cancelled { .. } => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, CacheError::Cancelled { .. })
    }
}

/// An entry could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeEntryError<E: Error + 'static> {
    /// The cache is to blame.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The maker is.
    #[error(transparent)]
    Make(E),
}

impl<E: Error + From<CacheError> + 'static> MakeEntryError<E> {
    /// The maker's error type for both cases.
    pub fn into_make(self) -> E {
        match self {
            MakeEntryError::Cache(error) => error.into(),
            MakeEntryError::Make(error) => error,
        }
    }
}

/// Whether a full disk, or a used-up quota, is at the bottom of this error. A tool says so in its last lines only.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        ) {
            return true;
        }
        if let Some(ToolError::Failed { tail, .. }) = error.downcast_ref::<ToolError>()
            && tail
                .iter()
                .any(|line| line.contains("No space left on device"))
        {
            return true;
        }
        next = error.source();
    }
    false
}
