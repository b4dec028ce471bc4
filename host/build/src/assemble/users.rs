//! The users partition: an ext4 image in the output folder that machines write to, and that no build overwrites then.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nodeos_image::ext4;
use nodeos_spec::device::ext::{NEEDED, Superblock};

use super::image::{MTIME, uuid};
use super::{BuildError, Context, output};
use crate::cache::KeyHasher;
use crate::layer::{LayerError, Stack, users};
use crate::recipe::Recipe;

/// The label by which `boot` finds it.
pub const LABEL: &str = "nodeos-users";
/// Raised when the writer changes what it writes.
const BUILD_VERSION: &str = "1";
/// The size where none is asked for, in bytes. What is not used takes nothing on the host's disk.
pub const DEFAULT_SIZE: u64 = 512 << 20;

/// What the users partition is to be.
#[derive(Debug, Clone)]
pub struct UsersOrder {
    /// Homes to begin with, instead of those of the layer.
    pub folder: Option<PathBuf>,
    /// Its size in bytes.
    pub size: u64,
    pub renewal: Renewal,
}

/// What happens to an image that a machine has written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It is somebody's files: it stays.
    Keep,
    /// It is replaced by a new one.
    Fresh,
}

/// The image of the users partition.
#[derive(Debug, Clone)]
pub struct UsersImage {
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    pub kept: Kept,
}

/// Whether it is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Written now, or earlier and not used since.
    New,
    /// A machine has written to it, so it was left as it is.
    Used,
}

impl Default for UsersOrder {
    fn default() -> UsersOrder {
        UsersOrder {
            folder: None,
            size: DEFAULT_SIZE,
            renewal: Renewal::Keep,
        }
    }
}

/// The image at `path`: the one that is there, or a new one. None for a layer without users.
pub(crate) fn provide(
    ctx: &Context,
    recipe: &Recipe,
    stack: &Stack,
    order: &UsersOrder,
    path: &Path,
) -> Result<Option<UsersImage>, BuildError> {
    let Some(own) = stack.users_folder().filter(|_| recipe.layer.has_users()) else {
        return Ok(None);
    };
    let folder = order.folder.clone().unwrap_or(own);
    let path = path.to_owned();
    let image_error = |source: Box<dyn std::error::Error + Send + Sync>| BuildError::Image {
        path: path.clone(),
        source,
    };
    let key = KeyHasher::new("users image")
        .text("version", BUILD_VERSION)
        .text("size", &order.size.to_string())
        .path("users", &folder)
        .map_err(|source| image_error(source.into()))?
        .finish();
    let uuid = uuid(&key);
    let found = look(&path).map_err(|source| image_error(source.into()))?;
    match found {
        Some(Found {
            is_used: true,
            bytes,
            ..
        }) if order.renewal == Renewal::Keep => {
            let kept = Kept::Used;
            return Ok(Some(UsersImage { path, bytes, kept }));
        }
        Some(found) if found.uuid == Some(uuid) && !found.is_used => {
            let (bytes, kept) = (found.bytes, Kept::New);
            return Ok(Some(UsersImage { path, bytes, kept }));
        }
        _ => {}
    }
    let layer = recipe.layer;
    let tree = users::tree(&folder)
        .map_err(|source| BuildError::Layer(LayerError::Users { layer, source }))?;
    let step = ctx.progress.begin("write users.img", None);
    let options = ext4::Options {
        uuid,
        hash_seed: uuid,
        label: LABEL.to_owned(),
        time: MTIME,
        size: order.size,
        bytes_per_inode: ext4::BYTES_PER_INODE,
    };
    let mut failure = None;
    output::replace(&path, |temporary| {
        let file = File::create_new(temporary)?;
        ext4::write(&tree, &options, &file)
            .map(drop)
            .map_err(|error| {
                failure = Some(error);
                io::Error::other("the image could not be written")
            })
    })
    .map_err(|error| match failure.take() {
        Some(source) => BuildError::Users {
            path: path.clone(),
            source,
        },
        None => error,
    })?;
    step.finish("");
    Ok(Some(UsersImage {
        path,
        bytes: order.size,
        kept: Kept::New,
    }))
}

/// What is at the image's place.
struct Found {
    uuid: Option<[u8; 16]>,
    is_used: bool,
    bytes: u64,
}

fn look(path: &Path) -> io::Result<Option<Found>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = fs::metadata(path)?.len();
    let mut head = Vec::new();
    Read::by_ref(&mut file)
        .take(NEEDED as u64)
        .read_to_end(&mut head)?;
    let superblock = Superblock::read(&head).ok();
    Ok(Some(Found {
        // Something that is no image of ours is not ours to overwrite.
        is_used: superblock
            .as_ref()
            .is_none_or(|superblock| superblock.last_mount != 0),
        uuid: superblock.map(|superblock| superblock.uuid),
        bytes,
    }))
}
