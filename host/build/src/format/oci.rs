//! The format `oci`: a folder that is an image layout, with a blob for each of our layers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nodeos_image::oci::{BLOBS, INDEX_NAME, LAYOUT, LAYOUT_NAME};

use super::container::Container;
use super::{Goods, Packed, PackedFile};
use crate::assemble::{BuildError, output};

/// The layout, in the output folder.
const FOLDER: &str = "image";
/// What the image is called in it: `oci:image:latest`.
const REFERENCE: &str = "latest";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let container = Container::of(goods)?;
    let blobs = container.blobs(goods)?;
    let documents = container.image(goods, &blobs).documents(REFERENCE);
    let layout = dir.join(FOLDER);
    let folder = layout.join(BLOBS);
    fs::create_dir_all(&folder).map_err(|source| BuildError::Output {
        path: folder.clone(),
        source,
    })?;
    for blob in &blobs {
        output::link(&blob.path, &folder.join(&blob.layer.digest.0))?;
    }
    for document in [&documents.config, &documents.manifest] {
        output::write_bytes(&folder.join(&document.digest.0), &document.bytes, 0o644)?;
    }
    output::write(&layout.join(LAYOUT_NAME), LAYOUT, 0o644)?;
    // Last, as it names the others. What it does not name any more goes then.
    output::write_bytes(&layout.join(INDEX_NAME), &documents.index, 0o644)?;
    let named = [&documents.config.digest, &documents.manifest.digest];
    let named = named
        .into_iter()
        .chain(blobs.iter().map(|blob| &blob.layer.digest));
    keep(
        &folder,
        &named.map(|digest| OsString::from(&digest.0)).collect(),
    )?;
    let mut packed = Packed::of(goods, dir, vec![layout.join(INDEX_NAME)])?;
    let layers = blobs.iter().map(|blob| PackedFile {
        path: folder.join(&blob.layer.digest.0),
        bytes: blob.layer.size,
    });
    packed.files.extend(layers);
    Ok(packed)
}

fn keep(folder: &Path, names: &BTreeSet<OsString>) -> Result<(), BuildError> {
    let remove = || {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !names.contains(&entry.file_name()) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(|source| BuildError::Output {
        path: folder.to_owned(),
        source,
    })
}
