//! The dependencies of a project as an image: installed for the machine in a copy, looked at, and kept under the hash of
//! everything that decides what they are.
//!
//! Install scripts of dependencies run, as npm runs them. The project's own run only at install time proper (`preinstall`,
//! `install`, `postinstall`): `prepare` and the like are for those who develop it, and mostly need what they have.

mod copy;
pub(super) mod part;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::addons::{Addons, Lacking};
use super::manager::Manager;
use super::modules::{self, Program, read_error};
use super::project::{DEPENDENCIES, Project};
use super::{PrepareApplicationError, error, image};
use crate::cache::{Key, KeyHasher, Kind, MakeEntryError};
use crate::context::Context;
use crate::node::Node;
use crate::node::host::HostNode;
use crate::recipe::Arch;
use crate::tool::{self, Event, Tool, ToolError};
use copy::Copy;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "2";
/// The image, in the cache's folder.
const FILE: &str = "dependencies.img";
/// The folder in which all of it lies as it was installed, where that is wanted instead.
const FOLDER: &str = "installed";

/// As what dependencies are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Image,
    /// As files, of which parts are taken.
    Folder,
}

/// Dependencies that are there.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) form: Form,
    /// The image, or the folder.
    pub(super) path: PathBuf,
    /// What all of it follows from.
    pub(super) key: Key,
    /// Programs by name, for each folder of the project that has some; the root is `""`.
    pub(super) bins: BTreeMap<String, BTreeMap<String, Program>>,
    /// Packages that do not run with this C library.
    pub(super) lacking: Vec<Lacking>,
}

/// What `entry.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    bins: BTreeMap<String, BTreeMap<String, Program>>,
    lacking: Vec<Lacking>,
}

/// Installs what the project needs in production. None where it needs nothing.
pub(super) fn install(
    ctx: &Context,
    node: &Node,
    host: &HostNode,
    project: &Project,
    arch: Arch,
    form: Form,
) -> Result<Option<Installed>, PrepareApplicationError> {
    if !needs_anything(project) {
        return Ok(None);
    }
    project.manager.must_be_there()?;
    let copy = Copy::of(project)?;
    let version = match project.manager.version(host) {
        Some(command) => {
            let tool = Tool::new(command, project.manager.name(), "package-manager-version");
            tool::capture(ctx, tool).map_err(|source| PrepareApplicationError::Install {
                manager: project.manager.name(),
                source,
            })?
        }
        None => String::new(),
    };
    let hasher = KeyHasher::new("dependencies")
        .text("version", BUILD_VERSION)
        .text("arch", arch.as_str())
        .text("libc", host.libc.as_str())
        .text("node", node.key.as_str())
        .text(
            "manager",
            &format!("{:?} {}", project.manager, version.trim()),
        );
    let hasher = match form {
        Form::Image => hasher,
        Form::Folder => hasher.text("form", FOLDER),
    };
    let key = copy.hash(hasher)?.finish();
    let mut label = format!("dependencies of {} ({})", project.name(), host.libc);
    if form == Form::Folder {
        label.push_str(", as files");
    }
    let maker = Maker {
        ctx,
        node,
        host,
        project,
        arch,
        form,
        version: version.trim(),
        copy: &copy,
        key: &key,
        label: &label,
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Dependencies, &key, &label, |dir| maker.make(dir))
        .map_err(MakeEntryError::into_make)?;
    let made: MadeFrom = error::record(&entry)?;
    Ok(Some(Installed {
        form,
        path: entry.dir.join(match form {
            Form::Image => FILE,
            Form::Folder => FOLDER,
        }),
        key,
        bins: made.bins,
        lacking: made.lacking,
    }))
}

/// Whether there is anything to install: a dependency that is not for development, or a workspace to link. With pnpm only
/// pnpm knows.
fn needs_anything(project: &Project) -> bool {
    if project.manager == Manager::Pnpm {
        return true;
    }
    let packages = [&project.root_package]
        .into_iter()
        .chain(project.workspaces.values());
    let has = |field: &str| {
        packages
            .clone()
            .any(|package| package.dependencies(field).next().is_some())
    };
    DEPENDENCIES.iter().take(3).any(|field| has(field)) || !project.workspaces.is_empty()
}

/// How many lines of what npm has to say an error shows.
const MAX_COMPLAINTS: usize = 12;
/// How npm begins them.
const COMPLAINT: &str = "npm error";
/// Where they end to be about the matter: npm goes on with its manual.
const NOT_THE_MATTER: [&str; 3] = [
    "Clean install a project",
    "Usage:",
    "A complete log of this run",
];

/// The error with the lines that say why, in place of the last ones of all.
fn with_complaints(error: ToolError, complaints: Vec<String>) -> ToolError {
    match error {
        ToolError::Failed {
            program,
            status,
            log,
            ..
        } if !complaints.is_empty() => ToolError::Failed {
            program,
            status,
            log,
            tail: complaints,
        },
        error => error,
    }
}

struct Maker<'a> {
    ctx: &'a Context,
    node: &'a Node,
    host: &'a HostNode,
    project: &'a Project,
    arch: Arch,
    form: Form,
    /// The package manager's, where it is not the one that comes with Node.js.
    version: &'a str,
    copy: &'a Copy<'a>,
    key: &'a Key,
    label: &'a str,
}

impl Maker<'_> {
    fn make(&self, dir: &Path) -> Result<MadeFrom, PrepareApplicationError> {
        let Maker { ctx, project, .. } = self;
        let manager = project.manager;
        let step = ctx.progress.begin(&format!("install {}", self.label), None);
        let work = ctx
            .cache
            .work_dir(ctx, Kind::Dependencies, self.key, self.label)?;
        // What an interrupted installation left would be taken for a project's own.
        let folder = work.path().join("project");
        let renew = || {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)
        };
        renew().map_err(|source| PrepareApplicationError::Write {
            path: folder.clone(),
            source,
        })?;
        self.copy.write(self.arch, self.host.libc, &folder)?;
        let log = format!("install-{}-{}", project.name(), self.host.libc);
        if let Some(command) = manager.settings(self.host, self.arch, &folder) {
            let tool = Tool::new(command, manager.name(), "package-manager-settings");
            tool::capture(ctx, tool).map_err(|source| PrepareApplicationError::Install {
                manager: manager.name(),
                source,
            })?;
        }
        let tool = Tool {
            work: Some(&work),
            ..Tool::new(
                manager.install(self.host, self.arch, self.version, &folder),
                manager.name(),
                &log,
            )
        };
        let mut complaints = Vec::new();
        let mut is_over = false;
        let mut listen = |event: Event<'_>| {
            if let Event::Line(line) = event
                && line.starts_with(COMPLAINT)
            {
                is_over |= NOT_THE_MATTER.iter().any(|end| line.contains(end));
                if !is_over && line != COMPLAINT && complaints.len() < MAX_COMPLAINTS {
                    complaints.push(line.to_owned());
                }
            }
        };
        let ran = tool::run(ctx, tool, &mut listen);
        ran.map_err(|source| PrepareApplicationError::Install {
            manager: manager.name(),
            source: with_complaints(source, complaints),
        })?;
        let folder = fs::canonicalize(&folder).map_err(|source| read_error(&folder, source))?;
        let modules = modules::read(&folder)?;
        let addons = Addons {
            root: folder.clone(),
            native: modules.native,
        };
        let lacking = addons.lacking(self.arch, self.node, self.host)?;
        match self.form {
            Form::Image => image::write(
                &modules.tree,
                self.key,
                image::Files::Mapped,
                &dir.join(FILE),
            )?,
            Form::Folder => part::keep(&folder, &modules.tree, &dir.join(FOLDER))?,
        }
        work.remove()?;
        step.finish("");
        Ok(MadeFrom {
            bins: modules.bins,
            lacking,
        })
    }
}
