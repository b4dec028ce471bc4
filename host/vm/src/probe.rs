//! A kernel of a few bytes that proves that Linux would run: what it is, and the deadline it is given.
//!
//! It is a PVH kernel, as NodeOS's own is, so that the proof takes the same way through firmware and loader.

use std::io::{self, Write};
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::accel::Accel;
use crate::machine::{Machine, OnReboot, Root};
use crate::vm::{BootError, Vm};

/// Firmware and the program need 0.1 s where virtualisation works; ten times that on a busy host is still fine.
/// Where it does not work, nothing ever comes, and this is what the user waits once after each boot of the host.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// Raised when the program changes, so that what an earlier one has found out is found out again.
pub(crate) const VERSION: u32 = 2;

/// Turns of the busy loop: enough that a processor which only pretends to run is found out, over within 10 ms.
const TURNS: u32 = 1_000_000;

/// What the program writes to the exit port, and what QEMU makes of it: twice the value, plus one.
/// See `hw/misc/debugexit.c` of QEMU.
const VALUE: u8 = 42;
/// The exit code of a QEMU whose guest has run the whole probe.
pub const EXIT_CODE: i32 = (VALUE as i32) * 2 + 1;

/// The device that ends QEMU with a code of the guest's choice, at the port that [`program`] writes to.
pub const EXIT_DEVICE: &str = "isa-debug-exit,iobase=0x501,iosize=1";

/// The least memory that firmware and a kernel at 1 MiB are comfortable with, in MiB.
const MEMORY_MIB: u32 = 32;

/// Why a probe could not be made; that it did not pass is no error.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error("cannot write the probe kernel")]
    Write(#[source] io::Error),
    #[error("cannot start the probe")]
    Start(#[source] BootError),
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The guest ran all of it.
    Passed,
    /// Nothing came within [`DEADLINE`].
    TimedOut,
    /// QEMU ended without the guest having said so; its last message, or its exit status.
    Refused { message: String },
}

/// Boots the probe under `accel`, for at most [`DEADLINE`].
pub fn run(accel: Accel) -> Result<Outcome, ProbeError> {
    let mut kernel = tempfile::NamedTempFile::new().map_err(ProbeError::Write)?;
    kernel
        .write_all(&pvh_kernel(&program()))
        .map_err(ProbeError::Write)?;
    let machine = Machine {
        memory_mib: MEMORY_MIB,
        on_reboot: OnReboot::Exit,
        accel,
        extra: vec!["-device".into(), EXIT_DEVICE.into()],
        ..Machine::new(kernel.path().to_owned(), Root::None)
    };
    let mut vm = Vm::boot(&machine).map_err(ProbeError::Start)?;
    let Ok(status) = vm.wait(DEADLINE) else {
        return Ok(Outcome::TimedOut);
    };
    Ok(outcome(status, &vm.stderr()))
}

/// Only the code that the guest itself has chosen counts: QEMU ends with 0 for many reasons.
fn outcome(status: ExitStatus, stderr: &str) -> Outcome {
    if status.code() == Some(EXIT_CODE) {
        return Outcome::Passed;
    }
    // The first complaint is the cause, what comes after it follows from it.
    let complaint = stderr
        .lines()
        .find(|line| !line.trim().is_empty() && !line.contains(": warning: "));
    let message = complaint.map(|line| {
        let line = line.trim();
        let line = line
            .split_once(": ")
            .filter(|(name, _)| name.contains("qemu"))
            .map_or(line, |(_, rest)| rest);
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    });
    Outcome::Refused {
        message: message.unwrap_or_else(|| status.to_string()),
    }
}

/// The machine code of the probe. The PVH protocol enters it in 32-bit protected mode without paging; it goes on to where Linux
/// works, 64-bit mode with page tables, and there changes one of those tables in the way in which Linux changes memory.
///
/// That is the hard part for a hypervisor without the processor's help for page tables (EPT, NPT). It has to notice the change, so
/// it carries out the instruction itself; and KVM does not know how to do that with this one (`arch/x86/kvm/emulate.c` of Linux).
/// A machine under it stops in the middle of its boot.
///
/// Source: Intel's Software Developer's Manual, volume 3, the chapters on paging and on processor initialization ("Initializing
/// IA-32e Mode").
fn program() -> Vec<u8> {
    let paging = paging();
    let long = long();
    let enter = ENTRY + u32::try_from(paging.len()).expect("code is small");
    // Behind the two instructions that are missing yet, of seven bytes each.
    let long_at = enter + 14;
    let pointer_at = long_at + u32::try_from(long.len()).expect("code is small");
    // A global descriptor table with nothing and with a segment of 64-bit code, and what LGDT wants to know of it.
    let table_at = pointer_at + 6;
    let table = [0, 0x00af_9a00_0000_ffff_u64];
    let mut code = paging;
    code.extend([0x0f, 0x01, 0x15]); // lgdt [pointer_at]
    words(&mut code, &[pointer_at]);
    code.push(0xea); // jmp 8:long_at
    words(&mut code, &[long_at]);
    code.extend([8, 0]);
    code.extend(long);
    code.extend([15, 0]);
    words(&mut code, &[table_at]);
    code.extend(table.iter().flat_map(|entry| entry.to_le_bytes()));
    code
}

/// Four page tables, one of each level, from here on. Fresh memory is zero.
const TABLES: u32 = 2 << 20;
/// The one of the lowest level, which maps the tables, and so itself.
const LAST_TABLE: u32 = TABLES + 0x3000;

/// Maps the first 2 MiB in one piece and the tables page by page, and switches to that.
fn paging() -> Vec<u8> {
    // Present and writable; and for a page of 2 MiB, that it is one.
    const PRESENT: u32 = 3;
    const LARGE: u32 = 0x80;
    let tables = [0, 0x1000, 0x2000, 0x3000].map(|offset| TABLES + offset);
    let mut entries = vec![
        (tables[0], tables[1] | PRESENT),
        (tables[1], tables[2] | PRESENT),
        (tables[2], LARGE | PRESENT),
        (tables[2] + 8, tables[3] | PRESENT),
    ];
    entries.extend(
        (0..)
            .step_by(8)
            .zip(tables)
            .map(|(at, table)| (LAST_TABLE + at, table | PRESENT)),
    );
    let mut code = Vec::new();
    for (address, entry) in entries {
        code.extend([0xc7, 0x05]); // mov dword [address], entry
        words(&mut code, &[address, entry]);
    }
    code.push(0xb8); // mov eax, TABLES
    words(&mut code, &[TABLES]);
    let instructions: [&[u8]; 11] = [
        &[0x0f, 0x22, 0xd8],             // mov cr3, eax
        &[0x0f, 0x20, 0xe0],             // mov eax, cr4
        &[0x83, 0xc8, 0x20],             // or eax, 1 << 5: entries of 64 bits
        &[0x0f, 0x22, 0xe0],             // mov cr4, eax
        &[0xb9, 0x80, 0x00, 0x00, 0xc0], // mov ecx, 0xc0000080: EFER
        &[0x0f, 0x32],                   // rdmsr
        &[0x0d, 0x00, 0x01, 0x00, 0x00], // or eax, 1 << 8: 64-bit mode
        &[0x0f, 0x30],                   // wrmsr
        &[0x0f, 0x20, 0xc0],             // mov eax, cr0
        &[0x0d, 0x00, 0x00, 0x00, 0x80], // or eax, 1 << 31: paging
        &[0x0f, 0x22, 0xc0],             // mov cr0, eax
    ];
    code.extend(instructions.concat());
    code
}

/// The part in 64-bit mode.
fn long() -> Vec<u8> {
    let [a, b, c, d] = TURNS.to_le_bytes();
    // Two entries that map nothing, and do not afterwards.
    let [e, f, g, h] = (LAST_TABLE + 0xff0).to_le_bytes();
    let instructions: [&[u8]; 13] = [
        &[0xb9, a, b, c, d],             // mov ecx, TURNS
        &[0xff, 0xc9],                   // dec ecx
        &[0x75, 0xfc],                   // jnz back to dec
        &[0xbf, e, f, g, h],             // mov edi, the entries
        &[0x31, 0xc0],                   // xor eax, eax
        &[0x31, 0xd2],                   // xor edx, edx
        &[0x31, 0xdb],                   // xor ebx, ebx; ecx is zero already
        &[0xf0, 0x48, 0x0f, 0xc7, 0x0f], // lock cmpxchg16b [rdi]
        &[0x75, 0x08],                   // jnz to hlt
        &[0xba, 0x01, 0x05, 0x00, 0x00], // mov edx, 0x501: the port of EXIT_DEVICE
        &[0xb0, VALUE],                  // mov al, VALUE
        &[0xee],                         // out dx, al: QEMU ends here
        &[0xf4, 0xeb, 0xfd],             // hlt, should it not; jmp back to hlt
    ];
    instructions.concat()
}

/// Where a kernel of [`pvh_kernel`] lies in the guest's memory, headers first.
const ADDRESS: u32 = 1 << 20;
const ELF_HEADER: u32 = 52;
const PROGRAM_HEADER: u32 = 32;
const NOTE: u32 = 20;
/// Offset of the code: after the ELF header, two program headers and the note.
const CODE: u32 = ELF_HEADER + 2 * PROGRAM_HEADER + NOTE;
/// Where the code of a kernel of [`pvh_kernel`] lies in the guest's memory.
pub const ENTRY: u32 = ADDRESS + CODE;

/// An ELF file that QEMU boots as a kernel by the PVH protocol: `code` is entered at its first byte, in 32-bit
/// protected mode with flat segments, interrupts off and no stack.
///
/// Source: the ELF specification; `docs/misc/pvh.pandoc` and `xen/include/public/elfnote.h` of Xen for the note.
pub fn pvh_kernel(code: &[u8]) -> Vec<u8> {
    let size = CODE + u32::try_from(code.len()).expect("code is small");
    let mut file = Vec::new();
    // The file is ELF, 32 bits, little endian, version 1.
    file.extend([0x7f, b'E', b'L', b'F', 1, 1, 1, 0]);
    file.extend([0; 8]);
    // It is an executable (2) for the 80386 (3).
    file.extend([2, 0, 3, 0]);
    words(&mut file, &[1, ENTRY, ELF_HEADER, 0, 0]);
    // Sizes: ELF header, program header and how many of them; no sections.
    for half in [ELF_HEADER as u16, PROGRAM_HEADER as u16, 2, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD (1): the whole file, at ADDRESS, readable, writable and executable (7).
    words(&mut file, &[1, 0, ADDRESS, ADDRESS, size, size, 7, 0x1000]);
    // PT_NOTE (4): the note that follows.
    let note = ELF_HEADER + 2 * PROGRAM_HEADER;
    words(
        &mut file,
        &[4, note, ADDRESS + note, ADDRESS + note, NOTE, NOTE, 4, 4],
    );
    // XEN_ELFNOTE_PHYS32_ENTRY (18), from "Xen": where to enter.
    words(&mut file, &[4, 4, 18, u32::from_le_bytes(*b"Xen\0"), ENTRY]);
    file.extend(code);
    file
}

fn words(file: &mut Vec<u8>, words: &[u32]) {
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_runs_to_its_end_under_emulation() {
        assert_eq!(run(Accel::Tcg).unwrap(), Outcome::Passed);
    }

    #[test]
    fn only_the_guests_own_code_passes() {
        use std::os::unix::process::ExitStatusExt;
        let check = |wait_status, stderr, expected| {
            assert_eq!(outcome(ExitStatus::from_raw(wait_status), stderr), expected);
        };
        let refused = |message: &str| Outcome::Refused {
            message: message.to_owned(),
        };
        check(85 << 8, "", Outcome::Passed);
        check(0, "", refused("exit status: 0"));
        let stderr =
            "qemu: warning: old\nqemu: error: cannot use kvm\nqemu: kvm.c: Assertion failed.\n";
        check(6, stderr, refused("cannot use kvm"));
        check(9, "", refused("signal: 9 (SIGKILL)"));
    }

    #[test]
    fn the_probe_is_smaller_than_a_sector() {
        assert!(pvh_kernel(&program()).len() <= 512);
    }
}
