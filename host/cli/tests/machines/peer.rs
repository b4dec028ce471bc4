//! A machine as a monitor sees one: a process that ends when it is told to, and a socket on which the test says what the machine would.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nodeos::machines::connection;
use nodeos::machines::names::Name;
use nodeos::machines::protocol::ClientMessage;
use nodeos::machines::record::{Mode, Record};
use nodeos::machines::sockets;
use nodeos::machines::start::{Starting, VERB};
use nodeos::machines::state::{Claim, Folder, Machines};
use nodeos_spec::application::frame::{Decoder, Frame, Kind, MESSAGES};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};

use crate::common::Sealed;

/// Far longer than any step needs on a busy host.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A home with machines in it.
pub(crate) struct Host {
    pub(crate) sealed: Sealed,
}

/// One of them.
pub(crate) struct Peer {
    pub(crate) folder: Folder,
    stream: UnixStream,
    decoder: Decoder,
    plug: PathBuf,
}

impl Host {
    pub(crate) fn new() -> Host {
        Host {
            sealed: Sealed::new(),
        }
    }

    /// As the command line finds them in this home.
    pub(crate) fn machines(&self) -> Machines {
        Machines {
            root: self.sealed.path().join(".local/state/nodeos/machines"),
        }
    }

    /// Starts a monitor whose QEMU is this script.
    pub(crate) fn start_script(&self, name: &str, mode: Mode, script: &str) -> Starting {
        self.start_with_volumes(name, mode, &[], script)
    }

    fn start_with_volumes(
        &self,
        name: &str,
        mode: Mode,
        volumes: &[PathBuf],
        script: &str,
    ) -> Starting {
        let Claim { folder, lock } = self
            .machines()
            .claim(&name.parse::<Name>().unwrap())
            .unwrap();
        let sockets = sockets::make_folder(&folder).unwrap();
        let listener = sockets::listen(sockets::of_clients(&sockets)).unwrap();
        let record = Record {
            memory_mib: 64,
            cpus: 1,
            volumes: volumes.to_vec(),
            stop_grace_ms: 1000,
            ..Record::new("./shop".to_owned(), mode, sockets)
        };
        folder.write_record(&record).unwrap();
        let connection = folder.connect(&record).unwrap().unwrap();
        if mode == Mode::Foreground {
            let attach = ClientMessage::Attach { console: false };
            connection::say(&connection, &attach).unwrap();
        }
        let monitor = Command::new(env!("CARGO_BIN_EXE_nodeos"))
            .arg(VERB)
            .arg(&folder.path)
            .args(["/bin/sh", "-c", script])
            .stdin(lock)
            .stdout(OwnedFd::from(listener))
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Starting {
            name: folder.name,
            connection,
            monitor,
            argv: Vec::new(),
        }
    }

    /// Starts a machine that runs until [`Peer::power_off`].
    pub(crate) fn start(&self, name: &str, mode: Mode) -> (Peer, Starting) {
        self.start_having(name, mode, &[])
    }

    /// The same with these volumes.
    pub(crate) fn start_having(
        &self,
        name: &str,
        mode: Mode,
        volumes: &[PathBuf],
    ) -> (Peer, Starting) {
        let plug = self.sealed.path().join(format!("{name}.plug"));
        // That of an earlier machine of this name.
        let _ = fs::remove_file(&plug);
        let made = Command::new("mkfifo").arg(&plug).status().unwrap();
        assert!(made.success());
        let script = format!("read code < {}; exit $code", plug.display());
        let starting = self.start_with_volumes(name, mode, volumes, &script);
        let folder = self.machines().folder(&starting.name);
        let record = folder.record().unwrap().unwrap();
        let stream = until("the monitor listens", || {
            UnixStream::connect(sockets::of_machine(&record.sockets)).ok()
        });
        stream.set_read_timeout(Some(SOON)).unwrap();
        let peer = Peer {
            folder,
            stream,
            decoder: Decoder::default(),
            plug,
        };
        (peer, starting)
    }
}

impl Drop for Host {
    /// No test leaves a machine behind, however it ended.
    fn drop(&mut self) {
        for folder in self.machines().list().unwrap_or_default() {
            let record = folder.record().ok().flatten();
            let stream = record.and_then(|record| folder.connect(&record).ok().flatten());
            let _ = stream.map(|stream| connection::say(&stream, &ClientMessage::Kill));
        }
    }
}

/// Waits for what has no event of its own.
pub(crate) fn until<T>(what: &str, mut is_there: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = is_there() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

impl Peer {
    pub(crate) fn say(&mut self, message: &MachineMessage) {
        self.give(&Frame::data(MESSAGES, message.to_line().as_bytes()));
    }

    pub(crate) fn give(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    pub(crate) fn write(&mut self, stream: u32, bytes: &[u8]) {
        self.give(&Frame::data(stream, bytes));
    }

    /// QEMU's own connection, on which it tells of its disks.
    pub(crate) fn qemu(&self) -> UnixStream {
        let record = self.folder.record().unwrap().unwrap();
        let path = sockets::of_qemu(&record.sockets);
        until("the monitor listens", || UnixStream::connect(&path).ok())
    }

    /// The next frame that the monitor sends.
    pub(crate) fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).unwrap();
            assert!(count > 0, "the monitor has ended");
            self.decoder.push(&chunk[..count]);
        }
    }

    /// The next message, whatever else comes before it.
    pub(crate) fn hear(&mut self) -> HostMessage {
        loop {
            let frame = self.next();
            if frame.stream == MESSAGES {
                return HostMessage::parse(&frame.payload).unwrap();
            }
        }
    }

    /// All that comes on a stream until its end.
    pub(crate) fn read_to_end(&mut self, stream: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let frame = self.next();
            match frame.kind {
                Kind::Data if frame.stream == stream => bytes.extend(frame.payload),
                Kind::End if frame.stream == stream => return bytes,
                _ => {}
            }
        }
    }

    /// The application ends, and the machine after it has been allowed to.
    pub(crate) fn end(&mut self, how: End) {
        self.say(&MachineMessage::Ended {
            how,
            out_of_memory: false,
            memory_peak: 2_000_000,
            memory_limit: 1_000_000,
            again_in_ms: None,
        });
        while self.hear() != HostMessage::Goodbye {}
        self.power_off(0);
    }

    /// QEMU ends with this code.
    pub(crate) fn power_off(&self, code: u8) {
        fs::write(&self.plug, format!("{code}\n")).unwrap();
    }
}

/// The monitor of a machine that has ended ends, too.
pub(crate) fn wait_for(mut monitor: Child) {
    assert!(
        nodeos_vm::process::has_ended_within(&monitor, SOON),
        "the monitor goes on"
    );
    assert!(monitor.wait().unwrap().success());
}
