//! Folders of the host that a machine can mount, by 9P over virtio.

use std::path::PathBuf;

use crate::argv::{Argv, join};

/// A folder of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What the machine mounts it by: at most 31 bytes (`MAX_TAG_LEN` of QEMU's `hw/9pfs`).
    pub tag: String,
    pub path: PathBuf,
    pub access: Access,
}

/// What a machine may do with a folder of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Files on the host look as they do in the machine (`none`), and not as QEMU's own, with what the machine made of them in extended attributes
/// (`mapped`): both sides are to work with the same files. QEMU does everything as the user who started it, and that nobody else
/// can be given a file is no failure then. Of two filesystems below one folder, inode numbers are kept apart (`remap`).
const OPTIONS: &str = "security_model=none,multidevs=remap";

pub(super) fn add(shares: &[Share], argv: &mut Argv) {
    for (index, share) in shares.iter().enumerate() {
        let Share { tag, path, access } = share;
        let end = match access {
            Access::ReadOnly => format!(",{OPTIONS},readonly=on"),
            Access::ReadWrite => format!(",{OPTIONS}"),
        };
        let begin = format!("local,id=share{index},path=");
        argv.option("-fsdev", join(&[&begin, &end], &[path]));
        argv.option(
            "-device",
            format!("virtio-9p-pci,fsdev=share{index},mount_tag={tag}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_filesystem_and_a_device() {
        let share = |tag: &str, path: &str, access: Access| Share {
            tag: tag.to_owned(),
            path: PathBuf::from(path),
            access,
        };
        let shares = [
            share("volume0", "/a,b", Access::ReadWrite),
            share("volume1", "/c", Access::ReadOnly),
        ];
        let mut argv = Argv::new("qemu".into());
        add(&shares, &mut argv);
        let words: Vec<String> = argv.finish()[1..]
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            words.join(" "),
            "-fsdev local,id=share0,path=/a,,b,security_model=none,multidevs=remap \
             -device virtio-9p-pci,fsdev=share0,mount_tag=volume0 \
             -fsdev local,id=share1,path=/c,security_model=none,multidevs=remap,readonly=on \
             -device virtio-9p-pci,fsdev=share1,mount_tag=volume1"
        );
    }
}
