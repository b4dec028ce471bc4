//! `nodeos logs`: what an application has written.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use clap::Args;
use nodeos_vm::frames::FrameSocket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use rustix::io::Errno;
use thiserror::Error;

use crate::machines::connection;
use crate::machines::find::{self, Known};
use crate::machines::logs::{Follower, LastLines, Record, Stream};
use crate::machines::protocol::{ClientMessage, MonitorMessage};
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// Room for a few events of inotify(7), whose names are short here. What does not fit comes with the next read.
const EVENTS: usize = 4096;

/// Show what a machine's application has written
///
/// What it wrote to its standard output comes on standard output, and what it wrote to its standard error on standard error, byte for
/// byte. The last 20 to 30 MB are kept, also after the end of a machine that was started with --detach.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Go on with what it writes, until it ends
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<usize>,
    /// Which one: a name, or the beginning of one
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// A log cannot be followed.
#[derive(Debug, Error)]
#[error("cannot wait for what comes")]
struct WaitError(#[source] Errno);

/// Shows what is there, and then what comes.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let known = find::one(&Machines::of_user()?, &arguments.name)?;
    let folder = known.folder.path.clone();
    // Before the first look, so that nothing is missed between the two.
    let mut changes = match arguments.follow {
        true => Changes::watch(known, &folder)?,
        false => None,
    };
    let mut log = Follower::new(&folder);
    match arguments.tail {
        Some(count) => {
            let mut last = LastLines::new(count);
            while let Some(record) = log.next_record().map_err(Failure::new)? {
                last.push(record);
            }
            for record in last.finish() {
                show(&record, streams)?;
            }
        }
        None => show_all(&mut log, streams)?,
    }
    while let Some(waiting) = &mut changes {
        let is_over = waiting.wait()?;
        show_all(&mut log, streams)?;
        if is_over {
            changes = None;
        }
    }
    Ok(())
}

fn show_all(log: &mut Follower, streams: &mut Streams) -> Result<(), Failure> {
    while let Some(record) = log.next_record().map_err(Failure::new)? {
        show(&record, streams)?;
    }
    Ok(())
}

fn show(record: &Record, streams: &mut Streams) -> Result<(), Failure> {
    match record.stream {
        Stream::Out => streams.print_bytes(&record.bytes)?,
        Stream::Err => streams.err.bytes(&record.bytes),
    }
    Ok(())
}

/// Tells when there is more in a log, and when there will be no more.
struct Changes {
    watch: OwnedFd,
    monitor: FrameSocket,
}

impl Changes {
    /// None for a machine that does not run.
    fn watch(known: Known, folder: &Path) -> Result<Option<Changes>, Failure> {
        let Some(stream) = known.connection.filter(|_| known.record.ended.is_none()) else {
            return Ok(None);
        };
        connection::say(&stream, &ClientMessage::Watch)?;
        let monitor = FrameSocket::new(stream).map_err(Failure::new)?;
        let watched = inotify::init(inotify::CreateFlags::CLOEXEC).and_then(|watch| {
            let kinds = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
            inotify::add_watch(&watch, folder, kinds).map(|_| watch)
        });
        match watched {
            Ok(watch) => Ok(Some(Changes { watch, monitor })),
            Err(error) => Err(Failure::new(WaitError(error))),
        }
    }

    /// Waits for a change. True when it was the last.
    fn wait(&mut self) -> Result<bool, Failure> {
        let failed = |error| Failure::new(WaitError(error));
        let mut fds = [
            PollFd::from_borrowed_fd(self.watch.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.monitor.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
        let [has_changed, has_news] = fds.map(|fd| !fd.revents().is_empty());
        if has_changed {
            rustix::io::read(&self.watch, &mut [0_u8; EVENTS]).map_err(failed)?;
        }
        if !has_news {
            return Ok(false);
        }
        let received = self.monitor.receive().map_err(Failure::new)?;
        let is_last = |frame| matches!(connection::parse(frame), Ok(MonitorMessage::Over { .. }));
        Ok(received.is_over || received.frames.iter().any(is_last))
    }
}
