//! What booting needs: QEMU, what it can do, and a way to run fast.

use std::path::Path;

use nodeos_vm::accel::Accel;
use nodeos_vm::process::Qemu;

use crate::checks::Check;

/// All checks of this file. The accelerator's is a real one: a machine is started, once for each boot of the host.
pub fn checks(cache: &Path) -> Vec<Check> {
    let (qemu, version) = match Qemu::find().and_then(|qemu| Ok((qemu.version()?, qemu))) {
        Ok((version, qemu)) => (qemu, version),
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            let unknown = "cannot be looked for without QEMU";
            return vec![
                Check::missing("QEMU", error.to_string(), hint.clone()),
                Check::without("virtio-pmem", unknown, hint.clone()),
                Check::without("accelerator", unknown, hint),
            ];
        }
    };
    vec![
        Check::ok("QEMU", version),
        pmem(&qemu, cache),
        accelerator(&qemu, cache),
    ]
}

fn pmem(qemu: &Qemu, cache: &Path) -> Check {
    const NAME: &str = "virtio-pmem";
    match qemu.has_virtio_pmem(Some(cache)) {
        Ok(true) => Check::ok(NAME, "this QEMU has it"),
        Ok(false) => {
            let hint = "systems boot from a disk instead; the distribution's own QEMU has it";
            Check::without(NAME, "this QEMU does not have it", hint)
        }
        Err(error) => Check::missing(
            NAME,
            error.to_string(),
            "install another QEMU, or set NODEOS_QEMU to its path",
        ),
    }
}

fn accelerator(qemu: &Qemu, cache: &Path) -> Check {
    const NAME: &str = "accelerator";
    match Accel::choose(qemu, Some(cache)) {
        Ok(choice) if choice.accel == Accel::Tcg => {
            let hint =
                "emulation works, only slower; for speed enable virtualisation in the firmware";
            Check::without(NAME, format!("emulation: {}", choice.why), hint)
        }
        Ok(choice) => Check::ok(NAME, format!("{}: {}", choice.accel, choice.why)),
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            Check::missing(NAME, error.to_string(), hint)
        }
    }
}
