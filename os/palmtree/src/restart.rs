//! Whether, and after which time, a service that has ended is started again.

use std::time::Duration;

use nodeos_spec::service::{Restart, Service};

use crate::ending::Ending;

/// The delay after the first early end.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest: a service that was repaired is not waited for much longer than its user looks at it.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// What counts as early whatever the file says: a service that ends at once would be all that the machine does.
const LEAST_UPTIME: Duration = Duration::from_secs(1);

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is started after this time.
    After(Duration),
    /// It has done its work.
    Stopped,
    /// It has failed, and is to stay so.
    Failed,
}

/// Decides it. `early` counts how often it has ended early without a longer life in between, and is updated.
pub(crate) fn decide(
    service: &Service,
    ending: &Ending,
    lived: Duration,
    early: &mut u32,
) -> Decision {
    let again = match service.restart {
        Restart::Always => true,
        Restart::OnFailure => !ending.is_success(),
        Restart::Never => false,
    };
    if !again {
        return if ending.is_success() {
            Decision::Stopped
        } else {
            Decision::Failed
        };
    }
    if lived >= service.min_uptime.max(LEAST_UPTIME) {
        *early = 0;
        return Decision::After(Duration::ZERO);
    }
    *early = early.saturating_add(1);
    Decision::After(delay(*early))
}

/// The delay after so many early ends: it doubles each time.
fn delay(early: u32) -> Duration {
    let factor = 2_u32.saturating_pow(early.saturating_sub(1));
    FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeos_spec::service;

    const SHORT: Duration = Duration::from_millis(1999);
    const LONG: Duration = Duration::from_millis(2000);

    fn service(more: &str) -> Service {
        let text = format!(r#"[{{"command": "a"{more}}}]"#);
        service::parse(&text).unwrap().services.remove(0)
    }

    fn check(more: &str, ending: Ending, lived: Duration, expected: Decision) {
        let decision = decide(&service(more), &ending, lived, &mut 0);
        assert_eq!(decision, expected, "{more} {ending:?} {lived:?}");
    }

    #[test]
    fn always_is_always_and_at_once_after_a_long_life() {
        check("", Ending::Code(0), LONG, Decision::After(Duration::ZERO));
        check("", Ending::Code(1), LONG, Decision::After(Duration::ZERO));
        check("", Ending::Signal(9), SHORT, Decision::After(FIRST_DELAY));
        check("", Ending::Code(0), SHORT, Decision::After(FIRST_DELAY));
        let missing = Ending::NotStarted("no".to_owned());
        check("", missing, Duration::ZERO, Decision::After(FIRST_DELAY));
    }

    #[test]
    fn on_failure_ends_with_code_0() {
        let more = r#", "restart": "on-failure""#;
        check(more, Ending::Code(0), SHORT, Decision::Stopped);
        check(more, Ending::Code(1), SHORT, Decision::After(FIRST_DELAY));
        check(
            more,
            Ending::Signal(11),
            LONG,
            Decision::After(Duration::ZERO),
        );
    }

    #[test]
    fn never_tells_success_from_failure() {
        let more = r#", "restart": "never""#;
        check(more, Ending::Code(0), SHORT, Decision::Stopped);
        check(more, Ending::Code(1), LONG, Decision::Failed);
        let missing = Ending::NotStarted("no".to_owned());
        check(more, missing, Duration::ZERO, Decision::Failed);
    }

    #[test]
    fn a_least_uptime_of_nothing_does_not_start_a_service_all_the_time() {
        let more = r#", "minUptime": 0"#;
        check(
            more,
            Ending::Code(0),
            Duration::ZERO,
            Decision::After(FIRST_DELAY),
        );
        check(
            more,
            Ending::Code(0),
            LEAST_UPTIME,
            Decision::After(Duration::ZERO),
        );
    }

    #[test]
    fn the_delay_doubles_up_to_a_minute_for_ever_and_begins_anew_after_a_long_life() {
        let (service, mut early) = (service(""), 0);
        let mut next = |lived| match decide(&service, &Ending::Code(1), lived, &mut early) {
            Decision::After(delay) => delay.as_secs(),
            other => panic!("{other:?}"),
        };
        let delays: Vec<_> = (0..9).map(|_| next(SHORT)).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
        assert_eq!(next(LONG), 0);
        assert_eq!(next(SHORT), 1);
    }
}
