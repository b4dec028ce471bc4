//! A layer: `layers/<name>/layer.toml`, which says what is in it, and the [`Tree`] that it becomes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_image::tree::{Entry, HostFileError, InsertEntryError, Tree};
use nodeos_spec::boot::{BootSpec, DEFAULT_STOP_GRACE, PATH as BOOT_JSON};
use serde::Deserialize;

use crate::fetch::UsedInput;
use crate::node::Node;
use crate::programs::Program;
use crate::recipe::{Layer, Recipe, RootKind};

/// What the image was made from, in the image.
const SOURCES_JSON: &str = "/etc/nodeos/sources.json";
/// The mode of what everybody may read.
const READABLE: u16 = 0o444;
/// The mode of folders that come with a file and that the layer does not name: known names may be used, not listed.
const UNLISTED: u16 = 0o111;

/// `layer.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFile {
    /// What stands on the console before the program starts; `{version}` and `{layer}` are filled in.
    banner: String,
    /// boot.json's program.
    program: Vec<String>,
    /// boot.json's environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    directory: Vec<DirectoryItem>,
    /// The system programs.
    #[serde(default)]
    pub program_file: Vec<ProgramItem>,
    #[serde(default)]
    link: Vec<LinkItem>,
    #[serde(default)]
    text: Vec<TextItem>,
    #[serde(default)]
    device: Vec<DeviceItem>,
    node: NodeItem,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryItem {
    path: PathBuf,
    mode: u16,
}

/// A program of `os/`, and where it goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramItem {
    /// The Cargo package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    path: PathBuf,
    mode: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkItem {
    path: PathBuf,
    to: PathBuf,
}

/// A file that is short enough to stand in `layer.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextItem {
    path: PathBuf,
    mode: u16,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceItem {
    path: PathBuf,
    major: u32,
    minor: u32,
    mode: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeItem {
    path: PathBuf,
    mode: u16,
    loader_mode: u16,
    library_mode: u16,
}

/// Why a layer could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not what it should be", .path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("layer {layer} cannot take in a file of the build")]
    HostFile {
        layer: Layer,
        #[source]
        source: HostFileError,
    },
    #[error("layer {layer} contains what cannot be in an image")]
    Insert {
        layer: Layer,
        #[source]
        source: InsertEntryError,
    },
}

/// What goes into a layer beside its own file.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) node: &'a Node,
    /// In the order of [`LayerFile::program_file`].
    pub(crate) programs: &'a [Program],
    pub(crate) used: &'a [UsedInput],
}

impl LayerFile {
    /// Reads `layers/<layer>/layer.toml` of the checkout `source`; its text is returned for the cache's key.
    ///
    /// # Errors
    /// [`LayerError::Read`], [`LayerError::Parse`].
    pub fn load(source: &Path, layer: Layer) -> Result<(LayerFile, String), LayerError> {
        let path = source
            .join("layers")
            .join(layer.as_str())
            .join("layer.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(LayerError::Read { path, source }),
        };
        match toml::from_str(&text) {
            Ok(file) => Ok((file, text)),
            Err(source) => Err(LayerError::Parse { path, source }),
        }
    }

    /// The layer as a filesystem.
    pub(crate) fn tree(&self, parts: &Parts<'_>) -> Result<Tree, LayerError> {
        let layer = parts.recipe.layer;
        let insert_error = |source| LayerError::Insert { layer, source };
        let host_file = |mode: u16, path: &Path| {
            Entry::host_file(mode, path).map_err(|source| LayerError::HostFile { layer, source })
        };
        let mut tree = Tree::new();
        let add = |tree: &mut Tree, path: &Path, entry: Entry| {
            tree.insert_with_folders(path, entry, UNLISTED)
                .map_err(insert_error)
        };
        for item in &self.directory {
            tree.insert(&item.path, Entry::directory(item.mode))
                .map_err(insert_error)?;
        }
        for (item, program) in self.program_file.iter().zip(parts.programs) {
            add(&mut tree, &item.path, host_file(item.mode, &program.path)?)?;
        }
        for item in &self.link {
            add(&mut tree, &item.path, Entry::symlink(&item.to))?;
        }
        for item in &self.text {
            let entry = Entry::file(item.mode, item.text.as_bytes());
            add(&mut tree, &item.path, entry)?;
        }
        // An image has no devices: devtmpfs has them. An initramfs needs its console before anything is mounted.
        if parts.recipe.root == RootKind::Initramfs {
            for DeviceItem {
                path,
                major,
                minor,
                mode,
            } in &self.device
            {
                add(&mut tree, path, Entry::char_device(*mode, *major, *minor))?;
            }
        }
        let node = parts.node;
        let mut files = vec![(&self.node.path, self.node.mode, &node.program)];
        files.push((&node.loader.path, self.node.loader_mode, &node.loader.file));
        files.extend(
            node.libraries
                .iter()
                .map(|library| (&library.path, self.node.library_mode, &library.file)),
        );
        for (path, mode, file) in files {
            add(&mut tree, path, host_file(mode, file)?)?;
        }
        let texts = [
            ("/etc/os-release", os_release(parts.recipe, &node.version)),
            (BOOT_JSON, self.boot_spec(layer).to_json()),
            (SOURCES_JSON, sources_json(parts.used)),
        ];
        for (path, text) in texts {
            add(
                &mut tree,
                Path::new(path),
                Entry::file(READABLE, text.into_bytes()),
            )?;
        }
        Ok(tree)
    }

    fn boot_spec(&self, layer: Layer) -> BootSpec {
        let version = env!("CARGO_PKG_VERSION");
        BootSpec {
            banner: self
                .banner
                .replace("{version}", version)
                .replace("{layer}", layer.as_str()),
            program: self.program.clone(),
            env: self.env.clone(),
            stop_grace: DEFAULT_STOP_GRACE,
        }
    }
}

/// os-release(5).
fn os_release(recipe: &Recipe, node_version: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let flavor = recipe.flavor.as_str();
    format!(
        "NAME=NodeOS\nID=nodeos\nPRETTY_NAME=\"NodeOS {version}\"\nVERSION=\"{version}\"\nVERSION_ID={version}\n\
         VARIANT_ID={flavor}\nNODEOS_LAYER={layer}\nNODEJS_VERSION={node_version}\n",
        layer = recipe.layer,
    )
}

/// The list of inputs, as it stands in the image and beside it.
pub(crate) fn sources_json(used: &[UsedInput]) -> String {
    let mut text = serde_json::to_string_pretty(used).expect("inputs have string keys only");
    text.push('\n');
    text
}
