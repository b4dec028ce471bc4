//! An npm project, a file or a package -> the images that a machine runs it from.
//!
//! Two images: its dependencies, which change with the lock file, and its own files with the orders for the machine. What
//! is below both is the system's, and not made here. Nothing is written into the project.
//!
//! Who follows a project's changes compares outlines of it, and makes no images.

mod addons;
mod built;
mod bundle;
pub mod compile_cache;
pub(crate) mod contents;
mod discover;
mod error;
mod files;
pub(crate) mod for_files;
mod image;
mod install;
mod manager;
mod modules;
pub mod outline;
mod project;
mod registry;
mod script;
mod source;
mod syntax;
pub mod volume;

use std::path::PathBuf;

use nodeos_spec::application::{ApplicationSpec, FOLDER};
use nodeos_spec::package::{LibcChoice, Optimize, Package};

use crate::cache::Key;
use crate::context::Context;
use crate::manifest::Manifest;
use crate::node::host::{self, HostNode};
use crate::node::{self, Node};
use crate::recipe::{Arch, Libc};

use addons::Addons;
use built::Built;
use discover::Found;
use files::Listing;
use install::{Form, Installed};
use outline::Outline;
use project::Project;

pub use addons::Lacking;
pub use discover::Start;
pub use error::PrepareApplicationError;
pub use for_files::ForFiles;
pub use image::LayerImage;
pub use outline::{Looked, look};
pub use script::ScriptError;
pub use source::Source;

/// Where Node.js is in a machine.
const NODE: &str = "/bin/node";

/// What to make a machine of.
#[derive(Debug, Clone)]
pub struct Order {
    pub source: Source,
    /// Arguments of the application, behind those that it gives itself.
    pub args: Vec<String>,
    /// Instead of what `package.json` says.
    pub libc: Option<LibcChoice>,
    /// Instead of what `package.json` says.
    pub optimize: Option<Optimize>,
    pub arch: Arch,
}

impl Order {
    /// Whether it is to be one file.
    fn optimize(&self, config: &Package) -> Optimize {
        self.optimize.unwrap_or(config.optimize)
    }

    /// As what its dependencies are needed.
    fn form(&self, config: &Package) -> Form {
        match self.optimize(config) {
            Optimize::On => Form::Folder,
            Optimize::Off => Form::Image,
        }
    }
}

/// An application that is ready to run.
#[derive(Debug, Clone)]
pub struct Application {
    /// What people call it, fit for a host's name.
    pub name: String,
    /// What `package.json` says about running it.
    pub config: Package,
    /// The C library that its Node.js has to have.
    pub libc: Libc,
    /// The Node.js that it runs on: `24.19.0`.
    pub node_version: String,
    /// What Node.js is started with.
    pub start: Start,
    /// What `application.json` in its image says: without volumes, whose devices only the machine's maker knows, unless it was made
    /// [`ForFiles`].
    pub spec: ApplicationSpec,
    /// Its dependencies, where it has any. Belongs below [`Application::application`].
    pub dependencies: Option<LayerImage>,
    /// What its scripts were compiled to, where it has that ([`compile_cache::provide`]). Belongs between the two others.
    pub compile_cache: Option<LayerImage>,
    /// Its own files, and `application.json`.
    pub application: LayerImage,
    /// The folder whose changes change it. None for a package from the registry.
    pub folder: Option<PathBuf>,
    /// What it was made of.
    pub outline: Outline,
    /// What people should know once, each a sentence.
    pub notes: Vec<String>,
    training_key: Option<Key>,
}

impl Application {
    /// Whether it is one that gains by a compile cache.
    pub fn wants_compile_cache(&self) -> bool {
        self.training_key.is_some()
    }

    /// Its images, the lowest first.
    pub fn layers(&self) -> impl Iterator<Item = &LayerImage> {
        let below = self.dependencies.iter().chain(&self.compile_cache);
        below.chain([&self.application])
    }
}

/// Makes the images of an application, or finds them in the cache.
///
/// # Errors
/// [`PrepareApplicationError`].
pub fn prepare(ctx: &Context, order: &Order) -> Result<Application, PrepareApplicationError> {
    prepare_as(ctx, order, None)
}

/// As [`prepare`], for a machine that has its orders from the application's image alone.
///
/// # Errors
/// [`PrepareApplicationError`].
pub fn prepare_for_files(
    ctx: &Context,
    order: &Order,
    files: &ForFiles,
) -> Result<Application, PrepareApplicationError> {
    prepare_as(ctx, order, Some(files))
}

fn prepare_as(
    ctx: &Context,
    order: &Order,
    files: Option<&ForFiles>,
) -> Result<Application, PrepareApplicationError> {
    let manifest = Manifest::load(&ctx.source).map_err(PrepareApplicationError::Inputs)?;
    let makers = Makers {
        ctx,
        manifest: &manifest,
        arch: order.arch,
        files,
    };
    find_out(&makers, order)?.finish(&makers)
}

/// All but the images.
fn find_out(makers: &Makers<'_>, order: &Order) -> Result<Built, PrepareApplicationError> {
    match &order.source {
        Source::Folder(folder) => {
            let project = Project::read(folder)?;
            prepare_project(makers, order, &project, None)
        }
        Source::File(file) => match source::project_of(file)? {
            Some((project, entry)) => prepare_project(makers, order, &project, Some(&entry)),
            None => prepare_file(makers, order, file),
        },
        Source::Package(package) => prepare_package(makers, order, package),
    }
}

/// What every part is given.
struct Makers<'a> {
    ctx: &'a Context,
    manifest: &'a Manifest,
    arch: Arch,
    files: Option<&'a ForFiles>,
}

impl Makers<'_> {
    /// Whether it can be what it is to become.
    fn check(&self, config: &Package) -> Result<(), PrepareApplicationError> {
        self.files.map_or(Ok(()), |files| files.check(config))
    }

    fn node(&self, libc: Libc) -> Result<Node, PrepareApplicationError> {
        node::prepare(self.ctx, self.manifest, self.arch, libc)
            .map_err(PrepareApplicationError::Node)
    }

    fn host_node(&self, node: &Node, libc: Libc) -> Result<HostNode, PrepareApplicationError> {
        host::prepare(self.ctx, self.manifest, node, self.arch, libc)
            .map_err(PrepareApplicationError::Node)
    }
}

fn prepare_project(
    makers: &Makers<'_>,
    order: &Order,
    project: &Project,
    entry: Option<&str>,
) -> Result<Built, PrepareApplicationError> {
    let config = project.package.config()?;
    makers.check(&config)?;
    // Before anything is fetched: what is wrong with the project itself.
    let found = discover::find(project, &config, entry)?;
    let listing = files::list(project, &config)?;
    if let Found::File(start) = &found {
        listing.must_have(&start.entry)?;
    }
    let own = Addons::of_application(project, &listing);
    let form = order.form(&config);
    let chosen = choose_libc(makers, order, &config, &own, &|node, host| {
        install::install(makers.ctx, node, host, project, makers.arch, form)
    })?;
    let mut notes = chosen.notes;
    notes.extend(project.notes(&chosen.node.version));
    check_version(&config, &chosen.node.version)?;
    let start = match found {
        Found::File(start) => start,
        Found::Tool(tool) => discover::resolve(tool, project, chosen.installed.as_ref())?,
    };
    Ok(Built {
        name: project.name(),
        optimize: order.optimize(&config),
        config,
        start: with_args(start, order),
        cwd: project.cwd(),
        listing,
        folder: Some(project.root.clone()),
        node: chosen.node,
        host: chosen.host,
        installed: chosen.installed,
        notes,
    })
}

/// A file alone: without a package.json it has no dependencies, and nothing says what else belongs to it.
fn prepare_file(
    makers: &Makers<'_>,
    order: &Order,
    file: &std::path::Path,
) -> Result<Built, PrepareApplicationError> {
    let (listing, entry) = source::alone(file)?;
    let config = Package::default();
    makers.check(&config)?;
    let chosen = choose_libc(makers, order, &config, &Addons::default(), &|_, _| Ok(None))?;
    Ok(Built {
        name: project::host_name(&entry),
        optimize: order.optimize(&config),
        config,
        start: with_args(Start::of_file(entry), order),
        cwd: FOLDER.to_owned(),
        listing,
        folder: file.parent().map(PathBuf::from),
        node: chosen.node,
        host: chosen.host,
        installed: None,
        notes: chosen.notes,
    })
}

fn prepare_package(
    makers: &Makers<'_>,
    order: &Order,
    package: &str,
) -> Result<Built, PrepareApplicationError> {
    let config = Package::default();
    makers.check(&config)?;
    // Any Node.js can ask the registry.
    let node = makers.node(Libc::Musl)?;
    let host = makers.host_node(&node, Libc::Musl)?;
    let release = registry::look_up(makers.ctx, &host, package)?;
    let folder = registry::project_for(&release)?;
    let project = Project::read(folder.path())?;
    let form = order.form(&config);
    let chosen = choose_libc(makers, order, &config, &Addons::default(), &|node, host| {
        install::install(makers.ctx, node, host, &project, makers.arch, form)
    })?;
    let start = discover::resolve(release.tool(), &project, chosen.installed.as_ref())?;
    Ok(Built {
        name: project::host_name(&release.name),
        optimize: order.optimize(&config),
        config,
        start: with_args(start, order),
        cwd: FOLDER.to_owned(),
        listing: Listing::default(),
        folder: None,
        node: chosen.node,
        host: chosen.host,
        installed: chosen.installed,
        notes: chosen.notes,
    })
}

fn with_args(mut start: Start, order: &Order) -> Start {
    start.args.extend(order.args.iter().cloned());
    start
}

/// A C library, its Node.js, and the dependencies that were installed for it.
struct Chosen {
    node: Node,
    host: HostNode,
    installed: Option<Installed>,
    notes: Vec<String>,
}

type Install<'a> =
    dyn Fn(&Node, &HostNode) -> Result<Option<Installed>, PrepareApplicationError> + 'a;

/// Installs for the C library that is asked for, or for the one that all native add-ons run with: musl where it can be.
fn choose_libc(
    makers: &Makers<'_>,
    order: &Order,
    config: &Package,
    own: &Addons,
    install: &Install<'_>,
) -> Result<Chosen, PrepareApplicationError> {
    let attempt = |libc: Libc| {
        let node = makers.node(libc)?;
        let host = makers.host_node(&node, libc)?;
        let installed = install(&node, &host)?;
        let mut lacking = own.lacking(makers.arch, &node, &host)?;
        lacking.extend(installed.iter().flat_map(|made| made.lacking.clone()));
        let chosen = Chosen {
            node,
            host,
            installed,
            notes: Vec::new(),
        };
        Ok::<_, PrepareApplicationError>((chosen, lacking))
    };
    let wanted = order.libc.unwrap_or(config.libc);
    let first = match wanted {
        LibcChoice::Auto | LibcChoice::Musl => Libc::Musl,
        LibcChoice::Glibc => Libc::Glibc,
    };
    let (chosen, lacking) = attempt(first)?;
    if lacking.is_empty() {
        return Ok(chosen);
    }
    if wanted != LibcChoice::Auto {
        return Err(PrepareApplicationError::Addons {
            libc: first,
            lacking,
        });
    }
    let note = error::glibc_note(&lacking);
    let (mut chosen, lacking) = attempt(Libc::Glibc)?;
    if !lacking.is_empty() {
        return Err(PrepareApplicationError::Addons {
            libc: Libc::Glibc,
            lacking,
        });
    }
    chosen.notes.push(note);
    Ok(chosen)
}

/// Whether the Node.js that goes into the image is one that the application wants.
fn check_version(config: &Package, shipped: &str) -> Result<(), PrepareApplicationError> {
    let Some(wanted) = &config.node_version else {
        return Ok(());
    };
    match project::contains(wanted, shipped) {
        Some(true) => Ok(()),
        Some(false) => Err(PrepareApplicationError::NodeVersion {
            wanted: wanted.clone(),
            shipped: shipped.to_owned(),
        }),
        None => Err(PrepareApplicationError::NodeVersionRange {
            wanted: wanted.clone(),
        }),
    }
}
