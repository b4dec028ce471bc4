//! Fetches outside inputs: from the cache, else from the manifest's providers in order.
//!
//! Owns the choice of the provider, the check of sums and the record of what was really used. What each client needs
//! is in the modules below. Unpacking is done by whoever asked.

mod apt;
mod apt_sources;
pub(crate) mod checksum;
mod client;
mod error;
pub mod host_sources;
mod npm;
mod pip;
mod url;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Key, KeyHasher, Kind, is_disk_full};
use crate::context::Context;
use crate::manifest::{Input, Manifest, Provider};

pub use error::{FetchError, ProviderError};

use error::summary;

/// An input that is on the disk.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its files, in the order of [`UsedInput::files`].
    pub files: Vec<PathBuf>,
    /// What was really used.
    pub used: UsedInput,
    /// How the files are packed.
    pub layout: Layout,
}

/// How an input's files are packed. It follows from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Debian packages: an ar archive with `data.tar.*`.
    Deb,
    /// A Python wheel: a zip archive.
    Wheel,
    /// An npm package: a gzipped tar archive, everything below `package/`.
    NpmPackage,
    /// The file as its maker publishes it.
    Upstream,
}

/// What an image was made from: stands beside the image and in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedInput {
    /// The name in the manifest: `linux`.
    pub name: String,
    /// The version that was used, of the first file.
    pub version: String,
    /// Client and package, or the address: `apt linux-source-6.12`.
    pub provider: String,
    /// What was fetched.
    pub files: Vec<UsedFile>,
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedFile {
    /// Its name.
    pub name: String,
    /// The version that is in it.
    pub version: String,
    /// Its SHA-256 sum, which was compared with the manifest's or with the one in apt's signed index.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// The input `name` of the manifest: from the cache, else from the first of its providers that works. Each provider
/// that does not is warned about.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(ctx: &Context, manifest: &Manifest, name: &str) -> Result<Fetched, FetchError> {
    let input = manifest
        .inputs
        .get(name)
        .ok_or_else(|| FetchError::Unknown {
            name: name.to_owned(),
        })?;
    let label = format!("{} {}", input.name, input.version);
    let made = ctx
        .cache
        .get_or_make(ctx, Kind::Downloads, &key(input), &label, |dir| {
            from_providers(ctx, input, dir)
        });
    let entry = made.map_err(|e| e.into_make())?;
    let used: UsedInput = entry.made_from().ok_or_else(|| FetchError::Record {
        name: name.to_owned(),
    })?;
    let files = used
        .files
        .iter()
        .map(|file| entry.dir.join(&file.name))
        .collect();
    let layout = layout(input, &used);
    Ok(Fetched {
        files,
        used,
        layout,
    })
}

/// Everything that the manifest says about the input counts.
fn key(input: &Input) -> Key {
    let text = serde_json::to_string(input).expect("an input has string keys only");
    KeyHasher::new("download 1").text("input", &text).finish()
}

fn layout(input: &Input, used: &UsedInput) -> Layout {
    let provider = input
        .providers
        .iter()
        .find(|provider| provider.to_string() == used.provider);
    match provider {
        Some(Provider::Apt(_)) => Layout::Deb,
        Some(Provider::Pip(_)) => Layout::Wheel,
        Some(Provider::Npm(_)) => Layout::NpmPackage,
        Some(Provider::Url(_)) | None => Layout::Upstream,
    }
}

fn from_providers(ctx: &Context, input: &Input, dir: &Path) -> Result<UsedInput, FetchError> {
    let mut failures = Vec::new();
    for provider in &input.providers {
        let error = match from_provider(ctx, input, provider, dir) {
            Ok(files) => {
                let version = files
                    .first()
                    .map_or_else(|| input.version.clone(), |file| file.version.clone());
                let (name, provider) = (input.name.clone(), provider.to_string());
                return Ok(UsedInput {
                    name,
                    version,
                    provider,
                    files,
                });
            }
            Err(error) => error,
        };
        if error.is_cancelled() {
            return Err(FetchError::Cancelled {
                name: input.name.clone(),
            });
        }
        if is_disk_full(&error) || matches!(error, ProviderError::Cache(_)) {
            return Err(FetchError::Write {
                name: input.name.clone(),
                source: Box::new(error),
            });
        }
        let name = &input.name;
        ctx.progress.warn(&format!(
            "{name} is not to be had from {provider}: {}",
            summary(&error)
        ));
        failures.push((provider.to_string(), error));
    }
    Err(FetchError::AllFailed {
        name: input.name.clone(),
        version: input.version.clone(),
        failures,
    })
}

fn from_provider(
    ctx: &Context,
    input: &Input,
    provider: &Provider,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    match provider {
        Provider::Apt(apt) => apt::fetch(ctx, input, apt, dir),
        Provider::Pip(pip) => pip::fetch(ctx, input, pip, dir),
        Provider::Npm(npm) => npm::fetch(ctx, input, npm, dir),
        Provider::Url(file) => url::fetch(ctx, input, file, dir),
    }
}
