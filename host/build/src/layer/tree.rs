//! The [`Tree`] that a stack of layers becomes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeos_image::tree::{Entry, Tree};
use nodeos_spec::boot::{BootSpec, DEFAULT_STOP_GRACE, LIBC, PATH as BOOT_JSON};

use super::{DeviceItem, LayerError, LayerFile, NodeItem, NpmItem, ProgramItem, Stack, users};
use crate::fetch::UsedInput;
use crate::node::Node;
use crate::programs::{self, Program};
use crate::recipe::{Layer, Libc, Recipe, RootKind};

/// What the image was made from, in the image.
const SOURCES_JSON: &str = "/etc/nodeos/sources.json";
/// The mode of what everybody may read.
const READABLE: u16 = 0o444;
/// The mode of folders that come with a file and that the layer does not name: known names may be used, not listed.
const UNLISTED: u16 = 0o111;
/// The mode of what everybody may read and list.
const LISTED: u16 = 0o555;
/// What npm is called by, and the file that it is then.
const NPM_COMMANDS: [(&str, &str); 2] = [("npm", "bin/npm-cli.js"), ("npx", "bin/npx-cli.js")];

/// What goes into a layer beside its own file.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) node: &'a Node,
    /// In the order of [`Stack::programs`].
    pub(crate) programs: &'a [Program],
    pub(crate) used: &'a [UsedInput],
}

/// A tree in the making, with the layer that errors name.
struct Making<'a> {
    tree: Tree,
    layer: Layer,
    parts: &'a Parts<'a>,
}

impl Stack {
    /// The layers as one filesystem.
    pub(crate) fn tree(&self, parts: &Parts<'_>) -> Result<Tree, LayerError> {
        let layer = parts.recipe.layer;
        let mut making = Making {
            tree: Tree::new(),
            layer,
            parts,
        };
        let mut programs = parts.programs.iter();
        for (_, file) in &self.files {
            making.folders(file)?;
            for (item, program) in file.program_file.iter().zip(&mut programs) {
                making.program(item, program)?;
            }
            making.small_things(file)?;
            if let Some(item) = &file.npm {
                making.npm(item)?;
            }
        }
        if let Some((folder, item)) = self.users() {
            let homes =
                users::tree(&folder).map_err(|source| LayerError::Users { layer, source })?;
            making.graft(&item.path, &homes)?;
        }
        let node = self
            .files
            .iter()
            .rev()
            .find_map(|(_, file)| file.node.as_ref());
        making.node(node.ok_or(LayerError::NoNode { layer })?)?;
        let texts = [
            (
                "/etc/os-release",
                os_release(parts.recipe, &parts.node.version),
            ),
            (BOOT_JSON, self.boot_spec(parts.recipe.libc).to_json()),
            (SOURCES_JSON, sources_json(parts.used)),
        ];
        for (path, text) in texts {
            making.add(Path::new(path), Entry::file(READABLE, text.into_bytes()))?;
        }
        Ok(making.tree)
    }

    fn boot_spec(&self, libc: Libc) -> BootSpec {
        let version = env!("CARGO_PKG_VERSION");
        let (_, top) = self.files.last().expect("a stack has its own layer");
        let mut env = top.env.clone();
        env.insert(LIBC.to_owned(), libc.as_str().to_owned());
        BootSpec {
            banner: top
                .banner
                .replace("{version}", version)
                .replace("{layer}", self.layer.as_str()),
            program: top.program.clone(),
            env,
            stop_grace: top
                .stop_grace
                .map_or(DEFAULT_STOP_GRACE, Duration::from_secs),
        }
    }
}

impl Making<'_> {
    fn add(&mut self, path: &Path, entry: Entry) -> Result<(), LayerError> {
        let layer = self.layer;
        self.tree
            .insert_with_folders(path, entry, UNLISTED)
            .map_err(|source| LayerError::Insert { layer, source })
    }

    fn add_file(&mut self, path: &Path, mode: u16, file: &Path) -> Result<(), LayerError> {
        let layer = self.layer;
        let entry = Entry::host_file(mode, file)
            .map_err(|source| LayerError::HostFile { layer, source })?;
        self.add(path, entry)
    }

    fn folders(&mut self, file: &LayerFile) -> Result<(), LayerError> {
        for item in &file.directory {
            self.add(&item.path, Entry::directory(item.mode))?;
        }
        Ok(())
    }

    fn program(&mut self, item: &ProgramItem, program: &Program) -> Result<(), LayerError> {
        let layer = self.layer;
        self.add_file(&item.path, item.mode, &program.path)?;
        let Some(folder) = &item.names else {
            return Ok(());
        };
        let names =
            programs::names(program).map_err(|source| LayerError::Program { layer, source })?;
        for name in names {
            // What a higher layer, or an earlier program, calls so stays so.
            let path = folder.join(name);
            if self.tree.get(&path).is_none() {
                self.add(&path, Entry::symlink(&item.path))?;
            }
        }
        Ok(())
    }

    fn small_things(&mut self, file: &LayerFile) -> Result<(), LayerError> {
        for item in &file.link {
            self.add(&item.path, Entry::symlink(&item.to))?;
        }
        for item in &file.text {
            self.add(&item.path, Entry::file(item.mode, item.text.as_bytes()))?;
        }
        // An image has no devices: devtmpfs has them. An initramfs needs its console before anything is mounted.
        if self.parts.recipe.root == RootKind::Initramfs {
            for DeviceItem {
                path,
                major,
                minor,
                mode,
            } in &file.device
            {
                self.add(path, Entry::char_device(*mode, *major, *minor))?;
            }
        }
        Ok(())
    }

    fn node(&mut self, item: &NodeItem) -> Result<(), LayerError> {
        let node = self.parts.node;
        self.add_file(&item.path, item.mode, &node.program)?;
        self.add_file(&node.loader.path, item.loader_mode, &node.loader.file)?;
        for library in &node.libraries {
            self.add_file(&library.path, item.library_mode, &library.file)?;
        }
        for alias in node.aliases() {
            self.add(&alias.path, Entry::symlink(&alias.target))?;
        }
        Ok(())
    }

    fn npm(&mut self, item: &NpmItem) -> Result<(), LayerError> {
        let layer = self.layer;
        let npm = self.parts.node.npm.as_deref();
        let npm = npm.ok_or(LayerError::NoNpm { layer })?;
        for (path, file) in files_below(npm)? {
            self.tree
                .insert_with_folders(item.path.join(path), host_file(layer, &file)?, LISTED)
                .map_err(|source| LayerError::Insert { layer, source })?;
        }
        for (name, file) in NPM_COMMANDS {
            let path = item.path.join(file);
            if let Some(entry) = self.tree.get(&path) {
                let entry = Entry {
                    mode: LISTED,
                    ..entry.clone()
                };
                self.add(&path, entry)?;
            }
            self.add(&item.commands.join(name), Entry::symlink(&path))?;
        }
        Ok(())
    }

    /// Puts a tree in at a folder of this one.
    fn graft(&mut self, at: &Path, tree: &Tree) -> Result<(), LayerError> {
        for (path, entry) in tree.iter() {
            let path = at.join(path.strip_prefix("/").unwrap_or(path));
            self.add(&path, entry.clone())?;
        }
        Ok(())
    }
}

fn host_file(layer: Layer, file: &Path) -> Result<Entry, LayerError> {
    Entry::host_file(READABLE, file).map_err(|source| LayerError::HostFile { layer, source })
}

/// Every file below a folder of the host, by its path from there.
fn files_below(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>, LayerError> {
    let read_error = |path: &Path| {
        let path = path.to_owned();
        move |source| LayerError::Read { path, source }
    };
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).map_err(read_error(&next))? {
            let path = entry.map_err(read_error(&next))?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                let below = path.strip_prefix(folder).unwrap_or(&path).to_owned();
                found.push((below, path));
            }
        }
    }
    Ok(found)
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
