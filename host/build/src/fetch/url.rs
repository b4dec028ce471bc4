//! Files from the host of whoever makes them, over http and https.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{keep, scratch};
use super::error::in_one_line;
use super::{ProviderError, UsedFile};
use crate::cache::human_bytes;
use crate::context::Context;
use crate::manifest::{Input, UrlFile};
use crate::progress::Task;

/// How long a server may be silent, while connecting as well as in the middle of the file.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// How often a download looks whether the user cancelled.
const CANCEL_CHECK: Duration = Duration::from_millis(100);
/// Read at once.
const CHUNK: usize = 64 * 1024;
/// Chunks on their way from the network to the disk.
const CHUNKS: usize = 16;

/// Downloads the file.
pub(super) fn fetch(
    ctx: &Context,
    input: &Input,
    file: &UrlFile,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    fetch_within(ctx, input, file, dir, SILENCE)
}

/// As [`fetch`], from a server that may be silent for so long.
pub(super) fn fetch_within(
    ctx: &Context,
    input: &Input,
    file: &UrlFile,
    dir: &Path,
    silence: Duration,
) -> Result<Vec<UsedFile>, ProviderError> {
    let scratch = scratch(dir)?;
    let path = scratch.path().join(file_name(&file.url));
    let title = format!("fetching {} {} ({})", input.name, file.version, file.url);
    let mut task = ctx.progress.begin(&title, None);
    let news = start(&file.url, silence);
    receive(ctx, &news, &file.url, &path, silence, task.as_mut())?;
    let used = keep(&path, dir, &input.name, &file.version, file.sha256.as_str())?;
    task.finish(&human_bytes(used.bytes));
    Ok(vec![used])
}

enum News {
    /// The answer has begun; so long it says it is.
    Begin(Option<u64>),
    Chunk(Vec<u8>),
    End,
    Failed(String),
}

/// The name under which the file is kept: what follows the last slash.
fn file_name(url: &str) -> PathBuf {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let after_host = path.split_once("://").map_or("", |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    match after_host.rsplit('/').next() {
        Some(name) if !name.is_empty() && name != "." && name != ".." => PathBuf::from(name),
        _ => PathBuf::from("download"),
    }
}

/// Starts the download in a thread: a silent server blocks it, but not whoever waits for its news. When nobody
/// listens any more it ends at the next chunk, or when the connection does.
fn start(url: &str, silence: Duration) -> Receiver<News> {
    let (sender, news) = mpsc::sync_channel(CHUNKS);
    let url = url.to_owned();
    thread::spawn(move || {
        let last = match download(&url, silence, &sender) {
            Ok(()) => News::End,
            Err(reason) => News::Failed(reason),
        };
        let _ = sender.send(last);
    });
    news
}

fn download(url: &str, silence: Duration, sender: &SyncSender<News>) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(silence))
        .timeout_recv_response(Some(silence))
        .user_agent(concat!("nodeos/", env!("CARGO_PKG_VERSION")))
        .build();
    let response = ureq::Agent::new_with_config(config)
        .get(url)
        .call()
        .map_err(|e| match e {
            ureq::Error::StatusCode(code) => format!("the server answered {code}"),
            e => in_one_line(&e),
        })?;
    let total = response.body().content_length();
    if sender.send(News::Begin(total)).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut chunk = vec![0; CHUNK];
        let count = body.read(&mut chunk).map_err(|e| in_one_line(&e))?;
        chunk.truncate(count);
        if count == 0 || sender.send(News::Chunk(chunk)).is_err() {
            return Ok(());
        }
    }
}

/// Writes what arrives to `path`.
fn receive(
    ctx: &Context,
    news: &Receiver<News>,
    url: &str,
    path: &Path,
    silence: Duration,
    task: &mut dyn Task,
) -> Result<(), ProviderError> {
    let write_error = |source| ProviderError::Write {
        path: path.to_owned(),
        source,
    };
    let http_error = |reason| ProviderError::Http {
        url: url.to_owned(),
        reason,
    };
    let mut file = File::create(path).map_err(write_error)?;
    let mut done = 0;
    let mut total = None;
    let mut last_sign = Instant::now();
    loop {
        if ctx.is_cancelled() {
            return Err(ProviderError::Cancelled);
        }
        let event = match news.recv_timeout(CANCEL_CHECK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if last_sign.elapsed() < silence => continue,
            Err(RecvTimeoutError::Timeout) => {
                return Err(http_error(format!(
                    "nothing came for {} s",
                    silence.as_secs_f64()
                )));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(http_error("the download broke off".to_owned()));
            }
        };
        last_sign = Instant::now();
        match event {
            News::Begin(length) => {
                total = length;
                task.advance(0, total);
            }
            News::Chunk(chunk) => {
                file.write_all(&chunk).map_err(write_error)?;
                done += chunk.len() as u64;
                task.advance(done, total);
            }
            News::End => match total {
                Some(total) if total != done => {
                    return Err(http_error(format!("only {done} of {total} bytes came")));
                }
                _ => return Ok(()),
            },
            News::Failed(reason) if done > 0 => {
                let total = total
                    .map(|total| format!(" of {total}"))
                    .unwrap_or_default();
                return Err(http_error(format!("{reason} after {done}{total} bytes")));
            }
            News::Failed(reason) => return Err(http_error(reason)),
        }
    }
}
