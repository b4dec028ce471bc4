//! Copying files into the image: each byte is read once, and where there are only zeros nothing is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::BLOCK;
use crate::content;
use crate::tree::Content;

/// How much is read at once.
const BUFFER: usize = 1 << 20;

pub(super) struct Copier<'a> {
    out: &'a File,
    buffer: Vec<u8>,
}

/// Which side failed.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl<'a> Copier<'a> {
    pub(super) fn new(out: &'a File) -> Copier<'a> {
        Copier {
            out,
            buffer: vec![0; BUFFER],
        }
    }

    /// Copies `content` to the byte `start` of the image, which is the beginning of a block.
    pub(super) fn copy(&mut self, content: &Content, start: u64) -> Result<(), CopyError> {
        if let Content::Bytes(bytes) = content {
            return write_sparse(self.out, bytes, start).map_err(CopyError::Write);
        }
        let mut reader = content.open().map_err(CopyError::Read)?;
        let mut at = start;
        loop {
            let count = content::fill(&mut *reader, &mut self.buffer).map_err(CopyError::Read)?;
            write_sparse(self.out, &self.buffer[..count], at).map_err(CopyError::Write)?;
            if count < self.buffer.len() {
                return Ok(());
            }
            at += count as u64;
        }
    }
}

/// Writes the blocks of `bytes` that are not all zeros, neighbours together.
fn write_sparse(out: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
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
