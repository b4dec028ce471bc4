//! What every step of a build is given.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cache::Cache;
use crate::progress::Progress;

/// What every step of a build is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// The checkout of NodeOS: where `layers/`, `os/` and `spec/` are.
    pub source: PathBuf,
    /// Where everything that was fetched or built is kept.
    pub cache: Cache,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// Set when the user wants to stop: running tools are ended, temporary folders removed, and the step that was
    /// under way returns its own `Cancelled`.
    pub cancel: Arc<AtomicBool>,
    /// How many compilers may run at the same time.
    pub jobs: usize,
}

impl Context {
    /// Whether the user wants to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
