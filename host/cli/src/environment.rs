//! What a command that builds works with: the sources, the cache, the narrator and the flag that stops it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use nodeos_build::assemble::{self, BuildError, Output, UsersOrder};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use nodeos_build::recipe::Recipe;

use crate::arguments::Global;
use crate::interrupt::{Interrupt, InterruptedError};
use crate::output::errors::Failure;
use crate::output::progress::{Commands, narrator};
use crate::output::streams::Streams;
use crate::source;

/// Where the cache is that this user's environment names.
pub fn cache_root() -> Result<PathBuf, Failure> {
    Ok(Cache::default_root()?)
}

/// That cache.
pub fn cache() -> Result<Cache, Failure> {
    Ok(Cache::open(cache_root()?))
}

/// Everything that a build is given.
pub fn context(
    global: &Global,
    streams: &Streams,
    cancel: &Arc<AtomicBool>,
) -> Result<Context, Failure> {
    let variable = std::env::var_os(source::VARIABLE).filter(|value| !value.is_empty());
    let named = global
        .source
        .as_deref()
        .or(variable.as_deref().map(Path::new));
    let current = std::env::current_dir().ok();
    let source = source::find(named, current.as_deref(), &source::compiled())?;
    let commands = if global.verbose {
        Commands::Shown
    } else {
        Commands::Hidden
    };
    Ok(Context {
        source,
        cache: cache()?,
        progress: narrator(streams, commands),
        cancel: Arc::clone(cancel),
        jobs: thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Builds for QEMU. That the user stopped it is then the whole story, wherever it was stopped.
pub fn build(
    context: &Context,
    interrupt: &Interrupt,
    recipe: &Recipe,
    users: &UsersOrder,
    out: &Path,
) -> Result<Output, Failure> {
    unless_stopped(interrupt, assemble::build(context, recipe, users, out))
}

/// What a build came to; that the user stopped it is the whole story then.
pub fn unless_stopped<T>(
    interrupt: &Interrupt,
    built: Result<T, BuildError>,
) -> Result<T, Failure> {
    match built {
        // Without a signal it was a failure elsewhere that cancelled this part.
        Err(error) if error.is_cancelled() && interrupt.was_signalled() => {
            Err(InterruptedError.into())
        }
        Err(error) => Err(error.into()),
        Ok(made) => Ok(made),
    }
}
