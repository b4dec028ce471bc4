//! Everything about a machine that was chosen for its speed, in one place, each with its reason.
//!
//! The figures are CPU time of QEMU 7.2 under emulation up to the start of `init`, from `cargo xtask bench boot`'s
//! machine.

use crate::accel::Accel;
use crate::machine::{Machine, Screen};

/// `microvm` boots faster with KVM, but has no place for virtio-pmem, and hangs now and then under emulation.
///
/// The kernel for machines without a screen drives neither SATA nor the SMBus: finding them would take time for nothing.
pub fn machine(machine: &Machine) -> &'static str {
    match machine.screen {
        Screen::None => "q35,sata=off,smbus=off",
        Screen::Window | Screen::Hidden => "q35",
    }
}

/// A firmware that does nothing but start the kernel: a twentieth of a second less than SeaBIOS. It comes with QEMU.
pub const FAST_FIRMWARE: &str = "qboot.rom";

/// Graphics adapters are set up by SeaBIOS, through their own ROM.
pub fn has_fast_firmware(machine: &Machine) -> bool {
    machine.screen == Screen::None
}

/// The processor that the machine sees: all that can be emulated, or what is there.
pub fn cpu(accel: Accel) -> &'static str {
    match accel {
        // What QEMU emulates slowly is left out. ERMS: clearing memory a byte at a time, which is one step of emulation
        // for each byte. LA57: a fifth level of page tables to walk.
        Accel::Tcg => "max,-erms,-la57",
        Accel::Kvm | Accel::Hvf => "host",
    }
}

/// Words for the kernel that help only under emulation, where time is not what its calibration expects.
pub fn kernel_words(machine: &Machine) -> &'static [&'static str] {
    match (machine.accel, machine.cpus) {
        // Counting the local timer's ticks against a clock takes a fifth of a second; with one processor the other
        // timers do. Taking the lock prefixes out of the kernel's code makes QEMU translate all of it twice.
        (Accel::Tcg, 1) => &["no_timer_check", "nolapic_timer", "noreplace-smp"],
        (Accel::Tcg, _) => &["no_timer_check"],
        (Accel::Kvm | Accel::Hvf, _) => &[],
    }
}
