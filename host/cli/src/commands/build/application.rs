//! `nodeos build --app`: the machine of an application as files.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use nodeos_build::application::{Application, ForFiles, Source};
use nodeos_build::assemble::application::{
    ApplicationOrder, ApplicationOutput, PackOrder, check_out, pack, publish,
};
use nodeos_build::recipe::{Format, Layer, Recipe, RootKind};
use nodeos_spec::package::Package;
use nodeos_vm::{firecracker, libvirt};
use serde_json::{Value, json};

use super::entries;
use crate::application;
use crate::arguments::Global;
use crate::commands::run;
use crate::environment;
use crate::interrupt::{Interrupt, InterruptedError};
use crate::memory::{self, Memory};
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};
use crate::plan;

/// What can be said about its machine, where there is a description of one.
#[derive(Debug, Args)]
#[command(next_help_heading = "An application")]
pub struct MachineArguments {
    /// Give the machine this much memory: 64M, 1G, or a number of MiB
    ///
    /// For the format qemu. Without this flag it is 128M, or 384M with --root initramfs. Whoever boots it may give it another size:
    /// Node.js is told.
    #[arg(short, long, value_name = "SIZE", value_parser = memory::of_any_size, requires = "app")]
    pub memory: Option<Memory>,
    /// Give the machine this many processors
    ///
    /// For the format qemu.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255), requires = "app")]
    pub cpus: Option<u32>,
}

/// Builds, and prints what came out.
pub(super) fn run(
    what: &str,
    arguments: &super::Arguments,
    global: &Global,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let (given, selection) = (&arguments.application, &arguments.selection);
    let format = arguments.format;
    // What can be wrong with the command line comes before minutes of building.
    plan::application::format(format, &wishes(arguments))?;
    plan::formats::sectors(format, arguments.sector_size)?;
    plan::ports(&run::ports(&given.ports))?;
    let recipe = Recipe {
        layer: Layer::Application,
        profile: arguments.profile.or(format.profile()),
        sector_size: arguments.sector_size,
        ..selection.recipe(format.flavor(), RootKind::Pmem)
    };
    let machine = &arguments.machine;
    let size = |config: &Package| run::size(machine.memory, machine.cpus, config, recipe.root);
    // What package.json says comes to it once that is read.
    size(&Package::default())?;
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
    let order = given.order(source, selection.libc, selection.arch);
    let prepared = application::prepare(
        &context,
        &interrupt,
        &order,
        &files,
        (&recipe, format),
        |config| match format {
            Format::Qemu => Ok(size(config).map(drop)?),
            _ => Ok(()),
        },
        streams,
    )?;
    let recipe = Recipe {
        libc: prepared.application.libc,
        ..recipe
    };
    let renewal = selection.users_order().renewal;
    let (text, mut value) = match (format, &prepared.system) {
        (Format::Qemu, Some(system)) => {
            let run::Size { memory_mib, cpus } = size(&prepared.application.config)?;
            let order = ApplicationOrder {
                application: &prepared.application,
                files: &files,
                memory_mib,
                cpus,
                renewal,
            };
            if recipe.root == RootKind::Initramfs {
                let (bytes, unpacked) = system.bytes();
                plan::initramfs_memory(Memory { mib: memory_mib }, bytes, unpacked)?;
            }
            if interrupt.was_signalled() {
                return Err(InterruptedError.into());
            }
            let output = publish(system, &order, &selection.out)?;
            let text = as_text(&prepared.application.name, &output);
            (text, as_json(&recipe, &order, &output))
        }
        _ => {
            let order = PackOrder {
                application: &prepared.application,
                files: &files,
                renewal,
            };
            let packed = pack(&context, &recipe, format, &order, &selection.out);
            let packed = environment::unless_stopped(&interrupt, packed)?;
            let mut value = super::as_json(&recipe, format, &packed, Vec::new(), Duration::ZERO);
            value["application"] = json!(prepared.application.name);
            value["ports"] = ports(&files, &prepared.application);
            value["nodeVersion"] = json!(prepared.application.node_version);
            (super::as_text(&packed), value)
        }
    };
    if !arguments.json {
        streams.print(&text)?;
        return Ok(());
    }
    let mut made = entries(&context)?;
    made.retain(|key, _| !before.contains_key(key));
    let mut made: Vec<String> = made.into_values().collect();
    made.sort();
    value["made"] = json!(made);
    value["seconds"] = json!(started.elapsed().as_secs_f64());
    streams.print_json(&value)?;
    Ok(())
}

/// What was said that not every format understands.
fn wishes(arguments: &super::Arguments) -> plan::application::Wishes {
    let (machine, selection) = (&arguments.machine, &arguments.selection);
    plan::application::Wishes {
        memory: machine.memory.is_some(),
        cpus: machine.cpus.is_some(),
        flavor: selection.flavor.is_some(),
        profile: arguments.profile.is_some(),
        root: selection.root,
        fresh: selection.fresh,
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
        "ports": ports(order.files, order.application),
        "nodeVersion": order.application.node_version,
        "kernelRelease": output.kernel_release,
        "inputs": output.inputs,
    })
}

fn ports(files: &ForFiles, application: &Application) -> Value {
    let ports = files.ports(&application.config).iter();
    ports
        .map(|port| format!("{}:{}:{}", port.address, port.host, port.guest))
        .collect()
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
