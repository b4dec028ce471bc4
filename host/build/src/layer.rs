//! A layer: `layers/<name>/layer.toml`, which says what is in it and on which layer it stands.

mod tree;
pub mod users;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_image::tree::{HostFileError, InsertEntryError};
use serde::Deserialize;

use crate::programs::BuildProgramError;
use crate::recipe::Layer;

pub(crate) use tree::{Parts, sources_json};
pub use users::UsersError;

/// `layer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFile {
    /// The layer below, whose contents this one has as well; what both have is this one's.
    below: Option<String>,
    /// What stands on the console before the program starts; `{version}` and `{layer}` are filled in.
    banner: String,
    /// boot.json's program.
    program: Vec<String>,
    /// boot.json's time between TERM and KILL when the machine stops, in seconds.
    stop_grace: Option<u64>,
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
    node: Option<NodeItem>,
    npm: Option<NpmItem>,
    /// Homes that the image brings.
    users: Option<UsersItem>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryItem {
    path: PathBuf,
    mode: u16,
}

/// Where npm goes, with links to its commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NpmItem {
    path: PathBuf,
    /// The folder of the links.
    commands: PathBuf,
}

/// Where the homes go that are in `layers/<name>/users`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersItem {
    path: PathBuf,
}

/// A program of `os/`, and where it goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramItem {
    /// The Cargo package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    path: PathBuf,
    mode: u16,
    /// Of a program of many names: the folder in which each gets a link.
    names: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkItem {
    path: PathBuf,
    to: PathBuf,
}

/// A file that is short enough to stand in `layer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextItem {
    path: PathBuf,
    mode: u16,
    text: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceItem {
    path: PathBuf,
    major: u32,
    minor: u32,
    mode: u16,
}

#[derive(Debug, Clone, Deserialize)]
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
    #[error("{} stands on itself, or on too many others", .path.display())]
    Below { path: PathBuf },
    #[error("no layer of {layer} says where Node.js goes")]
    NoNode { layer: Layer },
    #[error("layer {layer} has npm, and this Node.js comes without it")]
    NoNpm { layer: Layer },
    #[error("layer {layer} cannot take in a program")]
    Program {
        layer: Layer,
        #[source]
        source: BuildProgramError,
    },
    #[error("layer {layer} cannot take in its users")]
    Users {
        layer: Layer,
        #[source]
        source: UsersError,
    },
    #[error("layer {layer} contains what cannot be in an image")]
    Insert {
        layer: Layer,
        #[source]
        source: InsertEntryError,
    },
}

/// More layers than this are a mistake.
const MAX_DEPTH: usize = 8;

/// A layer and all that it stands on, the lowest first.
#[derive(Debug)]
pub struct Stack {
    pub layer: Layer,
    files: Vec<(String, LayerFile)>,
    /// All their texts, for the cache's key.
    pub text: String,
    /// The folder `layers`.
    folder: PathBuf,
}

impl Stack {
    /// Reads `layers/<layer>/layer.toml` of the checkout `source`, and those of the layers below.
    ///
    /// # Errors
    /// [`LayerError::Read`], [`LayerError::Parse`], [`LayerError::Below`].
    pub fn load(source: &Path, layer: Layer) -> Result<Stack, LayerError> {
        let folder = source.join("layers");
        let mut stack = Stack {
            layer,
            files: Vec::new(),
            text: String::new(),
            folder,
        };
        let mut next = Some(layer.as_str().to_owned());
        while let Some(name) = next {
            let path = stack.folder.join(&name).join("layer.toml");
            if stack.files.len() == MAX_DEPTH {
                return Err(LayerError::Below { path });
            }
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(source) => return Err(LayerError::Read { path, source }),
            };
            let file: LayerFile = match toml::from_str(&text) {
                Ok(file) => file,
                Err(source) => return Err(LayerError::Parse { path, source }),
            };
            stack.text.push_str(&text);
            next = file.below.clone();
            stack.files.insert(0, (name, file));
        }
        Ok(stack)
    }

    /// The stack without its uppermost layer. None for the lowest, and for what stands upon a layer that nobody can ask for:
    /// those belong together.
    pub(crate) fn below(&self) -> Option<Stack> {
        let (_, files) = self.files.split_last()?;
        let (name, _) = files.last()?;
        Some(Stack {
            layer: name.parse().ok()?,
            files: files.to_vec(),
            text: self.text.clone(),
            folder: self.folder.clone(),
        })
    }

    /// The system programs, in the order in which [`Parts`] wants them.
    pub fn programs(&self) -> impl Iterator<Item = &ProgramItem> {
        self.files.iter().flat_map(|(_, file)| &file.program_file)
    }

    /// The folder of homes of the uppermost layer that has one: those of the layers below are examples of what they are.
    pub fn users_folder(&self) -> Option<PathBuf> {
        self.users().map(|(folder, _)| folder)
    }

    fn users(&self) -> Option<(PathBuf, &UsersItem)> {
        self.files.iter().rev().find_map(|(name, file)| {
            let item = file.users.as_ref()?;
            Some((self.folder.join(name).join("users"), item))
        })
    }
}
