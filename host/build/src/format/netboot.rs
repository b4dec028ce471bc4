//! The formats `initramfs` and `netboot`: a kernel and one archive, which is all that a machine needs that has nothing
//! but memory and a network card.

use std::path::{Path, PathBuf};

use super::{Goods, Packed};
use crate::assemble::image::file_name;
use crate::assemble::{BuildError, output};
use crate::fetch::checksum::sha256_of;
use crate::recipe::{Flavor, RootKind};

const KERNEL: &str = "kernel";
const SCRIPT: &str = "boot.ipxe";
/// As sha256sum(1) reads them.
const SUMS: &str = "SHA256SUMS";

/// Whether those who fetch the files can see that they have got them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    Left,
    Written,
}

pub(super) fn write(goods: &Goods<'_>, dir: &Path, sums: Sums) -> Result<Packed, BuildError> {
    let kernel = goods.kernel();
    let system = goods.system(RootKind::Initramfs)?;
    let archive = file_name(RootKind::Initramfs);
    let mut files: Vec<PathBuf> = [KERNEL, archive, SCRIPT].map(|name| dir.join(name)).into();
    // What boot loaders start; QEMU alone would take the other kind.
    output::link(&kernel.bzimage, &files[0])?;
    output::link(&system.path, &files[1])?;
    output::write(&files[2], &script(goods, archive), 0o644)?;
    if sums == Sums::Written {
        let text: Result<String, BuildError> = files.iter().map(|path| sum(path)).collect();
        let path = dir.join(SUMS);
        output::write(&path, &text?, 0o644)?;
        files.push(path);
    }
    Packed::of(goods, dir, files)
}

/// What iPXE is told. File names are relative to the script's own address.
fn script(goods: &Goods<'_>, archive: &str) -> String {
    let (title, words) = (goods.title(), goods.words());
    // The last console is the one that people work at.
    let consoles = match goods.recipe.flavor {
        Flavor::Mainframe => "console=tty0 console=ttyS0,115200",
        Flavor::Workstation => "console=ttyS0,115200 console=tty0",
    };
    format!(
        "#!ipxe\n\
         # Boots {title} from the folder of this script, over HTTP or TFTP:\n\
         #   chain http://SERVER/boot.ipxe\n\
         # initrd= is for UEFI, where the kernel asks for its archive by name.\n\
         kernel {KERNEL} initrd={archive} rootfstype=ramfs quiet panic=10 {consoles}{words} || goto failed\n\
         initrd {archive} || goto failed\n\
         boot || goto failed\n\
         :failed\n\
         echo {title} could not be loaded\n\
         shell\n"
    )
}

fn sum(path: &Path) -> Result<String, BuildError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match sha256_of(path) {
        Ok((sum, _)) => Ok(format!("{sum}  {name}\n")),
        Err(source) => Err(BuildError::Output {
            path: path.to_owned(),
            source,
        }),
    }
}
