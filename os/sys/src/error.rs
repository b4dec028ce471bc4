//! What an error number means, in words.

use core::ffi::{CStr, c_char};
use core::fmt;

use rustix::io::Errno;

/// An error number whose `Display` is the C library's sentence for it, such as `Device or resource busy`.
///
/// rustix can only say the number when it is built without std.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsError(pub Errno);

impl core::error::Error for OsError {}

impl From<Errno> for OsError {
    fn from(errno: Errno) -> OsError {
        OsError(errno)
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.raw_os_error();
        // glibc's longest sentence has 49 bytes; what does not fit would be cut off, not written beyond the end.
        let mut text = [0; 128];
        // SAFETY: strerror_r(3) in its POSIX form, which the libc crate binds, writes at most the length given into the
        // buffer given; both belong to `text`.
        unsafe { libc::strerror_r(number, text.as_mut_ptr().cast::<c_char>(), text.len()) };
        match CStr::from_bytes_until_nul(&text)
            .ok()
            .and_then(|text| text.to_str().ok())
        {
            Some(text) if !text.is_empty() => f.write_str(text),
            _ => write!(f, "error number {number}"),
        }
    }
}

/// Why the C library's call before this one failed: [`errno(3)`](https://man7.org/linux/man-pages/man3/errno.3.html).
pub(crate) fn last_error() -> Errno {
    // SAFETY: __errno_location returns the address of this thread's own errno, which lives as long as the thread.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn numbers_are_said_in_words() {
        let check = |errno: Errno, expected: &str| assert_eq!(OsError(errno).to_string(), expected);
        check(Errno::NOENT, "No such file or directory");
        check(Errno::PERM, "Operation not permitted");
        check(Errno::from_raw_os_error(4000), "Unknown error 4000");
    }
}
