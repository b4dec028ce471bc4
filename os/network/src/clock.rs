//! The two clocks: one that only goes on, for waiting, and the one that people read, which NTP sets.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// Time since the machine started, with that in which it was suspended.
pub fn now() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

/// Unix time.
pub fn unix() -> Duration {
    duration(clock_gettime(ClockId::Realtime))
}

/// Sets the clock that gives [`unix`].
pub fn set_unix(time: Duration) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    Ok(clock_settime(ClockId::Realtime, time)?)
}

/// A clock from before 1970 counts as one that stands at its beginning.
fn duration(time: Timespec) -> Duration {
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
