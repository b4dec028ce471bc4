//! GRUB, made of the host's packages: what the firmware of old and what UEFI starts.
//!
//! The firmware of old starts the first sector, `boot.img`. That loads the first sector of GRUB's core, `diskboot.img`, which
//! loads the rest of it. Where the next part is, each is told by numbers that `grub-bios-setup` would write, if it
//! could write to a file: here they are written by us. Their places are GRUB's own (include/grub/i386/pc/boot.h). From a CD other
//! parts of GRUB's are started, which are in [`cd`].

pub(super) mod cd;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Context;
use crate::fetch::checksum::sha256_of;
use crate::fetch::{UsedFile, UsedInput};
use crate::tool::{self, Tool, ToolError};

/// The program that puts GRUB together, and its package.
pub const PROGRAM: (&str, &str) = ("grub-mkimage", "grub-common");
/// A file of each platform's parts, and the packages that have them.
pub const PARTS: [(&str, &str); 2] = [
    ("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"),
    ("/usr/lib/grub/x86_64-efi/kernel.img", "grub-efi-amd64-bin"),
];

/// What both need: tables, files, Linux, a menu, sums, and waiting for a reader.
const MODULES: [&str; 14] = [
    "part_gpt",
    "fat",
    "normal",
    "linux",
    "configfile",
    "echo",
    "test",
    "hashsum",
    "gcry_sha256",
    "sleep",
    "reboot",
    "halt",
    "minicmd",
    "true",
];
/// The disks of the firmware of old, and a serial port, which UEFI's console is by itself.
const BIOS_MODULES: [&str; 3] = ["biosdisk", "serial", "terminal"];
/// With these, Linux is told where the screen is.
const UEFI_MODULES: [&str; 4] = ["efi_gop", "efi_uga", "video", "all_video"];

/// Where the menu lies on the partition that firmware reads.
pub(super) const FOLDER: &str = "nodeos";

/// What is made.
const CORE: &str = "core.img";
const PROGRAM_OF_UEFI: &str = "bootx64.efi";

/// A sector's size for the firmware of old.
const SECTOR: usize = 512;
/// In `boot.img`: the sector where the core begins.
const KERNEL_SECTOR: usize = 0x5c;
/// In `boot.img`: a jump that does not believe the firmware that there is a hard disk. Two bytes that do nothing do.
const DRIVE_CHECK: usize = 0x66;
const NO_OPERATION: [u8; 2] = [0x90, 0x90];
/// In `diskboot.img`: the sector where the rest begins. How many they are is there already.
const REST_SECTOR: usize = SECTOR - 12;

/// What the firmware of old starts.
#[derive(Debug)]
pub(super) struct Bios {
    /// The code of the first sector, without the table of partitions.
    pub(super) boot: Vec<u8>,
    /// For a partition of its own.
    pub(super) core: Vec<u8>,
}

/// Why there is no boot loader.
#[derive(Debug, thiserror::Error)]
pub enum MakeLoaderError {
    #[error("cannot make the boot loader")]
    Tool(#[source] ToolError),
    #[error("GRUB is not installed: there is no {}", .path.display())]
    Missing { path: PathBuf, package: String },
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not what GRUB 2 has there", .path.display())]
    Unknown { path: PathBuf },
}

impl MakeLoaderError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            MakeLoaderError::Tool(e) => e.hint(),
            MakeLoaderError::Missing { package, .. } => {
                Some(format!("install it: sudo apt-get install {package}"))
            }
            _ => None,
        }
    }

    /// Whether something that is needed is not installed.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            MakeLoaderError::Missing { .. } | MakeLoaderError::Tool(ToolError::Missing { .. })
        )
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, MakeLoaderError::Tool(e) if e.is_cancelled())
    }
}

/// GRUB for the firmware of old. `partition` has the menu, counted from 1.
pub(super) fn bios(
    ctx: &Context,
    partition: usize,
    scratch: &Path,
) -> Result<Bios, MakeLoaderError> {
    let [(boot, package), _] = PARTS;
    let boot = read_part(Path::new(boot), package)?;
    let core = scratch.join(CORE);
    // The disk is the one that the firmware has started.
    let prefix = format!("(,gpt{partition})/{FOLDER}");
    let modules = [&MODULES[..], &BIOS_MODULES].concat();
    make(ctx, "i386-pc", &["--prefix", &prefix], &modules, &core)?;
    let core = read(&core)?;
    Ok(Bios { boot, core })
}

impl Bios {
    /// Tells both parts that the core lies from the sector `core` on.
    pub(super) fn place(&mut self, core: u64) {
        put(&mut self.boot, KERNEL_SECTOR, &core.to_le_bytes());
        put(&mut self.boot, DRIVE_CHECK, &NO_OPERATION);
        put(&mut self.core, REST_SECTOR, &(core + 1).to_le_bytes());
        // Behind it are the disk's number and the table of partitions.
        self.boot.truncate(440);
    }
}

/// GRUB as a program of UEFI's, whose menu is on the partition that it is started from.
pub(super) fn uefi(ctx: &Context, scratch: &Path) -> Result<Vec<u8>, MakeLoaderError> {
    let [_, (part, package)] = PARTS;
    read_part(Path::new(part), package)?;
    let image = scratch.join(PROGRAM_OF_UEFI);
    let prefix = format!("/{FOLDER}");
    let modules = [&MODULES[..], &UEFI_MODULES].concat();
    make(ctx, "x86_64-efi", &["--prefix", &prefix], &modules, &image)?;
    read(&image)
}

/// Which GRUB it is, and the sums of what was made of it.
pub(super) fn used(ctx: &Context, scratch: &Path) -> Result<UsedInput, MakeLoaderError> {
    let mut command = Command::new(PROGRAM.0);
    command.arg("--version");
    let said = tool::capture(ctx, Tool::new(command, PROGRAM.1, "grub-version"))
        .map_err(MakeLoaderError::Tool)?;
    let version = said
        .split_whitespace()
        .last()
        .unwrap_or_default()
        .to_owned();
    let made = [CORE, PROGRAM_OF_UEFI].into_iter();
    let made = made.filter(|name| scratch.join(name).exists());
    let file = |name: &str| {
        let path = scratch.join(name);
        let (sha256, bytes) =
            sha256_of(&path).map_err(|source| MakeLoaderError::Read { path, source })?;
        Ok(UsedFile {
            name: name.to_owned(),
            version: version.clone(),
            sha256,
            bytes,
        })
    };
    Ok(UsedInput {
        name: "grub".to_owned(),
        provider: "this host's packages grub-pc-bin and grub-efi-amd64-bin".to_owned(),
        files: made.map(file).collect::<Result<_, _>>()?,
        version,
    })
}

fn make(
    ctx: &Context,
    platform: &str,
    words: &[&str],
    modules: &[&str],
    to: &Path,
) -> Result<(), MakeLoaderError> {
    let mut command = Command::new(PROGRAM.0);
    command
        .args(["--format", platform])
        .args(words)
        .arg("--output")
        .arg(to)
        .args(modules);
    let log = format!("grub-{platform}");
    tool::run(ctx, Tool::new(command, PROGRAM.1, &log), &mut |_| {})
        .map(drop)
        .map_err(MakeLoaderError::Tool)
}

/// A part of GRUB's that has to be there.
fn read_part(path: &Path, package: &str) -> Result<Vec<u8>, MakeLoaderError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(MakeLoaderError::Missing {
            path: path.to_owned(),
            package: package.to_owned(),
        }),
        Err(source) => Err(MakeLoaderError::Read {
            path: path.to_owned(),
            source,
        }),
        Ok(bytes) if bytes.len() < SECTOR => Err(MakeLoaderError::Unknown {
            path: path.to_owned(),
        }),
        Ok(bytes) => Ok(bytes),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, MakeLoaderError> {
    let bytes = fs::read(path).map_err(|source| MakeLoaderError::Read {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() < SECTOR {
        let path = path.to_owned();
        return Err(MakeLoaderError::Unknown { path });
    }
    Ok(bytes)
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_where_the_next_one_is() {
        let mut bios = Bios {
            boot: vec![0xaa; SECTOR],
            core: vec![0xaa; 3 * SECTOR],
        };
        bios.place(2048);
        assert_eq!(bios.boot[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!(bios.boot[0x66..0x68], [0x90, 0x90]);
        assert_eq!(bios.boot.len(), 440);
        assert_eq!(bios.core[500..508], 2049_u64.to_le_bytes());
        let rest = bios.core[..500].iter().chain(&bios.core[508..]);
        assert!(rest.into_iter().all(|byte| *byte == 0xaa));
    }

    #[test]
    fn a_part_that_is_missing_names_its_package() {
        let error = read_part(Path::new("/nowhere/boot.img"), "grub-pc-bin").unwrap_err();
        assert!(error.is_missing());
        assert_eq!(
            error.to_string(),
            "GRUB is not installed: there is no /nowhere/boot.img"
        );
        let hint = error.hint().unwrap();
        assert_eq!(hint, "install it: sudo apt-get install grub-pc-bin");
    }
}
