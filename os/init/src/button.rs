//! The machine's power button. Hypervisors press it for those who want a machine to stop in order: `virsh shutdown`, QEMU's
//! `system_powerdown`.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{self, Errno};

use crate::files;

/// What drivers/acpi/button.c of the kernel calls the device. A keyboard may have such a key, too; to be woken by all its other
/// keys is not worth it.
const NAME: &[u8] = b"Power Button";

/// Numbers of input devices that are looked at: the kernel gives the buttons of a machine the first ones.
const DEVICES: u32 = 32;

/// `struct input_event` of the kernel's include/uapi/linux/input.h: its size on 64 bits, and where type, code and value are.
const EVENT_BYTES: usize = 24;
const TYPE: core::ops::Range<usize> = 16..18;
const CODE: core::ops::Range<usize> = 18..20;
const VALUE: core::ops::Range<usize> = 20..24;

/// `EV_KEY`, `KEY_POWER`, and pressed, neither let go nor repeated (include/uapi/linux/input-event-codes.h).
const KEY: u16 = 1;
const POWER: u16 = 116;
const PRESSED: u32 = 1;

/// What became of looking at a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    Quiet,
    Pressed,
    /// There is nothing to look at any more.
    Gone,
}

/// Opens those that there are. A machine without one is stopped in other ways.
pub(crate) fn open_all() -> Vec<OwnedFd> {
    (0..DEVICES).filter_map(open).collect()
}

fn open(number: u32) -> Option<OwnedFd> {
    let path = |text| CString::new(text).ok();
    let name = path(format!("/sys/class/input/event{number}/device/name"))?;
    if files::read(&name).ok()?.trim_ascii() != NAME {
        return None;
    }
    let device = path(format!("/dev/input/event{number}"))?;
    files::open(&device, OFlags::RDONLY | OFlags::NONBLOCK).ok()
}

/// Reads what has happened to it.
pub(crate) fn look(button: impl AsFd) -> Button {
    // Press and release are four events.
    let mut events = [0; 16 * EVENT_BYTES];
    match io::read(button, &mut events) {
        Ok(0) => Button::Gone,
        Ok(length) => match has_press(events.get(..length).unwrap_or_default()) {
            true => Button::Pressed,
            false => Button::Quiet,
        },
        Err(Errno::AGAIN | Errno::INTR) => Button::Quiet,
        Err(_) => Button::Gone,
    }
}

fn has_press(events: &[u8]) -> bool {
    events.chunks_exact(EVENT_BYTES).any(|event| {
        event.get(TYPE) == Some(&KEY.to_ne_bytes()[..])
            && event.get(CODE) == Some(&POWER.to_ne_bytes()[..])
            && event.get(VALUE) == Some(&PRESSED.to_ne_bytes()[..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = [0; 16].to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_a_press_of_the_power_button_is_one() {
        let check =
            |events: &[Vec<u8>], expected| assert_eq!(has_press(&events.concat()), expected);
        let end = event(0, 0, 0);
        check(&[event(1, 116, 1), end.clone()], true);
        check(&[end.clone(), event(1, 116, 0), event(1, 116, 1)], true);
        check(&[event(1, 116, 0), end.clone()], false);
        check(&[event(1, 116, 2), end], false);
        check(&[event(1, 30, 1)], false);
        check(&[event(2, 116, 1)], false);
        check(&[], false);
        assert!(!has_press(&event(1, 116, 1)[..20]));
    }
}
