//! From what was asked for and what this host has to the machine that will be started. Pure: nothing here runs anything.

pub mod application;
pub mod formats;

use std::ffi::OsString;

use nodeos_build::assemble::{Renewal, UsersOrder};
use nodeos_build::recipe::{Flavor, Format, Layer, Profile, RootKind, SectorSize};
use nodeos_vm::machine::PortForward;
use thiserror::Error;

use crate::memory::{self, Memory};

/// Why there is no machine that does what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("a mainframe has no screen to display")]
    NoScreen,
    #[error("the layer {layer} has no users partition")]
    NoUsers { layer: Layer },
    #[error(
        "the format {format} cannot be made of the layer {layer}: its sessions take a kernel of their own"
    )]
    NoSessions { format: Format, layer: Layer },
    #[error("the format {format} cannot be made of the layer {layer} alone: it has no application")]
    NoApplication { format: Format, layer: Layer },
    #[error("{flag} means nothing to an application in the format {format}")]
    Meaningless { format: Format, flag: &'static str },
    #[error("the format {format} has no kernel")]
    NoKernel { format: Format },
    #[error("the format {format} has no users partition")]
    NoPartition { format: Format },
    #[error("the format {format} has one kind of root, which cannot be chosen")]
    NoRoot { format: Format },
    #[error("the format {format} cannot have sectors of {size} bytes")]
    NoSectors { format: Format, size: SectorSize },
    #[error("port {host} of this host was given twice")]
    PortTwice { host: u16 },
    #[error("this QEMU has no virtio-pmem device, which --root pmem needs")]
    NoPmem,
    #[error("this QEMU cannot open windows")]
    NoWindow,
    #[error("there is no desktop to open a window on: neither DISPLAY nor WAYLAND_DISPLAY is set")]
    NoDesktop,
    #[error(
        "{given_mib} MiB of memory are too little for an initramfs of this size: it needs at least {needed_mib} MiB"
    )]
    InitramfsMemory { given_mib: u32, needed_mib: u64 },
}

impl PlanError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PlanError::NoScreen => "leave --flavor away, or give --flavor workstation".to_owned(),
            PlanError::NoUsers { .. } => {
                "leave --users and --fresh away, or give --layer usersfs".to_owned()
            }
            PlanError::NoSessions { .. } => {
                "give --layer usersfs, which has a shell, or --layer barebones, which has Node.js"
                    .to_owned()
            }
            PlanError::NoApplication { .. } => {
                "give --layer barebones: that is what applications stand upon".to_owned()
            }
            PlanError::Meaningless { flag, .. } => format!("leave {flag} away"),
            PlanError::NoKernel { .. } => "leave --profile away".to_owned(),
            PlanError::NoPartition { format } if format.has_kernel() => {
                "leave --users, --users-size and --fresh away; --format img makes a users partition by itself"
                    .to_owned()
            }
            PlanError::NoPartition { .. } => {
                "leave --users-size and --fresh away: homes are as large as the container allows"
                    .to_owned()
            }
            PlanError::NoRoot { .. } => "leave --root away".to_owned(),
            PlanError::NoSectors { .. } => {
                "leave --sector-size away; --format disk, img and qcow2 can have both".to_owned()
            }
            PlanError::PortTwice { .. } => {
                "give each --port another number before the colon".to_owned()
            }
            PlanError::NoPmem => "leave --root away, or give --root disk".to_owned(),
            PlanError::NoWindow => "install it: sudo apt-get install qemu-system-gui".to_owned(),
            PlanError::NoDesktop => {
                "run it on a desktop, or look at the screen with VNC: -- -display vnc=127.0.0.1:0"
                    .to_owned()
            }
            PlanError::InitramfsMemory { needed_mib, .. } => {
                format!("give --memory {needed_mib}M, or --root pmem, whose image takes no memory")
            }
        })
    }

    /// True where the command line contradicts itself, whatever the host has.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            PlanError::NoScreen
                | PlanError::NoUsers { .. }
                | PlanError::NoSessions { .. }
                | PlanError::NoApplication { .. }
                | PlanError::Meaningless { .. }
                | PlanError::NoKernel { .. }
                | PlanError::NoPartition { .. }
                | PlanError::NoRoot { .. }
                | PlanError::NoSectors { .. }
                | PlanError::PortTwice { .. }
        )
    }
}

/// Whether the format is one that this layer can have, and flags mean something in it. `partition` is whether something was
/// asked for that only a users partition has.
pub fn format(
    format: Format,
    layer: Layer,
    profile: Option<Profile>,
    partition: Option<u64>,
) -> Result<(), PlanError> {
    if !format.takes(layer) {
        return Err(match layer {
            Layer::Application => PlanError::NoApplication { format, layer },
            _ => PlanError::NoSessions { format, layer },
        });
    }
    match (format.has_kernel(), profile, partition) {
        (false, Some(_), _) => Err(PlanError::NoKernel { format }),
        (false, None, Some(_)) => Err(PlanError::NoPartition { format }),
        _ => Ok(()),
    }
}

/// Whether a window with the machine's screen was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    Window,
    None,
}

/// The flavor to build where none was named: a display needs a kernel that draws on it.
pub fn flavor(given: Option<Flavor>, display: Display) -> Result<Flavor, PlanError> {
    match (given, display) {
        (Some(Flavor::Mainframe), Display::Window) => Err(PlanError::NoScreen),
        (Some(flavor), _) => Ok(flavor),
        (None, Display::Window) => Ok(Flavor::Workstation),
        (None, Display::None) => Ok(Flavor::Mainframe),
    }
}

/// What a window needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desktop {
    /// A graphical session is running.
    pub is_there: bool,
    /// QEMU can open windows on it.
    pub qemu_opens_windows: bool,
}

/// Refuses a window that could not be seen. `extra` may name a display of the user's own.
pub fn window(display: Display, desktop: Desktop, extra: &[OsString]) -> Result<(), PlanError> {
    let is_display = |word: &OsString| {
        ["-display", "-vnc", "-spice", "-nographic"]
            .iter()
            .any(|flag| word == flag)
    };
    match display {
        Display::None => Ok(()),
        Display::Window if extra.iter().any(is_display) => Ok(()),
        Display::Window if !desktop.is_there => Err(PlanError::NoDesktop),
        Display::Window if !desktop.qemu_opens_windows => Err(PlanError::NoWindow),
        Display::Window => Ok(()),
    }
}

/// Whether this host's QEMU can map an image from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pmem {
    Has,
    HasNot,
}

/// The root to build where none was named, and what to tell the user about it.
pub fn root(
    given: Option<RootKind>,
    pmem: Pmem,
) -> Result<(RootKind, Option<&'static str>), PlanError> {
    match (given, pmem) {
        (Some(RootKind::Pmem), Pmem::HasNot) => Err(PlanError::NoPmem),
        (Some(root), _) => Ok((root, None)),
        (None, Pmem::Has) => Ok((RootKind::Pmem, None)),
        (None, Pmem::HasNot) => Ok((
            RootKind::Disk,
            Some("this QEMU has no virtio-pmem: the system is a disk, which takes more memory"),
        )),
    }
}

/// Refuses a port of the host that is given twice.
pub fn ports(ports: &[PortForward]) -> Result<(), PlanError> {
    for (index, port) in ports.iter().enumerate() {
        if ports[..index]
            .iter()
            .any(|earlier| overlap(*earlier, *port))
        {
            return Err(PlanError::PortTwice { host: port.host });
        }
    }
    Ok(())
}

/// Whether both cannot be listened on at once: all addresses are every single one, too.
fn overlap(one: PortForward, other: PortForward) -> bool {
    let is_every = one.address.is_unspecified() || other.address.is_unspecified();
    one.host == other.host && (is_every || one.address == other.address)
}

/// Refuses what is said about the users partition of a layer without one.
pub fn users(layer: Layer, order: &UsersOrder) -> Result<(), PlanError> {
    let is_asked_for = order.folder.is_some() || order.renewal == Renewal::Fresh;
    if is_asked_for && !layer.has_users() {
        return Err(PlanError::NoUsers { layer });
    }
    Ok(())
}

/// Refuses a kind of root where the format decides.
pub fn root_of_format(format: Format, given: Option<RootKind>) -> Result<(), PlanError> {
    match given {
        Some(_) if !format.has_roots() => Err(PlanError::NoRoot { format }),
        _ => Ok(()),
    }
}

/// What a machine needs on which nobody counts: npm alone takes 100 MiB.
pub fn default_memory(layer: Layer) -> Memory {
    Memory {
        mib: if layer.has_users() { 512 } else { 256 },
    }
}

/// Refuses memory into which the archive and its contents do not fit, before the kernel runs out of it half way.
pub fn initramfs_memory(
    memory: Memory,
    archive_bytes: u64,
    unpacked_bytes: u64,
) -> Result<(), PlanError> {
    let needed_mib = memory::needed_for_initramfs(archive_bytes, unpacked_bytes);
    if u64::from(memory.mib) < needed_mib {
        return Err(PlanError::InitramfsMemory {
            given_mib: memory.mib,
            needed_mib,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_makes_a_workstation() {
        assert_eq!(flavor(None, Display::None), Ok(Flavor::Mainframe));
        assert_eq!(flavor(None, Display::Window), Ok(Flavor::Workstation));
        assert_eq!(
            flavor(Some(Flavor::Workstation), Display::None),
            Ok(Flavor::Workstation)
        );
        assert_eq!(
            flavor(Some(Flavor::Mainframe), Display::Window),
            Err(PlanError::NoScreen)
        );
    }

    #[test]
    fn a_window_needs_a_desktop_and_a_qemu_that_opens_it() {
        let check = |is_there, qemu_opens_windows, extra: &[&str]| {
            let extra: Vec<OsString> = extra.iter().map(OsString::from).collect();
            window(
                Display::Window,
                Desktop {
                    is_there,
                    qemu_opens_windows,
                },
                &extra,
            )
        };
        assert_eq!(check(true, true, &[]), Ok(()));
        assert_eq!(check(false, true, &[]), Err(PlanError::NoDesktop));
        assert_eq!(check(true, false, &[]), Err(PlanError::NoWindow));
        assert_eq!(
            check(false, false, &["-display", "vnc=127.0.0.1:0"]),
            Ok(())
        );
        assert_eq!(
            PlanError::NoWindow.hint().unwrap(),
            "install it: sudo apt-get install qemu-system-gui"
        );
    }

    #[test]
    fn the_root_of_a_disk_is_on_the_disk() {
        assert_eq!(root_of_format(Format::Qemu, Some(RootKind::Disk)), Ok(()));
        assert_eq!(root_of_format(Format::Disk, None), Ok(()));
        let error = root_of_format(Format::Disk, Some(RootKind::Pmem)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the format disk has one kind of root, which cannot be chosen"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn a_qemu_without_pmem_gets_a_disk_and_a_note() {
        assert_eq!(root(None, Pmem::Has), Ok((RootKind::Pmem, None)));
        assert_eq!(
            root(None, Pmem::HasNot),
            Ok((
                RootKind::Disk,
                Some("this QEMU has no virtio-pmem: the system is a disk, which takes more memory")
            ))
        );
        assert_eq!(
            root(Some(RootKind::Initramfs), Pmem::HasNot),
            Ok((RootKind::Initramfs, None))
        );
        let error = root(Some(RootKind::Pmem), Pmem::HasNot).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this QEMU has no virtio-pmem device, which --root pmem needs"
        );
        assert_eq!(
            error.hint().unwrap(),
            "leave --root away, or give --root disk"
        );
    }

    #[test]
    fn a_layer_without_users_takes_no_word_about_them() {
        let fresh = UsersOrder {
            renewal: Renewal::Fresh,
            ..UsersOrder::default()
        };
        assert_eq!(users(Layer::Usersfs, &fresh), Ok(()));
        assert_eq!(users(Layer::Barebones, &UsersOrder::default()), Ok(()));
        let error = users(Layer::Barebones, &fresh).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the layer barebones has no users partition"
        );
        assert_eq!(
            error.hint().unwrap(),
            "leave --users and --fresh away, or give --layer usersfs"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn a_port_of_the_host_can_be_given_once() {
        let forward = PortForward::local;
        assert_eq!(ports(&[forward(80, 1), forward(81, 1)]), Ok(()));
        assert_eq!(
            ports(&[forward(80, 1), forward(80, 2)]),
            Err(PlanError::PortTwice { host: 80 })
        );
        let at = |address: [u8; 4]| PortForward {
            address: address.into(),
            ..forward(80, 1)
        };
        assert_eq!(ports(&[at([127, 0, 0, 1]), at([127, 0, 0, 2])]), Ok(()));
        assert_eq!(
            ports(&[at([0, 0, 0, 0]), at([127, 0, 0, 2])]),
            Err(PlanError::PortTwice { host: 80 })
        );
    }

    #[test]
    fn an_initramfs_that_does_not_fit_is_refused_with_the_minimum() {
        assert_eq!(
            initramfs_memory(Memory { mib: 208 }, 50_160_000, 118_070_000),
            Ok(())
        );
        let error = initramfs_memory(Memory { mib: 207 }, 50_160_000, 118_070_000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "207 MiB of memory are too little for an initramfs of this size: it needs at least 208 MiB"
        );
        assert_eq!(
            error.hint().unwrap(),
            "give --memory 208M, or --root pmem, whose image takes no memory"
        );
    }
}
