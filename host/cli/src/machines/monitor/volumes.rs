//! What QEMU tells of the machine's volumes over QMP (qemu-qmp-ref(7)): that one cannot grow, because this host's disk is full.
//!
//! QEMU stops the machine then (qemu(1), `werror=enospc`), whose programs would wait for ever. It goes on for nobody's sake: what the
//! filesystem of the volume has written is whole, as after a power cut.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use serde::Deserialize;

use super::Monitor;
use crate::machines::protocol::Ending;
use crate::machines::room;

/// Without this QEMU tells nothing.
const BEGIN: &[u8] = b"{\"execute\":\"qmp_capabilities\"}\n";

/// How much is read at once.
const CHUNK: usize = 4096;

/// What a disk of a volume is called, with its place among them behind it (`host/vm`, `disks`).
const DISK: &str = "disk";

/// QEMU's own end, which is not the machine's.
#[derive(Debug)]
pub(super) struct Qmp {
    listener: UnixListener,
    stream: Option<UnixStream>,
    /// A line that is not whole yet.
    pending: Vec<u8>,
}

/// What of QEMU's messages is of interest.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    event: String,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    device: String,
    #[serde(default)]
    nospace: bool,
}

impl Qmp {
    /// QEMU connects there.
    pub(super) fn new(listener: UnixListener) -> Qmp {
        Qmp {
            listener,
            stream: None,
            pending: Vec::new(),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Some(stream) => stream.as_fd(),
            None => self.listener.as_fd(),
        }
    }

    /// The places of volumes that cannot grow. An error where QEMU says nothing any more.
    fn news(&mut self) -> io::Result<Vec<usize>> {
        let Some(stream) = &mut self.stream else {
            let (mut stream, _) = self.listener.accept()?;
            stream.set_nonblocking(true)?;
            // So little always fits into a new socket.
            stream.write_all(BEGIN)?;
            self.stream = Some(stream);
            return Ok(Vec::new());
        };
        let mut chunk = [0; CHUNK];
        let count = match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        self.pending.extend_from_slice(&chunk[..count]);
        let mut full = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            full.extend(without_room(&self.pending[..end]));
            self.pending.drain(..=end);
        }
        Ok(full)
    }
}

/// The place of the volume, if that is what this line says.
fn without_room(line: &[u8]) -> Option<usize> {
    let message: Message = serde_json::from_slice(line).ok()?;
    let is_full = message.event == "BLOCK_IO_ERROR" && message.data.nospace;
    let place = message.data.device.strip_prefix(DISK)?;
    place.parse().ok().filter(|_| is_full)
}

impl Monitor {
    pub(super) fn read_qmp(&mut self) {
        let Some(qmp) = &mut self.qmp else { return };
        match qmp.news() {
            Ok(full) => {
                let volumes = &self.record.volumes;
                let image = full.first().and_then(|place| volumes.get(*place)).cloned();
                image.into_iter().for_each(|image| self.end_for_room(image));
            }
            // It has ended, which is told elsewhere.
            Err(_) => self.qmp = None,
        }
    }

    fn end_for_room(&mut self, image: PathBuf) {
        if let Some(qemu) = &mut self.qemu {
            qemu.kill();
        }
        self.ending.get_or_insert(Ending::Failed {
            reason: format!(
                "the volume {} cannot grow: this host's disk is full",
                image.display()
            ),
            tail: String::new(),
            hint: Some(room::needed(&image)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_without_room_is_told_from_everything_else() {
        let check = |line: &str, expected: Option<usize>| {
            assert_eq!(without_room(line.as_bytes()), expected, "{line}");
        };
        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "BLOCK_IO_ERROR", "data": {"device": "disk1",
            "nospace": true, "node-name": "block3", "reason": "No space left on device", "operation": "write", "action": "stop"}}"#;
        check(event, Some(1));
        check(&event.replace("true", "false"), None);
        check(&event.replace("BLOCK_IO_ERROR", "STOP"), None);
        check(&event.replace("disk1", "layer0"), None);
        check(r#"{"QMP": {"version": {}, "capabilities": []}}"#, None);
        check(r#"{"return": {}}"#, None);
        check("", None);
    }
}
