//! Narration of what takes long, and of nothing else: for a command whose own output is somebody else's.

use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nodeos_build::progress::{Progress, Task, Unit};

/// What is over before this needs no words.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Passes on to another narrator what is still under way after a while.
#[derive(Debug)]
pub struct Patient {
    narrator: Arc<dyn Progress>,
    patience: Duration,
}

/// A step, which may have been told of already.
struct PatientTask(Arc<Shared>);

#[derive(Default)]
struct Shared {
    step: Mutex<Step>,
    changed: Condvar,
}

#[derive(Default)]
struct Step {
    is_over: bool,
    /// With the narrator, once it has been told.
    told: Option<Box<dyn Task>>,
}

impl Patient {
    pub fn new(narrator: Arc<dyn Progress>, patience: Duration) -> Patient {
        Patient { narrator, patience }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Step> {
        // A narrator that panicked has told less than it could, and nothing else.
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the step: with what the narrator has of it.
    fn end(&self) -> Option<Box<dyn Task>> {
        let mut step = self.lock();
        step.is_over = true;
        self.changed.notify_all();
        step.told.take()
    }
}

impl Progress for Patient {
    fn begin(&self, title: &str, total: Option<(u64, Unit)>) -> Box<dyn Task> {
        let shared = Arc::new(Shared::default());
        let (watched, narrator) = (Arc::clone(&shared), Arc::clone(&self.narrator));
        let (title, patience) = (title.to_owned(), self.patience);
        thread::spawn(move || {
            let step = watched.lock();
            let waited = watched
                .changed
                .wait_timeout_while(step, patience, |step| !step.is_over);
            let (mut step, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if !step.is_over {
                step.told = Some(narrator.begin(&title, total));
            }
        });
        Box::new(PatientTask(shared))
    }

    fn command(&self, command: &Command) {
        self.narrator.command(command);
    }

    fn warn(&self, message: &str) {
        self.narrator.warn(message);
    }
}

impl Task for PatientTask {
    fn advance(&mut self, done: u64, total: Option<u64>) {
        if let Some(told) = &mut self.0.lock().told {
            told.advance(done, total);
        }
    }

    fn finish(self: Box<Self>, note: &str) {
        if let Some(told) = self.0.end() {
            told.finish(note);
        }
    }
}

impl Drop for PatientTask {
    /// What has failed says so itself, by its error.
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[derive(Debug)]
    struct Told(Sender<String>);

    struct ToldTask(Sender<String>);

    impl Progress for Told {
        fn begin(&self, title: &str, _total: Option<(u64, Unit)>) -> Box<dyn Task> {
            self.0.send(format!("begin {title}")).unwrap();
            Box::new(ToldTask(self.0.clone()))
        }

        fn command(&self, _command: &Command) {}

        fn warn(&self, message: &str) {
            self.0.send(message.to_owned()).unwrap();
        }
    }

    impl Task for ToldTask {
        fn advance(&mut self, done: u64, _total: Option<u64>) {
            self.0.send(format!("advance {done}")).unwrap();
        }

        fn finish(self: Box<Self>, note: &str) {
            self.0.send(format!("finish {note}")).unwrap();
        }
    }

    fn patient(patience: Duration) -> (Patient, Receiver<String>) {
        let (tell, told) = channel();
        (Patient::new(Arc::new(Told(tell)), patience), told)
    }

    #[test]
    fn what_is_over_soon_is_not_told() {
        let (patient, told) = patient(SOON);
        let mut task = patient.begin("short", None);
        task.advance(1, None);
        task.finish("done");
        drop(patient.begin("failed", None));
        patient.warn("a warning");
        assert_eq!(told.recv_timeout(SOON).unwrap(), "a warning");
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn what_takes_long_is_told_from_then_on() {
        let (patient, told) = patient(Duration::ZERO);
        let mut task = patient.begin("long", None);
        assert_eq!(told.recv_timeout(SOON).unwrap(), "begin long");
        task.advance(7, None);
        task.finish("well");
        let rest: Vec<String> = (0..2).map(|_| told.recv_timeout(SOON).unwrap()).collect();
        assert_eq!(rest, ["advance 7", "finish well"]);
    }
}
