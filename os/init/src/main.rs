//! The program `init`; everything it does is in its library. Built for a machine (`panic = "abort"`) it stands without std.
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
#![forbid(unsafe_code)]
nodeos_sys::entry!(nodeos_init::run);

#[cfg(panic = "abort")]
#[global_allocator]
static HEAP: nodeos_sys::heap::Heap = nodeos_sys::heap::Heap;

#[cfg(panic = "abort")]
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    nodeos_init::panicked(info)
}
