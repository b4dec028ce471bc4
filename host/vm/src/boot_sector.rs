//! A machine in 512 bytes: what the probe of an accelerator starts.
//!
//! It counts for a while, since some hosts interpret every instruction of a guest, then ends QEMU
//! with a code of its own through the `isa-debug-exit` device.

/// The byte that the program writes to the exit device.
const EXIT_BYTE: u8 = 0x21;
/// What QEMU makes of it (hw/misc/debugexit.c): a code that no error of QEMU's has.
pub(crate) const EXIT_CODE: i32 = ((EXIT_BYTE as i32) << 1) | 1;
/// Where the exit device listens; the default of `isa-debug-exit`.
const EXIT_PORT: u16 = 0x501;
/// How often the loop goes round: a fraction of a second under emulation, nothing on a processor.
const ROUNDS: u32 = 20_000_000;

/// The options of QEMU beside `-accel` that start the sector in `path`.
pub(crate) fn qemu_options(path: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut drive = std::ffi::OsString::from("format=raw,if=virtio,readonly=on,file=");
    drive.push(path);
    let words = ["-M", "pc", "-m", "16M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
    let mut options: Vec<std::ffi::OsString> = words.iter().map(Into::into).collect();
    options.extend(["-device", "isa-debug-exit", "-drive"].map(Into::into));
    options.push(drive);
    options
}

/// The sector, which the BIOS loads to 0x7c00 and starts in real mode.
pub(crate) fn sector() -> [u8; 512] {
    let mut code = Vec::new();
    code.push(0xfa); // cli
    code.extend([0x66, 0xb9]); // mov ecx, ROUNDS
    code.extend(ROUNDS.to_le_bytes());
    code.extend([0x66, 0x49]); // dec ecx
    code.extend([0x75, 0xfc]); // jnz to the dec
    code.push(0xba); // mov dx, EXIT_PORT
    code.extend(EXIT_PORT.to_le_bytes());
    code.extend([0xb0, EXIT_BYTE]); // mov al, EXIT_BYTE
    code.push(0xee); // out dx, al
    code.push(0xf4); // hlt
    code.extend([0xeb, 0xfd]); // jmp to the hlt
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    // The mark by which a BIOS knows a boot sector.
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
