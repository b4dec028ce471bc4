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

use super::disk::{self, SECTOR, USERS_NAME};
use super::{Goods, Packed, PackedFile};
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
    let made = disk::image(goods, &raw).map_err(|error| match error {
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
        dir: dir.to_owned(),
        files: vec![PackedFile::at(path)?],
        users: None,
        run_script: None,
        kernel_release: Some(goods.kernel().release.clone()),
        inputs: made.inputs,
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

/// A version 8 UUID: one that is made in a way of one's own (RFC 9562).
fn uuid(number: &[u8; 32]) -> [u8; 16] {
    let mut uuid: [u8; 16] = std::array::from_fn(|index| number[index]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// The number of this state of the contents, in the text that describes the disk (VMware's "Virtual Disk Format", 5.0).
fn vmdk(file: &File, number: &[u8; 32]) -> io::Result<()> {
    const WORD: &[u8] = b"\nCID=";
    const DIGITS: usize = 8;
    // The text lies in the sectors behind the header.
    let mut head = vec![0; 4096];
    file.read_exact_at(&mut head, 0)?;
    let found = head.windows(WORD.len()).position(|window| window == WORD);
    let at = found.ok_or_else(|| unknown("vmdk"))? + WORD.len();
    let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all_at(&digits.as_bytes()[..DIGITS], at as u64)
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
