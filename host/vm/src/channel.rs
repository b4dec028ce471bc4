//! The host's end of a virtio-serial port: lines.

use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::qmp::connect;

/// A channel could not be used.
#[derive(Debug, Error)]
pub enum ChannelError {
    #[error("cannot connect to {}", .socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read from {}", .socket.display())]
    Read {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The lines that arrive on a channel.
#[derive(Debug)]
pub struct Lines {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Lines {
    /// Connects to the socket of a channel; QEMU may take until `deadline` to listen.
    ///
    /// # Errors
    /// [`ChannelError::Connect`].
    pub fn connect(socket: &Path, deadline: Duration) -> Result<Lines, ChannelError> {
        let stream = connect(socket, deadline)
            .map_err(|source| ChannelError::Connect { socket: socket.to_owned(), source })?;
        Ok(Lines { socket: socket.to_owned(), stream: BufReader::new(stream) })
    }

    /// The next line without its line feed; none when the machine has closed the channel or ended.
    ///
    /// # Errors
    /// [`ChannelError::Read`], also when nothing came within `deadline`.
    pub fn next(&mut self, deadline: Duration) -> Result<Option<String>, ChannelError> {
        let mut read = || {
            // Zero would mean no limit at all.
            self.stream.get_ref().set_read_timeout(Some(deadline.max(Duration::from_millis(1))))?;
            let mut line = String::new();
            let count = self.stream.read_line(&mut line)?;
            Ok((count > 0).then(|| line.trim_end_matches('\n').to_owned()))
        };
        read().map_err(|source| ChannelError::Read { socket: self.socket.clone(), source })
    }
}
