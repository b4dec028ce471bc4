//! The *legacy* frames of LZ4, the only ones that Linux unpacks (`lib/decompress_unlz4.c`).
//!
//! A magic number, then blocks of 8 MiB (the last one shorter), each compressed on its own and preceded by its
//! compressed length. There is no end mark and no checksum: the end of the data is the end of the frame.

use std::fmt;
use std::io::{self, Write};

use lz4_flex::block::{compress_into, get_maximum_output_size};

/// `LZ4_LEGACY_MAGIC` of the reference implementation, `ARCHIVE_MAGICNUMBER` of the kernel.
const MAGIC: u32 = 0x184C_2102;

/// How much is compressed at once: the size of the kernel's buffer, and of every block but the last.
const BLOCK: usize = 8 << 20;

/// A writer that packs what passes through into one legacy frame.
///
/// The last block is written by [`Lz4Writer::finish`]: without it, up to 8 MiB are missing at the end.
pub struct Lz4Writer<W: Write> {
    inner: W,
    block: Vec<u8>,
    compressed: Vec<u8>,
}

impl<W: Write> Lz4Writer<W> {
    /// Begins the frame in `inner`.
    pub fn new(mut inner: W) -> io::Result<Lz4Writer<W>> {
        inner.write_all(&MAGIC.to_le_bytes())?;
        Ok(Lz4Writer {
            inner,
            block: Vec::with_capacity(BLOCK),
            compressed: vec![0; get_maximum_output_size(BLOCK)],
        })
    }

    /// Writes the last block and gives back what the frame was written to, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let length = compress_into(&self.block, &mut self.compressed).map_err(io::Error::other)?;
        self.inner.write_all(&(length as u32).to_le_bytes())?;
        self.inner.write_all(&self.compressed[..length])?;
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Lz4Writer<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.write_block()?;
        }
        let count = buffer.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Flushes what was compressed. The block that is being filled stays: only the last one may be short.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write + fmt::Debug> fmt::Debug for Lz4Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lz4Writer")
            .field("inner", &self.inner)
            .field("waiting", &self.block.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does, step by step: blocks until the data ends.
    fn unpack(frame: &[u8]) -> Vec<u8> {
        let number = |at: &[u8]| u32::from_le_bytes(at[..4].try_into().unwrap());
        assert_eq!(number(frame), MAGIC);
        let (mut rest, mut unpacked) = (&frame[4..], Vec::new());
        while !rest.is_empty() {
            let (block, after) = rest[4..].split_at(number(rest) as usize);
            unpacked.extend(lz4_flex::block::decompress(block, BLOCK).unwrap());
            rest = after;
        }
        unpacked
    }

    /// Bytes that compress a little, so that literals and matches of many lengths occur.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut bytes = Vec::with_capacity(length + 512);
        while bytes.len() < length {
            let run = usize::from(next());
            let byte = next();
            bytes.extend(std::iter::repeat_n(byte, run));
            bytes.push(next());
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_is_packed_comes_out_again_whatever_its_size() {
        for length in [
            0,
            1,
            12,
            13,
            4096,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK + 5,
        ] {
            let bytes = text(length);
            let mut writer = Lz4Writer::new(Vec::new()).unwrap();
            // Odd pieces, which do not end where blocks end.
            for piece in bytes.chunks(1_000_003) {
                writer.write_all(piece).unwrap();
            }
            assert_eq!(unpack(&writer.finish().unwrap()), bytes, "{length}");
        }
    }

    #[test]
    fn blocks_hold_8_mib_also_when_flushed_in_between() {
        let bytes = vec![7; BLOCK + 100];
        let mut writer = Lz4Writer::new(Vec::new()).unwrap();
        for piece in bytes.chunks(100_000) {
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
        }
        let frame = writer.finish().unwrap();
        let first = u32::from_le_bytes(frame[4..8].try_into().unwrap()) as usize;
        let block = lz4_flex::block::decompress(&frame[8..8 + first], BLOCK).unwrap();
        assert_eq!(block.len(), BLOCK);
        assert_eq!(unpack(&frame), bytes);
    }
}
