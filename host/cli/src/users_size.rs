//! `--users-size`: how large the users partition is.

use nodeos_image::ext4;
use thiserror::Error;

use crate::memory::{self, ParseMemoryError};

/// Of less than this, ext4's own lists take too much of it.
const MINIMUM_MIB: u64 = 16;
const MAXIMUM_MIB: u64 = ext4::MAX_SIZE >> 20;

/// Why a text is not the size of a users partition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseUsersSizeError {
    #[error(transparent)]
    Form(ParseMemoryError),
    #[error("a users partition has between {MINIMUM_MIB} MiB and {} GiB", MAXIMUM_MIB >> 10)]
    Range,
}

/// Reads `512M`, `8G` or `512` (MiB), and returns bytes.
pub fn parse(text: &str) -> Result<u64, ParseUsersSizeError> {
    match memory::mib(text).map_err(ParseUsersSizeError::Form)? {
        Some(mib) if (MINIMUM_MIB..=MAXIMUM_MIB).contains(&mib) => Ok(mib << 20),
        _ => Err(ParseUsersSizeError::Range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_within_what_ext4_can_do() {
        assert_eq!(parse("512M"), Ok(512 << 20));
        assert_eq!(parse("8192G"), Ok(8 << 40));
        for text in ["15M", "0", "8193G", "99999999999999999999"] {
            assert_eq!(parse(text), Err(ParseUsersSizeError::Range), "{text}");
        }
        assert_eq!(
            parse("15").unwrap_err().to_string(),
            "a users partition has between 16 MiB and 8192 GiB"
        );
        assert_eq!(
            parse("much").unwrap_err().to_string(),
            "expected a number of MiB, or a number with M or G, as in 256M or 1G"
        );
    }
}
