//! The host's end of the port on which a machine is told what only its host knows (`nodeos_spec::host`).

use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nodeos_spec::broker::ParseMessageError;
use nodeos_spec::host::{HostMessage, MachineMessage, PORT};
use tempfile::TempDir;
use thiserror::Error;

use crate::channel::{ChannelError, Lines};
use crate::machine::{Channel, SocketEnd};

/// The socket to which QEMU connects when it starts. It is gone when this is dropped.
#[derive(Debug)]
pub struct Control {
    folder: TempDir,
    listener: UnixListener,
    lines: Option<Lines>,
}

/// There is no place for a socket.
#[derive(Debug, Error)]
#[error("cannot listen on a socket in {}", std::env::temp_dir().display())]
pub struct ListenControlError(#[source] io::Error);

/// A machine was not heard.
#[derive(Debug, Error)]
pub enum HearMachineError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the machine says what cannot be understood: {line:?}")]
    Nonsense {
        line: String,
        #[source]
        source: ParseMessageError,
    },
}

impl Control {
    /// Listens, before the machine is started.
    ///
    /// # Errors
    /// [`ListenControlError`], also where the path would be too long for a socket (unix(7)).
    pub fn listen() -> Result<Control, ListenControlError> {
        let folder = tempfile::Builder::new()
            .prefix("nodeos-")
            .tempdir()
            .map_err(ListenControlError)?;
        let listener =
            UnixListener::bind(folder.path().join("control")).map_err(ListenControlError)?;
        Ok(Control {
            folder,
            listener,
            lines: None,
        })
    }

    /// What the machine must have.
    pub fn channel(&self) -> Channel {
        Channel {
            name: PORT.to_owned(),
            socket: self.folder.path().join("control"),
            qemu: SocketEnd::Connects,
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// [`ChannelError`], also when QEMU has not connected, or nobody in the machine has read, within `deadline`.
    pub fn say(&mut self, message: &HostMessage, deadline: Duration) -> Result<(), ChannelError> {
        self.lines(deadline)?.send(&message.to_line(), deadline)
    }

    /// The next message; none when the machine has ended.
    ///
    /// # Errors
    /// [`HearMachineError`].
    pub fn hear(&mut self, deadline: Duration) -> Result<Option<MachineMessage>, HearMachineError> {
        let Some(line) = self.lines(deadline)?.next(deadline)? else {
            return Ok(None);
        };
        MachineMessage::parse(line.as_bytes())
            .map(Some)
            .map_err(|source| HearMachineError::Nonsense { line, source })
    }

    fn lines(&mut self, deadline: Duration) -> Result<&mut Lines, ChannelError> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => Lines::accept(&self.listener, &self.channel().socket, deadline)?,
        };
        Ok(self.lines.insert(lines))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn both_sides_hear_each_other_and_the_end() {
        let mut control = Control::listen().unwrap();
        let mut machine = UnixStream::connect(control.channel().socket).unwrap();
        let message = HostMessage::ConsoleSize {
            columns: 132,
            rows: 43,
        };
        control.say(&message, SOON).unwrap();
        let mut line = String::new();
        BufReader::new(&machine).read_line(&mut line).unwrap();
        assert_eq!(HostMessage::parse(line.as_bytes()).unwrap(), message);
        machine
            .write_all(b"{\"type\":\"ready\"}\nnonsense\n")
            .unwrap();
        assert_eq!(control.hear(SOON).unwrap(), Some(MachineMessage::Ready));
        assert_eq!(
            control.hear(SOON).unwrap_err().to_string(),
            "the machine says what cannot be understood: \"nonsense\""
        );
        drop(machine);
        assert_eq!(control.hear(SOON).unwrap(), None);
    }

    #[test]
    fn a_machine_that_does_not_connect_is_not_waited_for_for_ever() {
        let mut control = Control::listen().unwrap();
        let socket = control.channel().socket;
        let error = control.hear(Duration::from_millis(5)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot connect to {}", socket.display())
        );
        drop(control);
        assert!(!socket.exists());
    }
}
