//! A users image, booted in administrator mode to run one command, and powered off.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeos_build::assemble::image::machine_root;
use nodeos_build::assemble::{self, Bare};
use nodeos_build::recipe::{Layer, Recipe, RootKind};
use nodeos_spec::cmdline;
use nodeos_spec::device::ext::{NEEDED, Superblock};
use nodeos_spec::host::{HostMessage, MachineMessage};
use nodeos_vm::console::ExpectError;
use nodeos_vm::control::{Control, HearMachineError, ListenControlError};
use nodeos_vm::machine::Machine;
use nodeos_vm::vm::{BootError, Vm};
use thiserror::Error;

use crate::arguments::Global;
use crate::ender::Ender;
use crate::environment;
use crate::exit::Exit;
use crate::host_vm::HostVm;
use crate::interrupt::Interrupt;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::plan::Pmem;

/// A boot takes some two seconds, and a check of a full partition's journal some more.
const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// To remove the files of a full home takes a while.
const COMMAND_DEADLINE: Duration = Duration::from_secs(600);
/// Until the machine has unmounted the image and is off.
const POWER_OFF_DEADLINE: Duration = Duration::from_secs(60);
/// How the machine's sentences about the users partition begin on its console.
const SAID_BY_BOOT: &str = "boot: ";

/// A command, and what it is given to read.
pub struct Order {
    pub argv: Vec<String>,
    /// Maybe a password, so an order is not to be shown.
    pub input: String,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order({:?})", self.argv)
    }
}

/// How a command has ended in the machine.
#[derive(Debug)]
pub struct Ended {
    pub code: u8,
    pub stdout: String,
    pub stderr: String,
}

/// Why an image is not booted.
#[derive(Debug, Error)]
pub enum CheckImageError {
    #[error("there is no users partition at {}", path.display())]
    Missing { path: PathBuf },
    #[error("cannot write to {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not an image of a users partition", path.display())]
    NotOne { path: PathBuf },
}

impl CheckImageError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            CheckImageError::Missing { .. } => {
                Some("name it with --image, or make one: nodeos build, or nodeos start".to_owned())
            }
            CheckImageError::Open { .. } => None,
            CheckImageError::NotOne { .. } => Some(
                "it has to be an ext2, ext3 or ext4 filesystem without a partition table".into(),
            ),
        }
    }
}

/// Why the machine did not do what it was told.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Listen(ListenControlError),
    #[error("cannot start the machine")]
    Boot(#[source] BootError),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("the machine was ended, as a signal asked for")]
    ToldToEnd,
    #[error("another machine is running with {}", image.display())]
    InUse { image: PathBuf },
    #[error("the machine cannot use the image: {reason}")]
    Refused { reason: String },
    #[error("the machine ended before it had done anything; QEMU says: {stderr}")]
    Qemu { stderr: String },
    #[error("the machine was not heard")]
    Hear(#[source] HearMachineError),
    #[error("the machine did not end")]
    End(#[source] ExpectError),
    #[error("{reason}")]
    NotStarted { reason: String },
}

/// Looks at the image before the seconds that a boot takes.
///
/// # Errors
/// [`CheckImageError`].
pub fn check_image(path: &Path) -> Result<(), Failure> {
    let failed = |error: CheckImageError| {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    };
    let path = path.to_owned();
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => failed(CheckImageError::Missing { path: path.clone() }),
        _ => failed(CheckImageError::Open {
            path: path.clone(),
            source,
        }),
    })?;
    let mut head = Vec::new();
    let read = file.take(NEEDED as u64).read_to_end(&mut head);
    if let Err(source) = read {
        return Err(failed(CheckImageError::Open { path, source }));
    }
    match Superblock::read(&head) {
        Ok(_) => Ok(()),
        Err(_) => Err(failed(CheckImageError::NotOne { path })),
    }
}

/// Builds what is missing, boots, runs the command and powers off.
///
/// # Errors
/// When the command did not run. That it failed is in [`Ended::code`].
pub fn run(
    image: &Path,
    order: &Order,
    global: &Global,
    streams: &Streams,
) -> Result<Ended, Failure> {
    let host = HostVm::examine(&environment::cache_root()?)?;
    let root = match host.pmem {
        Pmem::Has => RootKind::Pmem,
        Pmem::HasNot => RootKind::Disk,
    };
    let recipe = Recipe {
        layer: Layer::Usersfs,
        root,
        ..Recipe::BAREBONES
    };
    let bare = {
        let interrupt = Interrupt::watch()?;
        let context = environment::context(global, streams, &interrupt.flag)?;
        environment::unless_stopped(&interrupt, assemble::build_bare(&context, &recipe))?
    };
    let mut control = Control::listen().map_err(|error| Failure::new(RunError::Listen(error)))?;
    let machine = machine(&host, &recipe, bare, image, &control);
    let failed = |error: RunError| match &error {
        RunError::ToldToEnd => Failure::new(error).exit(Exit::Interrupted),
        RunError::InUse { .. } => {
            Failure::new(error).hint(Some("power it off first, or use its own commands".into()))
        }
        RunError::Boot(source) => {
            let hint = source.hint();
            Failure::new(error).hint(hint)
        }
        _ => Failure::new(error),
    };
    let mut vm = Vm::boot(&machine).map_err(|error| failed(RunError::Boot(error)))?;
    let ender = Ender::watch(vm.pid()).map_err(|error| failed(RunError::Signals(error)))?;
    let ended = converse(&mut vm, &mut control, order, image);
    if ended.is_ok() {
        // Its end tells the machine that there are no more commands.
        drop(control);
        vm.wait(POWER_OFF_DEADLINE)
            .map_err(|error| failed(RunError::End(error)))?;
    }
    if ender.was_told() {
        return Err(failed(RunError::ToldToEnd));
    }
    ended.map_err(failed)
}

fn machine(host: &HostVm, recipe: &Recipe, bare: Bare, image: &Path, control: &Control) -> Machine {
    let root = machine_root(recipe.root, &bare.system, bare.system_bytes);
    let mut machine = Machine::new(bare.kernel, root);
    machine.accel = host.accel;
    machine.disks = vec![image.to_owned()];
    machine.append = vec![
        format!("{}={}", cmdline::USERS, machine.disk_device(0)),
        cmdline::SINGLE.to_owned(),
        cmdline::COMMANDS.to_owned(),
    ];
    machine.channels = vec![control.channel()];
    machine
}

fn converse(
    vm: &mut Vm,
    control: &mut Control,
    order: &Order,
    image: &Path,
) -> Result<Ended, RunError> {
    match control.hear(BOOT_DEADLINE).map_err(RunError::Hear)? {
        Some(_) => {}
        None => return Err(refusal(vm, image)),
    }
    let message = HostMessage::Run {
        argv: order.argv.clone(),
        input: order.input.clone(),
    };
    control
        .say(&message, BOOT_DEADLINE)
        .map_err(|error| RunError::Hear(error.into()))?;
    match control.hear(COMMAND_DEADLINE).map_err(RunError::Hear)? {
        Some(MachineMessage::Ended {
            code,
            stdout,
            stderr,
        }) => Ok(Ended {
            code,
            stdout,
            stderr,
        }),
        Some(MachineMessage::NotStarted { reason }) => Err(RunError::NotStarted { reason }),
        Some(MachineMessage::Ready) | None => Err(refusal(vm, image)),
    }
}

/// Why a machine has ended that was to take commands: what `boot` or QEMU said.
fn refusal(vm: &mut Vm, image: &Path) -> RunError {
    if let Err(error) = vm.wait(POWER_OFF_DEADLINE) {
        return RunError::End(error);
    }
    let said = vm.console.transcript();
    let by_boot = said
        .lines()
        .find_map(|line| line.trim_end().strip_prefix(SAID_BY_BOOT));
    if let Some(reason) = by_boot {
        return RunError::Refused {
            reason: reason.to_owned(),
        };
    }
    let stderr = vm.stderr();
    // What QEMU says of a file that another QEMU has locked.
    if stderr.contains("write\" lock") {
        return RunError::InUse {
            image: image.to_owned(),
        };
    }
    RunError::Qemu {
        stderr: stderr.trim_end().to_owned(),
    }
}
