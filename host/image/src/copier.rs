//! Copying files into an image: each byte is read once, and where there are only zeros nothing is written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::content;
use crate::tree::Content;

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// What is looked at for zeros, in bytes: the blocks of the images, and of the filesystem below them as a rule.
const BLOCK: usize = 4096;

pub(crate) struct Copier<'a> {
    out: &'a File,
    buffer: Vec<u8>,
}

/// Which side failed.
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl<'a> Copier<'a> {
    pub(crate) fn new(out: &'a File) -> Copier<'a> {
        Copier {
            out,
            buffer: vec![0; BUFFER],
        }
    }

    /// Copies `content` to `places`: bytes of the image, filled one after the other, each from the beginning of a
    /// block. Together they are at least as long as the content.
    pub(crate) fn copy(
        &mut self,
        content: &Content,
        places: &[Range<u64>],
    ) -> Result<(), CopyError> {
        if let Content::Bytes(bytes) = content {
            return self.write(bytes, places).map_err(CopyError::Write);
        }
        let mut reader = content.open().map_err(CopyError::Read)?;
        for place in places {
            let mut at = place.start;
            while at < place.end {
                let room = usize::try_from(place.end - at).unwrap_or(usize::MAX);
                let room = room.min(self.buffer.len());
                let buffer = &mut self.buffer[..room];
                let count = content::fill(&mut *reader, buffer).map_err(CopyError::Read)?;
                write_sparse(self.out, &buffer[..count], at).map_err(CopyError::Write)?;
                if count < room {
                    return Ok(());
                }
                at += count as u64;
            }
        }
        // Where the content ends with the last place, it is only now that the reader looks for more.
        content::fill(&mut *reader, &mut [0]).map_err(CopyError::Read)?;
        Ok(())
    }

    /// As [`Copier::copy`], for bytes that are in memory.
    pub(crate) fn write(&self, bytes: &[u8], places: &[Range<u64>]) -> io::Result<()> {
        let mut rest = bytes;
        for place in places {
            let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            let (here, after) = rest.split_at(length.min(rest.len()));
            write_sparse(self.out, here, place.start)?;
            rest = after;
        }
        Ok(())
    }
}

/// Writes the blocks of `bytes` that are not all zeros, neighbours together.
pub(crate) fn write_sparse(out: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let is_zero = |block: &&[u8]| **block == ZEROS[..block.len()];
    let blocks: Vec<&[u8]> = bytes.chunks(ZEROS.len()).collect();
    let mut at = 0;
    for run in blocks.chunk_by(|a, b| is_zero(a) == is_zero(b)) {
        let length: usize = run.iter().map(|block| block.len()).sum();
        if !is_zero(&run[0]) {
            out.write_all_at(&bytes[at..at + length], start + at as u64)?;
        }
        at += length;
    }
    Ok(())
}
