//! A layer as a file: a packed archive in the cache.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nodeos_image::oci;
use nodeos_image::tree::{Content, Kind as EntryKind, Tree};
use serde::{Deserialize, Serialize};

use crate::assemble::BuildError;
use crate::assemble::image::MTIME;
use crate::cache::{KeyHasher, Kind, MakeEntryError};
use crate::format::Goods;

/// Raised when the writers change what they write.
const BUILD_VERSION: &str = "1";

/// A layer that was written.
pub(in crate::format) struct Blob {
    pub(in crate::format) layer: oci::Layer,
    pub(in crate::format) path: PathBuf,
}

/// A tree as a packed archive, from the cache where it is there. It is looked for by its contents.
pub(in crate::format) fn blob(
    goods: &Goods<'_>,
    name: &str,
    tree: &Tree,
) -> Result<Blob, BuildError> {
    const FILE: &str = "layer.tar.gz";
    #[derive(Serialize, Deserialize)]
    struct MadeFrom {
        digest: String,
        diff_id: String,
        size: u64,
    }
    let image_error = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| {
        let path = path.to_owned();
        BuildError::Image { path, source }
    };
    let mut hasher = KeyHasher::new("packed layer").text("version", BUILD_VERSION);
    for (path, entry) in tree.iter() {
        let numbers = [u32::from(entry.st_mode()), entry.uid, entry.gid];
        let numbers: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        hasher = hasher
            .bytes("path", path.as_os_str().as_bytes())
            .bytes("numbers", &numbers);
        hasher = match &entry.kind {
            EntryKind::File(Content::Bytes(bytes)) => hasher.bytes("bytes", bytes),
            EntryKind::File(Content::Host { path, .. }) => hasher
                .path("file", path)
                .map_err(|source| image_error(path, source.into()))?,
            EntryKind::File(part @ Content::Part { path, .. }) => {
                let mut bytes = Vec::new();
                part.open()
                    .and_then(|mut reader| reader.read_to_end(&mut bytes))
                    .map_err(|source| image_error(path, source.into()))?;
                hasher.bytes("part", &bytes)
            }
            EntryKind::Symlink(target) => hasher.bytes("link", target.as_os_str().as_bytes()),
            // A container has no devices of its own: whoever runs it makes them.
            EntryKind::Directory
            | EntryKind::Fifo
            | EntryKind::CharDevice { .. }
            | EntryKind::BlockDevice { .. } => hasher,
        };
    }
    let made_by = format!("nodeos build: {name}");
    let make = |dir: &Path| {
        let step = goods.ctx.progress.begin(&format!("pack {name}"), None);
        let path = dir.join(FILE);
        let write = || -> Result<oci::Layer, Box<dyn std::error::Error + Send + Sync>> {
            let mut out = BufWriter::new(File::create_new(&path)?);
            let layer = oci::write_layer(tree, MTIME.into(), &made_by, &mut out)?;
            out.flush()?;
            read_only(&path)?;
            Ok(layer)
        };
        let layer = write().map_err(|source| image_error(&path, source))?;
        step.finish("");
        Ok::<_, BuildError>(MadeFrom {
            digest: layer.digest.0,
            diff_id: layer.diff_id.0,
            size: layer.size,
        })
    };
    let label = format!("{name} (packed)");
    let entry = goods
        .ctx
        .cache
        .get_or_make(goods.ctx, Kind::Images, &hasher.finish(), &label, make)
        .map_err(MakeEntryError::into_make)?;
    let path = entry.dir.join(FILE);
    let made: MadeFrom = entry.made_from().ok_or_else(|| {
        let nothing = io::Error::new(
            io::ErrorKind::InvalidData,
            "the cache does not know its sum",
        );
        image_error(&path, nothing.into())
    })?;
    Ok(Blob {
        layer: oci::Layer {
            digest: oci::Digest(made.digest),
            diff_id: oci::Digest(made.diff_id),
            size: made.size,
            created_by: made_by,
        },
        path,
    })
}

/// The output folder holds links to the cache: nobody is to change them.
fn read_only(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o444))
}
