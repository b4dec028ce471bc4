//! The writing itself, and the reading back.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use nodeos_build::progress::{Progress, Task, Unit};
use nodeos_image::disk::{Extent, extents};
use nodeos_spec::device::gpt::{ALIGNMENT, Piece, Table};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

use super::InstallError;
use super::image::Image;
use super::target::Target;

/// How much is read and written at once: as much as sticks take in one go.
const PIECE: usize = 4 << 20;

/// What is looked at for zeros.
const BLOCK: usize = 64 << 10;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes that were written.
    pub written: u64,
    /// The size of the last partition in bytes.
    pub last_partition: u64,
}

/// Writes the image to the target, reads it back, and then says in the partition table that it is there.
///
/// # Errors
/// [`InstallError`]. Then the target has no partition table, unless it is the table that was not written.
pub fn write(
    image: &Image,
    target: &Target,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Written, InstallError> {
    let table = table_for(image, target.size);
    let begin = table.begin(image)?;
    let mut writer = Writer {
        target,
        stop,
        written: 0,
    };
    writer.zero(0..ALIGNMENT)?;
    writer.zero(target.size - ALIGNMENT.min(target.size)..target.size)?;
    writer.sync()?;
    // Without the second table of the image, in the way of a last partition that has become larger.
    let contents = ALIGNMENT..image.end_of_partitions().max(ALIGNMENT);
    writer.contents(image, contents.clone(), progress)?;
    writer.pieces(&table.table.backup())?;
    writer.sync()?;
    verify(image, target, contents, progress, stop)?;
    writer.pieces(&[Piece {
        at: 0,
        bytes: begin,
    }])?;
    writer.sync()?;
    Ok(Written {
        written: writer.written,
        last_partition: table.last_partition,
    })
}

/// The table for a disk of another size.
struct NewTable {
    table: Table,
    last_partition: u64,
}

fn table_for(image: &Image, size: u64) -> NewTable {
    let sectors = size / image.table.sector;
    let last = image.last_partition();
    let grown = last.and_then(|number| image.table.grown(number, sectors));
    let mut table = grown.unwrap_or_else(|| image.table.clone());
    table.sectors = sectors;
    let index = last.and_then(|number| usize::try_from(number - 1).ok());
    let partition = index.and_then(|index| table.partitions[index].as_ref());
    let last_partition = partition.map_or(0, |last| (last.last + 1 - last.first) * table.sector);
    NewTable {
        table,
        last_partition,
    }
}

impl NewTable {
    /// The bytes before the first partition: boot loader, and the table.
    fn begin(&self, image: &Image) -> Result<Vec<u8>, InstallError> {
        let mut begin = vec![0; usize::try_from(ALIGNMENT).expect("a mebibyte")];
        image.read(&mut begin, 0)?;
        let protective = self.table.protective();
        for piece in self.table.primary().iter().chain([&protective]) {
            let at = usize::try_from(piece.at).expect("in the first mebibyte");
            begin[at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
        }
        Ok(begin)
    }
}

struct Writer<'a> {
    target: &'a Target,
    stop: &'a AtomicBool,
    written: u64,
}

impl Writer<'_> {
    fn contents(
        &mut self,
        image: &Image,
        range: Range<u64>,
        progress: &dyn Progress,
    ) -> Result<(), InstallError> {
        let title = format!("write {}", self.target.path.display());
        let mut task = Counted::begin(progress, &title, &range, self.stop);
        let mut buffer = vec![0; PIECE];
        for (extent, kind) in extents_of(image, range)? {
            for piece in pieces(extent) {
                match kind {
                    Extent::Hole => self.zero(piece.clone())?,
                    Extent::Data => {
                        let bytes = &mut buffer[..length(&piece)];
                        image.read(bytes, piece.start)?;
                        self.runs(bytes, piece.start)?;
                    }
                }
                task.count(&piece)?;
            }
        }
        self.sync()?;
        task.finish();
        Ok(())
    }

    /// Writes the blocks that are not zero, and sees to it that the others are.
    fn runs(&mut self, bytes: &[u8], at: u64) -> Result<(), InstallError> {
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK).collect();
        let mut start = 0;
        for run in blocks.chunk_by(|a, b| is_zero(a) == is_zero(b)) {
            let end = start + run.iter().map(|block| block.len()).sum::<usize>();
            let here = at + start as u64;
            match is_zero(run[0]) {
                true => self.zero(here..at + end as u64)?,
                false => self.put(&bytes[start..end], here)?,
            }
            start = end;
        }
        Ok(())
    }

    /// Makes zeros of what is not zero yet: reading is cheap, and writing wears a stick out.
    fn zero(&mut self, range: Range<u64>) -> Result<(), InstallError> {
        let target = self.target;
        let found = extents(&target.file, range.start, range.end)
            .map_err(|source| self.write_error(range.start, source))?;
        let mut buffer = vec![0; PIECE];
        for (extent, _) in found.into_iter().filter(|(_, kind)| *kind == Extent::Data) {
            for piece in pieces(extent) {
                let bytes = &mut buffer[..length(&piece)];
                target
                    .file
                    .read_exact_at(bytes, piece.start)
                    .map_err(|source| self.write_error(piece.start, source))?;
                if !is_zero(bytes) {
                    self.clear(&piece)?;
                }
            }
        }
        Ok(())
    }

    /// Has the device forget what is there, if it can; otherwise writes zeros.
    fn clear(&mut self, range: &Range<u64>) -> Result<(), InstallError> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(
            &self.target.file,
            flags,
            range.start,
            range.end - range.start,
        )
        .is_ok()
        {
            return Ok(());
        }
        self.put(&vec![0; length(range)], range.start)
    }

    fn put(&mut self, bytes: &[u8], at: u64) -> Result<(), InstallError> {
        self.target
            .file
            .write_all_at(bytes, at)
            .map_err(|source| self.write_error(at, source))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pieces(&mut self, pieces: &[Piece]) -> Result<(), InstallError> {
        pieces
            .iter()
            .try_for_each(|piece| self.put(&piece.bytes, piece.at))
    }

    fn sync(&self) -> Result<(), InstallError> {
        let synced = self.target.file.sync_data();
        synced.map_err(|source| self.write_error(0, source))
    }

    fn write_error(&self, at: u64, source: io::Error) -> InstallError {
        InstallError::Write {
            path: self.target.path.clone(),
            at,
            source,
        }
    }
}

/// Compares what the device gives with the image.
fn verify(
    image: &Image,
    target: &Target,
    range: Range<u64>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(), InstallError> {
    // What is still in memory says nothing about the device. Where the kernel keeps it all the same, the comparison is only
    // worth less.
    let _ = fadvise(&target.file, 0, None, Advice::DontNeed);
    let title = format!("read {} back", target.path.display());
    let mut task = Counted::begin(progress, &title, &range, stop);
    let (mut wanted, mut found) = (vec![0; PIECE], vec![0; PIECE]);
    for (extent, kind) in extents_of(image, range)? {
        for piece in pieces(extent) {
            let (wanted, found) = (&mut wanted[..length(&piece)], &mut found[..length(&piece)]);
            match kind {
                Extent::Hole => wanted.fill(0),
                Extent::Data => image.read(wanted, piece.start)?,
            }
            target
                .file
                .read_exact_at(found, piece.start)
                .map_err(|source| InstallError::ReadBack {
                    path: target.path.clone(),
                    at: piece.start,
                    source,
                })?;
            if wanted != found {
                let differ = wanted.iter().zip(&*found).position(|(a, b)| a != b);
                return Err(InstallError::Differs {
                    path: target.path.clone(),
                    at: piece.start + differ.unwrap_or(0) as u64,
                });
            }
            task.count(&piece)?;
        }
    }
    task.finish();
    Ok(())
}

/// A step that counts bytes, and ends where somebody wants it to.
struct Counted<'a> {
    task: Box<dyn Task>,
    from: u64,
    stop: &'a AtomicBool,
}

impl<'a> Counted<'a> {
    fn begin(
        progress: &dyn Progress,
        title: &str,
        range: &Range<u64>,
        stop: &'a AtomicBool,
    ) -> Counted<'a> {
        Counted {
            task: progress.begin(title, Some((range.end - range.start, Unit::Bytes))),
            from: range.start,
            stop,
        }
    }

    fn count(&mut self, piece: &Range<u64>) -> Result<(), InstallError> {
        self.task.advance(piece.end - self.from, None);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(InstallError::Stopped),
            false => Ok(()),
        }
    }

    fn finish(self) {
        self.task.finish("");
    }
}

fn extents_of(image: &Image, range: Range<u64>) -> Result<Vec<(Range<u64>, Extent)>, InstallError> {
    extents(&image.file, range.start, range.end).map_err(|source| InstallError::Read {
        path: image.path.clone(),
        source,
    })
}

/// A range in pieces that are handled at once.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range
        .step_by(PIECE)
        .map(move |start| start..end.min(start + PIECE as u64))
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("at most a piece")
}

fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes
        .chunks(BLOCK)
        .all(|block| *block == ZEROS[..block.len()])
}

#[cfg(test)]
mod tests;
