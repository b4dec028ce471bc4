//! Images of containers: the layers as archives, and the documents that describe them, of the Open Container Initiative
//! (image-spec, v1.1) and of `docker save`.
//!
//! The documents are short, and few of their fields are ours to fill. So they are written from here, with fields in one
//! order: the same image has the same digest, always.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::gzip;
use crate::tar::{self, WriteTarError};
use crate::tree::Tree;

/// Of the image-spec, "Media Types".
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The annotation by which an image in a layout is found (image-spec, "Pre-Defined Annotation Keys").
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// The file that says that a folder is a layout, and what stands in it.
pub const LAYOUT_NAME: &str = "oci-layout";
pub const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
/// The file that names the images of a layout.
pub const INDEX_NAME: &str = "index.json";
/// The folder of everything else, by its digest.
pub const BLOBS: &str = "blobs/sha256";

/// A SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub String);

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the packed archive: its name.
    pub digest: Digest,
    /// Of the archive itself.
    pub diff_id: Digest,
    /// Bytes of the packed archive.
    pub size: u64,
    /// What made it, for people.
    pub created_by: String,
}

/// How a container is started, unless whoever starts it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// `1000:1000`.
    pub user: String,
    /// `NAME=value`, sorted.
    pub env: BTreeMap<String, String>,
    /// The program that is always started, with its first arguments.
    pub entrypoint: Vec<String>,
    /// Its further arguments, which others may replace.
    pub cmd: Vec<String>,
    pub working_dir: String,
    /// TCP ports that something listens on.
    pub ports: Vec<u16>,
    /// Folders that are to outlive a container.
    pub volumes: Vec<String>,
    /// What asks it to end.
    pub stop_signal: String,
    /// Facts for people and their tools.
    pub labels: BTreeMap<String, String>,
}

/// Everything that makes an image, but for the bytes of the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// As Go names it: `amd64`.
    pub architecture: String,
    /// RFC 3339.
    pub created: String,
    /// The lowest first.
    pub layers: Vec<Layer>,
    pub start: Start,
}

/// The documents of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// The image's configuration. Its digest is what Docker calls the image's ID.
    pub config: Document,
    pub manifest: Document,
    /// `index.json` of a layout.
    pub index: Vec<u8>,
}

/// A document and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::finished(Sha256::new().chain_update(bytes))
    }

    /// With the name of its algorithm, as documents have it.
    pub fn whole(&self) -> String {
        format!("sha256:{}", self.0)
    }

    fn finished(hash: Sha256) -> Digest {
        let digits = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Digest(digits)
    }
}

/// Writes a layer: the tree as an archive, packed. Every time is `mtime`.
///
/// # Errors
/// As [`tar::write`].
pub fn write_layer(
    tree: &Tree,
    mtime: u64,
    created_by: &str,
    out: &mut dyn Write,
) -> Result<Layer, WriteTarError> {
    let packed = Summing::new(out);
    let mut archive = Summing::new(gzip::packer(packed));
    tar::write(tree, mtime, &mut archive)?;
    let finish_error = |source| WriteTarError::Finish { source };
    let diff_id = Digest::finished(archive.hash);
    let mut packed = archive.inner.finish().map_err(finish_error)?;
    packed.flush().map_err(finish_error)?;
    Ok(Layer {
        digest: Digest::finished(packed.hash),
        diff_id,
        size: packed.length,
        created_by: created_by.to_owned(),
    })
}

impl Image {
    /// The documents, for a layout in which the image is called `reference`.
    pub fn documents(&self, reference: &str) -> Documents {
        let config = Document::new(&self.config());
        let descriptor = Descriptor::new(CONFIG, &config.digest, config.bytes.len() as u64);
        let layer = |layer: &Layer| Descriptor::new(LAYER, &layer.digest, layer.size);
        let manifest = Document::new(&Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: descriptor,
            layers: self.layers.iter().map(layer).collect(),
        });
        let mut descriptor =
            Descriptor::new(MANIFEST, &manifest.digest, manifest.bytes.len() as u64);
        descriptor
            .annotations
            .insert(REFERENCE, reference.to_owned());
        descriptor.platform = Some(Platform {
            architecture: self.architecture.clone(),
            os: "linux",
        });
        let index = Document::new(&Index {
            schema_version: 2,
            media_type: INDEX,
            manifests: vec![descriptor],
        });
        Documents {
            config,
            manifest,
            index: index.bytes,
        }
    }

    fn config(&self) -> ImageConfig<'_> {
        let start = &self.start;
        let nothing = |name: String| (name, BTreeMap::new());
        let ports = start.ports.iter().map(|port| format!("{port}/tcp"));
        ImageConfig {
            created: &self.created,
            architecture: &self.architecture,
            os: "linux",
            config: StartConfig {
                user: &start.user,
                exposed_ports: ports.map(nothing).collect(),
                env: start
                    .env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
                entrypoint: &start.entrypoint,
                cmd: &start.cmd,
                volumes: start.volumes.iter().cloned().map(nothing).collect(),
                working_dir: &start.working_dir,
                labels: &start.labels,
                stop_signal: &start.stop_signal,
            },
            rootfs: RootFs {
                kind: "layers",
                diff_ids: self
                    .layers
                    .iter()
                    .map(|layer| layer.diff_id.whole())
                    .collect(),
            },
            history: self
                .layers
                .iter()
                .map(|layer| History {
                    created: &self.created,
                    created_by: &layer.created_by,
                })
                .collect(),
        }
    }
}

/// `manifest.json` of the archive that `docker load` reads: the config's and the layers' files in it, and the image's names.
pub fn docker_manifest(config: &str, layers: &[String], names: &[String]) -> Vec<u8> {
    let entry = DockerManifest {
        config,
        repo_tags: names,
        layers,
    };
    Document::new(&[entry]).bytes
}

impl Document {
    fn new(value: &impl Serialize) -> Document {
        let bytes = serde_json::to_vec(value).expect("strings and numbers always serialise");
        Document {
            digest: Digest::of(&bytes),
            bytes,
        }
    }
}

type Nothing = BTreeMap<(), ()>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

impl Descriptor {
    fn new(media_type: &'static str, digest: &Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type,
            digest: digest.whole(),
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

#[derive(Serialize)]
struct Platform {
    architecture: String,
    os: &'static str,
}

#[derive(Serialize)]
struct ImageConfig<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'static str,
    config: StartConfig<'a>,
    rootfs: RootFs,
    history: Vec<History<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StartConfig<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Nothing>,
    env: Vec<String>,
    entrypoint: &'a [String],
    cmd: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<String, Nothing>,
    working_dir: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    stop_signal: &'a str,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a str,
    created_by: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest<'a> {
    config: &'a str,
    repo_tags: &'a [String],
    layers: &'a [String],
}

/// Counts and sums what passes through.
struct Summing<W> {
    inner: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Summing<W> {
    fn new(inner: W) -> Summing<W> {
        Summing {
            inner,
            hash: Sha256::new(),
            length: 0,
        }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.hash.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn layer(text: &str) -> (Layer, Vec<u8>) {
        let mut tree = Tree::new();
        tree.insert("/a", Entry::file(0o444, text.as_bytes()))
            .unwrap();
        let mut bytes = Vec::new();
        let layer = write_layer(&tree, 7, "nodeos build", &mut bytes).unwrap();
        (layer, bytes)
    }

    #[test]
    fn a_layer_is_named_by_what_was_written_and_by_what_it_unpacks_to() {
        let (layer, bytes) = layer("x");
        assert_eq!(layer.digest, Digest::of(&bytes));
        assert_eq!(layer.size, bytes.len() as u64);
        let mut archive = Vec::new();
        io::copy(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut archive).unwrap();
        assert_eq!(layer.diff_id, Digest::of(&archive));
        // RFC 1952: no flags, no time, system unknown.
        assert_eq!(bytes[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[9], 255);
    }

    #[test]
    fn the_documents_say_what_runs_and_of_which_layers() {
        let (layer, _) = layer("x");
        let image = Image {
            architecture: "amd64".to_owned(),
            created: "2014-03-01T00:00:00Z".to_owned(),
            layers: vec![layer.clone()],
            start: Start {
                user: "1000:1000".to_owned(),
                env: BTreeMap::from([("HOME".to_owned(), "/tmp".to_owned())]),
                entrypoint: vec!["/init".to_owned()],
                cmd: vec!["/bin/node".to_owned()],
                working_dir: "/".to_owned(),
                ports: vec![80],
                stop_signal: "SIGTERM".to_owned(),
                ..Start::default()
            },
        };
        let documents = image.documents("latest");
        let config = String::from_utf8(documents.config.bytes).unwrap();
        let diff_id = layer.diff_id.whole();
        assert_eq!(
            config,
            format!(
                "{{\"created\":\"2014-03-01T00:00:00Z\",\"architecture\":\"amd64\",\"os\":\"linux\",\
                 \"config\":{{\"User\":\"1000:1000\",\"ExposedPorts\":{{\"80/tcp\":{{}}}},\"Env\":[\"HOME=/tmp\"],\
                 \"Entrypoint\":[\"/init\"],\"Cmd\":[\"/bin/node\"],\"WorkingDir\":\"/\",\"StopSignal\":\"SIGTERM\"}},\
                 \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{diff_id}\"]}},\
                 \"history\":[{{\"created\":\"2014-03-01T00:00:00Z\",\"created_by\":\"nodeos build\"}}]}}"
            )
        );
        let index: serde_json::Value = serde_json::from_slice(&documents.index).unwrap();
        let named = &index["manifests"][0];
        assert_eq!(named["digest"], documents.manifest.digest.whole());
        assert_eq!(named["annotations"][REFERENCE], "latest");
        let manifest: serde_json::Value =
            serde_json::from_slice(&documents.manifest.bytes).unwrap();
        assert_eq!(
            manifest["config"]["digest"],
            documents.config.digest.whole()
        );
        assert_eq!(manifest["layers"][0]["digest"], layer.digest.whole());
    }

    #[test]
    fn docker_is_told_the_files_of_its_archive() {
        let text = docker_manifest("c.json", &["l.tar.gz".to_owned()], &["a:b".to_owned()]);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"[{"Config":"c.json","RepoTags":["a:b"],"Layers":["l.tar.gz"]}]"#
        );
    }
}
