//! The format `docker`: an archive as `docker save` writes it, for `docker load`. Podman loads it too.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use nodeos_image::oci::docker_manifest;
use nodeos_image::tar;
use nodeos_image::tree::{Entry, InsertEntryError, Tree};

use super::container::{Blob, Container};
use super::{Goods, Packed};
use crate::assemble::image::MTIME;
use crate::assemble::{BuildError, output};

const FILE: &str = "image.tar";
const MANIFEST: &str = "manifest.json";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let container = Container::of(goods)?;
    let blobs = container.blobs(goods)?;
    let config = container.image(goods, &blobs).documents("").config;
    let config_name = format!("{}.json", config.digest.0);
    let layers: Vec<String> = blobs.iter().map(layer_name).collect();
    let path = dir.join(FILE);
    let image_error = |source: Box<dyn std::error::Error + Send + Sync>| BuildError::Image {
        path: path.clone(),
        source,
    };
    let contents = || -> Result<Tree, InsertEntryError> {
        let mut tree = Tree::new();
        let manifest = docker_manifest(&config_name, &layers, &container.names);
        tree.insert(Path::new("/").join(MANIFEST), Entry::file(0o644, manifest))?;
        tree.insert(
            Path::new("/").join(&config_name),
            Entry::file(0o644, config.bytes),
        )?;
        Ok(tree)
    };
    let mut tree = contents().map_err(|error| image_error(error.into()))?;
    for (blob, name) in blobs.iter().zip(&layers) {
        let entry =
            Entry::host_file(0o644, &blob.path).map_err(|error| image_error(error.into()))?;
        tree.insert(Path::new("/").join(name), entry)
            .map_err(|error| image_error(error.into()))?;
    }
    let step = goods.ctx.progress.begin(&format!("write {FILE}"), None);
    output::replace(&path, |temporary| {
        let mut out = BufWriter::new(std::fs::File::create_new(temporary)?);
        tar::write(&tree, MTIME.into(), &mut out).map_err(io::Error::other)?;
        out.flush()
    })?;
    step.finish("");
    Packed::of(goods, dir, vec![path])
}

fn layer_name(blob: &Blob) -> String {
    format!("{}.tar.gz", blob.layer.digest.0)
}
