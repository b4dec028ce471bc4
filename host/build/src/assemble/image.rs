//! The system as one file: an EROFS image, or an archive for an initramfs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nodeos_image::lz4::Lz4Writer;
use nodeos_image::tree::{Kind as EntryKind, Tree};
use nodeos_image::{cpio, erofs};
use serde::{Deserialize, Serialize};

use super::BuildError;
use nodeos_vm::machine::Root;

use crate::application::contents::Contents;
use crate::cache::{Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::layer::{LayerError, Parts, Stack, sources_json};
use crate::recipe::RootKind;

/// Raised when the writers change what they write.
const BUILD_VERSION: &str = "3";
/// Every time in an image, seconds since 1970: the day of NodeOS's first release as an npm package, 2014-03-01.
pub(crate) const MTIME: u32 = 1_393_632_000;
/// The size of a huge page on x86-64: what a mapped image and the big files in it are aligned to, so that one entry
/// of a page table maps two megabytes of Node.js.
const HUGE_PAGE: u64 = 2 << 20;

/// A finished image in the cache.
#[derive(Debug)]
pub(crate) struct Image {
    /// Changes whenever the image does.
    pub(crate) key: Key,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) unpacked_bytes: u64,
}

/// What `entry.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    unpacked_bytes: u64,
}

/// The name of the file that holds the system.
pub(crate) fn file_name(root: RootKind) -> &'static str {
    match root {
        RootKind::Pmem | RootKind::Disk => "system.img",
        RootKind::Initramfs => "initramfs.cpio.lz4",
    }
}

/// The image: from the cache, else written.
pub(crate) fn make(ctx: &Context, stack: &Stack, parts: &Parts<'_>) -> Result<Image, BuildError> {
    make_with(ctx, stack, parts, None)
}

/// As [`make`], with an application in it.
pub(crate) fn make_with(
    ctx: &Context,
    stack: &Stack,
    parts: &Parts<'_>,
    application: Option<&Contents<'_>>,
) -> Result<Image, BuildError> {
    let recipe = parts.recipe;
    let name = file_name(recipe.root);
    let mut hasher = KeyHasher::new("image")
        .text("version", BUILD_VERSION)
        .text("release", env!("CARGO_PKG_VERSION"))
        .text("file", name)
        .text("flavor", recipe.flavor.as_str())
        .text("layer", &stack.text)
        .text("node", parts.node.key.as_str())
        .text("sources", &sources_json(parts.used));
    for program in parts.programs {
        hasher = hasher.text("program", program.key.as_str());
    }
    if let Some(folder) = stack.users_folder() {
        hasher = hasher
            .path("users", &folder)
            .map_err(|source| BuildError::Image {
                path: folder.clone(),
                source: source.into(),
            })?;
    }
    let mut what = recipe.layer.to_string();
    if let Some(contents) = application {
        hasher = contents.hash(hasher);
        what = contents.application.name.clone();
    }
    let key = hasher.finish();
    let label = format!("{what} {} ({}, {name})", recipe.flavor, recipe.libc);
    let write = |dir: &Path| {
        let step = ctx.progress.begin(&format!("write {name}"), None);
        let path = dir.join(name);
        let mut tree = stack.tree(parts).map_err(BuildError::Layer)?;
        if let Some(contents) = application {
            let layer = recipe.layer;
            contents
                .put_into(&mut tree)
                .map_err(|source| BuildError::Layer(LayerError::Insert { layer, source }))?;
        }
        write_image(&tree, recipe.root, &key, &path).map_err(|source| BuildError::Image {
            path: path.clone(),
            source,
        })?;
        step.finish("");
        Ok::<_, BuildError>(MadeFrom {
            unpacked_bytes: unpacked_bytes(&tree),
        })
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Images, &key, &label, write)
        .map_err(MakeEntryError::into_make)?;
    let path = entry.dir.join(name);
    let read_error = |source: io::Error| BuildError::Image {
        path: path.clone(),
        source: source.into(),
    };
    let bytes = fs::metadata(&path).map_err(read_error)?.len();
    let made: Option<MadeFrom> = entry.made_from();
    let unpacked_bytes = made.map_or(bytes, |made| made.unpacked_bytes);
    Ok(Image {
        key,
        bytes,
        unpacked_bytes,
        path,
    })
}

type WriteError = Box<dyn std::error::Error + Send + Sync>;

fn write_image(tree: &Tree, root: RootKind, key: &Key, path: &Path) -> Result<(), WriteError> {
    let file = File::create_new(path)?;
    match root {
        RootKind::Pmem | RootKind::Disk => {
            erofs::write(tree, &erofs_options(uuid(key)), &file)?;
        }
        RootKind::Initramfs => {
            let mut packer = Lz4Writer::new(BufWriter::new(&file))?;
            cpio::write(tree, MTIME, &mut packer)?;
            packer.finish()?.flush()?;
        }
    }
    // The output folder holds links to this file: nobody is to change it.
    file.set_permissions(fs::Permissions::from_mode(0o444))?;
    Ok(())
}

/// How every EROFS image of ours is written.
pub fn erofs_options(uuid: [u8; 16]) -> erofs::Options {
    erofs::Options {
        uuid,
        label: "nodeos".to_owned(),
        mtime: MTIME.into(),
        large_file_alignment: HUGE_PAGE,
        image_alignment: HUGE_PAGE,
    }
}

/// The same inputs give the same image, its UUID included.
pub(crate) fn uuid(key: &Key) -> [u8; 16] {
    let number = u128::from_str_radix(key.as_str(), 16).expect("a key is 32 hexadecimal digits");
    number.to_be_bytes()
}

/// How the system image reaches the machine.
pub fn machine_root(kind: RootKind, system: &Path, system_bytes: u64) -> Root {
    let image = PathBuf::from(system);
    match kind {
        RootKind::Pmem => Root::Pmem {
            image,
            size: system_bytes,
        },
        RootKind::Disk => Root::Disk { image },
        RootKind::Initramfs => Root::Initramfs { archive: image },
    }
}

fn unpacked_bytes(tree: &Tree) -> u64 {
    let file = |entry: &nodeos_image::tree::Entry| match &entry.kind {
        EntryKind::File(content) => content.len(),
        _ => 0,
    };
    tree.iter().map(|(_, entry)| file(entry)).sum()
}
