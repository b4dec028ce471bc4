//! A disk boots: from the menu of its boot loader, so that firmware does not count, to the question for a name.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nodeos_build::recipe::Format;
use nodeos_vm::process;
use nodeos_vm::vm::Vm;

use super::pack::Site;
use crate::machine::{Moment, until};

/// UEFI for QEMU: its code, and the variables that it begins with.
const UEFI: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
];
/// Twenty times what it takes on an idle machine under emulation.
const BOOT: Duration = Duration::from_secs(300);
/// What the menu shows of the entry that is chosen.
const MENU: &str = "*NodeOS";
const NAME: &str = "username: ";

/// What starts the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Firmware {
    SeaBios,
    Ovmf,
}

impl Firmware {
    pub const ALL: &[Firmware] = &[Firmware::SeaBios, Firmware::Ovmf];
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Firmware::SeaBios => "SeaBIOS",
            Firmware::Ovmf => "OVMF",
        })
    }
}

/// From the key that ends the menu to the question, with a new disk on virtio. The plug is pulled at the end.
pub(super) fn boot(site: &Site, firmware: Firmware) -> anyhow::Result<Moment> {
    let disk = site.made(Format::Disk, "disk.img");
    let variables = disk.with_file_name("variables.fd");
    let argv = argv(firmware, &disk, &variables)?;
    let started = Instant::now();
    let mut vm = Vm::start(&argv)?;
    let menu = until(&mut vm, MENU, started, BOOT)?;
    vm.console.send("\r")?;
    Ok(until(&mut vm, NAME, started, BOOT)?.since(menu))
}

fn argv(
    firmware: Firmware,
    disk: &std::path::Path,
    variables: &PathBuf,
) -> anyhow::Result<Vec<OsString>> {
    let mut argv = vec![process::program()];
    let mut words = |words: &[&str]| argv.extend(words.iter().map(OsString::from));
    words(&["-accel", "tcg", "-cpu", "max", "-m", "512", "-M", "q35"]);
    words(&["-nodefaults", "-no-user-config", "-no-reboot"]);
    words(&["-display", "none", "-serial", "stdio", "-snapshot"]);
    words(&["-nic", "user,model=virtio"]);
    if firmware == Firmware::Ovmf {
        let [code, fresh] = UEFI;
        fs::copy(fresh, variables).context("OVMF: apt-get install ovmf")?;
        let flash = |file: &str| format!("if=pflash,format=raw,file={file}");
        words(&["-drive", &format!("{},readonly=on", flash(code))]);
        words(&["-drive", &flash(&variables.display().to_string())]);
    }
    let drive = format!("if=virtio,format=raw,file={}", disk.display());
    words(&["-drive", &drive]);
    Ok(argv)
}
