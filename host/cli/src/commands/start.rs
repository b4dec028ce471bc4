//! `nodeos start`: builds what is missing and boots it, the terminal being the machine's console.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use nodeos_build::assemble;
use nodeos_build::assemble::image::machine_root;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_spec::cmdline;
use nodeos_spec::host::HostMessage;
use nodeos_vm::control::Control;
use nodeos_vm::machine::{ConsoleTo, Machine, Network, OnReboot, PortForward, Screen, SocketEnd};
use serde_json::json;
use thiserror::Error;

use crate::arguments::{Global, Selection};
use crate::chart::Goal;
use crate::chart::draw::{Ink, draw};
use crate::chart::measure::measure;
use crate::exit::Exit;
use crate::host_vm::{HostVm, check_ports, console_size};
use crate::interrupt::{Interrupt, InterruptedError};
use crate::memory::Memory;
use crate::output::errors::Failure;
use crate::output::quote;
use crate::output::streams::Streams;
use crate::plan::{self, Display};
use crate::{ca_bundle, environment, foreground, port};

/// How long a machine may take to be heard. QEMU has connected when it starts, and takes a line at once.
const HEARD_WITHIN: Duration = Duration::from_millis(100);

/// Boot the operating system, building first what is not built yet
///
/// This terminal is the machine's console. Ctrl-C goes to the machine; Ctrl-A X ends it at once, and Ctrl-A H lists QEMU's
/// other keys. Leaving the Node.js prompt powers the machine off.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the command that would boot the machine, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Boot once until the machine asks something, and show where the time went
    #[arg(long, conflicts_with_all = ["dry_run", "display"])]
    pub chart: bool,
    /// Print the chart as JSON
    #[arg(long, requires = "chart")]
    pub json: bool,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub machine: MachineArguments,
}

/// What kind of machine to boot it on.
#[derive(Debug, Args)]
#[command(next_help_heading = "The machine")]
pub struct MachineArguments {
    /// Give the machine this much memory: 256M, 1G, or a number of MiB
    ///
    /// Without this flag it is 256M, or 512M for a layer with users.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Memory>,
    /// Give the machine this many processors
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,
    /// Pass connections to this host's port HOST on to the machine's port GUEST
    ///
    /// TCP, from this host only. Can be given several times. It also gives the machine a network, through which it reaches
    /// what this host reaches.
    #[arg(long = "port", value_name = "HOST:GUEST", value_parser = port::parse)]
    pub ports: Vec<PortForward>,
    /// Have Node.js and npm in the machine trust the certificate authorities in this file, too
    ///
    /// For hosts behind a proxy that looks into what is encrypted. Without this flag it is the file that the variable
    /// NODE_EXTRA_CA_CERTS names, as for Node.js on this host.
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Open a window with the machine's screen and keyboard, which are then its console
    #[arg(long)]
    pub display: bool,
    /// Add words to the kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub append: Vec<String>,
    /// Pass these on to QEMU as they are
    #[arg(last = true, value_name = "QEMU ARGS")]
    pub qemu: Vec<OsString>,
}

/// Where the kernel and the system lie, built or to be.
struct Files {
    kernel: PathBuf,
    system: PathBuf,
    system_bytes: u64,
    users: Option<PathBuf>,
    /// What Node.js trusts beside its own.
    authorities: Option<PathBuf>,
}

/// QEMU did not end as it does when a machine powers off.
#[derive(Debug, Error)]
#[error("the machine ended with {how}")]
struct MachineFailedError {
    how: String,
}

/// A signal told us to end, and we ended the machine.
#[derive(Debug, Error)]
#[error("the machine was ended, as a signal asked for")]
struct ToldToEndError;

/// Builds, composes the machine, and gives it the terminal.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    let flags = &arguments.machine;
    let display = if flags.display {
        Display::Window
    } else {
        Display::None
    };
    let flavor = plan::flavor(arguments.selection.flavor, display)?;
    plan::ports(&flags.ports)?;
    plan::users(
        arguments.selection.layer,
        &arguments.selection.users_order(),
    )?;
    if !arguments.dry_run {
        check_ports(&flags.ports)?;
    }
    let cache = environment::cache_root()?;
    let host = HostVm::examine(&cache)?;
    let (root, note) = plan::root(arguments.selection.root, host.pmem)?;
    if display == Display::Window && !arguments.dry_run {
        plan::window(display, host.desktop(), &flags.qemu)?;
    }
    let variable = std::env::var_os(ca_bundle::VARIABLE);
    let (authorities, no_authorities) = ca_bundle::find(flags.ca_bundle.as_deref(), variable)?;
    let notes = [host.note.as_deref(), note, no_authorities.as_deref()];
    for note in notes.into_iter().flatten() {
        streams.err.line(&format!("note: {note}"));
    }
    let recipe = arguments.selection.recipe(flavor, root);
    if arguments.dry_run {
        let machine = machine(
            arguments,
            &recipe,
            &host,
            planned(&recipe, arguments, authorities, streams),
        );
        let mut line = quote::command_line(machine.argv());
        line.push("\n");
        return Ok(streams.print_bytes(line.as_encoded_bytes())?);
    }
    let files = Files {
        authorities,
        ..build(arguments, global, &recipe, streams)?
    };
    let machine = machine(arguments, &recipe, &host, files);
    if arguments.chart {
        chart(arguments, &machine, streams)
    } else {
        boot(machine, global, streams)
    }
}

/// Builds what is missing. Ctrl-C cancels until this returns, and belongs to the machine afterwards.
fn build(
    arguments: &Arguments,
    global: &Global,
    recipe: &Recipe,
    streams: &Streams,
) -> Result<Files, Failure> {
    let interrupt = Interrupt::watch()?;
    let context = environment::context(global, streams, &interrupt.flag)?;
    let selection = &arguments.selection;
    let order = selection.users_order();
    let output = environment::build(&context, &interrupt, recipe, &order, &selection.out)?;
    if let Some(note) = output
        .users
        .as_ref()
        .and_then(|users| selection.users_note(users))
    {
        streams.err.line(&format!("note: {note}"));
    }
    if recipe.root == RootKind::Initramfs {
        plan::initramfs_memory(
            memory(arguments, recipe),
            output.system_bytes,
            output.unpacked_bytes,
        )?;
    }
    if interrupt.was_signalled() {
        return Err(InterruptedError.into());
    }
    Ok(Files {
        kernel: output.kernel,
        system: output.system,
        system_bytes: output.system_bytes,
        users: output.users.map(|users| users.path),
        authorities: None,
    })
}

fn memory(arguments: &Arguments, recipe: &Recipe) -> Memory {
    arguments
        .machine
        .memory
        .unwrap_or_else(|| plan::default_memory(recipe.layer))
}

/// Where the files will be, and what the system's size is if it is there.
fn planned(
    recipe: &Recipe,
    arguments: &Arguments,
    authorities: Option<PathBuf>,
    streams: &Streams,
) -> Files {
    let paths = assemble::output_paths(recipe, &arguments.selection.out);
    let system_bytes = paths.system.metadata().map_or(0, |metadata| metadata.len());
    if recipe.root == RootKind::Pmem && system_bytes == 0 {
        streams.err.line(&format!(
            "note: {} is not built yet: size=0 stands for its size",
            paths.system.display()
        ));
    }
    Files {
        kernel: paths.kernel,
        system: paths.system,
        system_bytes,
        users: recipe.layer.has_users().then_some(paths.users),
        authorities,
    }
}

fn machine(arguments: &Arguments, recipe: &Recipe, host: &HostVm, files: Files) -> Machine {
    let flags = &arguments.machine;
    let mut append: Vec<String> = flags
        .append
        .iter()
        .flat_map(|words| cmdline::words(words))
        .map(str::to_owned)
        .collect();
    let mut extra = flags.qemu.clone();
    if files.users.is_some() {
        append.insert(0, assemble::users_word());
    }
    if arguments.chart {
        // What the machine writes goes into a file of QEMU's own: its plug is pulled in the end.
        extra.push("-snapshot".into());
        append.push(cmdline::CHART.to_owned());
    }
    Machine {
        accel: host.accel,
        memory_mib: memory(arguments, recipe).mib,
        cpus: flags.cpus,
        kernel: files.kernel,
        root: machine_root(recipe.root, &files.system, files.system_bytes),
        layers: Vec::new(),
        append,
        network: match files.users {
            Some(_) => Network::ByTheSystem,
            None => Network::ForPorts,
        },
        disks: files.users.into_iter().collect(),
        shares: Vec::new(),
        ports: flags.ports.clone(),
        console: if arguments.chart {
            ConsoleTo::Pipes
        } else {
            ConsoleTo::Terminal
        },
        screen: if flags.display {
            Screen::Window
        } else {
            Screen::None
        },
        channels: Vec::new(),
        authorities: files.authorities,
        files: Vec::new(),
        qmp_socket: None,
        qmp_end: SocketEnd::Listens,
        on_reboot: if arguments.chart {
            OnReboot::Exit
        } else {
            OnReboot::Restart
        },
        term: host.term.clone(),
        console_size: host.console_size,
        extra,
    }
}

/// Gives the machine the terminal until it powers off.
fn boot(mut machine: Machine, global: &Global, streams: &Streams) -> Result<(), Failure> {
    let mut control = control(&mut machine, streams);
    let argv = machine.argv();
    if global.verbose {
        let line = quote::command_line(&argv);
        streams.err.line(&format!("+ {}", line.to_string_lossy()));
    }
    let (program, words) = argv
        .split_first()
        .expect("a command line begins with its program");
    let resized = || {
        if let (Some(control), Some((columns, rows))) = (&mut control, console_size()) {
            // A machine that does not listen keeps the size that it has.
            let _ = control.say(&HostMessage::ConsoleSize { columns, rows }, HEARD_WITHIN);
        }
    };
    let ended = foreground::run(Command::new(program).args(words), resized)?;
    if ended.by_us {
        Err(Failure::new(ToldToEndError).exit(Exit::Interrupted))
    } else if ended.status.success() {
        Ok(())
    } else {
        let how = foreground::describe(ended.status);
        let hint =
            "what the kernel or QEMU said stands above; --dry-run prints QEMU's command line"
                .to_owned();
        Err(Failure::new(MachineFailedError { how }).hint(Some(hint)))
    }
}

/// The way by which a machine on a terminal hears that its window has another size, where there is one.
fn control(machine: &mut Machine, streams: &Streams) -> Option<Control> {
    if machine.console_size.is_none() || machine.screen != Screen::None {
        return None;
    }
    match Control::listen() {
        Ok(control) => {
            machine.channels.push(control.channel());
            Some(control)
        }
        Err(error) => {
            let text =
                format!("note: the machine will not follow the size of this terminal: {error}");
            streams.err.line(&text);
            None
        }
    }
}

/// Boots once with a stop watch, and shows the parts.
fn chart(arguments: &Arguments, machine: &Machine, streams: &mut Streams) -> Result<(), Failure> {
    let goal = if machine.disks.is_empty() {
        Goal::NodePrompt
    } else {
        Goal::Login
    };
    let parts = measure(machine, goal)?.parts(goal);
    if arguments.json {
        streams.print_json(&json!({ "parts": parts, "totalSeconds": parts.total_seconds(), "accelerator": machine.accel }))?;
        return Ok(());
    }
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).ok());
    let ink = Ink::of_locale([0, 1, 2].map(|index| variables[index].as_deref()));
    Ok(streams.print(&draw(&parts, ink))?)
}
