//! An application that becomes files: what can be said about it, and everything up to its images.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use nodeos_build::application::{self, Application, ForFiles, Order, Source};
use nodeos_build::assemble::application::System;
use nodeos_build::context::Context;
use nodeos_build::recipe::{Arch, Format, Libc, Recipe, RootKind};
use nodeos_spec::package::port::PublishedPort;
use nodeos_spec::package::volume::VolumeOrder;
use nodeos_spec::package::{LibcChoice, Optimize, Package};

use crate::commands::run;
use crate::env_file;
use crate::environment;
use crate::host_vm::HostVm;
use crate::interrupt::{Interrupt, InterruptedError};
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::plan;
use crate::training::Trainer;

/// What can be said about an application beside its project.
#[derive(Debug, Args)]
#[command(next_help_heading = "An application")]
pub struct ApplicationArguments {
    /// Arguments of the application
    #[arg(last = true, value_name = "ARGS", requires = "app")]
    pub args: Vec<String>,
    /// The application listens on the port GUEST
    ///
    /// In the format qemu, run.sh passes connections to this host's port HOST on to it, as `nodeos run` does. Can be given several
    /// times.
    #[arg(short, long = "port", value_name = "[IP:]HOST:GUEST", requires = "app")]
    pub ports: Vec<PublishedPort>,
    /// Give the application a filesystem of its own that lasts: an image of up to 1 GiB
    ///
    /// It is a partition on a disk, where the last one grows to the disk's end, and a place for one in a container. It is made once,
    /// and kept by the builds that follow. Can be given several times.
    #[arg(long = "volume", value_name = "NAME:DIR[:ro]", requires = "app")]
    pub volumes: Vec<VolumeOrder>,
    /// Give the application this variable
    ///
    /// It stands in the application's image: whoever has the files can read it.
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE", value_parser = env_file::parse_variable, requires = "app")]
    pub variables: Vec<(String, String)>,
    /// Give the application the variables in this file, as `node --env-file` reads it
    ///
    /// They stand in the application's image, too.
    #[arg(long = "env-file", value_name = "FILE", requires = "app")]
    pub env_files: Vec<PathBuf>,
    /// Bundle the application and what it imports into one file, so that it starts faster
    ///
    /// As "optimize": true in package.json. What cannot be bundled is named and stays as it is.
    #[arg(long, requires = "app")]
    pub optimize: bool,
}

/// An application whose images are there, and the system below it where one was made.
#[derive(Debug)]
pub struct Prepared {
    pub application: Application,
    pub system: Option<System>,
}

/// Makes its images, and says what people should know. `recipe` is that of the system in `format`; the C library is the
/// application's. `check` may refuse what package.json says, before minutes of building.
///
/// # Errors
/// Whatever ends a build.
pub fn prepare(
    context: &Context,
    interrupt: &Interrupt,
    order: &Order,
    files: &ForFiles,
    (recipe, format): (&Recipe, Format),
    check: impl FnOnce(&Package) -> Result<(), Failure>,
    streams: &Streams,
) -> Result<Prepared, Failure> {
    let application = application::prepare_for_files(context, order, files);
    let mut application = unless_stopped(interrupt, application)?;
    // Those that package.json names, too.
    plan::ports(&run::ports(files.ports(&application.config)))?;
    check(&application.config)?;
    let recipe = Recipe {
        layer: nodeos_build::recipe::Layer::Application,
        libc: application.libc,
        ..*recipe
    };
    let host = examine(&mut application)?;
    // Other formats pack the system together with the application.
    let system = match format == Format::Qemu || host.is_some() {
        true => {
            let system = System::make(context, &recipe);
            Some(environment::unless_stopped(interrupt, system)?)
        }
        false => None,
    };
    if let (Some(host), Some(system)) = (&host, &system) {
        warm_up(
            &mut application,
            system,
            recipe.root,
            host,
            (context, interrupt),
        )?;
    }
    let notes = application.notes.iter();
    notes.for_each(|note| streams.err.line(&format!("note: {note}")));
    Ok(Prepared {
        application,
        system,
    })
}

/// This host, where it can run a machine in which the application's scripts are compiled. None, too, where that is not wanted.
fn examine(application: &mut Application) -> Result<Option<HostVm>, Failure> {
    if !application.wants_compile_cache() {
        return Ok(None);
    }
    match HostVm::examine(&environment::cache_root()?) {
        Ok(host) => Ok(Some(host)),
        Err(failure) => {
            let reason = failure.error;
            let note = format!("its scripts are compiled anew at each start: {reason}");
            application.notes.push(note);
            Ok(None)
        }
    }
}

fn warm_up(
    application: &mut Application,
    system: &System,
    root: RootKind,
    host: &HostVm,
    (context, interrupt): (&Context, &Interrupt),
) -> Result<(), Failure> {
    let root = match root {
        RootKind::Initramfs => RootKind::Initramfs,
        RootKind::Pmem | RootKind::Disk => plan::root(None, host.pmem)?.0,
    };
    let trainer = Trainer {
        context,
        host,
        root,
        system: &system.bare(),
        ports: Vec::new(),
    };
    unless_stopped(interrupt, trainer.warm_up(application))
}

/// That the user stopped it is the whole story then.
fn unless_stopped<T>(
    interrupt: &Interrupt,
    made: Result<T, application::PrepareApplicationError>,
) -> Result<T, Failure> {
    match made {
        Err(error) if error.is_cancelled() && interrupt.was_signalled() => {
            Err(InterruptedError.into())
        }
        made => Ok(made?),
    }
}

/// The C library that the command line names.
fn chosen(libc: Libc) -> LibcChoice {
    match libc {
        Libc::Musl => LibcChoice::Musl,
        Libc::Glibc => LibcChoice::Glibc,
    }
}

impl ApplicationArguments {
    /// What is to be made of it.
    pub fn order(&self, source: Source, libc: Option<Libc>, arch: Arch) -> Order {
        Order {
            source,
            args: self.args.clone(),
            libc: libc.map(chosen),
            optimize: self.optimize.then_some(Optimize::On),
            arch,
        }
    }

    /// What is to stand in its image.
    ///
    /// # Errors
    /// A file of variables cannot be read.
    pub fn files(&self) -> Result<ForFiles, Failure> {
        let mut env = BTreeMap::new();
        for file in &self.env_files {
            env.extend(env_file::read(file).map_err(Failure::new)?);
        }
        env.extend(self.variables.iter().cloned());
        Ok(ForFiles {
            ports: self.ports.clone(),
            env,
            volumes: self.volumes.clone(),
        })
    }
}
