//! `nodeos install`: a disk image onto a stick, a card or a disk.

mod application;

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use nodeos_build::recipe::{Flavor, Libc, SectorSize};
use thiserror::Error;

use crate::application::ApplicationArguments;
use crate::arguments::{Global, one_of};
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

/// Write a disk image, or an application, to a stick, a card or a disk
///
/// Everything that is on the device is lost. It asks before it writes, reads back what it wrote, and makes the last partition
/// as large as the device lets it be. Without a device it lists those that can be plugged out.
///
/// With --app it builds the disk of an application first, as `nodeos build --app DIR --format disk` does, and keeps no image.
#[derive(Debug, Args)]
#[command(
    override_usage = "nodeos install [OPTIONS] <IMAGE|--app <DIR|FILE|PACKAGE>> [DEVICE] [-- <ARGS>...]"
)]
pub struct Arguments {
    /// The image, which `nodeos build --format disk` makes
    #[arg(value_name = "IMAGE", required_unless_present = "app")]
    pub image: Option<PathBuf>,
    /// What to write to: a disk such as /dev/sdb, or a file
    #[arg(value_name = "DEVICE", conflicts_with = "app")]
    pub device: Option<PathBuf>,
    /// Write also to a disk that is in use, or that cannot be plugged out
    #[arg(long)]
    pub force: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Write the machine of an application: a folder with a package.json, a file that Node.js runs, or a package of npm's
    ///
    /// Flags go over what package.json says.
    #[arg(long, value_name = "DIR|FILE|PACKAGE", help_heading = "An application")]
    pub app: Option<String>,
    /// What its console is: a mainframe has a serial line, a workstation a screen
    ///
    /// Without this flag it is a screen. The boot menu offers the other one, too.
    #[arg(long, value_name = "FLAVOR", value_parser = one_of(Flavor::ALL, Flavor::as_str), requires = "app", help_heading = "An application")]
    pub flavor: Option<Flavor>,
    /// The C library that its Node.js uses
    ///
    /// Without this flag it is what package.json says, or musl, unless an add-on has only a build for glibc.
    #[arg(long, value_name = "LIBC", value_parser = one_of(Libc::ALL, Libc::as_str), requires = "app", help_heading = "An application")]
    pub libc: Option<Libc>,
    #[command(flatten)]
    pub application: ApplicationArguments,
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
    #[error("{} is another device now than the one that was asked about, so nothing was written", .path.display())]
    Another { path: PathBuf },
}

/// Asks, and writes.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    let kernel = Kernel::default();
    let caution = match arguments.force {
        true => Caution::Forced,
        false => Caution::Careful,
    };
    let Some(what) = &arguments.app else {
        let image = arguments.image.as_deref();
        let image = Image::open(image.expect("clap wants it where there is no application"))?;
        let Some(device) = &arguments.device else {
            return Err(list(&kernel.removable(), streams)?);
        };
        let target = target::open(device, &image, caution, &kernel)?;
        ask(
            arguments,
            &target.path,
            target.size,
            target.device.as_ref(),
            streams,
        )?;
        let name = image.path.display().to_string();
        return write(&name, &image, &target, global, streams);
    };
    let wanted = application::check(what, arguments)?;
    // Where there is no image, what stands first is the device.
    let Some(path) = &arguments.image else {
        return Err(list(&kernel.removable(), streams)?);
    };
    // Before minutes of building, in which nobody need stay.
    let (size, device) = target::check(path, caution, &kernel)?;
    ask(arguments, path, size, device.as_ref(), streams)?;
    // A device with others than these two is refused when its image is there.
    let sector_size = device
        .as_ref()
        .and_then(|device| SectorSize::of(device.sector))
        .unwrap_or(SectorSize::Of512);
    let disk = application::build(&wanted, sector_size, arguments, global, streams)?;
    let image = Image::open(&disk.path)?;
    let target = target::open(path, &image, caution, &kernel)?;
    let names = |device: &Option<Device>| device.as_ref().map(|it| (it.model.clone(), it.size));
    if names(&target.device) != names(&device) {
        return Err(Failure::new(ConsentError::Another { path: path.clone() }));
    }
    write(&disk.name, &image, &target, global, streams)
}

fn write(
    name: &str,
    image: &Image,
    target: &Target,
    global: &Global,
    streams: &mut Streams,
) -> Result<(), Failure> {
    let interrupt = Interrupt::watch()?;
    let commands = match global.verbose {
        true => Commands::Shown,
        false => Commands::Hidden,
    };
    let progress = narrator(streams, commands);
    let started = Instant::now();
    let written = install::write(image, target, &*progress, &interrupt.flag)?;
    let text = summary(name, &target.path, written, started.elapsed());
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
fn loss(path: &Path, size: u64, device: Option<&Device>) -> String {
    let mut lines = vec![format!(
        "Everything on {} will be lost: {}",
        path.display(),
        size::bytes(size)
    )];
    if let Some(device) = device {
        if !device.model.is_empty() {
            lines[0] += &format!(", {}", device.model);
        }
        let partitions = device.partitions.iter();
        lines.extend(partitions.map(|(name, bytes)| format!("  {name}  {}", size::bytes(*bytes))));
        lines.extend(device.uses.iter().map(|what| format!("  in use: {what}")));
    }
    lines.join("\n")
}

/// Asks, unless that is not wanted.
fn ask(
    arguments: &Arguments,
    path: &Path,
    size: u64,
    device: Option<&Device>,
    streams: &Streams,
) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let path = path.to_owned();
        let hint = "--yes writes without asking".to_owned();
        return Err(Failure::new(ConsentError::NoTerminal { path }).hint(Some(hint)));
    }
    streams.err.line(&loss(path, size, device));
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

fn summary(name: &str, target: &Path, written: Written, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(0.001);
    // A rate is known to a few digits only.
    let rate = (written.written as f64 / seconds) as u64;
    format!(
        "{name} is on {}: {} written in {}, {}/s; its last partition has {}\n",
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
        let device = Device {
            name: "sdb".to_owned(),
            model: "Sample Stick".to_owned(),
            size: 32_000_000_000,
            sector: 512,
            is_removable: true,
            is_read_only: false,
            partitions: vec![("sdb1".to_owned(), 8_000_000_000)],
            uses: vec!["mounted at /media/stick".to_owned()],
        };
        assert_eq!(
            loss(Path::new("/dev/sdb"), device.size, Some(&device)),
            "Everything on /dev/sdb will be lost: 32.0 GB, Sample Stick\n  sdb1  8.0 GB\n  in use: mounted at /media/stick"
        );
    }
}
