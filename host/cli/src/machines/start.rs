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
use crate::machines::record::{Mode, Port, Record, millis, now_ms};
use crate::machines::state::{self, Claim, Machines, StateError};

/// As what we start ourselves to become a monitor.
pub const VERB: &str = "machine-monitor";

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
/// [`StartMachineError`], also where a machine of this name runs.
pub fn start(machines: &Machines, order: Order) -> Result<Starting, StartMachineError> {
    let Claim { folder, lock } = claim(machines, &order.name)?;
    let sockets = folder.make_sockets_folder()?;
    let listener = state::listen_to_clients(&sockets)?;
    let orders = folder.write_orders(&order.spec.to_json())?;
    let record = Record {
        source: order.source,
        mode: order.mode,
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
        sockets,
        started_ms: now_ms(),
        monitor_pid: None,
        qemu_pid: None,
        running_after_ms: None,
        ready_after_ms: None,
        ended: None,
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
    let errors = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(folder.file(state::MONITOR))
        .map_err(StartMachineError::Spawn)?;
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
        name: folder.name,
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
        socket: state::machine_socket(sockets),
        qemu: SocketEnd::Connects,
    });
    machine
}
