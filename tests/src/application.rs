//! A machine with one application, and the host's end of the port that carries everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nodeos_build::assemble::image::erofs_options;
use nodeos_build::recipe::{Layer, Recipe};
use nodeos_image::erofs;
use nodeos_image::tree::{Entry, Tree};
use nodeos_spec::application::flow::{ReceiveWindow, SendWindow};
use nodeos_spec::application::frame::{
    Decoder, Frame, Kind, MAX_PAYLOAD, MESSAGES, PORT, Streams, streams_of,
};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};
use nodeos_spec::application::{ApplicationSpec, SPEC_NAME};
use nodeos_vm::machine::{Channel, Machine, MappedImage, SocketEnd};

use crate::boot::{BOOT, Boot, Scratch};
use crate::system;

/// What an application's machine boots.
pub const APPLICATION: Recipe = Recipe {
    layer: Layer::Application,
    ..Recipe::BAREBONES
};

/// Its memory, in MiB: what a small one has.
const MEMORY_MIB: u32 = 96;
/// Until the next thing that the machine has to say.
const ANSWER: Duration = Duration::from_secs(60);
/// After that a read has waited for nothing.
const READ: Duration = Duration::from_millis(200);
/// The file that the tests' applications are.
const SCRIPT: &str = "app.js";

/// A machine that is to be.
#[derive(Debug)]
pub struct Plan {
    pub scratch: Scratch,
    pub machine: Machine,
}

impl Plan {
    /// One that runs `script` with Node.js. `more` is put into its `application.json`, with a comma before it.
    pub fn new(name: &str, recipe: &Recipe, script: &str, more: &str) -> anyhow::Result<Plan> {
        let scratch = Scratch::new(name)?;
        let output = system::build(recipe, &scratch.dir.join("out"))?;
        let mut machine = system::machine(recipe, &output);
        machine.memory_mib = MEMORY_MIB;
        machine.console_size = None;
        machine.term = None;
        let mut plan = Plan { scratch, machine };
        let spec = format!(r#"{{"name": "test", "argv": ["/bin/node", "/app/{SCRIPT}"]{more}}}"#);
        ApplicationSpec::parse(&spec)?;
        let files = [
            (SPEC_NAME.to_owned(), spec),
            (format!("files/{SCRIPT}"), script.to_owned()),
        ];
        plan.add_layer(&files)?;
        Ok(plan)
    }

    /// Adds an image with these files, over those that are there.
    pub fn add_layer(&mut self, files: &[(String, String)]) -> anyhow::Result<()> {
        let mut tree = Tree::new();
        for (path, text) in files {
            let path = PathBuf::from("/").join(path);
            tree.insert_with_folders(path, Entry::file(0o644, text.as_bytes()), 0o755)?;
        }
        let number = self.machine.layers.len();
        let image = self.scratch.dir.join(format!("layer{number}.img"));
        let size = erofs::write(&tree, &erofs_options([0; 16]), &File::create_new(&image)?)?;
        self.machine.layers.push(MappedImage { image, size });
        Ok(())
    }

    /// Boots it, and takes the other end of its port.
    pub fn boot(&self) -> anyhow::Result<Running> {
        // Not below the checkout, whose path may be longer than a socket's can be.
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("port");
        let listener = UnixListener::bind(&socket)?;
        let mut machine = self.machine.clone();
        machine.channels.push(Channel {
            name: PORT.to_owned(),
            socket,
            qemu: SocketEnd::Connects,
        });
        let vm = self.scratch.boot(&machine)?;
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(READ))?;
        Ok(Running {
            vm,
            stream,
            decoder: Decoder::default(),
            messages: VecDeque::new(),
            streams: BTreeMap::new(),
            ended: BTreeSet::new(),
            windows: BTreeMap::new(),
            passed_on: BTreeMap::new(),
        })
    }
}

/// A machine that runs, and what has come from it.
#[derive(Debug)]
pub struct Running {
    pub vm: Boot,
    stream: UnixStream,
    decoder: Decoder,
    messages: VecDeque<MachineMessage>,
    streams: BTreeMap<u32, Vec<u8>>,
    ended: BTreeSet<u32>,
    windows: BTreeMap<u32, SendWindow>,
    passed_on: BTreeMap<u32, ReceiveWindow>,
}

/// What has come of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    pub stdout: String,
    pub stderr: String,
}

impl Running {
    pub fn tell(&mut self, message: &HostMessage) -> anyhow::Result<()> {
        self.send(&Frame::data(MESSAGES, message.to_line().as_bytes()))
    }

    fn send(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        Ok(self.stream.write_all(&bytes)?)
    }

    /// Sends something as the standard input of a command, or of the application (0), and its end.
    pub fn feed(&mut self, command: u32, bytes: &[u8]) -> anyhow::Result<()> {
        let number = streams_of(command).stdin;
        let mut left = bytes;
        while !left.is_empty() {
            let room = self.windows.entry(number).or_default().left();
            if room == 0 {
                self.receive(Instant::now() + ANSWER)?;
                continue;
            }
            let (now, later) = left.split_at(left.len().min(room).min(MAX_PAYLOAD));
            self.send(&Frame::data(number, now))?;
            self.windows.entry(number).or_default().sent(now.len());
            left = later;
        }
        Ok(())
    }

    /// Ends it.
    pub fn feed_no_more(&mut self, command: u32) -> anyhow::Result<()> {
        self.send(&Frame::end(streams_of(command).stdin))
    }

    /// Types on a command's terminal.
    pub fn type_on(&mut self, command: u32, text: &str) -> anyhow::Result<()> {
        self.feed(command, text.as_bytes())
    }

    /// The next message.
    pub fn hear(&mut self) -> anyhow::Result<MachineMessage> {
        let deadline = Instant::now() + ANSWER;
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            self.receive(deadline)?;
        }
    }

    /// The next message that is none of those that every application has.
    pub fn answer(&mut self) -> anyhow::Result<MachineMessage> {
        loop {
            match self.hear()? {
                MachineMessage::Started | MachineMessage::Ready { .. } => {}
                other => return Ok(other),
            }
        }
    }

    /// Waits until a program has written this to its standard output.
    pub fn expect(&mut self, command: u32, text: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + ANSWER;
        while !self.written(command).stdout.contains(text) {
            self.receive(deadline)
                .with_context(|| format!("{text:?} is not in {:?}", self.written(command)))?;
        }
        Ok(())
    }

    /// What has come so far as text.
    pub fn written(&self, command: u32) -> Written {
        let Streams { stdout, stderr, .. } = streams_of(command);
        let text = |number| String::from_utf8_lossy(self.bytes(number)).into_owned();
        Written {
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// What has come so far of a stream.
    pub fn bytes(&self, number: u32) -> &[u8] {
        self.streams.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Whether the stream has ended.
    pub fn has_ended(&self, number: u32) -> bool {
        self.ended.contains(&number)
    }

    /// Runs a command to its end, which has to be code 0, and returns what it wrote.
    pub fn run(&mut self, command: u32, argv: &[&str]) -> anyhow::Result<Written> {
        self.tell(&HostMessage::Run {
            command,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            terminal: None,
        })?;
        self.feed_no_more(command)?;
        self.command_done(command)?;
        Ok(self.written(command))
    }

    /// Waits for a command's end, which has to be code 0.
    pub fn command_done(&mut self, command: u32) -> anyhow::Result<()> {
        match self.answer()? {
            MachineMessage::CommandEnded {
                command: number,
                how: End::Code(0),
            } if number == command => Ok(()),
            other => bail!("{other:?}, and {:?}", self.written(command)),
        }
    }

    /// Says goodbye, and waits for the end of the machine.
    pub fn end(&mut self) -> anyhow::Result<()> {
        self.tell(&HostMessage::Goodbye)?;
        self.vm.powered_off().map(drop)
    }

    /// Reads once, and does what a host does then.
    fn receive(&mut self, deadline: Instant) -> anyhow::Result<()> {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("the machine has ended"),
            Ok(count) => self.decoder.push(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if deadline <= Instant::now() {
                    self.vm.keep();
                    bail!(
                        "nothing has come, and the console has: {}",
                        self.vm.console.transcript()
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
        while let Some(frame) = self.decoder.next_frame()? {
            let number = frame.stream;
            match frame.kind {
                Kind::Data if number == MESSAGES => {
                    self.messages
                        .push_back(MachineMessage::parse(&frame.payload)?);
                }
                Kind::Data => {
                    self.streams
                        .entry(number)
                        .or_default()
                        .extend(&frame.payload);
                    let window = self.passed_on.entry(number).or_default();
                    if let Some(credit) = window.passed_on(frame.payload.len()) {
                        self.send(&Frame::credit(number, credit))?;
                    }
                }
                Kind::End => {
                    self.ended.insert(number);
                }
                Kind::Credit => {
                    let window = self.windows.entry(number).or_default();
                    window.credited(frame.credited());
                }
            }
        }
        Ok(())
    }

    /// How long a boot may take is how long the first message may.
    pub fn started(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOOT;
        while self.messages.is_empty() {
            self.receive(deadline)?;
        }
        match self.hear()? {
            MachineMessage::Started => Ok(()),
            other => bail!("{other:?}"),
        }
    }
}
