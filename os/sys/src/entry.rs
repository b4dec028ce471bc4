//! How a program without std is entered and left: C's `main` and `_exit`.

use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int};

/// What a program was called with.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The name it was called by, then its arguments. The kernel passes an empty list to nobody but a careless caller's child.
    pub args: Vec<CString>,
    /// The environment, as `name=value`.
    pub env: Vec<CString>,
}

impl Invocation {
    /// Copies what the C library hands to `main`.
    ///
    /// # Safety
    ///
    /// Each pointer is null or the begin of an array of C strings that ends in a null pointer, as ISO C 5.1.2.2.1 has
    /// it for `argv`, and as every C library of Linux has it for the third argument.
    pub unsafe fn from_main(argv: *const *const c_char, envp: *const *const c_char) -> Invocation {
        // SAFETY: the caller's contract is the one of `strings`.
        unsafe {
            Invocation {
                args: strings(argv),
                env: strings(envp),
            }
        }
    }
}

/// Defines C's `main`, which calls the function named: `fn(Invocation) -> i32`, the exit code.
///
/// Where a panic aborts it also defines the three functions of stack unwinding that the C library and Rust's `alloc` name,
/// but which nothing calls then: without std nobody else brings them.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        /// Called by the C library's start-up code.
        ///
        /// # Safety
        ///
        /// It is nobody else's to call.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            _argc: ::core::ffi::c_int,
            argv: *const *const ::core::ffi::c_char,
            envp: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: the C library calls `main` with the arrays that the kernel put on the stack, which end in null
            // pointers (execve(2), "C library/kernel differences"; elf's auxiliary vector comes behind them).
            let invocation = unsafe { $crate::entry::Invocation::from_main(argv, envp) };
            $run(invocation)
        }

        /// Named by Rust's precompiled `alloc`.
        #[cfg(panic = "abort")]
        #[unsafe(no_mangle)]
        pub extern "C" fn rust_eh_personality() -> ! {
            $crate::entry::unwound()
        }

        /// Named by the C library's part for cancelled threads, of which there are none.
        #[cfg(panic = "abort")]
        #[unsafe(no_mangle)]
        pub extern "C" fn __gcc_personality_v0() -> ! {
            $crate::entry::unwound()
        }

        /// Named by both.
        #[cfg(panic = "abort")]
        #[unsafe(no_mangle)]
        pub extern "C" fn _Unwind_Resume() -> ! {
            $crate::entry::unwound()
        }
    };
}

/// Ends this process at once, without flushing or handlers: [`_exit(2)`](https://man7.org/linux/man-pages/man2/_exit.2.html).
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: _exit has no precondition and does not return.
    unsafe { libc::_exit(code) }
}

/// What stack unwinding does in a program that has none.
#[doc(hidden)]
pub fn unwound() -> ! {
    // EX_SOFTWARE of sysexits.h.
    exit_now(70)
}

/// # Safety
///
/// The pointer is null or the begin of an array of C strings that ends in a null pointer.
unsafe fn strings(mut array: *const *const c_char) -> Vec<CString> {
    let mut found = Vec::new();
    if array.is_null() {
        return found;
    }
    loop {
        // SAFETY: `array` has not gone past the null pointer that ends it, at which this loop ends.
        let string = unsafe { *array };
        if string.is_null() {
            return found;
        }
        // SAFETY: by the contract every element before the end is a C string; it is copied before anything can change it.
        found.push(unsafe { CStr::from_ptr(string) }.to_owned());
        // SAFETY: the element just read was not the end, so the array has a further one.
        array = unsafe { array.add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_copied_up_to_their_null_pointer() {
        let array = [
            c"init".as_ptr(),
            c"-a b".as_ptr(),
            core::ptr::null(),
            c"beyond".as_ptr(),
        ];
        // SAFETY: the first array ends in a null pointer, the second pointer is null.
        let invocation = unsafe { Invocation::from_main(array.as_ptr(), core::ptr::null()) };
        assert_eq!(invocation.args, [c"init".to_owned(), c"-a b".to_owned()]);
        assert!(invocation.env.is_empty());
    }
}
