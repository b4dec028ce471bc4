//! `nodeos build`: everything up to files that boot.

mod application;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use nodeos_build::assemble::Output;
use nodeos_build::cache::State;
use nodeos_build::context::Context;
use nodeos_build::recipe::{Flavor, Recipe, RootKind};
use serde_json::{Value, json};

use crate::arguments::{Global, Selection};
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
/// QEMU, a domain for libvirt and a configuration for Firecracker.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print what was built as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub application: application::ApplicationArguments,
}

/// Builds, and prints what came out.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    if let Some(what) = &arguments.application.app {
        return application::run(what, arguments, global, streams);
    }
    let selection = &arguments.selection;
    let users = selection.users_order();
    plan::users(selection.layer, &users)?;
    let interrupt = Interrupt::watch()?;
    let context = environment::context(global, streams, &interrupt.flag)?;
    let before = if arguments.json {
        entries(&context)?
    } else {
        HashMap::new()
    };
    let recipe = arguments
        .selection
        .recipe(Flavor::Mainframe, RootKind::Pmem);
    let started = Instant::now();
    let output = environment::build(&context, &interrupt, &recipe, &users, &selection.out)?;
    if let Some(note) = output
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
            &output,
            made.into_values().collect(),
            time,
        ))?;
    } else {
        streams.print(&as_text(&output))?;
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

fn files(output: &Output) -> Vec<(&Path, u64)> {
    let system = [
        (output.kernel.as_path(), output.kernel_bytes),
        (output.system.as_path(), output.system_bytes),
    ];
    let users = output.users.iter();
    system
        .into_iter()
        .chain(users.map(|users| (users.path.as_path(), users.bytes)))
        .collect()
}

fn as_text(output: &Output) -> String {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    let rows: Vec<Vec<String>> = files(output)
        .iter()
        .map(|(path, bytes)| vec![format!("  {}", name(path)), size::bytes(*bytes)])
        .collect();
    let script = name(&output.run_script);
    format!(
        "{}\n{}  {script}\n",
        output.dir.display(),
        table::render(&[false, true], &rows)
    )
}

fn as_json(recipe: &Recipe, output: &Output, mut made: Vec<String>, time: Duration) -> Value {
    made.sort();
    let files: Vec<Value> = files(output)
        .iter()
        .map(|(path, bytes)| json!({ "path": path, "bytes": bytes }))
        .collect();
    json!({
        "folder": output.dir,
        "files": files,
        "runScript": output.run_script,
        "layer": recipe.layer.to_string(),
        "flavor": recipe.flavor.to_string(),
        "arch": recipe.arch.to_string(),
        "libc": recipe.libc.to_string(),
        "format": recipe.format.to_string(),
        "root": recipe.root.to_string(),
        "kernelRelease": output.kernel_release,
        "inputs": output.inputs,
        "made": made,
        "seconds": time.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        let file = |name: &str| Path::new("out/x86_64/mainframe/qemu").join(name);
        Output {
            dir: file(""),
            kernel: file("kernel"),
            kernel_bytes: 18_900_000,
            kernel_release: "6.12.117-nodeos".to_owned(),
            system: file("system.img"),
            system_bytes: 121_634_816,
            unpacked_bytes: 115_000_000,
            users: None,
            run_script: file("run.sh"),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn the_result_is_the_folder_and_its_files_with_their_sizes() {
        assert_eq!(
            as_text(&output()),
            "out/x86_64/mainframe/qemu/\n  kernel       18.9 MB\n  system.img  121.6 MB\n  run.sh\n"
        );
    }

    #[test]
    fn scripts_are_told_what_was_built_of_what() {
        let recipe = Recipe::BAREBONES;
        let made = ["node", "init"].map(str::to_owned).to_vec();
        assert_eq!(
            as_json(&recipe, &output(), made, Duration::from_millis(1500)),
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
                "root": "pmem",
                "kernelRelease": "6.12.117-nodeos",
                "inputs": [],
                "made": ["init", "node"],
                "seconds": 1.5,
            })
        );
    }
}
