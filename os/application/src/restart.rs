//! Whether, and after which time, an application that has ended is started again.

use std::time::Duration;

use nodeos_spec::application::message::End;
use nodeos_spec::service::Restart;

/// The delay after the first early end, and the longest: what a session's services have.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// An application that has run this long was a good one, and is started again at once.
const GOOD: Duration = Duration::from_secs(10);

/// None when it is not started again. `early` counts how often it has ended early without a longer life in between, and is
/// updated.
pub(crate) fn after(
    restart: Restart,
    how: End,
    lived: Duration,
    early: &mut u32,
) -> Option<Duration> {
    let again = match restart {
        Restart::Always => true,
        Restart::OnFailure => how != End::Code(0),
        Restart::Never => false,
    };
    if !again {
        return None;
    }
    if lived >= GOOD {
        *early = 0;
        return Some(Duration::ZERO);
    }
    let factor = 2_u32.saturating_pow(*early);
    *early = early.saturating_add(1);
    Some(FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(9999);

    #[test]
    fn the_policy_decides() {
        let check = |restart, how, expected: Option<Duration>| {
            assert_eq!(
                after(restart, how, SHORT, &mut 0),
                expected,
                "{restart} {how:?}"
            );
        };
        check(Restart::Never, End::Code(1), None);
        check(Restart::OnFailure, End::Code(0), None);
        check(Restart::OnFailure, End::Code(1), Some(FIRST_DELAY));
        check(Restart::OnFailure, End::Signal(9), Some(FIRST_DELAY));
        check(Restart::Always, End::Code(0), Some(FIRST_DELAY));
    }

    #[test]
    fn the_delay_doubles_up_to_a_minute_and_begins_anew_after_a_long_life() {
        let mut early = 0;
        let mut next = |lived| after(Restart::Always, End::Code(1), lived, &mut early).unwrap();
        let delays: Vec<_> = (0..8).map(|_| next(SHORT).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(next(GOOD), Duration::ZERO);
        assert_eq!(next(SHORT), FIRST_DELAY);
    }
}
