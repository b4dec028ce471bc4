//! Why a build failed.

use std::io;
use std::path::PathBuf;

use nodeos_image::erofs::ReadErofsError;
use nodeos_image::ext4::WriteExt4Error;

use crate::cache::{CacheError, free_space, human_bytes, is_disk_full};
use crate::format::loader::MakeLoaderError;
use crate::kernel::BuildKernelError;
use crate::layer::LayerError;
use crate::manifest::ReadManifestError;
use crate::node::PrepareNodeError;
use crate::programs::BuildProgramError;
use crate::tool::ToolError;

/// A build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot read the list of outside inputs")]
    Manifest(#[source] ReadManifestError),
    #[error(transparent)]
    Layer(LayerError),
    #[error(transparent)]
    Kernel(BuildKernelError),
    #[error(transparent)]
    Node(PrepareNodeError),
    #[error(transparent)]
    Program(BuildProgramError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The image could not be written.
    #[error("cannot make the image {}", .path.display())]
    Image {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A users partition or a volume could not be written.
    #[error("cannot make the image {}", .path.display())]
    Users {
        path: PathBuf,
        #[source]
        source: WriteExt4Error,
    },
    /// An image of an application could not be read.
    #[error("cannot pack the application")]
    Application(#[source] ReadErofsError),
    #[error(transparent)]
    Loader(MakeLoaderError),
    /// Somebody's files are in it.
    #[error("{} is not to be replaced: a machine has written to it, or it is no disk that NodeOS has made", .path.display())]
    InUse { path: PathBuf },
    /// A tool that packs an image did not do so.
    #[error("cannot pack the disk")]
    Pack(#[source] ToolError),
    /// The output folder could not be written.
    #[error("cannot write {}", .path.display())]
    Output {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildError::Kernel(e) => e.hint(),
            BuildError::Node(e) => e.hint(),
            BuildError::Program(e) => e.hint(),
            BuildError::Cache(e) => e.hint(),
            BuildError::Pack(e) => e.hint(),
            BuildError::Output { path, source } if is_disk_full(source) => {
                let (mount, free) = free_space(path);
                Some(format!(
                    "the file system at {} has {} free; make room, or give another folder with --out",
                    mount.display(),
                    human_bytes(free)
                ))
            }
            BuildError::Users { source, .. } => source.hint(),
            BuildError::Application(_) => Some(
                "nodeos cache clean dependencies applications removes it, and the next build makes it again"
                    .to_owned(),
            ),
            BuildError::Loader(e) => e.hint(),
            BuildError::InUse { .. } => Some(
                "--fresh makes a new one, and its files are lost then; or give another folder with --out"
                    .to_owned(),
            ),
            BuildError::Output { .. } => {
                Some("give a folder that you can write with --out".to_owned())
            }
            BuildError::Manifest(_) | BuildError::Layer(_) | BuildError::Image { .. } => None,
        }
    }

    /// Whether a program that a build needs is not installed.
    pub fn is_missing_machinery(&self) -> bool {
        let tool = match self {
            BuildError::Kernel(e) => e.tool(),
            BuildError::Node(e) => e.tool(),
            BuildError::Program(e) => e.tool(),
            BuildError::Pack(e) => Some(e),
            BuildError::Loader(e) => return e.is_missing(),
            _ => None,
        };
        matches!(tool, Some(ToolError::Missing { .. }))
    }

    /// Whether this is the user's own wish to stop, or another part's failure that made this part stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            BuildError::Kernel(e) => e.is_cancelled(),
            BuildError::Node(e) => e.is_cancelled(),
            BuildError::Program(e) => e.is_cancelled(),
            BuildError::Cache(e) => e.is_cancelled(),
            BuildError::Pack(e) => e.is_cancelled(),
            BuildError::Loader(e) => e.is_cancelled(),
            _ => false,
        }
    }
}
