//! `nodeos install --app`: the disk of an application, in a folder that is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use nodeos_build::application::{ForFiles, Order, Source};
use nodeos_build::assemble::Renewal;
use nodeos_build::assemble::application::{PackOrder, pack};
use nodeos_build::recipe::{Arch, Format, Recipe, SectorSize};
use tempfile::TempDir;
use thiserror::Error;

use super::Arguments;
use crate::application;
use crate::arguments::Global;
use crate::commands::run;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::plan;

/// What is written to a device.
const FORMAT: Format = Format::Disk;

/// What is to be built.
pub(super) struct Wanted {
    order: Order,
    files: ForFiles,
}

/// What was built.
pub(super) struct Disk {
    /// The application's.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Dropped when it is on the device.
    _folder: TempDir,
}

#[derive(Debug, Error)]
#[error("there is no place for the image below {}", .path.display())]
struct NoPlaceError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// What can be wrong with the command line.
pub(super) fn check(what: &str, arguments: &Arguments) -> Result<Wanted, Failure> {
    let given = &arguments.application;
    plan::ports(&run::ports(&given.ports))?;
    let source: Source = what.parse()?;
    Ok(Wanted {
        order: given.order(source, arguments.libc, Arch::X86_64),
        files: given.files()?,
    })
}

/// Builds it, for a device with sectors of that size.
pub(super) fn build(
    wanted: &Wanted,
    sector_size: SectorSize,
    arguments: &Arguments,
    global: &Global,
    streams: &Streams,
) -> Result<Disk, Failure> {
    let interrupt = Interrupt::watch()?;
    let context = environment::context(global, streams, &interrupt.flag)?;
    let recipe = Recipe {
        flavor: arguments.flavor.unwrap_or(FORMAT.flavor()),
        profile: FORMAT.profile(),
        sector_size,
        ..Recipe::BAREBONES
    };
    let Wanted { order, files } = wanted;
    let prepared = application::prepare(
        &context,
        &interrupt,
        order,
        files,
        (&recipe, FORMAT),
        // A disk does not say how much memory there is.
        |_| Ok(()),
        streams,
    )?;
    let recipe = Recipe {
        libc: prepared.application.libc,
        ..recipe
    };
    let folder = folder(&environment::cache_root()?)?;
    let order = PackOrder {
        application: &prepared.application,
        files,
        renewal: Renewal::Keep,
    };
    let packed = pack(&context, &recipe, FORMAT, &order, folder.path());
    let packed = environment::unless_stopped(&interrupt, packed)?;
    let disk = packed.files.into_iter().next();
    Ok(Disk {
        name: prepared.application.name,
        path: disk.expect("a disk is a file").path,
        _folder: folder,
    })
}

/// Beside the cache, where there is room for images; /tmp may be memory.
fn folder(cache: &Path) -> Result<TempDir, Failure> {
    let make = || {
        fs::create_dir_all(cache)?;
        tempfile::Builder::new()
            .prefix(".install-")
            .tempdir_in(cache)
    };
    make().map_err(|source| {
        let path = cache.to_owned();
        Failure::new(NoPlaceError { path, source })
    })
}
