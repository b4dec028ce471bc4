//! `nodeos install`: a disk image onto a stick, a card or a disk.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use thiserror::Error;

use crate::arguments::Global;
use crate::exit::Exit;
use crate::install::devices::{Device, Kernel};
use crate::install::image::Image;
use crate::install::target::{self, Caution, Target};
use crate::install::{self, InstallError, Written};
use crate::interrupt::Interrupt;
use crate::output::errors::Failure;
use crate::output::progress::{Commands, narrator};
use crate::output::streams::Streams;
use crate::output::{size, table};

/// What has to be typed for everything on a device to be lost.
const CONSENT: &str = "yes";

/// Write a disk image to a stick, a card or a disk
///
/// Everything that is on the device is lost. It asks before it writes, reads back what it wrote, and makes the last partition
/// as large as the device lets it be. Without a device it lists those that can be plugged out.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The image, which `nodeos build --format disk` makes
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// What to write to: a disk such as /dev/sdb, or a file
    #[arg(value_name = "DEVICE")]
    pub device: Option<PathBuf>,
    /// Write also to a disk that is in use, or that cannot be plugged out
    #[arg(long)]
    pub force: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Why nothing was written, though it could have been.
#[derive(Debug, Error)]
enum ConsentError {
    #[error("no device is named")]
    NoDevice,
    #[error("standard input is not a terminal on which could be asked whether all on {} may be lost", .path.display())]
    NoTerminal { path: PathBuf },
    #[error("cannot ask")]
    Ask(#[source] io::Error),
    #[error("nothing was written")]
    Declined,
}

/// Asks, and writes.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    let image = Image::open(&arguments.image)?;
    let kernel = Kernel::default();
    let Some(path) = &arguments.device else {
        return Err(list(&kernel.removable(), streams)?);
    };
    let caution = match arguments.force {
        true => Caution::Forced,
        false => Caution::Careful,
    };
    let target = target::open(path, &image, caution, &kernel)?;
    if !arguments.yes {
        ask(&target, streams)?;
    }
    let interrupt = Interrupt::watch()?;
    let commands = match global.verbose {
        true => Commands::Shown,
        false => Commands::Hidden,
    };
    let progress = narrator(streams, commands);
    let started = Instant::now();
    let written = install::write(&image, &target, &*progress, &interrupt.flag)?;
    let text = summary(&arguments.image, &target.path, written, started.elapsed());
    Ok(streams.print(&text)?)
}

/// Shows what could be written to.
fn list(devices: &[Device], streams: &mut Streams) -> Result<Failure, Failure> {
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            vec![
                device.path().display().to_string(),
                size::bytes(device.size),
                device.model.clone(),
                device.uses.join(", "),
            ]
        })
        .collect();
    streams.print(&table::render(&[false, true], &rows))?;
    let hint = match devices.is_empty() {
        true => "no device is plugged in that could be: plug it in, or name a file or a disk",
        false => "name the one that all is to be lost of",
    };
    Ok(Failure::new(ConsentError::NoDevice)
        .exit(Exit::Usage)
        .hint(Some(hint.to_owned())))
}

/// What will be lost.
fn loss(target: &Target) -> String {
    let mut lines = vec![format!(
        "Everything on {} will be lost: {}",
        target.path.display(),
        size::bytes(target.size)
    )];
    if let Some(device) = &target.device {
        if !device.model.is_empty() {
            lines[0] += &format!(", {}", device.model);
        }
        let partitions = device.partitions.iter();
        lines.extend(partitions.map(|(name, bytes)| format!("  {name}  {}", size::bytes(*bytes))));
        lines.extend(device.uses.iter().map(|what| format!("  in use: {what}")));
    }
    lines.join("\n")
}

fn ask(target: &Target, streams: &Streams) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let path = target.path.clone();
        let hint = "--yes writes without asking".to_owned();
        return Err(Failure::new(ConsentError::NoTerminal { path }).hint(Some(hint)));
    }
    streams.err.line(&loss(target));
    streams
        .err
        .line(&format!("Type {CONSENT} and Enter to write to it:"));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(ConsentError::Ask(error)))?;
    match answer.trim() == CONSENT {
        true => Ok(()),
        false => Err(Failure::new(ConsentError::Declined)),
    }
}

fn summary(image: &Path, target: &Path, written: Written, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(0.001);
    // A rate is known to a few digits only.
    let rate = (written.written as f64 / seconds) as u64;
    format!(
        "{} is on {}: {} written in {}, {}/s; its last partition has {}\n",
        image.display(),
        target.display(),
        size::bytes(written.written),
        size::duration(time),
        size::bytes(rate),
        size::bytes(written.last_partition)
    )
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Failure {
        let exit = match error {
            InstallError::Stopped => Exit::Interrupted,
            _ => Exit::Failed,
        };
        let hint = error.hint();
        Failure::new(error).exit(exit).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_lost_is_named_with_its_size() {
        let target = Target {
            path: PathBuf::from("/dev/sdb"),
            file: tempfile::tempfile().unwrap(),
            size: 32_000_000_000,
            device: Some(Device {
                name: "sdb".to_owned(),
                model: "Sample Stick".to_owned(),
                size: 32_000_000_000,
                sector: 512,
                is_removable: true,
                is_read_only: false,
                partitions: vec![("sdb1".to_owned(), 8_000_000_000)],
                uses: vec!["mounted at /media/stick".to_owned()],
            }),
        };
        assert_eq!(
            loss(&target),
            "Everything on /dev/sdb will be lost: 32.0 GB, Sample Stick\n  sdb1  8.0 GB\n  in use: mounted at /media/stick"
        );
    }
}
