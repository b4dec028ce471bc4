//! Images of disks: their partitions, what other programs say about them, and a flipped bit.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nodeos_spec::device::gpt::{Partition, Table};

use crate::pc::Pc;

const MIB: u64 = 1 << 20;

/// The partitions of a disk, in sectors of its own size.
pub fn partitions(disk: &Path) -> anyhow::Result<Vec<Partition>> {
    Ok(table(disk)?.partitions.into_iter().flatten().collect())
}

fn table(disk: &Path) -> anyhow::Result<Table> {
    let disk = fs::File::open(disk)?;
    let read = |at, length| {
        let mut bytes = vec![0; length];
        disk.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    };
    let table = Table::read(512, 1, read);
    Ok(table.or_else(|error| Table::read(4096, 1, read).map_err(|_| error))?)
}

/// A partition of a PC that is switched off, as an image of its own.
pub fn part(pc: &Pc, number: usize) -> anyhow::Result<PathBuf> {
    cut(&pc.disk, number, &pc.scratch.dir.join("part"))
}

/// A partition, counted from 0, copied into a file of its own beside `to`.
pub fn cut(disk: &Path, number: usize, to: &Path) -> anyhow::Result<PathBuf> {
    let table = table(disk)?;
    let partition = table.partitions.get(number).and_then(Option::as_ref);
    let partition = partition.context("there is the partition")?;
    let to = to.with_extension(number.to_string());
    let (first, count) = (partition.first, partition.last + 1 - partition.first);
    let status = Command::new("dd")
        .arg(format!("if={}", disk.display()))
        .arg(format!("of={}", to.display()))
        .args(["bs=1M", "conv=sparse", "status=none"])
        // Partitions begin and end at whole mebibytes.
        .arg(format!("skip={}", first * table.sector / MIB))
        .arg(format!("count={}", count * table.sector / MIB))
        .status()?;
    ensure!(status.success(), "dd failed");
    Ok(to)
}

/// Changes one bit of the byte at this place.
pub fn flip(disk: &Path, at: u64) -> anyhow::Result<()> {
    let disk = OpenOptions::new().read(true).write(true).open(disk)?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at)?;
    Ok(disk.write_all_at(&[byte[0] ^ 4], at)?)
}

/// What a program says of an image, which must be good and contain this.
pub fn judge(
    program: &str,
    words: &[&str],
    image: &Path,
    expected: &str,
) -> anyhow::Result<String> {
    let image = image.to_str().context("paths of tests are text")?;
    let (is_good, said) = tool(program, &[words, &[image]].concat())?;
    ensure!(is_good && said.contains(expected), "{program}: {said}");
    Ok(said)
}

/// Whether a program ended well, and what it said.
pub fn tool(program: &str, words: &[&str]) -> anyhow::Result<(bool, String)> {
    let paths = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .env("PATH", format!("{paths}:/usr/sbin:/sbin"))
        .args(words)
        .output()
        .with_context(|| format!("{program}: bin/install-dependencies --test installs it"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
