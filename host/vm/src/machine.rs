//! [`Machine`]: everything that QEMU is told, as a value, and the command line that it becomes.

mod devices;
pub mod share;

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use nodeos_spec::{application, cmdline};

use crate::accel::Accel;
use crate::argv::{Argv, join};
use crate::machine::share::Share;
use crate::process;
use crate::tuning;

/// The memory of a machine unless it is told otherwise, in MiB.
const DEFAULT_MEMORY_MIB: u32 = 256;
/// What the kernel is told of QEMU's user-mode network, whose addresses are always these (qemu(1), `-netdev user`): the
/// machine's own address, the gateway, the netmask, the host name, which would be the address otherwise, no protocol to ask by, and the name
/// server. To ask by DHCP would take the boot a pause for the same answer.
const NETWORK_WORD: &str = "ip=10.0.2.15::10.0.2.2:255.255.255.0:nodeos::off:10.0.2.3";

/// A machine that is to be.
#[derive(Debug, Clone)]
pub struct Machine {
    pub accel: Accel,
    /// In MiB.
    pub memory_mib: u32,
    /// How many processors it has.
    pub cpus: u32,
    /// ELF vmlinux with a PVH note, or a bzImage.
    pub kernel: PathBuf,
    pub root: Root,
    /// Images beside the root that belong to the system too, the lowest first. They reach the machine as the root does.
    pub layers: Vec<MappedImage>,
    /// Words for the kernel beyond those that the machine itself needs. They come last, so they win.
    pub append: Vec<String>,
    /// Disks beside the root, which the machine may write to: raw images, in the order of their names in it.
    pub disks: Vec<PathBuf>,
    /// Folders of the host that the machine can mount.
    pub shares: Vec<Share>,
    pub network: Network,
    pub ports: Vec<PortForward>,
    pub console: ConsoleTo,
    pub screen: Screen,
    pub channels: Vec<Channel>,
    /// Certificates that Node.js in the machine trusts beside its own, as text (RFC 7468).
    pub authorities: Option<PathBuf>,
    /// Files of the host that the machine can read, without a disk.
    pub files: Vec<HostFile>,
    /// The socket of QMP, QEMU's control protocol.
    pub qmp_socket: Option<PathBuf>,
    /// What QEMU does with that socket.
    pub qmp_end: SocketEnd,
    pub on_reboot: OnReboot,
    /// The kind of terminal that shows the console, for `TERM`.
    pub term: Option<String>,
    /// Columns and rows of that terminal.
    pub console_size: Option<(u16, u16)>,
    /// Passed on to QEMU as they are, last.
    pub extra: Vec<OsString>,
}

/// What the kernel's root filesystem is, and how it reaches the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// An EROFS image on virtio-pmem, mapped from the host's page cache. Its size in bytes must be a multiple of
    /// 2 MiB.
    Pmem { image: PathBuf, size: u64 },
    /// An EROFS image on a read-only virtio disk.
    Disk { image: PathBuf },
    /// A cpio archive, maybe compressed, that the kernel unpacks into memory.
    Initramfs { archive: PathBuf },
    /// The kernel and nothing else, which needs none: the probe of an accelerator.
    None,
}

impl Root {
    /// The same, for a hypervisor that maps no images.
    pub fn on_disk(&self) -> Root {
        match self {
            Root::Pmem { image, .. } => Root::Disk {
                image: image.clone(),
            },
            other => other.clone(),
        }
    }
}

/// An EROFS image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedImage {
    pub image: PathBuf,
    /// In bytes: a multiple of 2 MiB where it is to be mapped.
    pub size: u64,
}

/// The machine's network card, behind which is QEMU's user-mode network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// None, unless there are ports; then as [`Network::ByTheKernel`].
    ForPorts,
    /// The kernel gives it its address.
    ByTheKernel,
    /// The system itself will, when it runs.
    ByTheSystem,
}

/// `--port [ADDRESS:]HOST:GUEST`: TCP, from the host to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortForward {
    /// The host's address that it is heard at; the loopback's unless others are to reach it.
    pub address: Ipv4Addr,
    pub host: u16,
    pub guest: u16,
}

/// Where the serial console goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleTo {
    /// The terminal that called us, with QEMU's Ctrl-A keys.
    Terminal,
    /// Standard input and output as pipes, bytes unchanged.
    Pipes,
}

/// What the machine shows itself on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// No graphics adapter; the serial port is the console.
    None,
    /// A graphics adapter and a keyboard whose window QEMU opens; the screen is the console.
    Window,
    /// A graphics adapter and a keyboard that only QMP sees (`screendump`); the screen is the console.
    Hidden,
}

/// What happens when the machine restarts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReboot {
    Restart,
    /// QEMU ends, as if it were powered off.
    Exit,
}

/// A virtio-serial port whose host end is a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The port's name in the machine.
    pub name: String,
    pub socket: PathBuf,
    /// What QEMU does with the socket.
    pub qemu: SocketEnd,
}

/// Which end of a Unix socket somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// Whoever wants to talk connects, and may come and go.
    Listens,
    /// Somebody must be listening before QEMU starts: from its first moment on the machine is heard.
    Connects,
}

/// A file that the machine's firmware configuration device passes on (docs/specs/fw_cfg.rst of QEMU). It is to be short: Linux reads
/// it a byte at a time, and for each page from the first byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// `opt/` and a name with a reversed domain in it: everything else is QEMU's own.
    pub name: String,
    pub path: PathBuf,
}

impl PortForward {
    /// From this host only.
    pub fn local(host: u16, guest: u16) -> PortForward {
        PortForward {
            address: Ipv4Addr::LOCALHOST,
            host,
            guest,
        }
    }
}

impl HostFile {
    /// Where its contents are in the machine (Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg).
    pub fn path_in_machine(&self) -> String {
        format!("/sys/firmware/qemu_fw_cfg/by_name/{}/raw", self.name)
    }
}

impl Machine {
    /// A machine under emulation with one processor, its console on pipes and nothing else attached.
    pub fn new(kernel: PathBuf, root: Root) -> Machine {
        Machine {
            accel: Accel::Tcg,
            memory_mib: DEFAULT_MEMORY_MIB,
            cpus: 1,
            kernel,
            root,
            layers: Vec::new(),
            append: Vec::new(),
            disks: Vec::new(),
            shares: Vec::new(),
            network: Network::ForPorts,
            ports: Vec::new(),
            console: ConsoleTo::Pipes,
            screen: Screen::None,
            channels: Vec::new(),
            authorities: None,
            files: Vec::new(),
            qmp_socket: None,
            qmp_end: SocketEnd::Listens,
            on_reboot: OnReboot::Exit,
            term: None,
            console_size: None,
            extra: Vec::new(),
        }
    }

    /// QEMU's whole command line, program first.
    pub fn argv(&self) -> Vec<OsString> {
        let mut argv = Argv::new(process::program());
        argv.option("-accel", self.accel.as_str());
        argv.option("-cpu", tuning::cpu(self.accel));
        argv.option("-M", tuning::machine(self));
        argv.option("-smp", self.cpus.to_string());
        argv.flags(&["-nodefaults", "-no-user-config"]);
        if tuning::has_fast_firmware(self) {
            argv.option("-bios", tuning::FAST_FIRMWARE);
        }
        if self.on_reboot == OnReboot::Exit {
            argv.flags(&["-no-reboot"]);
        }
        // A kernel that panics tells QEMU, which ends with a failure: a broken system is not restarted for ever.
        argv.option("-device", "pvpanic-pci");
        argv.option("-action", "panic=exit-failure");
        devices::add(self, &mut argv);
        if let Some(socket) = &self.qmp_socket {
            let end = match self.qmp_end {
                SocketEnd::Listens => ",server=on,wait=off",
                SocketEnd::Connects => "",
            };
            argv.option("-qmp", join(&["unix:", end], &[socket]));
        }
        argv.option("-kernel", &self.kernel);
        if let Root::Initramfs { archive } = &self.root {
            argv.option("-initrd", archive);
        }
        argv.option("-append", self.command_line());
        argv.words(&self.extra);
        argv.finish()
    }

    /// The device that the disk at this place of [`Machine::disks`] is in the machine.
    ///
    /// # Panics
    /// Where there are more than 25 disks: nobody has, and their names get a second letter then.
    pub fn disk_device(&self, index: usize) -> String {
        let before = match self.root {
            Root::Pmem { .. } => 0,
            Root::Disk { .. } => 1 + self.layers.len(),
            Root::Initramfs { .. } | Root::None => self.layers.len(),
        };
        disk_name(before + index)
    }

    /// The device that the image at this place of [`Machine::layers`] is in the machine.
    ///
    /// # Panics
    /// As [`Machine::disk_device`].
    pub fn layer_device(&self, index: usize) -> String {
        match self.root {
            Root::Pmem { .. } => format!("/dev/pmem{}", 1 + index),
            Root::Disk { .. } => disk_name(1 + index),
            Root::Initramfs { .. } | Root::None => disk_name(index),
        }
    }

    /// The kernel's command line, as `-append` has it.
    pub fn command_line(&self) -> String {
        // The last console is /dev/console (Documentation/admin-guide/serial-console.rst).
        let mut words = vec!["console=ttyS0".to_owned()];
        if self.screen != Screen::None {
            words.push("console=tty0".to_owned());
        }
        // A kernel that cannot tell QEMU that it panics restarts at once, which OnReboot then decides about.
        words.extend(["quiet", "panic=-1"].map(str::to_owned));
        words.extend(
            tuning::kernel_words(self)
                .iter()
                .map(|word| (*word).to_owned()),
        );
        let image_words =
            |device: &str| ["ro", device, "rootfstype=erofs", "init=/init"].map(str::to_owned);
        match &self.root {
            Root::Pmem { .. } => {
                words.extend(image_words("root=/dev/pmem0"));
                words.push("rootflags=dax=always".to_owned());
            }
            Root::Disk { .. } => words.extend(image_words("root=/dev/vda")),
            // The default, tmpfs, gives an archive half of the memory at most.
            Root::Initramfs { .. } => words.push("rootfstype=ramfs".to_owned()),
            Root::None => {}
        }
        if !self.layers.is_empty() {
            let devices: Vec<String> = (0..self.layers.len())
                .map(|index| self.layer_device(index))
                .collect();
            words.push(format!("{}={}", application::LAYERS, devices.join(",")));
        }
        // The screen is a Linux console whatever terminal we were started from.
        if self.screen == Screen::None {
            words.extend(self.term.iter().map(|term| format!("TERM={term}")));
            let size = self
                .console_size
                .map(|(columns, rows)| format!("nodeos.console={columns}x{rows}"));
            words.extend(size);
        }
        if self.network() == Some(Network::ByTheKernel) {
            words.push(NETWORK_WORD.to_owned());
        }
        if self.authorities.is_some() {
            let device = self.disk_device(self.disks.len());
            words.push(format!("{}={device}", cmdline::AUTHORITIES));
        }
        words.extend(self.append.iter().cloned());
        words.join(" ")
    }

    /// Who gives the network card its address, if there is one.
    fn network(&self) -> Option<Network> {
        match self.network {
            Network::ForPorts => (!self.ports.is_empty()).then_some(Network::ByTheKernel),
            network => Some(network),
        }
    }
}

fn disk_name(index: usize) -> String {
    let letter = u8::try_from(index)
        .ok()
        .filter(|at| *at < 26)
        .map(|at| char::from(b'a' + at))
        .expect("a machine has a few disks");
    format!("/dev/vd{letter}")
}

#[cfg(test)]
mod tests;
