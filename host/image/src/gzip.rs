//! gzip (RFC 1952), for those who cannot read anything newer. The same bytes give the same bytes: no time, no name.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

/// As the program `gzip` does without being told: a fifth smaller than the fastest, and half the time of the smallest.
const LEVEL: u32 = 6;

/// RFC 1952, "OS": unknown. What packs here is not where it is unpacked.
const UNKNOWN_SYSTEM: u8 = 255;

/// A writer that packs what passes through. `finish` writes the end.
pub fn packer<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(out, Compression::new(LEVEL))
}
