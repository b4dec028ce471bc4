//! Starts a machine that runs an application: its folder, its monitor, and the first connection to that.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nodeos_spec::application::{ApplicationSpec, HOST_SPEC, frame};
use nodeos_vm::machine::{Channel, ConsoleTo, HostFile, Machine, OnReboot, Screen, SocketEnd};
use thiserror::Error;

use crate::machines::connection::{self, TalkError};
use crate::machines::monitor::qemu::OURSELVES;
use crate::machines::names::Name;
use crate::machines::protocol::ClientMessage;
use crate::machines::record::{Mode, Port, Record, millis};
use crate::machines::sockets;
use crate::machines::state::{self, Claim, Machines, StateError};

/// As what we start ourselves to become a monitor.
pub const VERB: &str = "machine-monitor";

/// The first descriptor that is none of the three that every process has.
const FIRST_OTHER: i32 = 3;

/// What is to be started.
#[derive(Debug)]
pub struct Order {
    /// The machine, but for what only its folder's place decides.
    pub machine: Machine,
    pub spec: ApplicationSpec,
    /// What people asked for: a folder, a file or a package.
    pub source: String,
    pub name: Wish,
    pub mode: Mode,
    /// Whether the machine's console is to be shown to who has the application's streams.
    pub console: Console,
    /// Images of volumes among the machine's disks.
    pub volumes: Vec<PathBuf>,
}

impl Order {
    /// The first port that its application listens on, if it can be reached from this host.
    pub fn first_port(&self) -> Option<Port> {
        let first = self.spec.ports.first()?;
        let mut ports = self.machine.ports.iter();
        ports
            .find(|port| port.guest == *first)
            .map(|port| (*port).into())
    }
}

/// Whether somebody looks at a machine's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    Kept,
    Shown,
}

/// What the machine is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This and nothing else.
    Exactly(Name),
    /// This, or with a number behind it where another machine is called so.
    Near(Name),
}

/// A machine that is being started.
#[derive(Debug)]
pub struct Starting {
    pub name: Name,
    /// To its monitor, which has been told what this connection is about.
    pub connection: UnixStream,
    pub monitor: Child,
    /// QEMU's command line.
    pub argv: Vec<OsString>,
}

/// A machine could not be started.
#[derive(Debug, Error)]
pub enum StartMachineError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error("cannot start the machine's monitor")]
    Spawn(#[source] io::Error),
}

impl StartMachineError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartMachineError::State(error) => error.hint(),
            StartMachineError::Talk(error) => error.hint(),
            StartMachineError::Spawn(_) => None,
        }
    }
}

/// Starts it. Its monitor does not end with us.
///
/// # Errors
/// [`StartMachineError`], also where a machine of this name runs. Nothing is left of a machine that could not be started.
pub fn start(machines: &Machines, order: Order) -> Result<Starting, StartMachineError> {
    let claim = claim(machines, &order.name)?;
    begin(&claim, order).inspect_err(|_| claim.give_up())
}

fn begin(claim: &Claim, order: Order) -> Result<Starting, StartMachineError> {
    let folder = &claim.folder;
    let sockets = sockets::make_folder(folder)?;
    let listener = sockets::listen(sockets::of_clients(&sockets))?;
    let orders = folder.write_orders(&order.spec.to_json())?;
    let record = Record {
        memory_mib: order.machine.memory_mib,
        cpus: order.machine.cpus,
        ports: order
            .machine
            .ports
            .iter()
            .map(|port| (*port).into())
            .collect(),
        volumes: order.volumes,
        stop_grace_ms: millis(order.spec.stop_grace),
        ..Record::new(order.source, order.mode, sockets)
    };
    folder.write_record(&record)?;
    // Before there is a monitor, so that it finds us waiting: it is never without the one who started it.
    let connection = folder
        .connect(&record)?
        .ok_or_else(|| StartMachineError::Spawn(io::ErrorKind::ConnectionRefused.into()))?;
    let first = match order.mode {
        Mode::Foreground => ClientMessage::Attach {
            console: order.console == Console::Shown,
        },
        Mode::Detached => ClientMessage::Watch,
    };
    connection::say(&connection, &first)?;
    let argv = complete(order.machine, &orders, &record.sockets).argv();
    let path = folder.file(state::MONITOR);
    let errors = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| StateError::Write { path, source })?;
    let lock = claim.lock.try_clone().map_err(StartMachineError::Spawn)?;
    // It has what it is given, and nothing of what somebody left open for us: a lock, or the end of a pipe that others wait for.
    close_fds::set_fds_cloexec_threadsafe(FIRST_OTHER, &[]);
    let monitor = Command::new(OURSELVES)
        .arg0("nodeos")
        .arg(VERB)
        .arg(&folder.path)
        .args(&argv)
        .stdin(lock)
        .stdout(OwnedFd::from(listener))
        .stderr(errors)
        .spawn()
        .map_err(StartMachineError::Spawn)?;
    Ok(Starting {
        name: folder.name.clone(),
        connection,
        monitor,
        argv,
    })
}

/// The machine as it would be started, for people to look at.
pub fn planned(machines: &Machines, order: Order) -> Machine {
    let (Wish::Exactly(name) | Wish::Near(name)) = order.name;
    let folder = machines.folder(&name);
    complete(order.machine, &folder.orders(), &folder.path)
}

fn claim(machines: &Machines, wish: &Wish) -> Result<Claim, StateError> {
    match wish {
        Wish::Exactly(name) => machines.claim(name),
        Wish::Near(name) => {
            for name in name.with_numbers() {
                match machines.claim(&name) {
                    Err(StateError::Runs { .. }) => {}
                    claimed => return claimed,
                }
            }
            unreachable!("there are more numbers than machines")
        }
    }
}

fn complete(mut machine: Machine, orders: &Path, sockets: &Path) -> Machine {
    machine.console = ConsoleTo::Pipes;
    machine.screen = Screen::None;
    machine.on_reboot = OnReboot::Exit;
    machine.files.push(HostFile {
        name: HOST_SPEC.to_owned(),
        path: orders.to_owned(),
    });
    machine.channels.push(Channel {
        name: frame::PORT.to_owned(),
        socket: sockets::of_machine(sockets),
        qemu: SocketEnd::Connects,
    });
    if !machine.disks.is_empty() {
        machine.qmp_socket = Some(sockets::of_qemu(sockets));
        machine.qmp_end = SocketEnd::Connects;
    }
    machine
}
