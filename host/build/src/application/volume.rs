//! An empty volume: the filesystem that an application has under a name.

use std::fs::File;

use nodeos_image::ext4::{self, WriteExt4Error};
use nodeos_image::tree::{Entry, Tree};

use super::for_files::label;

/// How large it is. It takes of the host only what is in it.
pub const BYTES: u64 = 1 << 30;

/// What makes one filesystem another than the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub uuid: [u8; 16],
    pub hash_seed: [u8; 16],
    /// Seconds since 1970.
    pub time: u32,
}

/// Writes it into an empty file.
///
/// # Errors
/// [`WriteExt4Error`].
pub fn write(
    file: &File,
    name: &str,
    (uid, gid): (u32, u32),
    identity: Identity,
) -> Result<(), WriteExt4Error> {
    let mut tree = Tree::new();
    // There is nobody else in a machine; and a later application may be another user, if it has a folder of the host's, too.
    tree.insert("/", Entry::directory(0o777).owned_by(uid, gid))
        .expect("a tree has a root, which is a folder");
    let Identity {
        uuid,
        hash_seed,
        time,
    } = identity;
    let options = ext4::Options {
        uuid,
        hash_seed,
        label: label(name).to_owned(),
        time,
        size: BYTES,
        bytes_per_inode: ext4::BYTES_PER_INODE,
    };
    ext4::write(&tree, &options, file).map(drop)
}
