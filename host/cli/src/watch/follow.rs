//! The thread that looks at a project: what has changed, and what follows from it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use nodeos_build::application::outline::{Changes, Outline};

use super::folders::Folders;
use super::update::{self, UpdateError};
use super::{Looked, Parts, Stop, hide_volumes, volumes, words};
use crate::machines::conversation::Waker;
use crate::machines::foreground::Manner;
use crate::machines::start;
use crate::machines::state::Folder;
use crate::output::errors::Failure;
use crate::output::streams::{SharedWriter, Streams};

/// A change is over when nothing has happened for so long. Editors write a new file and rename it, and a checkout is many files.
const QUIET: Duration = Duration::from_millis(100);

/// Something that goes on for longer than this is looked at nevertheless.
const LONGEST: Duration = Duration::from_secs(2);

/// What this thread is told.
#[derive(Debug)]
pub(super) enum Word {
    Event(notify::Result<notify::Event>),
    /// A machine runs, and can be changed.
    Machine(Target),
    End,
}

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) folder: Folder,
    pub(super) waker: Waker,
}

/// What the other thread is told.
#[derive(Debug)]
pub(super) enum Report {
    /// These files have changed in the machine, in which nothing has noticed yet.
    Changed { changes: Changes, since: Instant },
    /// The machine is to end, and this one to begin.
    Another(Box<start::Order>),
}

/// The thread's whole state.
pub(super) struct Follower<'a> {
    pub(super) workshop: Parts<'a>,
    pub(super) manner: Manner,
    pub(super) err: SharedWriter,
    pub(super) err_is_terminal: bool,
    pub(super) stop: &'a Stop,
    pub(super) folders: Folders,
    pub(super) words: Receiver<Word>,
    pub(super) report: Sender<Report>,
    /// Folders of the project that are none of the machine's.
    pub(super) volumes: Vec<std::path::PathBuf>,
    /// What was looked at last, whatever came of it.
    pub(super) seen: Outline,
    /// What is in the machine.
    pub(super) applied: Outline,
    /// What was said last of a project that cannot be looked at.
    pub(super) last_failure: Option<String>,
}

/// Why nothing more is done.
enum Halt {
    /// All is over.
    End,
    /// Until the next change: what there was to say has been said.
    Change,
}

impl From<WatchEnd> for Halt {
    fn from(WatchEnd: WatchEnd) -> Halt {
        Halt::End
    }
}

/// All is over.
struct WatchEnd;

impl Follower<'_> {
    /// Follows changes until it is told that all is over.
    pub(super) fn run(mut self) {
        let Ok(mut target) = self.wait_for_machine() else {
            return;
        };
        // What has changed while the machine was being made.
        let mut since = Some(Instant::now());
        loop {
            let began = match since.take().map_or_else(|| self.wait_for_change(), Ok) {
                Ok(began) => began,
                Err(WatchEnd) => return,
            };
            match self.follow(began, &target) {
                Ok(None) => {}
                Ok(Some(next)) => {
                    target = next;
                    since = Some(Instant::now());
                }
                Err(Halt::Change) => {}
                Err(Halt::End) => return,
            }
        }
    }

    /// Returns when something has changed and nothing does any more, with the time of its beginning.
    fn wait_for_change(&mut self) -> Result<Instant, WatchEnd> {
        loop {
            let word = self.words.recv().map_err(|_| WatchEnd)?;
            if self.is_change(word)? {
                break;
            }
        }
        let began = Instant::now();
        self.settle(began)?;
        Ok(began)
    }

    fn settle(&mut self, began: Instant) -> Result<(), WatchEnd> {
        let mut quiet = began + QUIET;
        loop {
            let end = quiet.min(began + LONGEST);
            let left = end.saturating_duration_since(Instant::now());
            match self.words.recv_timeout(left) {
                Ok(word) => {
                    if self.is_change(word)? {
                        quiet = Instant::now() + QUIET;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(WatchEnd),
            }
        }
    }

    fn is_change(&mut self, word: Word) -> Result<bool, WatchEnd> {
        match word {
            Word::Event(Ok(event)) => Ok(self.folders.concerns(&event, &self.seen)),
            // What was missed shows when one looks.
            Word::Event(Err(_)) => Ok(true),
            Word::Machine(_) => Ok(false),
            Word::End => Err(WatchEnd),
        }
    }

    fn wait_for_machine(&mut self) -> Result<Target, WatchEnd> {
        loop {
            match self.words.recv().map_err(|_| WatchEnd)? {
                Word::Machine(target) => return Ok(target),
                Word::End => return Err(WatchEnd),
                // The next look sees it.
                Word::Event(Ok(event)) => drop(self.folders.concerns(&event, &self.seen)),
                Word::Event(Err(_)) => {}
            }
        }
    }

    /// Brings what has changed into the machine, or has another one made, which is returned when it runs.
    fn follow(&mut self, began: Instant, target: &Target) -> Result<Option<Target>, Halt> {
        let outline = self.look()?;
        if let Some(why) = outline.needs_another_machine(&self.applied) {
            return self.another_machine(&words::why(why), target).map(Some);
        }
        let changes = outline.changes_since(&self.applied);
        if changes.is_empty() {
            self.applied = outline;
            return Ok(None);
        }
        match update::send(&target.folder, &outline.root, &changes) {
            Ok(()) => {
                self.applied = outline;
                self.tell(
                    target,
                    Report::Changed {
                        changes,
                        since: began,
                    },
                );
                Ok(None)
            }
            // Something changes again, and is about to be told.
            Err(UpdateError::Read { .. }) => {
                self.seen = self.applied.clone();
                Err(Halt::Change)
            }
            // Who attends to the machine says so.
            Err(UpdateError::MachineEnded) => Err(Halt::Change),
            Err(error) => {
                let why = words::cannot_follow(&error);
                self.another_machine(&why, target).map(Some)
            }
        }
    }

    /// What the project is now, where that is something that can run.
    fn look(&mut self) -> Result<Outline, Halt> {
        loop {
            let looked =
                (self.workshop.look)(&self.stop.interrupt(), &self.streams(), &self.applied);
            let Looked {
                mut outline,
                trouble,
            } = match looked {
                Ok(looked) => looked,
                Err(failure) => return Err(self.cannot_look(&failure)),
            };
            self.last_failure = None;
            self.volumes.iter().for_each(|folder| outline.hide(folder));
            match self.folders.watch(&outline.folders) {
                // What happened in a new folder before it was watched.
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => self.say(&Failure::from(error)),
            }
            // What there is to say of it has been said.
            if outline == self.seen && outline != self.applied {
                return Err(Halt::Change);
            }
            self.seen = outline.clone();
            if let Some(failure) = trouble {
                self.say(&failure);
                return Err(Halt::Change);
            }
            return Ok(outline);
        }
    }

    fn cannot_look(&mut self, failure: &Failure) -> Halt {
        if self.stop.is_told() {
            return Halt::End;
        }
        // Each look says the same until it is repaired.
        let text = failure.report();
        if self.last_failure.as_ref() != Some(&text) {
            self.say(failure);
            self.last_failure = Some(text);
        }
        Halt::Change
    }

    /// Makes another machine, while this one runs, and waits until that has taken its place.
    fn another_machine(&mut self, why: &str, target: &Target) -> Result<Target, Halt> {
        if self.manner == Manner::Plain {
            self.err.line(why);
        }
        let made = (self.workshop.make)(&self.stop.interrupt(), &self.streams());
        let mut made = match made {
            Ok(made) => made,
            Err(_) if self.stop.is_told() => return Err(Halt::End),
            Err(failure) => {
                self.say(&failure);
                return Err(Halt::Change);
            }
        };
        self.volumes = volumes(&made.order, &made.outline.root);
        hide_volumes(&mut made.outline, &made.order);
        if let Err(error) = self.folders.watch(&made.outline.folders) {
            self.say(&Failure::from(error));
        }
        self.seen = made.outline.clone();
        self.applied = made.outline;
        self.tell(target, Report::Another(Box::new(made.order)));
        Ok(self.wait_for_machine()?)
    }

    fn tell(&self, target: &Target, report: Report) {
        // Who does not listen any more has ended, and says so.
        let _ = self.report.send(report);
        target.waker.wake();
    }

    /// What stops nothing: the application goes on.
    fn say(&self, failure: &Failure) {
        self.err.line(&failure.report());
    }

    fn streams(&self) -> Streams {
        Streams {
            out: Box::new(std::io::sink()),
            err: self.err.clone(),
            err_is_terminal: self.err_is_terminal,
        }
    }
}
