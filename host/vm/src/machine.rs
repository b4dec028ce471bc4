//! [`Machine`]: everything that QEMU is told, as a value, and the command line that it becomes.

mod devices;

use std::ffi::OsString;
use std::path::PathBuf;

use nodeos_spec::cmdline;

use crate::accel::Accel;
use crate::argv::{Argv, join};
use crate::process;
use crate::tuning;

/// The memory of a machine unless it is told otherwise, in MiB.
const DEFAULT_MEMORY_MIB: u32 = 256;
/// What [`Machine::trust`] calls its file.
const AUTHORITIES: &str = "opt/org.nodeos/ca-bundle";
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
    /// Words for the kernel beyond those that the machine itself needs. They come last, so they win.
    pub append: Vec<String>,
    /// Disks beside the root, which the machine may write to: raw images, in the order of their names in it.
    pub disks: Vec<PathBuf>,
    pub network: Network,
    pub ports: Vec<PortForward>,
    pub console: ConsoleTo,
    pub screen: Screen,
    pub channels: Vec<Channel>,
    /// Files of the host that the machine can read, without a disk.
    pub files: Vec<HostFile>,
    /// Where QEMU listens for QMP, its control protocol.
    pub qmp_socket: Option<PathBuf>,
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

/// `--port HOST:GUEST`: TCP, from the host's loopback to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortForward {
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

/// A file that the machine's firmware configuration device passes on (docs/specs/fw_cfg.rst of QEMU).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// `opt/` and a name with a reversed domain in it: everything else is QEMU's own.
    pub name: String,
    pub path: PathBuf,
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
            append: Vec::new(),
            disks: Vec::new(),
            network: Network::ForPorts,
            ports: Vec::new(),
            console: ConsoleTo::Pipes,
            screen: Screen::None,
            channels: Vec::new(),
            files: Vec::new(),
            qmp_socket: None,
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
            argv.option("-qmp", join(&["unix:", ",server=on,wait=off"], &[socket]));
        }
        argv.option("-kernel", &self.kernel);
        if let Root::Initramfs { archive } = &self.root {
            argv.option("-initrd", archive);
        }
        argv.option("-append", self.command_line());
        argv.words(&self.extra);
        argv.finish()
    }

    /// Has Node.js in the machine trust the authorities in a file of the host, too.
    pub fn trust(&mut self, bundle: PathBuf) {
        let file = HostFile {
            name: AUTHORITIES.to_owned(),
            path: bundle,
        };
        let word = format!("{}={}", cmdline::AUTHORITIES, file.path_in_machine());
        self.append.insert(0, word);
        self.files.push(file);
    }

    /// The device that the disk at this place of [`Machine::disks`] is in the machine.
    ///
    /// # Panics
    /// Where there are more than 25 disks: nobody has, and their names get a second letter then.
    pub fn disk_device(&self, index: usize) -> String {
        let before = usize::from(matches!(self.root, Root::Disk { .. }));
        let letter = u8::try_from(index + before)
            .ok()
            .filter(|at| *at < 26)
            .map(|at| char::from(b'a' + at))
            .expect("a machine has a few disks");
        format!("/dev/vd{letter}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(machine: &Machine) -> String {
        let argv: Vec<String> = machine.argv()[1..]
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        argv.join(" ")
    }

    fn pmem() -> Machine {
        Machine::new(
            PathBuf::from("kernel"),
            Root::Pmem {
                image: PathBuf::from("system.img"),
                size: 4 << 20,
            },
        )
    }

    #[test]
    fn a_mapped_image_under_emulation() {
        assert_eq!(
            words(&pmem()),
            "-accel tcg -cpu max,-erms,-la57 -M q35,sata=off,smbus=off -smp 1 -nodefaults -no-user-config -bios qboot.rom -no-reboot \
             -device pvpanic-pci -action panic=exit-failure -chardev stdio,id=console,signal=off -serial chardev:console -display none \
             -m 256M,slots=1,maxmem=4352M \
             -object memory-backend-file,id=system,share=on,mem-path=system.img,size=4194304,readonly=on \
             -device virtio-pmem-pci,memdev=system -kernel kernel \
             -append console=ttyS0 quiet panic=-1 no_timer_check nolapic_timer noreplace-smp \
             ro root=/dev/pmem0 rootfstype=erofs init=/init rootflags=dax=always"
        );
    }

    #[test]
    fn a_disk_on_a_terminal_with_kvm_and_ports() {
        let mut machine = Machine::new(
            PathBuf::from("k"),
            Root::Disk {
                image: PathBuf::from("a,b.img"),
            },
        );
        machine.accel = Accel::Kvm;
        machine.console = ConsoleTo::Terminal;
        machine.on_reboot = OnReboot::Restart;
        machine.ports = vec![PortForward {
            host: 8080,
            guest: 80,
        }];
        machine.cpus = 2;
        machine.term = Some("xterm".to_owned());
        machine.console_size = Some((80, 24));
        machine.append = vec!["a=b".to_owned()];
        machine.extra = vec!["-s".into()];
        assert_eq!(
            words(&machine),
            "-accel kvm -cpu host -M q35,sata=off,smbus=off -smp 2 -nodefaults -no-user-config -bios qboot.rom \
             -device pvpanic-pci -action panic=exit-failure -chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console,mode=readline \
             -display none -m 256M -drive if=none,id=system,format=raw,readonly=on,file=a,,b.img \
             -device virtio-blk-pci,drive=system -netdev user,id=network,hostfwd=tcp:127.0.0.1:8080-:80 \
             -device virtio-net-pci,netdev=network,romfile= -kernel k \
             -append console=ttyS0 quiet panic=-1 ro root=/dev/vda rootfstype=erofs init=/init \
             TERM=xterm nodeos.console=80x24 ip=10.0.2.15::10.0.2.2:255.255.255.0:nodeos::off:10.0.2.3 a=b -s"
        );
    }

    #[test]
    fn authorities_are_a_file_of_the_firmwares_and_a_variable_of_nodejs() {
        let mut machine = pmem();
        machine.append = vec!["last".to_owned()];
        machine.trust(PathBuf::from("a,b.pem"));
        let words = words(&machine);
        for part in [
            "-fw_cfg name=opt/org.nodeos/ca-bundle,file=a,,b.pem",
            "NODE_EXTRA_CA_CERTS=/sys/firmware/qemu_fw_cfg/by_name/opt/org.nodeos/ca-bundle/raw last",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }

    #[test]
    fn disks_are_named_after_the_systems_own() {
        let mut machine = pmem();
        assert_eq!(machine.disk_device(0), "/dev/vda");
        machine.root = Root::Disk {
            image: PathBuf::from("system.img"),
        };
        assert_eq!(machine.disk_device(0), "/dev/vdb");
        assert_eq!(machine.disk_device(1), "/dev/vdc");
    }

    #[test]
    fn a_screen_is_the_console_and_needs_the_firmware_that_sets_it_up() {
        let mut machine = Machine::new(
            PathBuf::from("k"),
            Root::Initramfs {
                archive: PathBuf::from("i"),
            },
        );
        machine.screen = Screen::Hidden;
        machine.qmp_socket = Some(PathBuf::from("q"));
        machine.channels = vec![Channel {
            name: "org.x".to_owned(),
            socket: PathBuf::from("s"),
            qemu: SocketEnd::Listens,
        }];
        let words = words(&machine);
        for part in [
            "-device VGA -display none",
            "-qmp unix:q,server=on,wait=off",
            "-chardev socket,id=channel0,server=on,wait=off,path=s -device virtserialport,chardev=channel0,name=org.x",
            "-initrd i",
            "console=ttyS0 console=tty0 quiet",
            "rootfstype=ramfs",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
        assert!(!words.contains("-bios"), "{words}");
        assert!(!words.contains("root=/dev"), "{words}");
    }
}
