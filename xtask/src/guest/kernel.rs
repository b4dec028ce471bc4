//! The kernel of the guest tests: that of the `cloud` profile, from NodeOS's cache.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use nodeos_build::kernel;
use nodeos_build::manifest::Manifest;
use nodeos_build::recipe::Profile;

use crate::narration::{self, Lines};
use crate::project;

/// Names another kernel (an ELF `vmlinux` or a `bzImage`), for those who work on one. `guest-test` sets it for the
/// runners that it starts, so that only one of them looks for the kernel.
pub const VARIABLE: &str = "NODEOS_GUEST_KERNEL";

/// The kernel: what [`VARIABLE`] names, else that of the cache, which is built when it is not there.
pub fn find() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    let root = Cache::default_root().context("cannot tell where the cache is")?;
    let context = Context {
        source: project::root().to_owned(),
        cache: Cache::open(root),
        progress: Arc::new(Lines),
        cancel: Arc::new(AtomicBool::new(false)),
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let manifest = Manifest::load(project::root()).context("cannot read the list of inputs")?;
    let kernel = kernel::build(&context, &manifest, Profile::Cloud)
        .map_err(|error| narration::with_hint(error.hint(), error))
        .context("there is no kernel for the guest tests")?;
    Ok(kernel.vmlinux)
}
