//! `nodeos run`: an npm project, a file or a package as a machine.

mod flags;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodeos_build::application::outline::Outline;
use nodeos_build::application::{self, Application, Order, PrepareApplicationError, Source};
use nodeos_build::assemble::image::machine_root;
use nodeos_build::assemble::{self, Bare};
use nodeos_build::context::Context;
use nodeos_build::progress::{Progress, Silent};
use nodeos_build::recipe::{Arch, Flavor, Layer, Recipe, RootKind};
use nodeos_spec::application::{ApplicationSpec, FOLLOW};
use nodeos_vm::machine::{Machine, Network, PortForward};

use crate::arguments::Global;
use crate::exit::Exit;
use crate::host_vm::{HostVm, check_ports};
use crate::interrupt::{Interrupt, InterruptedError};
use crate::machines::foreground::{self, Manner};
use crate::machines::names::Name;
use crate::machines::record::Mode;
use crate::machines::start::{self, Console, StartMachineError, Starting, Wish};
use crate::machines::state::Machines;
use crate::machines::volumes::{self, ProvideVolumeError};
use crate::memory::{ApplicationMemoryError, Giver, Memory};
use crate::output::errors::Failure;
use crate::output::patience::{PATIENCE, Patient};
use crate::output::quote;
use crate::output::streams::Streams;
use crate::training::{self, Trainer};
use crate::watch::{self, Looked, Made, Workshop};
use crate::{ca_bundle, env_file, environment, memory, plan};

pub use flags::Arguments;
pub(crate) use flags::{Size, ports, size};

/// Memory of a machine that nobody counted, in MiB: Linux and Node.js take a quarter of it.
const DEFAULT_MEMORY_MIB: u32 = 128;

/// The same where the system itself lies in the machine's memory.
const INITRAMFS_MEMORY_MIB: u32 = 384;

/// What a machine has that nobody chose.
const DEFAULT_CPUS: u32 = 1;

/// Where Node.js lets debuggers in, in the machine (node(1), `--inspect`).
const INSPECTOR: u16 = 9229;

/// Builds what is missing, and starts the machine.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<Exit, Failure> {
    // What can be wrong with the command line comes before minutes of building.
    plan::ports(&flags::ports(&arguments.ports))?;
    let source: Source = arguments.what.parse()?;
    if arguments.watch {
        watch::must_have_files(&source)?;
    }
    let machines = Machines::of_user()?;
    if let Some(name) = arguments.name.as_ref().filter(|_| !arguments.dry_run) {
        machines.must_be_free(name)?;
    }
    if !arguments.dry_run {
        check_ports(&flags::ports(&arguments.ports))?;
    }
    let host = HostVm::examine(&environment::cache_root()?)?;
    let (root, note) = plan::root(arguments.root, host.pmem)?;
    if let Some(memory) = arguments.memory.filter(|_| root != RootKind::Initramfs) {
        // Whatever package.json says of processors, it is one at least.
        let cpus = arguments.cpus.unwrap_or(DEFAULT_CPUS);
        memory::for_application(memory.mib, cpus, Giver::CommandLine)?;
    }
    let variable = std::env::var_os(ca_bundle::VARIABLE);
    let (authorities, no_authorities) = ca_bundle::find(arguments.ca_bundle.as_deref(), variable)?;
    let slow = host.note.as_deref().filter(|_| global.verbose);
    let (optimize, no_bundle) = arguments.optimize();
    let notes = [slow, note, no_authorities.as_deref(), no_bundle];
    notes
        .into_iter()
        .flatten()
        .for_each(|note| tell(note, streams));

    let wanted = Order {
        source,
        args: arguments.args.clone(),
        libc: arguments.libc,
        optimize,
        arch: Arch::X86_64,
    };
    let make = |interrupt: &Interrupt, streams: &Streams| -> Result<Made, Failure> {
        let built = build(arguments, global, &wanted, &host, root, interrupt, streams)?;
        let notes = &built.application.notes;
        notes.iter().for_each(|note| tell(note, streams));
        let outline = built.application.outline.clone();
        let authorities = authorities.clone();
        let order = order(arguments, global, &host, root, built, authorities, streams)?;
        // Those that package.json names, too.
        plan::ports(&order.machine.ports)?;
        Ok(Made { order, outline })
    };
    let interrupt = Interrupt::watch()?;
    let made = make(&interrupt, streams)?;
    drop(interrupt);
    let order = &made.order;
    if arguments.dry_run {
        let mut line = quote::command_line(start::planned(&machines, made.order).argv());
        line.push("\n");
        streams.print_bytes(line.as_encoded_bytes())?;
        return Ok(Exit::Done);
    }
    check_ports(&order.machine.ports)?;
    let manner = match arguments.quiet {
        true => Manner::Quiet,
        false => Manner::Plain,
    };
    let err = streams.err.clone();
    let began = |starting: &Starting| {
        if global.verbose {
            let line = quote::command_line(&starting.argv);
            err.line(&format!("+ {}", line.to_string_lossy()));
        }
    };
    if arguments.watch {
        let workshop = Workshop {
            make: &make,
            look: &|interrupt, streams, before| {
                look(arguments, global, &wanted, before, interrupt, streams)
            },
            began: &began,
            manner,
        };
        return watch::run(made, &workshop, &machines, streams);
    }
    let (mode, port) = (order.mode, order.first_port());
    let starting = start::start(&machines, made.order)?;
    began(&starting);
    match mode {
        Mode::Detached => foreground::detach(starting, port, &machines, streams),
        Mode::Foreground => foreground::attend(starting, port, manner, streams),
    }
}

/// What a machine is made of.
struct Built {
    application: Application,
    system: Bare,
    size: Size,
}

fn context(
    arguments: &Arguments,
    global: &Global,
    interrupt: &Interrupt,
    streams: &Streams,
) -> Result<Context, Failure> {
    let context = environment::context(global, streams, &interrupt.flag)?;
    let progress: Arc<dyn Progress> = match arguments.quiet {
        true => Arc::new(Silent),
        false => Arc::new(Patient::new(Arc::clone(&context.progress), PATIENCE)),
    };
    Ok(Context {
        progress,
        ..context
    })
}

/// What was prepared; that somebody stopped it is the whole story then.
fn unless_stopped<T>(
    interrupt: &Interrupt,
    prepared: Result<T, PrepareApplicationError>,
) -> Result<T, Failure> {
    match prepared {
        Err(error) if error.is_cancelled() && interrupt.was_signalled() => {
            Err(InterruptedError.into())
        }
        prepared => Ok(prepared?),
    }
}

/// What the project is now, for who follows its changes.
fn look(
    arguments: &Arguments,
    global: &Global,
    wanted: &Order,
    before: &Outline,
    interrupt: &Interrupt,
    streams: &Streams,
) -> Result<Looked, Failure> {
    let context = context(arguments, global, interrupt, streams)?;
    let looked = application::look(&context, wanted, before);
    let looked = unless_stopped(interrupt, looked)?;
    Ok(Looked {
        outline: looked.outline,
        trouble: looked.trouble.map(Failure::from),
    })
}

/// What was interrupted is not begun again by the next step.
fn build(
    arguments: &Arguments,
    global: &Global,
    wanted: &Order,
    host: &HostVm,
    root: RootKind,
    interrupt: &Interrupt,
    streams: &Streams,
) -> Result<Built, Failure> {
    let context = context(arguments, global, interrupt, streams)?;
    let prepared = application::prepare(&context, wanted);
    let mut application = unless_stopped(interrupt, prepared)?;
    let config = &application.config;
    let size = flags::size(arguments.memory, arguments.cpus, config, root)?;
    let recipe = Recipe {
        layer: Layer::Application,
        flavor: Flavor::Mainframe,
        arch: Arch::X86_64,
        libc: application.libc,
        root,
        ..Recipe::BAREBONES
    };
    let system = environment::unless_stopped(interrupt, assemble::build_bare(&context, &recipe))?;
    let trainer = Trainer {
        context: &context,
        host,
        root,
        system: &system,
        ports: arguments.ports.iter().map(|port| port.guest).collect(),
    };
    unless_stopped(interrupt, trainer.warm_up(&mut application))?;
    if interrupt.was_signalled() {
        return Err(InterruptedError.into());
    }
    Ok(Built {
        application,
        system,
        size,
    })
}

/// Puts together the machine and its orders: flags go over what package.json says.
fn order(
    arguments: &Arguments,
    global: &Global,
    host: &HostVm,
    root: RootKind,
    built: Built,
    authorities: Option<PathBuf>,
    streams: &Streams,
) -> Result<start::Order, Failure> {
    let Built {
        application,
        system,
        size,
    } = built;
    let config = &application.config;
    if root == RootKind::Initramfs {
        let memory = Memory {
            mib: size.memory_mib,
        };
        plan::initramfs_memory(memory, system.system_bytes, system.unpacked_bytes)?;
    }
    let mut machine = Machine::new(
        system.kernel,
        machine_root(root, &system.system, system.system_bytes),
    );
    machine.accel = host.accel;
    machine.memory_mib = size.memory_mib;
    machine.cpus = size.cpus;
    machine.layers = application.layers().map(training::mapped).collect();
    if arguments.watch {
        machine.append.push(FOLLOW.to_owned());
    }
    // An application may reach what this host reaches, whether somebody reaches it or not.
    machine.network = Network::ByTheKernel;
    machine.ports = match arguments.ports.is_empty() {
        true => flags::ports(&config.ports),
        false => flags::ports(&arguments.ports),
    };
    machine.authorities = authorities.map(|bundle| whole(&bundle));
    let mut spec = orders(arguments, &application, &machine)?;
    if let Some(port) = arguments.inspect {
        // Last: what the application itself listens on says whether it is ready.
        machine.ports.push(PortForward::local(port, INSPECTOR));
        spec.argv
            .insert(1, format!("--inspect=0.0.0.0:{INSPECTOR}"));
    }
    let (volumes, beside) = match arguments.volumes.is_empty() {
        true => (&config.volumes, application.folder.as_deref()),
        false => (&arguments.volumes, None),
    };
    let beside = whole(beside.unwrap_or(Path::new(".")));
    let provided = volumes::provide(volumes, &beside, &mut machine, &mut spec)?;
    provided.notes.iter().for_each(|note| tell(note, streams));
    let name = match &arguments.name {
        Some(name) => Wish::Exactly(name.clone()),
        None => Wish::Near(Name::near(&application.name)),
    };
    Ok(start::Order {
        machine,
        spec,
        source: arguments.what.clone(),
        name,
        mode: match arguments.detach {
            true => Mode::Detached,
            false => Mode::Foreground,
        },
        console: match global.verbose {
            true => Console::Shown,
            false => Console::Kept,
        },
        volumes: provided.images,
    })
}

/// What the machine is told of its application, but for its volumes.
fn orders(
    arguments: &Arguments,
    application: &Application,
    machine: &Machine,
) -> Result<ApplicationSpec, Failure> {
    let mut spec = application.spec.clone();
    for file in &arguments.env_files {
        spec.env.extend(env_file::read(file).map_err(Failure::new)?);
    }
    spec.env.extend(arguments.variables.iter().cloned());
    spec.ports = machine.ports.iter().map(|port| port.guest).collect();
    if let Some(restart) = arguments.restart {
        spec.restart = restart;
    }
    Ok(spec)
}

/// The path wherever QEMU is started.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn tell(note: &str, streams: &Streams) {
    streams.err.line(&format!("note: {note}"));
}

impl From<StartMachineError> for Failure {
    fn from(error: StartMachineError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<ProvideVolumeError> for Failure {
    fn from(error: ProvideVolumeError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<ApplicationMemoryError> for Failure {
    fn from(error: ApplicationMemoryError) -> Failure {
        let exit = match error.giver {
            Giver::CommandLine => Exit::Usage,
            Giver::Package => Exit::Failed,
        };
        Failure::new(error).exit(exit).hint(Some(error.hint()))
    }
}
