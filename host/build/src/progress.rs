//! How the build tells whoever watches what it is doing. Libraries never print: the command line draws bars from this.
use std::fmt;
use std::process::Command;

/// What a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Objects,
}

/// Watches a build. Called from several threads at once.
pub trait Progress: Send + Sync + fmt::Debug {
    /// A step begins. `total` is none where it cannot be known; dropping the task without `finish` means the step failed.
    fn begin(&self, title: &str, total: Option<(u64, Unit)>) -> Box<dyn Task>;
    /// A command is about to run (shown by `-v`).
    fn command(&self, command: &Command);
    /// Something that the user should read although the build goes on, such as a provider that failed.
    fn warn(&self, message: &str);
}

/// A step under way.
pub trait Task: Send {
    /// So many bytes or objects are done, of the total (which may have become known or changed).
    fn advance(&mut self, done: u64, total: Option<u64>);
    /// The step is complete. `note` says what came out, maybe empty.
    fn finish(self: Box<Self>, note: &str);
}

/// Watches nothing.
#[derive(Debug)]
pub struct Silent;
struct SilentTask;
impl Progress for Silent {
    fn begin(&self, _title: &str, _total: Option<(u64, Unit)>) -> Box<dyn Task> {
        Box::new(SilentTask)
    }
    fn command(&self, _command: &Command) {}
    fn warn(&self, _message: &str) {}
}
impl Task for SilentTask {
    fn advance(&mut self, _done: u64, _total: Option<u64>) {}
    fn finish(self: Box<Self>, _note: &str) {}
}
