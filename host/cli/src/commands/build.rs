//! `nodeos build`: everything up to files that boot.

mod application;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use nodeos_build::assemble;
use nodeos_build::cache::State;
use nodeos_build::context::Context;
use nodeos_build::format::Packed;
use nodeos_build::recipe::{Format, Profile, Recipe, RootKind, SectorSize};
use serde_json::{Value, json};

use crate::application::ApplicationArguments;
use crate::arguments::{Global, Selection, one_of};
use crate::environment;
use crate::interrupt::Interrupt;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};
use crate::plan;

/// Build the operating system
///
/// Fetches what it is made of, compiles the kernel and the system programs, and puts them together. What was built before
/// comes from the cache. The folder and the files in it are printed.
///
/// With --app the result is an application: the machine that `nodeos run` boots, as files that need nothing of NodeOS, with a script for
/// QEMU, a domain for libvirt and a configuration for Firecracker. With --format it is a container, a disk, and so on.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print what was built as JSON
    #[arg(long)]
    pub json: bool,
    /// How the system is packed
    ///
    /// qemu is files and a script that starts QEMU with them; disk is one image for a stick, a disk or a virtual machine, with
    /// boot loader and users partition; img is the same in two files; iso is a CD, or a stick that is only read.
    #[arg(long, value_name = "FORMAT", default_value = "qemu", value_parser = one_of(Format::ALL, Format::as_str))]
    pub format: Format,
    /// The kernel: cloud knows virtual machines and nothing else, pc real hardware as well
    ///
    /// Without this flag it is the one that the format and the flavor need.
    #[arg(long, value_name = "PROFILE", value_parser = one_of(Profile::ALL, Profile::as_str))]
    pub profile: Option<Profile>,
    /// The size of the disk's sectors in bytes: 4096 for a disk whose own are that large, which only UEFI boots from
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = one_of(SectorSize::ALL, SectorSize::as_str))]
    pub sector_size: SectorSize,
    #[command(flatten)]
    pub selection: Selection,
    /// Build the machine of an application: a folder with a package.json, a file that Node.js runs, or a package of npm's
    ///
    /// It goes into ARCH/application-NAME/FORMAT below --out. Flags go over what package.json says. All but memory, processors and the
    /// ports of the host stands in the application's image.
    #[arg(
        long,
        value_name = "DIR|FILE|PACKAGE",
        help_heading = "An application",
        conflicts_with_all = ["layer", "users", "users_size"]
    )]
    pub app: Option<String>,
    #[command(flatten)]
    pub application: ApplicationArguments,
    #[command(flatten)]
    pub machine: application::MachineArguments,
}

/// Builds, and prints what came out.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    if let Some(what) = &arguments.app {
        return application::run(what, arguments, global, streams);
    }
    let selection = &arguments.selection;
    let users = selection.users_order();
    plan::users(selection.layer, &users)?;
    let format = arguments.format;
    plan::format(
        format,
        selection.layer,
        arguments.profile,
        selection.users_size,
    )?;
    plan::root_of_format(format, selection.root)?;
    plan::formats::partition(format, &users, selection.users_size)?;
    plan::formats::sectors(format, arguments.sector_size)?;
    let interrupt = Interrupt::watch()?;
    let context = environment::context(global, streams, &interrupt.flag)?;
    let before = if arguments.json {
        entries(&context)?
    } else {
        HashMap::new()
    };
    let recipe = Recipe {
        profile: arguments.profile.or(format.profile()),
        sector_size: arguments.sector_size,
        ..selection.recipe(format.flavor(), RootKind::Pmem)
    };
    let started = Instant::now();
    let packed = assemble::pack(&context, &recipe, format, &users, &selection.out);
    let packed = environment::unless_stopped(&interrupt, packed)?;
    if let Some(note) = packed
        .users
        .as_ref()
        .and_then(|users| selection.users_note(users))
    {
        streams.err.line(&format!("note: {note}"));
    }
    if arguments.json {
        let time = started.elapsed();
        let mut made = entries(&context)?;
        made.retain(|key, _| !before.contains_key(key));
        streams.print_json(&as_json(
            &recipe,
            format,
            &packed,
            made.into_values().collect(),
            time,
        ))?;
    } else {
        streams.print(&as_text(&packed))?;
    }
    Ok(())
}

/// What lies complete in the cache: what is there afterwards and was not before, this build has made.
fn entries(context: &Context) -> Result<HashMap<String, String>, Failure> {
    let complete = context
        .cache
        .list()?
        .into_iter()
        .filter(|entry| entry.state == State::Complete);
    Ok(complete
        .map(|entry| {
            (
                format!("{} {}", entry.kind, entry.key.as_str()),
                entry.label,
            )
        })
        .collect())
}

fn as_text(packed: &Packed) -> String {
    let name = |path: &Path| {
        path.strip_prefix(&packed.dir)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    };
    let row = |path: &Path, bytes| vec![format!("  {}", name(path)), size::bytes(bytes)];
    let rows: Vec<Vec<String>> = packed
        .files
        .iter()
        .map(|file| row(&file.path, file.bytes))
        .collect();
    let script = packed.run_script.as_deref();
    let script = script.map_or(String::new(), |script| format!("  {}\n", name(script)));
    format!(
        "{}\n{}{script}",
        packed.dir.display(),
        table::render(&[false, true], &rows)
    )
}

fn as_json(
    recipe: &Recipe,
    format: Format,
    packed: &Packed,
    mut made: Vec<String>,
    time: Duration,
) -> Value {
    made.sort();
    let files: Vec<Value> = packed
        .files
        .iter()
        .map(|file| json!({ "path": file.path, "bytes": file.bytes }))
        .collect();
    json!({
        "folder": packed.dir,
        "files": files,
        "runScript": packed.run_script,
        "layer": recipe.layer.to_string(),
        "flavor": recipe.flavor.to_string(),
        "arch": recipe.arch.to_string(),
        "libc": recipe.libc.to_string(),
        "format": format.to_string(),
        "profile": recipe.profile().to_string(),
        "root": recipe.root.to_string(),
        "kernelRelease": packed.kernel_release,
        "inputs": packed.inputs,
        "made": made,
        "seconds": time.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeos_build::format::PackedFile;

    fn packed() -> Packed {
        let file = |name: &str| Path::new("out/x86_64/mainframe/qemu").join(name);
        let sized = |name: &str, bytes| PackedFile {
            path: file(name),
            bytes,
        };
        Packed {
            dir: file(""),
            files: vec![
                sized("kernel", 18_900_000),
                sized("system.img", 121_634_816),
            ],
            users: None,
            run_script: Some(file("run.sh")),
            kernel_release: Some("6.12.117-nodeos".to_owned()),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn the_result_is_the_folder_and_its_files_with_their_sizes() {
        assert_eq!(
            as_text(&packed()),
            "out/x86_64/mainframe/qemu/\n  kernel       18.9 MB\n  system.img  121.6 MB\n  run.sh\n"
        );
    }

    #[test]
    fn scripts_are_told_what_was_built_of_what() {
        let recipe = Recipe::BAREBONES;
        let made = ["node", "init"].map(str::to_owned).to_vec();
        assert_eq!(
            as_json(
                &recipe,
                Format::Qemu,
                &packed(),
                made,
                Duration::from_millis(1500)
            ),
            json!({
                "folder": "out/x86_64/mainframe/qemu/",
                "files": [
                    { "path": "out/x86_64/mainframe/qemu/kernel", "bytes": 18_900_000 },
                    { "path": "out/x86_64/mainframe/qemu/system.img", "bytes": 121_634_816 },
                ],
                "runScript": "out/x86_64/mainframe/qemu/run.sh",
                "layer": "barebones",
                "flavor": "mainframe",
                "arch": "x86_64",
                "libc": "musl",
                "format": "qemu",
                "profile": "cloud",
                "root": "pmem",
                "kernelRelease": "6.12.117-nodeos",
                "inputs": [],
                "made": ["init", "node"],
                "seconds": 1.5,
            })
        );
    }
}
