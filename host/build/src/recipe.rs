//! What can be asked of a build: layer, flavor, architecture, libc, kernel profile and the kind of root; and the formats in
//! which the result can be packed, with the sectors of those that are disks.

/// An enum whose variants have names: on the command line, in paths and in messages.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every choice there is.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// Its name: on the command line and in paths.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseChoiceError;

            fn from_str(text: &str) -> Result<$name, ParseChoiceError> {
                let choice = $name::ALL.iter().find(|choice| choice.as_str() == text);
                choice.copied().ok_or_else(|| ParseChoiceError {
                    what: $what,
                    given: text.to_owned(),
                    choices: $name::ALL.iter().map(|choice| choice.as_str()).collect(),
                })
            }
        }
    };
}

/// The text names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a {what}: there is {}", .choices.join(", "))]
pub struct ParseChoiceError {
    /// What kind of thing was asked for.
    pub what: &'static str,
    /// What was given.
    pub given: String,
    /// What there is.
    pub choices: Vec<&'static str>,
}

choice! {
    /// How far up the system is built.
    Layer, "layer" {
        /// Kernel, init and Node.js: boots to the REPL.
        Barebones = "barebones",
        /// One application, which comes with images of its own: runs that and nothing else.
        Application = "application",
        /// A session for each user, from the users partition or in memory: runs everybody's `/init`.
        Initramfs = "initramfs",
        /// The users partition, a session for each user, login, shell and services.
        Usersfs = "usersfs",
    }
}

choice! {
    /// What the machine's console is.
    Flavor, "flavor" {
        /// The serial port; no screen.
        Mainframe = "mainframe",
        /// A screen and a keyboard.
        Workstation = "workstation",
    }
}

choice! {
    /// The processor.
    Arch, "architecture" {
        X86_64 = "x86_64",
    }
}

choice! {
    /// The C library that Node.js is linked with.
    Libc, "libc" {
        Musl = "musl",
        Glibc = "glibc",
    }
}

choice! {
    /// How the result is packed.
    Format, "format" {
        /// Kernel, system image and a script that boots them.
        Qemu = "qemu",
        /// A disk with boot loader, system and users partition, for any PC or virtual machine.
        Disk = "disk",
        /// The same in two files: a disk with boot loader and system, and the users partition.
        Img = "img",
        /// A medium that is only read: a CD or DVD, or a stick with the same bytes.
        Iso = "iso",
        /// The disk as KVM and OpenStack take it.
        Qcow2 = "qcow2",
        /// The disk as VMware takes it.
        Vmdk = "vmdk",
        /// The disk as Azure and Hyper-V take it.
        Vhd = "vhd",
        /// The disk as VirtualBox takes it.
        Vdi = "vdi",
        /// The disk as Google Compute Engine takes it.
        Gce = "gce",
        /// A folder with the image of a container, as the Open Container Initiative describes it.
        Oci = "oci",
        /// The same as an archive for `docker load`.
        Docker = "docker",
        /// The root filesystem of a container as an archive.
        Tar = "tar",
        /// The same for the Windows Subsystem for Linux.
        Wsl = "wsl",
        /// Kernel and one archive with the system, which are loaded into memory: from a network, for instance.
        Initramfs = "initramfs",
        /// The same as a server offers it, with checksums.
        Netboot = "netboot",
    }
}

choice! {
    /// The size of a disk's sectors in bytes.
    SectorSize, "sector size" {
        /// What almost all disks have, or say that they have.
        Of512 = "512",
        /// What some disks of servers have. Only UEFI boots from them.
        Of4096 = "4096",
    }
}

choice! {
    /// What the kernel's root filesystem is.
    RootKind, "root" {
        /// An EROFS image mapped from the host's page cache through virtio-pmem.
        Pmem = "pmem",
        /// The same image on a read-only virtio disk.
        Disk = "disk",
        /// A cpio archive that the kernel unpacks into memory.
        Initramfs = "initramfs",
    }
}

choice! {
    /// A kernel configuration of `layers/barebones/kernel/`.
    Profile, "kernel profile" {
        /// Virtual machines: virtio and nothing else.
        Cloud = "cloud",
        /// Real hardware as well: screen, keyboard, USB, SATA, NVMe.
        Pc = "pc",
    }
}

/// Everything that the system is asked to be. How it is packed is a [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipe {
    pub layer: Layer,
    pub flavor: Flavor,
    pub arch: Arch,
    pub libc: Libc,
    pub root: RootKind,
    /// The kernel; none for the flavor's own.
    pub profile: Option<Profile>,
    /// Of the disk that it is packed as.
    pub sector_size: SectorSize,
}

impl Recipe {
    /// The smallest machine: a prompt.
    pub const BAREBONES: Recipe = Recipe {
        layer: Layer::Barebones,
        flavor: Flavor::Mainframe,
        arch: Arch::X86_64,
        libc: Libc::Musl,
        root: RootKind::Pmem,
        profile: None,
        sector_size: SectorSize::Of512,
    };

    /// The kernel that it gets.
    pub fn profile(&self) -> Profile {
        self.profile.unwrap_or(self.flavor.profile())
    }
}

impl Format {
    /// The kernel of a format that boots where only one will do; none where the flavor decides.
    pub fn profile(self) -> Option<Profile> {
        match self {
            Format::Qemu => None,
            Format::Disk | Format::Img | Format::Iso => Some(Profile::Pc),
            Format::Initramfs | Format::Netboot => Some(Profile::Pc),
            // What these machines are made of differs: SATA and e1000 with one, IDE with another, NVMe with a third.
            Format::Qcow2 | Format::Vmdk | Format::Vhd | Format::Vdi | Format::Gce => {
                Some(Profile::Pc)
            }
            Format::Oci | Format::Docker | Format::Tar | Format::Wsl => None,
        }
    }

    /// Whether it boots by itself. What does not runs on somebody else's kernel, without privileges.
    pub fn has_kernel(self) -> bool {
        !matches!(
            self,
            Format::Oci | Format::Docker | Format::Tar | Format::Wsl
        )
    }

    /// Who sits in front of it where nobody says: a PC has a screen and a keyboard, and so have the machines of desktops.
    /// Those of clouds and of networks have a serial console.
    pub fn flavor(self) -> Flavor {
        match self {
            Format::Disk | Format::Img | Format::Iso => Flavor::Workstation,
            Format::Vmdk | Format::Vdi => Flavor::Workstation,
            _ => Flavor::Mainframe,
        }
    }

    /// Whether it can be said how the root filesystem reaches the machine.
    pub fn has_roots(self) -> bool {
        self == Format::Qemu
    }

    /// What an application stands upon in it: without a kernel there is no program that would run it but `init`.
    pub fn below_applications(self) -> Layer {
        match self.has_kernel() {
            true => Layer::Application,
            false => Layer::Barebones,
        }
    }

    /// Whether it has room for files that are somebody's, which no later build replaces.
    pub fn keeps_files(self) -> bool {
        match self {
            Format::Qemu
            | Format::Disk
            | Format::Img
            | Format::Qcow2
            | Format::Vmdk
            | Format::Vhd
            | Format::Vdi
            | Format::Gce => true,
            Format::Oci
            | Format::Docker
            | Format::Tar
            | Format::Wsl
            | Format::Iso
            | Format::Initramfs
            | Format::Netboot => false,
        }
    }

    /// Whether it can have sectors of that size. A CD has its own, and so have the files of hypervisors and clouds, but for QEMU's.
    pub fn has_sectors(self, size: SectorSize) -> bool {
        let has_both = matches!(self, Format::Disk | Format::Img | Format::Qcow2);
        has_both || size == SectorSize::Of512
    }

    /// Whether a users partition comes with it.
    pub fn has_users(self) -> bool {
        self.has_kernel() && !matches!(self, Format::Iso | Format::Initramfs | Format::Netboot)
    }

    /// Whether it is made of that layer. Sessions take a kernel of one's own: without one there is nothing that the layer
    /// initramfs could do.
    pub fn takes(self, layer: Layer) -> bool {
        match layer {
            Layer::Barebones | Layer::Usersfs => true,
            Layer::Initramfs | Layer::Application => self.has_kernel(),
        }
    }
}

impl SectorSize {
    /// The one with so many bytes; None where no image is made for such.
    pub fn of(bytes: u64) -> Option<SectorSize> {
        let mut sizes = SectorSize::ALL.iter().copied();
        sizes.find(|size| size.bytes() == bytes)
    }

    pub fn bytes(self) -> u64 {
        match self {
            SectorSize::Of512 => 512,
            SectorSize::Of4096 => 4096,
        }
    }
}

impl Arch {
    /// What images of containers call it: the name that Go has for it.
    pub fn container_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
        }
    }
}

impl Layer {
    /// Whether a users partition is made for it.
    pub fn has_users(self) -> bool {
        match self {
            Layer::Barebones | Layer::Application | Layer::Initramfs => false,
            Layer::Usersfs => true,
        }
    }
}

impl Flavor {
    /// The kernel that this flavor needs in a virtual machine.
    pub fn profile(self) -> Profile {
        match self {
            Flavor::Mainframe => Profile::Cloud,
            Flavor::Workstation => Profile::Pc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for root in RootKind::ALL {
            assert_eq!(root.as_str().parse(), Ok(*root));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_what_there_is() {
        let error = "floppy".parse::<RootKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"floppy\" is not a root: there is pmem, disk, initramfs"
        );
    }
}
