//! [`Vm`]: a running machine whose console is ours.

use std::ffi::OsString;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;

use crate::console::{Console, ExpectError};
use crate::machine::{ConsoleTo, Machine};
use crate::process;

/// A machine could not be started.
#[derive(Debug, Error)]
pub enum BootError {
    #[error("{program} is not installed")]
    Missing { program: String },
    #[error("cannot run {program}")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("the machine's console goes to the terminal")]
    NotPiped,
    #[error("port {port} of this host is taken")]
    PortTaken { port: u16 },
    #[error("cannot listen on port {port} of this host")]
    Port {
        port: u16,
        #[source]
        source: io::Error,
    },
}

impl BootError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            BootError::Missing { .. } => {
                Some("install it: sudo apt-get install qemu-system-x86".to_owned())
            }
            BootError::PortTaken { .. } => {
                Some("forward another port, or end what listens there".to_owned())
            }
            BootError::Port { port, .. } if *port < 1024 => {
                Some("ports below 1024 are for root".to_owned())
            }
            BootError::Spawn { .. } | BootError::NotPiped | BootError::Port { .. } => None,
        }
    }
}

/// A running machine. Dropping it ends it at once.
#[derive(Debug)]
pub struct Vm {
    pub console: Console,
    child: Child,
    stderr: Arc<Mutex<String>>,
    stderr_reader: Option<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Vm {
    /// Starts the machine, whose console must go to [`ConsoleTo::Pipes`].
    ///
    /// # Errors
    /// [`BootError`]. That QEMU dislikes its command line shows in [`Vm::wait`] and [`Vm::stderr`].
    pub fn boot(machine: &Machine) -> Result<Vm, BootError> {
        if machine.console != ConsoleTo::Pipes {
            return Err(BootError::NotPiped);
        }
        machine
            .ports
            .iter()
            .try_for_each(|port| check_port(port.address, port.host))?;
        Vm::start(&machine.argv())
    }

    /// Starts QEMU with a command line of one's own, program first, whose console is its standard input and output.
    ///
    /// # Errors
    /// [`BootError`].
    ///
    /// # Panics
    /// When there is no program.
    pub fn start(argv: &[OsString]) -> Result<Vm, BootError> {
        let (program, words) = argv
            .split_first()
            .expect("a command line begins with its program");
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| {
            let program = program.to_string_lossy().into_owned();
            match source.kind() {
                io::ErrorKind::NotFound => BootError::Missing { program },
                _ => BootError::Spawn { program, source },
            }
        })?;
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let mut messages = child.stderr.take().expect("it is piped");
        let stderr = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&stderr);
        let stderr_reader = thread::spawn(move || {
            let mut chunk = [0; 512];
            while let Ok(count @ 1..) = messages.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..count]).into_owned();
                said.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&text);
            }
        });
        let console = Console::new(input, output);
        Ok(Vm {
            console,
            child,
            stderr,
            stderr_reader: Some(stderr_reader),
            status: None,
        })
    }

    /// QEMU's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// User and system time that QEMU has used so far, in seconds. None when it has ended.
    pub fn cpu_seconds_so_far(&self) -> Option<f64> {
        process::cpu_seconds(self.pid())
    }

    /// What QEMU itself has said.
    pub fn stderr(&self) -> String {
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for the machine's end.
    ///
    /// # Errors
    /// [`ExpectError::StillRunning`] when it has not ended within `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, ExpectError> {
        let end = Instant::now() + deadline;
        if let Some(status) = self.status {
            return Ok(status);
        }
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended(status);
                return Ok(status);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ExpectError::StillRunning {
                    waited: deadline,
                    tail: self.console.tail(),
                });
            }
            self.wait_for_end(left);
        }
    }

    /// Ends the machine at once, as if its plug were pulled.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            // An error means that it has ended by itself.
            let _ = self.child.kill();
            if let Ok(status) = self.child.wait() {
                self.ended(status);
            }
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        self.status = Some(status);
        if let Some(reader) = self.stderr_reader.take() {
            let _ = reader.join();
        }
    }

    /// Returns when the process has ended or the time is over: a pid file descriptor becomes readable at the end
    /// (pidfd_open(2)).
    fn wait_for_end(&self, time: Duration) {
        let pid = Pid::from_child(&self.child);
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        let time = Timespec::try_from(time).ok();
        // An interrupted wait is made again by the caller.
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], time.as_ref());
    }
}

/// Listens on a port for a moment, so that the error comes before the machine and not out of QEMU.
fn check_port(address: Ipv4Addr, port: u16) -> Result<(), BootError> {
    match TcpListener::bind((address, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(BootError::PortTaken { port })
        }
        Err(source) => Err(BootError::Port { port, source }),
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.kill();
    }
}
