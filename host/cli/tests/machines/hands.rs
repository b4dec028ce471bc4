//! What these tests do again and again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nodeos::exit::Exit;
use nodeos::machines::foreground::{self, Manner};
use nodeos::machines::record::Mode;
use nodeos::machines::start::Starting;
use nodeos::output::errors::Failure;
use nodeos::output::streams::{SharedWriter, Streams};
use nodeos_spec::application::message::MachineMessage;

use crate::common::{Said, Sealed};
use crate::peer::{Host, Peer, until};

#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

/// Attends to a machine, and returns what came of it, on standard output and on standard error.
pub(crate) fn attend(starting: Starting) -> (Result<Exit, Failure>, Page, Page) {
    let (out, err) = (Page::default(), Page::default());
    let mut streams = Streams {
        out: Box::new(out.clone()),
        err: SharedWriter::new(err.clone()),
        err_is_terminal: false,
    };
    let ended = foreground::attend(starting, None, Manner::Plain, &mut streams);
    (ended, out, err)
}

/// A machine in the background whose application runs.
pub(crate) fn detached(host: &Host, name: &str) -> (Peer, Starting) {
    let (mut peer, starting) = host.start(name, Mode::Detached);
    peer.say(&MachineMessage::Started);
    until("it is known to run", || {
        let record = peer.folder.record().unwrap().unwrap();
        record.running_after_ms
    });
    (peer, starting)
}

pub(crate) fn quiet(out: &str) -> Said {
    Said {
        code: Some(0),
        out: out.to_owned(),
        err: String::new(),
    }
}

/// What `ps` says of the first machine, in a few words.
pub(crate) fn state(sealed: &Sealed, arguments: &[&str]) -> String {
    let said = sealed.run(&[&["ps", "--json"], arguments].concat());
    let list: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    format!("{} {}", list[0]["name"], list[0]["state"]).replace('"', "")
}
