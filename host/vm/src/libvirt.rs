//! A machine as a domain of libvirt, for `virsh define` (<https://libvirt.org/formatdomain.html>).

use std::path::Path;

use crate::accel::Accel;
use crate::machine::{Machine, MappedImage, Network, Root};

/// Where libvirt keeps images, and where the policies of distributions let its QEMU read them. A path in a domain has to be whole.
const IMAGES: &str = "/var/lib/libvirt/images";

/// The folder that a domain's files are expected in.
pub fn folder(name: &str) -> String {
    format!("{IMAGES}/{name}")
}

/// The domain. `name` is made of letters, digits and hyphens.
///
/// The system is a disk there where it was to be mapped: libvirt maps no image read-only. The card is on the network that libvirt
/// has by itself, which gives addresses by DHCP.
pub fn domain(machine: &Machine, name: &str) -> String {
    let machine = Machine {
        accel: Accel::Kvm,
        root: machine.root.on_disk(),
        network: Network::ByTheSystem,
        ..machine.clone()
    };
    let folder = folder(name);
    let place = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        escaped(&format!("{folder}/{name}"))
    };
    let mut disks = Disks::default();
    let mut archive = String::new();
    match &machine.root {
        Root::Disk { image } | Root::Pmem { image, .. } => disks.add(&place(image), READ_ONLY),
        Root::Initramfs { archive: path } => {
            archive = format!("\n    <initrd>{}</initrd>", place(path));
        }
        Root::None => {}
    }
    for MappedImage { image, .. } in &machine.layers {
        disks.add(&place(image), READ_ONLY);
    }
    for image in &machine.disks {
        disks.add(&place(image), "");
    }
    let line = format!("{} ip=::::nodeos::dhcp", machine.command_line());
    format!(
        "\
<!-- virsh define FILE, virsh start {name}, virsh console {name}, virsh shutdown {name}.
     The files are to be in {folder}. -->
<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>{archive}
    <cmdline>{line}</cmdline>
  </os>
  <features>
    <acpi/>
  </features>
  <cpu mode='host-passthrough'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>restart</on_crash>
  <devices>
{disks}    <controller type='usb' model='none'/>
    <interface type='network'>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'>
      <target port='0'/>
    </serial>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
  </devices>
</domain>
",
        memory = machine.memory_mib,
        cpus = machine.cpus,
        kernel = place(&machine.kernel),
        line = escaped(&line),
        disks = disks.text,
    )
}

const READ_ONLY: &str = "\n      <readonly/>";

/// Disks in the order in which the machine finds them.
#[derive(Default)]
struct Disks {
    text: String,
    count: u8,
}

impl Disks {
    fn add(&mut self, path: &str, more: &str) {
        // `command_line` has named as many already.
        let letter = char::from(b'a' + self.count);
        self.count += 1;
        self.text.push_str(&format!(
            "    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' discard='unmap'/>
      <source file='{path}'/>
      <target dev='vd{letter}' bus='virtio'/>{more}
    </disk>
"
        ));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(root: Root) -> Machine {
        let mut machine = Machine::new("/out/kernel".into(), root);
        machine.memory_mib = 128;
        machine.disks = vec!["/out/a&b.img".into()];
        machine
    }

    fn has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(
                text.lines().any(|found| found.trim() == *line),
                "{line} is not in {text}"
            );
        }
    }

    #[test]
    fn a_mapped_system_is_a_disk_there() {
        let mut machine = machine(Root::Pmem {
            image: "/out/system.img".into(),
            size: 2 << 20,
        });
        machine.layers = vec![MappedImage {
            image: "/out/application.img".into(),
            size: 2 << 20,
        }];
        let text = domain(&machine, "shop");
        has(
            &text,
            &[
                "<name>shop</name>",
                "<memory unit='MiB'>128</memory>",
                "<kernel>/var/lib/libvirt/images/shop/kernel</kernel>",
                "<cmdline>console=ttyS0 quiet panic=-1 ro root=/dev/vda rootfstype=erofs init=/init \
                 nodeos.layers=/dev/vdb ip=::::nodeos::dhcp</cmdline>",
                "<source file='/var/lib/libvirt/images/shop/a&amp;b.img'/>",
                "<target dev='vdc' bus='virtio'/>",
            ],
        );
        assert_eq!(text.matches("<readonly/>").count(), 2);
    }

    #[test]
    fn an_archive_is_no_disk() {
        let text = domain(
            &machine(Root::Initramfs {
                archive: "initramfs.cpio.lz4".into(),
            }),
            "shop",
        );
        has(
            &text,
            &["<initrd>/var/lib/libvirt/images/shop/initramfs.cpio.lz4</initrd>"],
        );
        assert_eq!(text.matches("<disk ").count(), 1);
    }
}
