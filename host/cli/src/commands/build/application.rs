//! `nodeos build --app`: the machine of an application as files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use nodeos_build::application::{self, Application, ForFiles, Order, Source};
use nodeos_build::assemble::application::{
    ApplicationOrder, ApplicationOutput, System, check_out, publish,
};
use nodeos_build::context::Context;
use nodeos_build::recipe::{Flavor, Format, Layer, Libc, Recipe, RootKind};
use nodeos_spec::package::port::PublishedPort;
use nodeos_spec::package::volume::VolumeOrder;
use nodeos_spec::package::{LibcChoice, Optimize};
use nodeos_vm::{firecracker, libvirt};
use serde_json::{Value, json};

use super::entries;
use crate::arguments::Global;
use crate::commands::run;
use crate::env_file;
use crate::environment;
use crate::host_vm::HostVm;
use crate::interrupt::{Interrupt, InterruptedError};
use crate::memory::Memory;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};
use crate::plan;
use crate::training::Trainer;

/// What can be said about an application, which is not a part of the multi-user system.
#[derive(Debug, Args)]
#[command(next_help_heading = "An application")]
pub struct ApplicationArguments {
    /// Build the machine of an application: a folder with a package.json, a file that Node.js runs, or a package of npm's
    ///
    /// It goes into ARCH/application-NAME/FORMAT below --out. Flags go over what package.json says. All but memory, processors and the
    /// ports of the host stands in the application's image.
    #[arg(
        long,
        value_name = "DIR|FILE|PACKAGE",
        conflicts_with_all = ["layer", "flavor", "users", "users_size", "fresh"]
    )]
    pub app: Option<String>,
    /// Arguments of the application
    #[arg(last = true, value_name = "ARGS", requires = "app")]
    pub args: Vec<String>,
    /// Have run.sh pass connections to this host's port HOST on to the application's port GUEST
    ///
    /// As with `nodeos run`. Can be given several times.
    #[arg(short, long = "port", value_name = "[IP:]HOST:GUEST", requires = "app")]
    pub ports: Vec<PublishedPort>,
    /// Give the machine this much memory: 64M, 1G, or a number of MiB
    ///
    /// Without this flag it is 128M, or 384M with --root initramfs. Whoever boots it may give it another size: Node.js is told.
    #[arg(short, long, value_name = "SIZE", requires = "app")]
    pub memory: Option<Memory>,
    /// Give the machine this many processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255), requires = "app")]
    pub cpus: Option<u32>,
    /// Give the application a filesystem of its own that lasts: an image of up to 1 GiB beside the others
    ///
    /// It is made once, and kept by the builds that follow. Can be given several times.
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

/// Builds, and prints what came out.
pub(super) fn run(
    what: &str,
    arguments: &super::Arguments,
    global: &Global,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let (given, selection) = (&arguments.application, &arguments.selection);
    // What can be wrong with the command line comes before minutes of building.
    plan::application_format(arguments.format)?;
    plan::ports(&run::ports(&given.ports))?;
    let source: Source = what.parse()?;
    let files = given.files()?;
    check_out(selection.arch, &selection.out)?;
    let interrupt = Interrupt::watch()?;
    let context = environment::context(global, streams, &interrupt.flag)?;
    let before = match arguments.json {
        true => entries(&context)?,
        false => HashMap::new(),
    };
    let started = Instant::now();
    let order = Order {
        source,
        args: given.args.clone(),
        libc: selection.libc.map(chosen),
        optimize: given.optimize.then_some(Optimize::On),
        arch: selection.arch,
    };
    let mut application = prepare(&context, &interrupt, &order, &files)?;
    // Those that package.json names, too.
    plan::ports(&run::ports(files.ports(&application.config)))?;
    let recipe = Recipe {
        layer: Layer::Application,
        libc: application.libc,
        profile: arguments.profile,
        ..selection.recipe(Flavor::Mainframe, RootKind::Pmem)
    };
    let system = environment::unless_stopped(&interrupt, System::make(&context, &recipe))?;
    warm_up(&mut application, &system, recipe.root, &context, &interrupt)?;
    let notes = application.notes.iter();
    notes.for_each(|note| streams.err.line(&format!("note: {note}")));
    let memory_mib = run::memory_mib(given.memory, &application.config, recipe.root);
    if recipe.root == RootKind::Initramfs {
        let (bytes, unpacked) = system.bytes();
        plan::initramfs_memory(Memory { mib: memory_mib }, bytes, unpacked)?;
    }
    if interrupt.was_signalled() {
        return Err(InterruptedError.into());
    }
    let order = ApplicationOrder {
        application: &application,
        files: &files,
        memory_mib,
        cpus: run::cpus(given.cpus, &application.config),
    };
    let output = publish(&system, &order, &selection.out)?;
    if !arguments.json {
        streams.print(&as_text(&application.name, &output))?;
        return Ok(());
    }
    let mut made = entries(&context)?;
    made.retain(|key, _| !before.contains_key(key));
    let mut made: Vec<String> = made.into_values().collect();
    made.sort();
    let mut value = as_json(&recipe, &order, &output);
    value["made"] = json!(made);
    value["seconds"] = json!(started.elapsed().as_secs_f64());
    streams.print_json(&value)?;
    Ok(())
}

impl ApplicationArguments {
    /// What is to stand in the image.
    fn files(&self) -> Result<ForFiles, Failure> {
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

fn prepare(
    context: &Context,
    interrupt: &Interrupt,
    order: &Order,
    files: &ForFiles,
) -> Result<Application, Failure> {
    match application::prepare_for_files(context, order, files) {
        Err(error) if error.is_cancelled() && interrupt.was_signalled() => {
            Err(InterruptedError.into())
        }
        prepared => Ok(prepared?),
    }
}

/// Has its scripts compiled, where this host can run a machine for that.
fn warm_up(
    application: &mut Application,
    system: &System,
    root: RootKind,
    context: &Context,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    if !application.wants_compile_cache() {
        return Ok(());
    }
    let host = match HostVm::examine(&environment::cache_root()?) {
        Ok(host) => host,
        Err(failure) => {
            let reason = failure.error;
            let note = format!("its scripts are compiled anew at each start: {reason}");
            application.notes.push(note);
            return Ok(());
        }
    };
    let root = match root {
        RootKind::Initramfs => RootKind::Initramfs,
        RootKind::Pmem | RootKind::Disk => plan::root(None, host.pmem)?.0,
    };
    let trainer = Trainer {
        context,
        host: &host,
        root,
        system: &system.bare(),
        ports: Vec::new(),
    };
    match trainer.warm_up(application) {
        Err(error) if error.is_cancelled() && interrupt.was_signalled() => {
            Err(InterruptedError.into())
        }
        warm => Ok(warm?),
    }
}

fn chosen(libc: Libc) -> LibcChoice {
    match libc {
        Libc::Musl => LibcChoice::Musl,
        Libc::Glibc => LibcChoice::Glibc,
    }
}

/// The files, and what each hypervisor is told.
fn as_text(name: &str, output: &ApplicationOutput) -> String {
    let file = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let rows: Vec<Vec<String>> = output
        .images
        .iter()
        .map(|(path, bytes)| vec![format!("  {}", file(path)), size::bytes(*bytes)])
        .collect();
    let script = &output.run_script;
    let [domain, config] = [&output.domain, &output.firecracker].map(|path| file(path));
    format!(
        "{dir}\n{images}  {script_name}\n  {domain}\n  {config}\n\n\
         QEMU: {script}\n\
         libvirt, with the folder at {place}: virsh define {domain} && virsh start {name}\n\
         Firecracker, in the folder, with a device {tap}: firecracker --no-api --config-file {config}\n",
        dir = output.dir.display(),
        images = table::render(&[false, true], &rows),
        script_name = file(script),
        script = script.display(),
        place = libvirt::folder(name),
        tap = firecracker::TAP,
    )
}

fn as_json(recipe: &Recipe, order: &ApplicationOrder<'_>, output: &ApplicationOutput) -> Value {
    let files: Vec<Value> = output
        .images
        .iter()
        .map(|(path, bytes)| json!({ "path": path, "bytes": bytes }))
        .collect();
    let ports = order.files.ports(&order.application.config);
    let ports: Vec<String> = ports
        .iter()
        .map(|port| format!("{}:{}:{}", port.address, port.host, port.guest))
        .collect();
    json!({
        "application": order.application.name,
        "folder": output.dir,
        "files": files,
        "runScript": output.run_script,
        "libvirt": output.domain,
        "firecracker": output.firecracker,
        "arch": recipe.arch.as_str(),
        "libc": recipe.libc.as_str(),
        "format": Format::Qemu.as_str(),
        "root": recipe.root.as_str(),
        "memoryMiB": order.memory_mib,
        "cpus": order.cpus,
        "ports": ports,
        "nodeVersion": order.application.node_version,
        "kernelRelease": output.kernel_release,
        "inputs": output.inputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hypervisor_has_its_line() {
        let file = |name: &str| Path::new("out/x86_64/application-shop/qemu").join(name);
        let output = ApplicationOutput {
            dir: file(""),
            images: vec![
                (file("kernel"), 18_900_000),
                (file("application.img"), 2_097_152),
            ],
            run_script: file("run.sh"),
            domain: file("libvirt.xml"),
            firecracker: file("firecracker.json"),
            kernel_release: "6.12.117-nodeos".to_owned(),
            inputs: Vec::new(),
        };
        assert_eq!(
            as_text("shop", &output),
            "out/x86_64/application-shop/qemu/\n  kernel           18.9 MB\n  application.img   2.1 MB\n  run.sh\n  \
             libvirt.xml\n  firecracker.json\n\n\
             QEMU: out/x86_64/application-shop/qemu/run.sh\n\
             libvirt, with the folder at /var/lib/libvirt/images/shop: virsh define libvirt.xml && virsh start shop\n\
             Firecracker, in the folder, with a device tap0: firecracker --no-api --config-file firecracker.json\n"
        );
    }
}
