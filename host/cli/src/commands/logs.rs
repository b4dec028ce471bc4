//! `nodeos logs`: what an application has written.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use nodeos_vm::frames::FrameSocket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use rustix::io::Errno;
use thiserror::Error;

use crate::machines::connection;
use crate::machines::find::{self, Known};
use crate::machines::logs::{Follower, LastLines, Record, Stamps, Stream, since};
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
    /// Leave out what it wrote before this time
    ///
    /// So long ago, as in 10m, 2h30m or 1d, or a date, or a time as in 2026-11-29T14:30: of this host's time zone, unless it ends with Z
    /// or with another one, as in 2026-11-29T14:30:00+01:00.
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    pub since: Option<Timestamp>,
    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<usize>,
    /// Show before each line when it was written
    #[arg(short, long)]
    pub timestamps: bool,
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
    if let Some(gap) = &known.record.log_gap {
        streams.err.line(&format!("note: {gap}"));
    }
    // Before the first look, so that nothing is missed between the two.
    let mut changes = match arguments.follow {
        true => Changes::watch(known, &folder)?,
        false => None,
    };
    let mut view = View {
        log: Follower::new(&folder),
        since_ms: arguments.since.map_or(0, since_ms),
        stamps: arguments.timestamps.then(Stamps::default),
    };
    match arguments.tail {
        Some(count) => {
            let mut last = LastLines::new(count);
            while let Some(record) = view.next_record()? {
                last.push(record);
            }
            for record in last.finish() {
                view.show(&record, streams)?;
            }
        }
        None => view.show_all(streams)?,
    }
    while let Some(waiting) = &mut changes {
        let is_over = waiting.wait()?;
        view.show_all(streams)?;
        if is_over {
            changes = None;
        }
    }
    Ok(())
}

/// In milliseconds since 1970, as records have it. Nothing was written before.
fn since_ms(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

/// A log as it is to be shown.
struct View {
    log: Follower,
    since_ms: u64,
    stamps: Option<Stamps>,
}

impl View {
    fn next_record(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            let record = self.log.next_record().map_err(Failure::new)?;
            match record {
                Some(record) if record.at_ms < self.since_ms => {}
                other => return Ok(other),
            }
        }
    }

    fn show_all(&mut self, streams: &mut Streams) -> Result<(), Failure> {
        while let Some(record) = self.next_record()? {
            self.show(&record, streams)?;
        }
        Ok(())
    }

    fn show(&mut self, record: &Record, streams: &mut Streams) -> Result<(), Failure> {
        let stamped = self.stamps.as_mut().map(|stamps| stamps.stamped(record));
        let bytes = stamped.as_ref().unwrap_or(&record.bytes);
        match record.stream {
            Stream::Out => streams.print_bytes(bytes)?,
            Stream::Err => streams.err.bytes(bytes),
        }
        Ok(())
    }
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
