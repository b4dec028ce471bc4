//! A program's streams, between its pipes or terminal and the host's frames.

use std::collections::VecDeque;

use nodeos_spec::application::flow::{ReceiveWindow, SendWindow};
use nodeos_spec::application::frame::{Frame, MAX_PAYLOAD, Streams};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};

use crate::launch::{self, Ours};
use crate::link::{Host, Link};

/// What a terminal takes for the end of what is typed: Ctrl-D (termios(3), VEOF).
const END_OF_TYPING: u8 = 4;

/// All streams of one program.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) input: Inlet,
    /// Standard output and error; of a terminal, only the first.
    pub(crate) outputs: Vec<Outlet>,
}

/// What a program reads.
#[derive(Debug)]
pub(crate) struct Inlet {
    number: u32,
    to: Option<OwnedFd>,
    is_terminal: bool,
    waiting: VecDeque<u8>,
    /// Nothing follows what waits.
    ends: bool,
    window: ReceiveWindow,
}

/// What a program writes.
#[derive(Debug)]
pub(crate) struct Outlet {
    number: u32,
    from: Option<OwnedFd>,
    window: SendWindow,
    /// When there is nothing to read, nothing comes any more.
    is_last: bool,
}

impl Carried {
    /// `numbers` are the host's for them.
    pub(crate) fn new(numbers: Streams, ends: Ours) -> Result<Carried, Errno> {
        let (input, output, error, is_terminal) = match ends {
            Ours::Pipes {
                stdin,
                stdout,
                stderr,
            } => (Some(stdin), Some(stdout), Some(stderr), false),
            Ours::Terminal(terminal) => {
                let input = io::fcntl_dupfd_cloexec(&terminal, 3)?;
                (Some(input), Some(terminal), None, true)
            }
            Ours::Console => (None, None, None, false),
        };
        let mut outputs = vec![Outlet::new(numbers.stdout, output)];
        if !is_terminal {
            outputs.push(Outlet::new(numbers.stderr, error));
        }
        Ok(Carried {
            input: Inlet {
                number: numbers.stdin,
                to: input,
                is_terminal,
                waiting: VecDeque::new(),
                ends: false,
                window: ReceiveWindow::default(),
            },
            outputs,
        })
    }

    /// Nothing comes any more: everybody who could write has ended, and all of it has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.outputs.iter().all(|output| output.from.is_none())
    }

    /// Takes new pipes in the place of those of a program that has ended. What the host has sent for that one is gone; how much
    /// is under way to the host, and how it counts what it sends, is not.
    pub(crate) fn renew(&mut self, next: Carried, link: &mut Link) {
        let Carried { input, outputs } = next;
        let unread = self.input.waiting.len();
        self.input.waiting = VecDeque::new();
        self.input.to = input.to;
        self.input.passed_on(unread, link);
        for (output, next) in self.outputs.iter_mut().zip(outputs) {
            output.from = next.from;
            output.is_last = false;
        }
        // What has ended for the first has ended for the next.
        self.input.close_if_done();
    }

    /// A new host counts from the beginning, and knows nothing of what an earlier one has sent.
    pub(crate) fn begin_anew(&mut self) {
        self.input.window = ReceiveWindow::default();
        for output in &mut self.outputs {
            output.window = SendWindow::default();
        }
    }

    /// Tells the host that nothing follows, and lets go of what may still be there.
    pub(crate) fn end(&mut self, link: &mut Link) {
        self.input.to = None;
        for output in &mut self.outputs {
            output.from = None;
            link.send(&Frame::end(output.number));
        }
    }

    /// Everybody who could write has ended: what is there now is all there is, whoever still holds the other end.
    pub(crate) fn expect_no_more(&mut self) {
        for output in &mut self.outputs {
            output.is_last = true;
        }
    }

    /// In a copy of this program: drops what keeps the streams of others from ending.
    pub(crate) fn let_go(&mut self) {
        self.input.to = None;
        for output in &mut self.outputs {
            output.from = None;
        }
    }

    /// The terminal's size, if it is one.
    pub(crate) fn set_size(&self, columns: u16, rows: u16) {
        let terminal = self.input.to.as_ref().filter(|_| self.input.is_terminal);
        if let Some(terminal) = terminal {
            // A terminal that nobody has open any more has no size to set.
            let _ = launch::set_size(terminal.as_fd(), columns, rows);
        }
    }
}

impl Inlet {
    pub(crate) fn is(&self, number: u32) -> bool {
        self.number == number
    }

    /// Takes what the host has sent.
    pub(crate) fn push(&mut self, bytes: &[u8], link: &mut Link) {
        if self.to.is_some() && !self.ends {
            self.waiting.extend(bytes);
        } else {
            // Who reads is gone, which the host need not know.
            self.passed_on(bytes.len(), link);
        }
        self.write(link);
    }

    /// The host sends nothing more.
    pub(crate) fn end(&mut self, link: &mut Link) {
        if !self.ends && self.is_terminal {
            self.waiting.push_back(END_OF_TYPING);
        }
        self.ends = true;
        self.write(link);
    }

    /// Where to write, when there is something.
    pub(crate) fn interest(&self) -> Option<BorrowedFd<'_>> {
        let to = self.to.as_ref()?;
        (!self.waiting.is_empty()).then(|| to.as_fd())
    }

    /// Writes as much as is taken now.
    pub(crate) fn write(&mut self, link: &mut Link) {
        while let (Some(to), (bytes, _)) = (&self.to, self.waiting.as_slices()) {
            if bytes.is_empty() {
                break;
            }
            match io::write(to, bytes) {
                Ok(count) => {
                    self.waiting.drain(..count);
                    self.passed_on(count, link);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    // Nobody reads any more.
                    self.to = None;
                    let count = self.waiting.len();
                    self.waiting = VecDeque::new();
                    self.passed_on(count, link);
                }
            }
        }
        self.close_if_done();
    }

    fn close_if_done(&mut self) {
        // A terminal stays open for what is written to it.
        if self.ends && self.waiting.is_empty() && !self.is_terminal {
            self.to = None;
        }
    }

    fn passed_on(&mut self, bytes: usize, link: &mut Link) {
        if let Some(credit) = self.window.passed_on(bytes) {
            link.send(&Frame::credit(self.number, credit));
        }
    }
}

impl Outlet {
    fn new(number: u32, from: Option<OwnedFd>) -> Outlet {
        Outlet {
            number,
            from,
            window: SendWindow::default(),
            is_last: false,
        }
    }

    pub(crate) fn is(&self, number: u32) -> bool {
        self.number == number
    }

    pub(crate) fn credited(&mut self, bytes: u32) {
        self.window.credited(bytes);
    }

    /// Where to read, when what is read can go somewhere.
    pub(crate) fn interest(&self, link: &Link) -> Option<BorrowedFd<'_>> {
        let may_send = link.host == Host::Gone || self.window.left() > 0;
        let from = self.from.as_ref()?;
        (may_send && link.has_room()).then(|| from.as_fd())
    }

    /// Reads once, and passes it on to the host, or to nobody when that is gone.
    pub(crate) fn read(&mut self, link: &mut Link, buffer: &mut [u8; MAX_PAYLOAD]) {
        let most = match link.host {
            Host::Gone => MAX_PAYLOAD,
            Host::Awaited | Host::There => self.window.left().min(MAX_PAYLOAD),
        };
        let Some(from) = self.from.as_ref().filter(|_| most > 0) else {
            return;
        };
        match io::read(from, &mut buffer[..most]) {
            Ok(count @ 1..) => {
                if link.host != Host::Gone {
                    self.window.sent(count);
                    link.send(&Frame::data(self.number, &buffer[..count]));
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !self.is_last => {}
            // A terminal says EIO when nobody has it open any more.
            Ok(_) | Err(_) => self.from = None,
        }
    }
}
