//! A machine as a configuration file of Firecracker (`firecracker --no-api --config-file FILE`).
//!
//! The names are those of Firecracker's API (`src/firecracker/swagger/firecracker.yaml` of its sources).

use std::path::Path;

use nodeos_spec::cmdline;
use serde_json::{Value, json};

use crate::accel::Accel;
use crate::machine::{Machine, MappedImage, Network, Root};

/// The device of the host that the machine's network card is connected with. Somebody has to make it.
pub const TAP: &str = "tap0";
/// The host's end of that, which is the machine's gateway and name server, and the machine's own address.
pub const HOST_ADDRESS: &str = "172.16.0.1";
pub const MACHINE_ADDRESS: &str = "172.16.0.2";

/// The file. It names the machine's files as they are called in its own folder.
///
/// Firecracker maps no images, so the system is a disk there where it was to be mapped. It cannot switch a machine off either: to
/// it, a restart by the keyboard controller is the end.
pub fn config(machine: &Machine) -> String {
    let machine = Machine {
        accel: Accel::Kvm,
        root: machine.root.on_disk(),
        network: Network::ByTheSystem,
        ..machine.clone()
    };
    let network =
        format!("ip={MACHINE_ADDRESS}::{HOST_ADDRESS}:255.255.255.0:nodeos::off:{HOST_ADDRESS}");
    let line = format!(
        "{} reboot=k {}={} {network}",
        machine.command_line(),
        cmdline::OFF,
        cmdline::OFF_BY_RESTART
    );
    let mut boot = json!({ "kernel_image_path": name(&machine.kernel), "boot_args": line });
    let mut drives = Vec::new();
    match &machine.root {
        Root::Disk { image } | Root::Pmem { image, .. } => {
            drives.push(drive("system", image, Access::ReadOnly));
        }
        Root::Initramfs { archive } => boot["initrd_path"] = name(archive).into(),
        Root::None => {}
    }
    for (index, MappedImage { image, .. }) in machine.layers.iter().enumerate() {
        drives.push(drive(&format!("layer{index}"), image, Access::ReadOnly));
    }
    for (index, image) in machine.disks.iter().enumerate() {
        drives.push(drive(&format!("disk{index}"), image, Access::ReadWrite));
    }
    let config = json!({
        "boot-source": boot,
        "drives": drives,
        "machine-config": { "vcpu_count": machine.cpus, "mem_size_mib": machine.memory_mib },
        "network-interfaces": [{ "iface_id": "network", "host_dev_name": TAP }],
    });
    format!("{config:#}\n")
}

enum Access {
    ReadOnly,
    ReadWrite,
}

/// The kernel's command line says which one is the root, as it says how that is mounted.
fn drive(id: &str, image: &Path, access: Access) -> Value {
    json!({
        "drive_id": id,
        "path_on_host": name(image),
        "is_root_device": false,
        "is_read_only": matches!(access, Access::ReadOnly),
    })
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_a_configuration() {
        let root = Root::Pmem {
            image: "/out/system.img".into(),
            size: 2 << 20,
        };
        let mut machine = Machine::new("/out/kernel".into(), root);
        machine.memory_mib = 128;
        machine.layers = vec![MappedImage {
            image: "/out/application.img".into(),
            size: 2 << 20,
        }];
        machine.disks = vec!["/out/volume-db.img".into()];
        let found: Value = serde_json::from_str(&config(&machine)).unwrap();
        assert_eq!(
            found,
            json!({
                "boot-source": {
                    "kernel_image_path": "kernel",
                    "boot_args": "console=ttyS0 quiet panic=-1 ro root=/dev/vda rootfstype=erofs init=/init \
                        nodeos.layers=/dev/vdb reboot=k nodeos.off=restart \
                        ip=172.16.0.2::172.16.0.1:255.255.255.0:nodeos::off:172.16.0.1",
                },
                "drives": [
                    { "drive_id": "system", "path_on_host": "system.img", "is_root_device": false, "is_read_only": true },
                    { "drive_id": "layer0", "path_on_host": "application.img", "is_root_device": false, "is_read_only": true },
                    { "drive_id": "disk0", "path_on_host": "volume-db.img", "is_root_device": false, "is_read_only": false },
                ],
                "machine-config": { "vcpu_count": 1, "mem_size_mib": 128 },
                "network-interfaces": [{ "iface_id": "network", "host_dev_name": "tap0" }],
            })
        );
    }

    #[test]
    fn an_archive_is_no_drive() {
        let root = Root::Initramfs {
            archive: "initramfs.cpio.lz4".into(),
        };
        let found = config(&Machine::new("kernel".into(), root));
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["boot-source"]["initrd_path"], "initramfs.cpio.lz4");
        assert_eq!(found["drives"], json!([]));
    }
}
