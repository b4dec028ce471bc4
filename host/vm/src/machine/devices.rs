//! QEMU's options for everything that a machine has beside processor and memory.

use std::path::Path;

use super::share;
use super::{Channel, ConsoleTo, Machine, MappedImage, PortForward, Root, Screen, SocketEnd};
use crate::argv::{Argv, join};

/// Room in the address space for an image on virtio-pmem beside the memory itself. It costs nothing.
const PMEM_ROOM_MIB: u64 = 4096;
const BYTES_OF_A_MIB: u64 = 1 << 20;

/// All of them, in the order in which the machine finds them.
pub(super) fn add(machine: &Machine, argv: &mut Argv) {
    console(machine, argv);
    screen(machine, argv);
    root(machine, argv);
    layers(machine, argv);
    disks(machine, argv);
    authorities(machine, argv);
    share::add(&machine.shares, argv);
    network(machine, argv);
    channels(machine, argv);
    files(machine, argv);
}

fn console(machine: &Machine, argv: &mut Argv) {
    match machine.console {
        ConsoleTo::Terminal => {
            argv.option("-chardev", "stdio,id=console,mux=on,signal=off");
            argv.option("-serial", "chardev:console");
            argv.option("-mon", "chardev=console,mode=readline");
        }
        ConsoleTo::Pipes => {
            argv.option("-chardev", "stdio,id=console,signal=off");
            argv.option("-serial", "chardev:console");
        }
    }
}

fn screen(machine: &Machine, argv: &mut Argv) {
    match machine.screen {
        Screen::None => argv.option("-display", "none"),
        Screen::Window => argv.option("-device", "VGA"),
        Screen::Hidden => {
            argv.option("-device", "VGA");
            argv.option("-display", "none");
        }
    }
}

fn root(machine: &Machine, argv: &mut Argv) {
    let memory = format!("{}M", machine.memory_mib);
    match &machine.root {
        Root::Pmem { image, size } => {
            let layers: u64 = machine.layers.iter().map(|layer| layer.size).sum();
            let room =
                u64::from(machine.memory_mib) + PMEM_ROOM_MIB + layers.div_ceil(BYTES_OF_A_MIB);
            argv.option("-m", format!("{memory},slots=1,maxmem={room}M"));
            mapped("system", image, *size, argv);
        }
        Root::Disk { image } => {
            argv.option("-m", memory);
            read_only_disk("system", image, argv);
        }
        Root::Initramfs { .. } | Root::None => argv.option("-m", memory),
    }
}

fn layers(machine: &Machine, argv: &mut Argv) {
    for (index, MappedImage { image, size }) in machine.layers.iter().enumerate() {
        let id = format!("layer{index}");
        match machine.root {
            Root::Pmem { .. } => mapped(&id, image, *size, argv),
            Root::Disk { .. } | Root::Initramfs { .. } | Root::None => {
                read_only_disk(&id, image, argv);
            }
        }
    }
}

/// An image on virtio-pmem.
fn mapped(id: &str, image: &Path, size: u64, argv: &mut Argv) {
    let begin = format!("memory-backend-file,id={id},share=on,mem-path=");
    let end = format!(",size={size},readonly=on");
    argv.option("-object", join(&[&begin, &end], &[image]));
    argv.option("-device", format!("virtio-pmem-pci,memdev={id}"));
}

fn read_only_disk(id: &str, image: &Path, argv: &mut Argv) {
    let begin = format!("if=none,id={id},format=raw,readonly=on,file=");
    argv.option("-drive", join(&[&begin, ""], &[image]));
    argv.option("-device", format!("virtio-blk-pci,drive={id}"));
}

fn disks(machine: &Machine, argv: &mut Argv) {
    for (index, image) in machine.disks.iter().enumerate() {
        // What the machine gives free is given back to the host, and stays a hole of the image.
        let begin = format!("if=none,id=disk{index},format=raw,discard=unmap,file=");
        argv.option("-drive", join(&[&begin, ""], &[image]));
        argv.option("-device", format!("virtio-blk-pci,drive=disk{index}"));
    }
}

/// A disk that has text on it instead of a filesystem.
fn authorities(machine: &Machine, argv: &mut Argv) {
    if let Some(bundle) = &machine.authorities {
        read_only_disk("authorities", bundle, argv);
    }
}

fn network(machine: &Machine, argv: &mut Argv) {
    if machine.network().is_none() {
        return;
    }
    let forward = |port: &PortForward| {
        let PortForward {
            address,
            host,
            guest,
        } = port;
        format!(",hostfwd=tcp:{address}:{host}-:{guest}")
    };
    let forwards: String = machine.ports.iter().map(forward).collect();
    argv.option("-netdev", format!("user,id=network{forwards}"));
    // The ROM is for booting from the network.
    argv.option("-device", "virtio-net-pci,netdev=network,romfile=");
}

fn channels(machine: &Machine, argv: &mut Argv) {
    if !machine.channels.is_empty() {
        argv.option("-device", "virtio-serial-pci");
    }
    for (index, channel) in machine.channels.iter().enumerate() {
        let Channel { name, socket, qemu } = channel;
        let begin = match qemu {
            SocketEnd::Listens => format!("socket,id=channel{index},server=on,wait=off,path="),
            SocketEnd::Connects => format!("socket,id=channel{index},path="),
        };
        argv.option("-chardev", join(&[&begin, ""], &[socket]));
        argv.option(
            "-device",
            format!("virtserialport,chardev=channel{index},name={name}"),
        );
    }
}

fn files(machine: &Machine, argv: &mut Argv) {
    for file in &machine.files {
        let begin = format!("name={},file=", file.name);
        argv.option("-fw_cfg", join(&[&begin, ""], &[&file.path]));
    }
}
