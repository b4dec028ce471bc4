//! QEMU's command line, word by word.

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
    machine.ports = vec![PortForward::local(8080, 80)];
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
fn authorities_are_the_last_disk_and_a_variable_of_nodejs() {
    let mut machine = pmem();
    machine.disks = vec![PathBuf::from("users.img")];
    machine.append = vec!["last".to_owned()];
    machine.authorities = Some(PathBuf::from("a,b.pem"));
    let words = words(&machine);
    for part in [
        "drive=disk0 -drive if=none,id=authorities,format=raw,readonly=on,file=a,,b.pem \
         -device virtio-blk-pci,drive=authorities ",
        "NODE_EXTRA_CA_CERTS=/dev/vdb last",
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
    machine.qmp_end = SocketEnd::Connects;
    assert!(self::words(&machine).contains("-qmp unix:q -"));
}

fn layers() -> Vec<MappedImage> {
    let layer = |name: &str, size| MappedImage {
        image: PathBuf::from(name),
        size,
    };
    vec![layer("a,b.img", 2 << 20), layer("app.img", 6 << 20)]
}

#[test]
fn layers_of_a_mapped_system_are_mapped_too() {
    let mut machine = pmem();
    machine.layers = layers();
    machine.append = vec!["last".to_owned()];
    let words = words(&machine);
    for part in [
        "-m 256M,slots=1,maxmem=4360M -object",
        "-device virtio-pmem-pci,memdev=system \
         -object memory-backend-file,id=layer0,share=on,mem-path=a,,b.img,size=2097152,readonly=on \
         -device virtio-pmem-pci,memdev=layer0 \
         -object memory-backend-file,id=layer1,share=on,mem-path=app.img,size=6291456,readonly=on \
         -device virtio-pmem-pci,memdev=layer1 -kernel",
        "rootflags=dax=always nodeos.layers=/dev/pmem1,/dev/pmem2 last",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert_eq!(machine.disk_device(0), "/dev/vda");
}

#[test]
fn layers_of_a_system_on_a_disk_are_disks_before_all_others() {
    let mut machine = pmem();
    machine.root = Root::Disk {
        image: PathBuf::from("system.img"),
    };
    machine.layers = layers();
    machine.disks = vec![PathBuf::from("data.img")];
    let words = words(&machine);
    for part in [
        "-device virtio-blk-pci,drive=system \
         -drive if=none,id=layer0,format=raw,readonly=on,file=a,,b.img -device virtio-blk-pci,drive=layer0 \
         -drive if=none,id=layer1,format=raw,readonly=on,file=app.img -device virtio-blk-pci,drive=layer1 \
         -drive if=none,id=disk0,format=raw,discard=unmap,file=data.img",
        "init=/init nodeos.layers=/dev/vdb,/dev/vdc",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert_eq!(machine.disk_device(0), "/dev/vdd");
    machine.root = Root::Initramfs {
        archive: PathBuf::from("system.cpio"),
    };
    assert_eq!(machine.layer_device(1), "/dev/vdb");
    assert_eq!(machine.disk_device(0), "/dev/vdc");
}
