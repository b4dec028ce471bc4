//! The last thing said, and waiting until the host has heard it.

use std::time::{Duration, Instant};

use nodeos_spec::application::frame::{Kind, MESSAGES};
use nodeos_spec::application::message::HostMessage;
use rustix::event::{PollFd, Timespec, poll};
use rustix::fd::AsFd;

use crate::link::{Heard, Host, Link, PAUSE_WITHOUT_HOST};

/// A host from which nothing has come for so long does not pass on any more of what the application wrote, and does not say
/// goodbye.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns when the host has said goodbye, is gone, or is silent.
pub(crate) fn wait(link: &mut Link) {
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        link.write();
        match link.hear() {
            Heard::Frame(frame) => {
                let message = (frame.stream == MESSAGES && frame.kind == Kind::Data)
                    .then(|| HostMessage::parse(&frame.payload));
                if let Some(Ok(HostMessage::Goodbye)) = message {
                    return;
                }
                deadline = Instant::now() + PATIENCE;
                continue;
            }
            Heard::Other {
                now: Host::Gone, ..
            }
            | Heard::Nonsense(_) => return,
            Heard::Other { .. } => continue,
            Heard::Nothing if link.host == Host::Gone => return,
            Heard::Nothing => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let interest = link.interest();
        let mut ready: Vec<PollFd<'_>> = interest
            .map(|interest| PollFd::from_borrowed_fd(link.as_fd(), interest))
            .into_iter()
            .collect();
        let time = match interest {
            Some(_) => left,
            None => left.min(PAUSE_WITHOUT_HOST),
        };
        // Whatever it was, the next round sees it.
        let _ = poll(&mut ready, Timespec::try_from(time).ok().as_ref());
    }
}
