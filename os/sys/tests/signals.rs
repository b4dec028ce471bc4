//! Signals that are read instead of handled. Each test has a thread of its own, because masks belong to threads.

use std::thread;

use nodeos_sys::signals::{self, SignalFd};
use rustix::process::Signal;

fn in_thread(test: fn()) {
    thread::spawn(test)
        .join()
        .expect("the assertions of the thread hold");
}

fn raise(signal: Signal) {
    // SAFETY: raise(3) takes a number, and the calling thread blocks every signal.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

#[test]
fn blocked_signals_are_read_one_after_the_other_and_then_there_are_none() {
    in_thread(|| {
        signals::block_all().unwrap();
        let fd = SignalFd::new().unwrap();
        assert_eq!(fd.read(), Ok(None));
        raise(Signal::USR2);
        raise(Signal::TERM);
        let mut read = [fd.read().unwrap().unwrap(), fd.read().unwrap().unwrap()];
        read.sort_by_key(|signal| signal.as_raw());
        assert_eq!(read, [Signal::USR2, Signal::TERM]);
        assert_eq!(fd.read(), Ok(None));
    });
}

#[test]
fn the_descriptor_is_not_handed_on_to_programs() {
    use rustix::io::{FdFlags, fcntl_getfd};
    assert_eq!(fcntl_getfd(SignalFd::new().unwrap()), Ok(FdFlags::CLOEXEC));
}

#[test]
fn the_mask_is_what_was_asked_for() {
    fn blocked() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:\t"))
            .unwrap()
            .to_owned()
    }
    in_thread(|| {
        signals::block_all().unwrap();
        // All but KILL (9), STOP (19), and the C library's own two, 32 and 33 (nptl(7)); musl keeps 34 as well.
        assert!(
            ["fffffffe7ffbfeff", "fffffffc7ffbfeff"].contains(&blocked().as_str()),
            "{}",
            blocked()
        );
        signals::unblock_all().unwrap();
        assert_eq!(blocked(), "0000000000000000");
    });
}
