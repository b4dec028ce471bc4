//! CRC-32C as ext4 uses it: without the inversions, and begun with what the bytes belong to.

/// The generation of every inode, which its sums begin with: only file servers that hand out inodes need another one.
pub(super) const GENERATION: u32 = 0;

/// A sum so far.
#[derive(Clone, Copy)]
pub(super) struct Checksum(pub(super) u32);

impl Checksum {
    /// Of nothing.
    pub(super) const START: Checksum = Checksum(u32::MAX);

    /// What every sum but the superblock's begins with.
    pub(super) fn of_filesystem(uuid: &[u8; 16]) -> Checksum {
        Checksum::START.over(uuid)
    }

    /// Goes on from the filesystem's sum to what the sums of an inode and of its blocks begin with.
    pub(super) fn of_inode(self, number: u32) -> Checksum {
        self.over(&number.to_le_bytes())
            .over(&GENERATION.to_le_bytes())
    }

    pub(super) fn over(self, bytes: &[u8]) -> Checksum {
        // The crate inverts before and after.
        Checksum(!crc32c::crc32c_append(!self.0, bytes))
    }

    /// The lower half, where there is room for no more.
    pub(super) fn low(self) -> u16 {
        self.0 as u16
    }

    pub(super) fn high(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_standards_without_its_inversion_and_can_go_on() {
        // RFC 3720, appendix B.4.
        let whole = Checksum::START.over(&[0; 32]);
        assert_eq!(!whole.0, 0x8A91_36AA);
        let halves = Checksum::START.over(&[0; 16]).over(&[0; 16]);
        assert_eq!(halves.0, whole.0);
        assert_eq!((whole.high(), whole.low()), (0x756E, 0xC955));
    }
}
