//! A PC as firmware sees it: it has a disk, and boots what is on that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nodeos_build::assemble::{self, UsersOrder};
use nodeos_build::recipe::{Format, Recipe};
use nodeos_vm::process;

use crate::boot::{BOOT, Boot, Scratch};
use crate::people::Person;
use crate::system;

/// UEFI for QEMU: its code, and the variables that it begins with.
const UEFI: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
];

/// What starts the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

/// How the disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    Virtio,
    Ahci,
    Nvme,
    /// NVMe with sectors of 4096 bytes.
    Nvme4096,
    Ide,
    Usb,
    /// Not a disk: a CD in its drive.
    Cd,
}

/// A PC that is switched off.
#[derive(Debug)]
pub struct Pc {
    pub scratch: Scratch,
    pub disk: PathBuf,
    /// What QEMU calls the kind of file that it is.
    pub driver: &'static str,
    pub firmware: Firmware,
    pub attachment: Attachment,
    /// Other disks, attached as virtio, none of which boots.
    pub others: Vec<PathBuf>,
}

impl Pc {
    /// With a disk of the recipe's, as `nodeos build --format disk` makes it.
    pub fn new(name: &str, recipe: &Recipe, firmware: Firmware) -> anyhow::Result<Pc> {
        let scratch = Scratch::new(name)?;
        let disk = build(recipe, &scratch.dir.join("out"))?;
        Ok(Pc::with(scratch, disk, firmware))
    }

    /// With this disk.
    pub fn with(scratch: Scratch, disk: PathBuf, firmware: Firmware) -> Pc {
        Pc {
            scratch,
            disk,
            driver: "raw",
            firmware,
            attachment: Attachment::Virtio,
            others: Vec::new(),
        }
    }

    /// Switches it on.
    pub fn start(&self) -> anyhow::Result<Boot> {
        self.start_in("user,model=e1000")
    }

    /// Switches it on, in a network where connections to the host's port are passed on to one of the machine.
    pub fn start_forwarding(&self, host: u16, guest: u16) -> anyhow::Result<Boot> {
        self.start_in(&format!(
            "user,model=e1000,hostfwd=tcp:127.0.0.1:{host}-:{guest}"
        ))
    }

    fn start_in(&self, network: &str) -> anyhow::Result<Boot> {
        let mut argv = vec![process::program()];
        let mut words = |words: &[&str]| argv.extend(words.iter().map(OsString::from));
        words(&["-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults"]);
        words(&["-no-user-config", "-display", "none", "-serial", "stdio"]);
        words(&["-no-reboot", "-action", "panic=exit-failure"]);
        words(&["-device", "pvpanic-pci", "-nic", network]);
        // IDE is what the older of QEMU's two PCs has, and AHCI the newer one.
        let chipset = match self.attachment {
            Attachment::Ide => "pc",
            _ => "q35",
        };
        words(&["-M", chipset]);
        if self.firmware == Firmware::Uefi {
            let variables = self.scratch.dir.join("variables.fd");
            let [code, fresh] = UEFI;
            fs::copy(fresh, &variables).context("OVMF: apt-get install ovmf")?;
            let flash = |file: &str| format!("if=pflash,format=raw,file={file}");
            words(&["-drive", &format!("{},readonly=on", flash(code))]);
            words(&["-drive", &flash(&variables.display().to_string())]);
        }
        let file = self.disk.display();
        let access = match self.attachment {
            Attachment::Cd => ",readonly=on",
            _ => "",
        };
        words(&[
            "-drive",
            &format!("if=none,id=disk,format={},file={file}{access}", self.driver),
        ]);
        let device = match self.attachment {
            Attachment::Virtio => "virtio-blk-pci",
            Attachment::Ahci | Attachment::Ide => "ide-hd",
            Attachment::Nvme => "nvme,serial=1",
            Attachment::Nvme4096 => {
                "nvme,serial=1,logical_block_size=4096,physical_block_size=4096"
            }
            Attachment::Usb => {
                words(&["-device", "qemu-xhci"]);
                "usb-storage"
            }
            Attachment::Cd => "ide-cd",
        };
        words(&["-device", &format!("{device},drive=disk,bootindex=0")]);
        for (number, other) in self.others.iter().enumerate() {
            let name = format!("other{number}");
            let file = other.display();
            words(&[
                "-drive",
                &format!("if=none,id={name},format=raw,file={file}"),
            ]);
            words(&["-device", &format!("virtio-blk-pci,drive={name}")]);
        }
        self.scratch.start(&argv)
    }

    /// Switches it on, up to the question for a name.
    pub fn boot(&self) -> anyhow::Result<Person> {
        let mut boot = self.start()?;
        boot.console
            .expect("username: ", BOOT)
            .context("nobody is asked for a name")?;
        Ok(Person { boot })
    }
}

/// The disk of a recipe, in the folder `out`.
pub fn build(recipe: &Recipe, out: &Path) -> anyhow::Result<PathBuf> {
    build_as(recipe, Format::Disk, out)
}

/// The most important file of a format, in the folder `out`.
pub fn build_as(recipe: &Recipe, format: Format, out: &Path) -> anyhow::Result<PathBuf> {
    let recipe = Recipe {
        profile: format.profile(),
        ..*recipe
    };
    let order = UsersOrder::default();
    let packed = assemble::pack(&system::context()?, &recipe, format, &order, out)?;
    let disk = packed.files.first().context("there is a file")?;
    Ok(disk.path.clone())
}
