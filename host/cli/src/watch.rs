//! `nodeos run --watch`: what changes in a project changes in its running machine.
//!
//! Two threads. One looks at the project, and brings what has changed into the machine; the other has the terminal and the
//! application's streams, and tells the machine to start the application anew. What only another machine can follow ends this one,
//! when all that the next one needs is there.

mod attend;
mod folders;
mod follow;
mod input;
mod update;
mod words;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nodeos_build::application::Source;
use nodeos_build::application::outline::Outline;
use nodeos_spec::application::FOLDER;
use thiserror::Error;

use crate::exit::Exit;
use crate::host_vm::check_ports;
use crate::interrupt::{Interrupt, InterruptedError};
use crate::machines::foreground::Manner;
use crate::machines::start::{self, Starting};
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::{SharedWriter, Streams};

use attend::{Attending, Outcome};
use folders::Folders;
use follow::{Follower, Word};

/// What a machine is made of, and what is made of that.
#[derive(Debug)]
pub struct Made {
    pub order: start::Order,
    pub outline: Outline,
}

/// What a project is now.
#[derive(Debug)]
pub struct Looked {
    pub outline: Outline,
    /// Why what is run cannot be understood, where it is another file than before.
    pub trouble: Option<Failure>,
}

/// Builds all of a machine.
pub type Make<'a> = dyn Fn(&Interrupt, &Streams) -> Result<Made, Failure> + Sync + 'a;
/// Looks at a project, which was like this before.
pub type Look<'a> = dyn Fn(&Interrupt, &Streams, &Outline) -> Result<Looked, Failure> + Sync + 'a;

/// How a project becomes a machine, again and again.
pub struct Workshop<'a> {
    pub make: &'a Make<'a>,
    pub look: &'a Look<'a>,
    /// What is done when a machine is being started.
    pub began: &'a (dyn Fn(&Starting) + 'a),
    pub manner: Manner,
}

/// There is nothing to watch.
#[derive(Debug, Error)]
#[error("{package} is a package of the registry: it has no files here that could change")]
struct NoFilesError {
    package: String,
}

/// Refuses what has no files that could change.
///
/// # Errors
/// A failure of usage, for a package of the registry.
pub fn must_have_files(source: &Source) -> Result<(), Failure> {
    match source {
        Source::Folder(_) | Source::File(_) => Ok(()),
        Source::Package(package) => {
            let package = package.clone();
            let hint = "--watch is for a folder or a file; leave it away".to_owned();
            Err(Failure::new(NoFilesError { package })
                .exit(Exit::Usage)
                .hint(Some(hint)))
        }
    }
}

/// Starts the machine, and others after it, until it ends by somebody's wish.
///
/// # Errors
/// Where the project cannot be watched, or a machine failed.
pub fn run(
    first: Made,
    workshop: &Workshop<'_>,
    machines: &Machines,
    streams: &mut Streams,
) -> Result<Exit, Failure> {
    let (tell, words) = mpsc::channel();
    let mut outline = first.outline;
    hide_volumes(&mut outline, &first.order);
    let mut folders = Folders::begin(&outline.root, tell.clone())?;
    folders.watch(&outline.folders)?;
    let stop = Stop::default();
    let (report, reports) = mpsc::channel();
    let follower = Follower {
        workshop: Parts {
            make: workshop.make,
            look: workshop.look,
        },
        manner: workshop.manner,
        err: streams.err.clone(),
        err_is_terminal: streams.err_is_terminal,
        stop: &stop,
        folders,
        words,
        report,
        volumes: volumes(&first.order, &outline.root),
        seen: outline.clone(),
        applied: outline,
        last_failure: None,
    };
    let out = SharedWriter::new(std::mem::replace(
        &mut streams.out,
        Box::new(std::io::sink()),
    ));
    thread::scope(|scope| {
        // Dropped before the scope waits for the other thread.
        let _end = End {
            words: tell.clone(),
            stop: &stop,
        };
        scope.spawn(move || follower.run());
        let mut attending = Attending {
            out,
            err: streams.err.clone(),
            manner: workshop.manner,
            words: tell,
            reports,
        };
        let mut order = first.order;
        let mut interrupt = Interrupt::watch()?;
        loop {
            check_ports(&order.machine.ports)?;
            let port = order.first_port();
            let starting = start::start(machines, order)?;
            (workshop.began)(&starting);
            let folder = machines.folder(&starting.name);
            let attended = attending.attend(starting, port, folder, interrupt, streams)?;
            match attended {
                Outcome::Ended(exit) => return Ok(exit),
                Outcome::Another(next, listening) => {
                    order = *next;
                    interrupt = listening;
                }
                Outcome::Interrupted => return Err(InterruptedError.into()),
            }
        }
    })
}

/// The parts of a workshop that the thread which looks needs.
#[derive(Clone, Copy)]
struct Parts<'a> {
    make: &'a Make<'a>,
    look: &'a Look<'a>,
}

/// Tells the other thread that all is over.
struct End<'a> {
    words: Sender<Word>,
    stop: &'a Stop,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.stop.tell();
        // One that is gone need not be told.
        let _ = self.words.send(Word::End);
    }
}

/// Stops what is being built, and whatever would be built after it.
#[derive(Debug, Default)]
struct Stop {
    told: Arc<AtomicBool>,
    /// Of the build that is under way. A build that fails sets its flag, so each has its own.
    current: Mutex<Arc<AtomicBool>>,
}

impl Stop {
    fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
        self.current().store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// For the next build.
    fn interrupt(&self) -> Interrupt {
        let mut current = self.current();
        *current = Arc::new(AtomicBool::new(self.is_told()));
        Interrupt::by_hand(Arc::clone(&current), Arc::clone(&self.told))
    }

    fn current(&self) -> MutexGuard<'_, Arc<AtomicBool>> {
        // There is nothing to leave half done.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a project its machine does not take from it: what lies under a volume, and folders that are volumes themselves, into
/// which the application writes.
fn volumes(order: &start::Order, root: &Path) -> Vec<PathBuf> {
    let hidden = order.spec.volumes.iter();
    let hidden = hidden.filter_map(|volume| Path::new(&volume.path).strip_prefix(FOLDER).ok());
    let shared = order.machine.shares.iter();
    let shared = shared.filter_map(|share| share.path.strip_prefix(root).ok());
    let all = hidden.chain(shared).map(Path::to_owned);
    all.filter(|path| !path.as_os_str().is_empty()).collect()
}

fn hide_volumes(outline: &mut Outline, order: &start::Order) {
    for folder in volumes(order, &outline.root) {
        outline.hide(&folder);
    }
}

impl std::fmt::Debug for Workshop<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Workshop").finish_non_exhaustive()
    }
}
