//! Ends a machine that runs in the background when this program is told to end, so that it is not left behind.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// While this lives, SIGINT, SIGTERM and SIGHUP end the process that it watches over, and not us.
#[derive(Debug)]
pub struct Ender {
    told: Arc<AtomicBool>,
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Ender {
    /// Watches over a child of ours that has not been waited for yet.
    ///
    /// # Errors
    /// Where the system has no signals or no process file descriptors (pidfd_open(2)) left for us.
    pub fn watch(pid: u32) -> io::Result<Ender> {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidInput)?;
        // A descriptor means this one process for ever; its number may mean another one after its end.
        let process: OwnedFd = pidfd_open(pid, PidfdFlags::empty())?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let handle = signals.handle();
        let told = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&told);
        let thread = thread::spawn(move || {
            for _ in signals.forever() {
                tell.store(true, Ordering::Relaxed);
                // An error means that it has ended already.
                let _ = pidfd_send_signal(&process, Signal::TERM);
            }
        });
        Ok(Ender {
            told,
            signals: handle,
            thread: Some(thread),
        })
    }

    /// Whether a signal came.
    pub fn was_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.signals.close();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
