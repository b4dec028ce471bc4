//! The formats `qcow2`, `vmdk`, `vhd`, `vdi` and `gce`: the disk in the file that a hypervisor or a cloud takes.
//!
//! QEMU's own `qemu-img` writes the first four: it knows them better than we would. What it puts in by chance or from the
//! clock is replaced, so that the same disk gives the same bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeos_image::tree::Entry;
use nodeos_image::{gzip, tar};
use nodeos_spec::device::gpt::{Guid, Table};
use sha2::{Digest, Sha256};

use super::disk::{self, Homes, SECTOR, USERS_NAME, uuid};
use super::{Goods, Packed};
use crate::assemble::BuildError;
use crate::assemble::image::MTIME;
use crate::tool::{self, Tool};

/// What packs them, and its package.
pub const PROGRAM: (&str, &str) = ("qemu-img", "qemu-utils");

/// The disk between two formats.
const RAW: &str = "disk.raw";
/// Google takes disks of whole gigabytes.
const GCE_STEP: u64 = 1 << 30;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// QEMU's.
    Qcow2,
    /// VMware's: one file that grows, which its desktops open and `vmkfstools -i` imports.
    Vmdk,
    /// Microsoft's, of the fixed kind: Azure takes no other.
    Vhd,
    /// VirtualBox's.
    Vdi,
    /// Google's: the bare disk, by a name that has to be this, in a packed archive.
    Gce,
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Kind::Qcow2 => "disk.qcow2",
            Kind::Vmdk => "disk.vmdk",
            Kind::Vhd => "disk.vhd",
            Kind::Vdi => "disk.vdi",
            Kind::Gce => "disk.tar.gz",
        }
    }

    /// What `qemu-img` calls it, and how it is to be. None where no machine runs from the file itself.
    fn of_qemu(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Kind::Qcow2 => Some(("qcow2", &["-o", "compat=1.1"])),
            Kind::Vmdk => Some((
                "vmdk",
                &["-o", "subformat=monolithicSparse,adapter_type=lsilogic"],
            )),
            // Without the second, its size would be rounded to the cylinders of the year 1996.
            Kind::Vhd => Some(("vpc", &["-o", "subformat=fixed,force_size=on"])),
            Kind::Vdi => Some(("vdi", &[])),
            Kind::Gce => None,
        }
    }
}

pub(super) fn write(goods: &Goods<'_>, dir: &Path, kind: Kind) -> Result<Packed, BuildError> {
    let path = dir.join(kind.file());
    let scratch = disk::scratch(dir)?;
    let raw = scratch.path().join(RAW);
    if let Some((format, _)) = kind.of_qemu().filter(|_| path.exists()) {
        // Whether a machine has written to it is told from the disk.
        convert(goods, "read", &["-f", format, "-O", "raw"], &path, &raw)?;
    }
    let made = disk::image(goods, &raw, Homes::Here).map_err(|error| match error {
        BuildError::InUse { .. } => BuildError::InUse { path: path.clone() },
        error => error,
    })?;
    if !made.was_there {
        let packed = scratch.path().join(kind.file());
        match kind.of_qemu() {
            Some((format, options)) => {
                let words = [&["-f", "raw", "-O", format], options].concat();
                convert(goods, "write", &words, &raw, &packed)?;
                take_chance_out(kind, &packed, made.disk)
            }
            None => archive(goods, &raw, &packed),
        }
        .and_then(|()| fs::rename(&packed, &path))
        .map_err(|source| BuildError::Output {
            path: path.clone(),
            source,
        })?;
    }
    Ok(Packed {
        inputs: made.inputs,
        ..Packed::of(goods, dir, vec![path])?
    })
}

/// `verb` is what people are told of it.
fn convert(
    goods: &Goods<'_>,
    verb: &str,
    words: &[&str],
    source: &Path,
    target: &Path,
) -> Result<(), BuildError> {
    let (program, package) = PROGRAM;
    let mut command = Command::new(program);
    command.arg("convert").args(words).arg(source).arg(target);
    let named = if verb == "read" { source } else { target };
    let name = named.file_name().unwrap_or_default().to_string_lossy();
    let step = goods.ctx.progress.begin(&format!("{verb} {name}"), None);
    tool::run(goods.ctx, Tool::new(command, package, program), &mut |_| {})
        .map_err(BuildError::Pack)?;
    step.finish("");
    Ok(())
}

/// Replaces numbers that `qemu-img` has drawn. Each place is the format's own.
fn take_chance_out(kind: Kind, path: &Path, disk: Guid) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let number = |of: &str| -> [u8; 32] {
        let mut hash = Sha256::new().chain_update(disk.0).chain_update(of);
        hash.update(path.extension().unwrap_or_default().as_encoded_bytes());
        hash.finalize().into()
    };
    match kind {
        Kind::Qcow2 | Kind::Gce => Ok(()),
        Kind::Vmdk => vmdk(&file, &number("content")),
        Kind::Vhd => vhd(&file, &number("image")),
        Kind::Vdi => {
            // The image's UUID, and that of its last snapshot (VirtualBox's VDICore.h, VDIHEADER1PLUS).
            const UUIDS: u64 = 392;
            let (image, snapshot) = (number("image"), number("snapshot"));
            file.write_all_at(&uuid(&image), UUIDS)?;
            file.write_all_at(&uuid(&snapshot), UUIDS + 16)
        }
    }
}

/// The number of this state of the contents, in the text that describes the disk (VMware's "Virtual Disk Format", 5.0). It has
/// as many digits as it happens to need, so the whole text is written again.
fn vmdk(file: &File, number: &[u8; 32]) -> io::Result<()> {
    const WORD: &str = "CID=";
    /// Where the header says where the text is, and how much room it has: both in sectors.
    const PLACE: usize = 28;
    const ROOM: usize = 36;
    /// `qemu-img` leaves twenty sectors.
    const MAX_ROOM: u64 = 128;
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    let sectors = |at: usize| {
        let bytes = header[at..].first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    let (place, room) = (sectors(PLACE), sectors(ROOM));
    if !header.starts_with(b"KDMV") || room > MAX_ROOM {
        return Err(unknown("vmdk"));
    }
    let mut area = vec![0; usize::try_from(room * SECTOR).expect("128 sectors are few")];
    file.read_exact_at(&mut area, place * SECTOR)?;
    let text = area.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| unknown("vmdk"))?;
    let digits: String = number[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut is_found = false;
    let new: String = text
        .split_inclusive('\n')
        .map(|line| match line.starts_with(WORD) {
            true => {
                is_found = true;
                format!("{WORD}{digits}\n")
            }
            false => line.to_owned(),
        })
        .collect();
    if !is_found || new.len() >= area.len() {
        return Err(unknown("vmdk"));
    }
    area.fill(0);
    area[..new.len()].copy_from_slice(new.as_bytes());
    file.write_all_at(&area, place * SECTOR)
}

/// The footer: time, number and sum ("Virtual Hard Disk Image Format Specification", 1.0).
fn vhd(file: &File, number: &[u8; 32]) -> io::Result<()> {
    const FOOTER: usize = 512;
    const COOKIE: &[u8] = b"conectix";
    const TIME: usize = 24;
    const SUM: usize = 64;
    const UUID: usize = 68;
    /// Seconds from 1970 to 2000, where its clock begins.
    const EPOCH: u32 = 946_684_800;
    let at = file.metadata()?.len() - FOOTER as u64;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, at)?;
    if !footer.starts_with(COOKIE) {
        return Err(unknown("vhd"));
    }
    footer[TIME..TIME + 4].copy_from_slice(&(MTIME - EPOCH).to_be_bytes());
    footer[UUID..UUID + 16].copy_from_slice(&uuid(number));
    footer[SUM..SUM + 4].fill(0);
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[SUM..SUM + 4].copy_from_slice(&(!sum).to_be_bytes());
    file.write_all_at(&footer, at)
}

fn unknown(what: &str) -> io::Error {
    let text = format!("qemu-img has written a {what} of an unknown kind");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The disk, enlarged to whole gigabytes, as a packed archive.
fn archive(goods: &Goods<'_>, raw: &Path, path: &Path) -> io::Result<()> {
    let step = goods.ctx.progress.begin("write disk.tar.gz", None);
    enlarge(raw)?;
    let entry = Entry::host_file(0o644, PathBuf::from(raw)).map_err(io::Error::other)?;
    let mut out = gzip::packer(BufWriter::new(File::create_new(path)?));
    tar::write_file(RAW, &entry, MTIME.into(), &mut out).map_err(io::Error::other)?;
    out.finish()?.flush()?;
    step.finish("");
    Ok(())
}

/// Gives the room to the users partition, whose filesystem grows into it at the first boot.
fn enlarge(raw: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(raw)?;
    let old = file.metadata()?.len();
    let size = old.next_multiple_of(GCE_STEP);
    let read = |at, length| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    let table = Table::read(SECTOR, 1, read).map_err(io::Error::other)?;
    let sectors = size / SECTOR;
    let last = table.partitions.iter().flatten().last();
    let grown = last
        .filter(|last| last.name == USERS_NAME)
        .and_then(|_| table.grown(u32::try_from(table.partitions.len()).ok()?, sectors));
    let new = grown.unwrap_or(Table {
        sectors,
        ..table.clone()
    });
    file.set_len(size)?;
    // What was the second table is free now.
    for piece in table.backup() {
        file.write_all_at(&vec![0; piece.bytes.len()], piece.at)?;
    }
    for piece in [new.backup(), new.primary()]
        .concat()
        .iter()
        .chain([&new.protective()])
    {
        file.write_all_at(&piece.bytes, piece.at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk as `qemu-img` writes it, but for what does not count here.
    fn disk(text: &str) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0; 4 * SECTOR as usize];
        bytes[..4].copy_from_slice(b"KDMV");
        bytes[28] = 1;
        bytes[36] = 2;
        bytes[512..512 + text.len()].copy_from_slice(text.as_bytes());
        bytes[1536] = 7;
        file.write_all_at(&bytes, 0).unwrap();
        file
    }

    #[test]
    fn the_number_of_a_vmdk_is_replaced_however_many_digits_it_had() {
        let described = |drawn: &str| {
            let file = disk(&format!(
                "version=1\nCID={drawn}\nparentCID=ffffffff\nRW 5\n"
            ));
            vmdk(&file, &[0xab; 32]).unwrap();
            let mut bytes = vec![0; 4 * SECTOR as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        let long = described("324c069c");
        assert!(long == described("c06"), "the same bytes");
        let expected = b"version=1\nCID=abababab\nparentCID=ffffffff\nRW 5\n\0";
        assert_eq!(long[512..512 + expected.len()], expected[..]);
        assert_eq!(long[1536], 7, "what follows stays");
    }

    #[test]
    fn what_qemu_img_is_not_known_to_write_is_refused() {
        for file in [disk("version=1\n"), tempfile_of(b"conectiX")] {
            assert!(vmdk(&file, &[0; 32]).is_err());
        }
        let error = vhd(&tempfile_of(&[0; 512]), &[0; 32]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "qemu-img has written a vhd of an unknown kind"
        );
    }

    #[test]
    fn the_footer_of_a_vhd_has_a_sum_that_counts_everything_else() {
        let mut footer = [0; 512];
        footer[..8].copy_from_slice(b"conectix");
        footer[100..].fill(3);
        let file = tempfile_of(&footer);
        vhd(&file, &[0xff; 32]).unwrap();
        file.read_exact_at(&mut footer, 0).unwrap();
        let sum = u32::from_be_bytes(footer[64..68].try_into().unwrap());
        footer[64..68].fill(0);
        let all: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(sum, !all);
        assert_eq!(footer[74], 0x8f, "the version of the UUID");
    }

    fn tempfile_of(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }
}
