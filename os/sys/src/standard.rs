//! The three standard descriptors, which rustix calls unsafe to borrow where there is no std.

use rustix::fd::BorrowedFd;

/// Standard input.
pub fn input() -> BorrowedFd<'static> {
    borrow(libc::STDIN_FILENO)
}

/// Standard output.
pub fn output() -> BorrowedFd<'static> {
    borrow(libc::STDOUT_FILENO)
}

/// Standard error.
pub fn error() -> BorrowedFd<'static> {
    borrow(libc::STDERR_FILENO)
}

fn borrow(number: i32) -> BorrowedFd<'static> {
    // SAFETY: the number is not -1, and no safe code owns, hence closes, one of these three. If the caller of the program
    // has closed it, uses fail with EBADF, as those of std's own standard streams do.
    unsafe { BorrowedFd::borrow_raw(number) }
}
