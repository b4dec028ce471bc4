//! Whether this host has slept: the clock of a machine on it stands still meanwhile.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// How long a machine may have the wrong time after its host woke up. To look costs two system calls.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What is no sleep: that the two clocks are read one after the other.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long the host has slept in all, when somebody looked last.
#[derive(Debug)]
pub(super) struct Sleep {
    known: Duration,
    looked: Instant,
}

impl Sleep {
    pub(super) fn new() -> Sleep {
        Sleep {
            known: slept(),
            looked: Instant::now(),
        }
    }

    /// When to look again at the latest.
    pub(super) fn next_look(&self) -> Instant {
        self.looked + LOOK_EVERY
    }

    /// Whether the host has slept since the last look.
    pub(super) fn has_been(&mut self) -> bool {
        self.looked = Instant::now();
        self.learn(slept())
    }

    fn learn(&mut self, slept: Duration) -> bool {
        let more = slept.saturating_sub(self.known);
        if more < SHORTEST {
            return false;
        }
        self.known = slept;
        true
    }
}

/// One clock counts also while the host sleeps, the other does not (clock_gettime(2)).
fn slept() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

/// The time, in nanoseconds since 1970.
pub(super) fn unix_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_once_and_what_is_none_is_not() {
        let mut sleep = Sleep::new();
        let before = sleep.known;
        let check = |sleep: &mut Sleep, more_ms: u64, expected: bool| {
            let slept = before + Duration::from_millis(more_ms);
            assert_eq!(sleep.learn(slept), expected, "{more_ms}");
        };
        check(&mut sleep, 0, false);
        check(&mut sleep, 3, false);
        check(&mut sleep, 5000, true);
        check(&mut sleep, 5001, false);
        check(&mut sleep, 9000, true);
    }
}
