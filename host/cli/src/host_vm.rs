//! What this host runs machines with: its QEMU, the accelerator that works, and its terminal.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use nodeos_vm::accel::Accel;
use nodeos_vm::machine::PortForward;
use nodeos_vm::process::Qemu;
use rustix::termios::tcgetwinsize;
use thiserror::Error;

use crate::exit::Exit;
use crate::output::errors::Failure;
use crate::plan::{Desktop, Pmem};

/// What was found.
#[derive(Debug)]
pub struct HostVm {
    /// The QEMU that will run the machine.
    pub qemu: Qemu,
    /// The accelerator that works here.
    pub accel: Accel,
    /// Whether that QEMU can map images from memory.
    pub pmem: Pmem,
    /// Why machines are slow here, where they are.
    pub note: Option<String>,
    /// The kind of terminal that shows the console: the value of `TERM`.
    pub term: Option<String>,
    /// Columns and rows of that terminal.
    pub console_size: Option<(u16, u16)>,
}

/// A port of this host cannot be listened on.
#[derive(Debug, Error)]
pub enum CheckPortError {
    #[error("port {port} of this host is taken")]
    Taken { port: u16 },
    #[error("{address} is no address of this host")]
    Address { address: Ipv4Addr },
    #[error("cannot listen on port {port} of this host")]
    Listen {
        port: u16,
        #[source]
        source: io::Error,
    },
}

impl HostVm {
    /// Looks at this host. What has to be tried out is tried once for each boot of the host; `cache` keeps the result.
    pub fn examine(cache: &Path) -> Result<HostVm, Failure> {
        let qemu = Qemu::find().map_err(|error| {
            let hint = error.hint();
            Failure::new(error).exit(Exit::MachineryMissing).hint(hint)
        })?;
        let choice = Accel::choose(&qemu, Some(cache)).map_err(|error| {
            let hint = error.hint();
            Failure::new(error).hint(hint)
        })?;
        let has_pmem = qemu.has_virtio_pmem(Some(cache)).map_err(Failure::new)?;
        let pmem = if has_pmem { Pmem::Has } else { Pmem::HasNot };
        let note = (choice.accel == Accel::Tcg)
            .then(|| format!("emulating the processor: {}", choice.why));
        Ok(HostVm {
            qemu,
            accel: choice.accel,
            pmem,
            note,
            term: std::env::var("TERM").ok().filter(|term| is_word(term)),
            console_size: console_size(),
        })
    }
}

impl HostVm {
    /// What there is to open a window on. macOS has a desktop always; elsewhere one of two variables names it.
    pub fn desktop(&self) -> Desktop {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Desktop {
            is_there: cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            qemu_opens_windows: self.qemu.can_open_windows(),
        }
    }
}

/// Columns and rows of the terminal that we were called from. Of nothing is what a serial line says that does not know its
/// size.
pub fn console_size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdin()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Finds out before anything is built or started whether a port is free, by listening on it for a moment.
pub fn check_ports(ports: &[PortForward]) -> Result<(), CheckPortError> {
    for forward in ports {
        let PortForward {
            address,
            host: port,
            ..
        } = *forward;
        match TcpListener::bind((address, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(CheckPortError::Taken { port });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                return Err(CheckPortError::Address { address });
            }
            Err(source) => return Err(CheckPortError::Listen { port, source }),
        }
    }
    Ok(())
}

impl CheckPortError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            CheckPortError::Taken { .. } => {
                "give --port another number before the colon, or end what listens there".into()
            }
            CheckPortError::Address { .. } => {
                "127.0.0.1 is for this host only, and 0.0.0.0 is every address that it has".into()
            }
            CheckPortError::Listen { port, .. } if *port < 1024 => {
                "ports below 1024 are for root; give --port a higher one".into()
            }
            CheckPortError::Listen { .. } => "give --port another number before the colon".into(),
        })
    }
}

/// Whether a text can stand on the kernel's command line as part of one word.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_something_listens_on_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = check_ports(&[PortForward::local(port, 80)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("port {port} of this host is taken")
        );
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("give --port another number")
        );
    }

    #[test]
    fn only_plain_names_of_terminals_reach_the_kernel() {
        assert!(
            ["xterm-256color", "screen.linux", "linux"]
                .into_iter()
                .all(is_word)
        );
        assert!(!["", "a b", "x\"y", "a=b", "é"].into_iter().any(is_word));
    }
}
