//! One inode: what it says, and its 32 or 64 bytes.

use std::path::Path;

use crate::numbered::Numbered;
use crate::tree::{Entry, Kind};

/// Inode numbers count in slots of this many bytes from the beginning of the image.
pub(super) const SLOT: u64 = COMPACT;

/// `struct erofs_inode_compact` and `struct erofs_inode_extended`.
pub(super) const COMPACT: u64 = 32;
pub(super) const EXTENDED: u64 = 64;

/// The field `i_format`: bit 0 says extended, bits 1 to 3 hold the data's layout, where 0 is `FLAT_PLAIN`.
pub(super) const FORMAT_COMPACT_PLAIN: u16 = 0;
pub(super) const FORMAT_EXTENDED_PLAIN: u16 = 1;

pub(super) struct Inode<'a> {
    pub(super) path: &'a Path,
    pub(super) entry: &'a Entry,
    /// How many names it has.
    pub(super) links: u32,
    /// In bytes.
    pub(super) size: u64,
    /// Its place in the image, in slots.
    pub(super) nid: u64,
    /// The first block of its data; 0 if it has none. Fits in 32 bits, as the number of all blocks does.
    pub(super) block: u64,
}

impl<'a> Inode<'a> {
    /// No place yet; the size of a directory comes later.
    pub(super) fn new(numbered: &Numbered<'a>) -> Inode<'a> {
        Inode {
            path: numbered.path,
            entry: numbered.entry,
            links: numbered.links,
            size: numbered.size,
            nid: 0,
            block: 0,
        }
    }

    /// In bytes, on the disk.
    pub(super) fn length(&self) -> u64 {
        match self.narrow() {
            Some(_) => COMPACT,
            None => EXTENDED,
        }
    }

    /// Appends the inode. `number` is what `stat` shows where inode numbers have 32 bits.
    pub(super) fn encode(&self, number: u32, mtime: u64, out: &mut Vec<u8>) {
        let mode = self.entry.st_mode();
        // No extended attributes.
        let xattrs = 0_u16;
        if let Some(narrow) = self.narrow() {
            out.extend(FORMAT_COMPACT_PLAIN.to_le_bytes());
            out.extend(xattrs.to_le_bytes());
            out.extend(mode.to_le_bytes());
            out.extend(narrow.links.to_le_bytes());
            out.extend(narrow.size.to_le_bytes());
            out.extend([0; 4]);
            out.extend(self.location().to_le_bytes());
            out.extend(number.to_le_bytes());
            out.extend(narrow.uid.to_le_bytes());
            out.extend(narrow.gid.to_le_bytes());
            out.extend([0; 4]);
        } else {
            out.extend(FORMAT_EXTENDED_PLAIN.to_le_bytes());
            out.extend(xattrs.to_le_bytes());
            out.extend(mode.to_le_bytes());
            out.extend([0; 2]);
            out.extend(self.size.to_le_bytes());
            out.extend(self.location().to_le_bytes());
            out.extend(number.to_le_bytes());
            out.extend(self.entry.uid.to_le_bytes());
            out.extend(self.entry.gid.to_le_bytes());
            out.extend(mtime.to_le_bytes());
            // Nanoseconds.
            out.extend([0; 4]);
            out.extend(self.links.to_le_bytes());
            out.extend([0; 16]);
        }
    }

    /// The fields that are narrower in a compact inode, if all of them fit.
    fn narrow(&self) -> Option<Narrow> {
        Some(Narrow {
            links: self.links.try_into().ok()?,
            size: self.size.try_into().ok()?,
            uid: self.entry.uid.try_into().ok()?,
            gid: self.entry.gid.try_into().ok()?,
        })
    }

    /// The field `i_u`: the first block, or the device's number.
    fn location(&self) -> u32 {
        match self.entry.kind {
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                // `new_encode_dev` of Linux's `include/linux/kdev_t.h`: 8 bits, 12 bits, the other 12 bits.
                (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
            }
            _ => u32::try_from(self.block).expect("the layout has counted all blocks in 32 bits"),
        }
    }
}

struct Narrow {
    links: u16,
    size: u32,
    uid: u16,
    gid: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_encoded_as_linux_decodes_them() {
        let check = |major: u32, minor: u32, expected: u32| {
            let entry = Entry::block_device(0o600, major, minor);
            assert_eq!(
                Inode::new(&Numbered::new(Path::new("/x"), &entry, 0)).location(),
                expected
            );
        };
        check(5, 1, 0x0000_0501);
        check(0xabc, 0xfe, 0x000a_bcfe);
        check(0xfff, 0x1_2345, 0x123f_ff45);
        check(0xfff, 0xf_ffff, 0xffff_ffff);
    }

    #[test]
    fn an_inode_is_extended_where_16_or_32_bits_are_too_few() {
        let check = |uid: u32, gid: u32, links: u32, size: u64, expected: u64| {
            let entry = Entry::file(0o644, []).owned_by(uid, gid);
            let inode = Inode {
                links,
                size,
                ..Inode::new(&Numbered::new(Path::new("/x"), &entry, 0))
            };
            let mut bytes = Vec::new();
            inode.encode(1, 1, &mut bytes);
            assert_eq!(inode.length(), expected);
            assert_eq!(bytes.len() as u64, expected);
            let field = |at: usize, length: usize| {
                let field = bytes[at..at + length].iter().rev();
                field.fold(0, |value, &byte| (value << 8) | u64::from(byte))
            };
            // Size, owner, group and links, where `erofs_fs.h` has them.
            let found = match expected {
                COMPACT => [field(8, 4), field(24, 2), field(26, 2), field(6, 2)],
                _ => [field(8, 8), field(24, 4), field(28, 4), field(44, 4)],
            };
            assert_eq!(found, [size, uid.into(), gid.into(), links.into()]);
        };
        check(0xffff, 0xffff, 0xffff, 0xffff_ffff, COMPACT);
        check(0x1_0000, 0, 1, 0, EXTENDED);
        check(0, 0x1_0000, 1, 0, EXTENDED);
        check(0, 0, 0x1_0000, 0, EXTENDED);
        check(0, 0, 1, 0x1_0000_0000, EXTENDED);
    }
}
