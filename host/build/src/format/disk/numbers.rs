//! The numbers of an image: its GUIDs, salts and serial numbers.

use std::fs::File;

use nodeos_image::fat;
use nodeos_image::verity::{self, HASH, HashTree};
use nodeos_spec::device::gpt::Guid;
use sha2::{Digest, Sha256};

use super::WriteError;
use crate::cache::Key;

/// Numbers that only one image has, and has every time that it is made: they come from the key of all that is in it.
pub(in crate::format) struct Numbers(pub(in crate::format) Key);

impl Numbers {
    pub(in crate::format) fn guid(&self, of: &str) -> Guid {
        Guid::of(u128::from_be_bytes(uuid(&self.digest(of))))
    }

    /// The hashes of a system, and the salt that is in them.
    pub(in crate::format) fn hash_tree(
        &self,
        mut system: &File,
        bytes: u64,
    ) -> Result<(HashTree, [u8; HASH]), WriteError> {
        let salt = self.digest("salt");
        let [uuid, _] = halves(&self.digest("hash tree"));
        let tree = verity::tree(&mut system, bytes, &verity::Options { uuid, salt })?;
        Ok((tree, salt))
    }

    /// The filesystem that UEFI reads.
    pub(in crate::format) fn efi_system(&self, sector: u64) -> fat::Options {
        let [_, [a, b, c, d, ..]] = halves(&self.digest("efi-system"));
        fat::Options {
            label: "NODEOS".to_owned(),
            volume_id: u32::from_be_bytes([a, b, c, d]),
            sector,
        }
    }

    fn digest(&self, of: &str) -> [u8; HASH] {
        Sha256::new()
            .chain_update(self.0.as_str())
            .chain_update(of)
            .finalize()
            .into()
    }
}

/// A version 8 UUID: one that is made in a way of one's own (RFC 9562).
pub(in crate::format) fn uuid(digest: &[u8; HASH]) -> [u8; 16] {
    let [mut uuid, _] = halves(digest);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn halves(digest: &[u8; HASH]) -> [[u8; 16]; 2] {
    let half = |from: usize| std::array::from_fn(|index| digest[from + index]);
    [half(0), half(HASH / 2)]
}
