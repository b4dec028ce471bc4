//! The packets of SNTP (RFC 4330), the client's part of NTP (RFC 5905), and what they say about our clock.

use std::time::Duration;

use thiserror::Error;

/// The length of a packet without extensions, which a simple client neither sends nor reads.
pub const LENGTH: usize = 48;
/// The port of time servers.
pub const PORT: u16 = 123;

/// From the beginning of NTP's time, 1900, to that of Unix, 1970.
const UNIX_IN_NTP: u64 = 2_208_988_800;
/// Numbers of modes: ours, and that of who answers.
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// The version that we speak; servers of the version before answer it as well.
const VERSION: u8 = 4;
/// "My clock is not set" in the place of the leap second's warning.
const ALARM: u8 = 3;
/// A server's distance from a reference clock is less (RFC 5905, 7.3).
const UNSYNCHRONISED: u8 = 16;

/// The beginning of 2026 in Unix time: this program was written later, so no right clock is before it.
const EARLIEST: i128 = 1_767_225_600 * 1_000_000_000;

/// Nanoseconds that our clock lags behind the server's; negative where it is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset(pub i128);

/// Why an answer says nothing about the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadTimeError {
    #[error("it is not the answer of a time server")]
    NotAnAnswer,
    /// It answers another question, or is a forgery.
    #[error("it answers another question")]
    NotOurs,
    #[error("its clock is not set")]
    NotSet,
    #[error("it does not want to be asked")]
    Refused,
}

/// A question. `cookie` comes back in its answer: a number that nobody can guess, in place of our time, which is nobody's
/// business.
pub fn request(cookie: u64) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = VERSION << 3 | CLIENT;
    packet[40..].copy_from_slice(&cookie.to_be_bytes());
    packet
}

/// Reads the answer to the question that had `cookie`, was sent when our clock showed `sent`, and answered at `received`.
pub fn read(
    bytes: &[u8],
    cookie: u64,
    sent: Duration,
    received: Duration,
) -> Result<Offset, ReadTimeError> {
    let packet: &[u8; LENGTH] = bytes.first_chunk().ok_or(ReadTimeError::NotAnAnswer)?;
    let [first, stratum, ..] = *packet;
    let (leap, version, mode) = (first >> 6, first >> 3 & 7, first & 7);
    if mode != SERVER || version == 0 || version > VERSION {
        return Err(ReadTimeError::NotAnAnswer);
    }
    let number = |at: usize| {
        let bytes = packet[at..at + 8].try_into().expect("it has eight bytes");
        u64::from_be_bytes(bytes)
    };
    let (originate, receive, transmit) = (number(24), number(32), number(40));
    if originate != cookie {
        return Err(ReadTimeError::NotOurs);
    }
    if stratum == 0 {
        return Err(ReadTimeError::Refused);
    }
    if leap == ALARM || stratum >= UNSYNCHRONISED || receive == 0 || transmit == 0 {
        return Err(ReadTimeError::NotSet);
    }
    if nanoseconds(transmit) < EARLIEST || nanoseconds(receive) < EARLIEST {
        return Err(ReadTimeError::NotSet);
    }
    let [sent, received] = [sent, received].map(|time| time.as_nanos() as i128);
    let there = nanoseconds(receive) - sent;
    let back = nanoseconds(transmit) - received;
    Ok(Offset((there + back) / 2))
}

/// Unix time of a timestamp: 32 bits of seconds, 32 of their fraction. A number below 2^31 belongs to the era that begins
/// in 2036 (RFC 4330, 3).
fn nanoseconds(timestamp: u64) -> i128 {
    let (seconds, fraction) = (timestamp >> 32, timestamp & u64::from(u32::MAX));
    let era = if seconds < 1 << 31 { 1 << 32 } else { 0 };
    let seconds = i128::from(seconds + era) - i128::from(UNIX_IN_NTP);
    seconds * 1_000_000_000 + i128::from((fraction * 1_000_000_000) >> 32)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const COOKIE: u64 = 0x0123_4567_89ab_cdef;

    /// The NTP timestamp of a Unix time.
    pub(crate) fn timestamp(unix: Duration) -> u64 {
        let seconds = (unix.as_secs() + UNIX_IN_NTP) & u64::from(u32::MAX);
        (seconds << 32) | ((u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000)
    }

    /// What a server of stratum 2 answers whose clock shows `time`.
    pub(crate) fn answer(cookie: u64, time: Duration) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[0] = VERSION << 3 | SERVER;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&cookie.to_be_bytes());
        packet[32..40].copy_from_slice(&timestamp(time).to_be_bytes());
        packet[40..].copy_from_slice(&timestamp(time).to_be_bytes());
        packet
    }

    fn milliseconds(offset: Offset) -> i128 {
        // The fraction of a timestamp is cut off, not rounded.
        (offset.0 + 1000).div_euclid(1_000_000)
    }

    #[test]
    fn half_of_the_way_is_taken_for_the_way_there() {
        let ours = Duration::from_secs(1_800_000_000);
        let theirs = ours + Duration::from_millis(90_050);
        let received = ours + Duration::from_millis(100);
        let offset = read(&answer(COOKIE, theirs), COOKIE, ours, received).unwrap();
        assert_eq!(milliseconds(offset), 90_000);
    }

    #[test]
    fn a_clock_that_was_never_set_is_far_behind_and_one_can_be_ahead() {
        let now = Duration::from_secs(1_800_000_000);
        let start = Duration::ZERO;
        let offset = read(&answer(COOKIE, now), COOKIE, start, start).unwrap();
        assert_eq!(milliseconds(offset), 1_800_000_000_000);
        let later = now + Duration::from_secs(5);
        let offset = read(&answer(COOKIE, now), COOKIE, later, later).unwrap();
        assert_eq!(milliseconds(offset), -5_000);
    }

    #[test]
    fn the_era_after_2036_is_understood() {
        let later = Duration::from_secs(2_085_978_496 + 86_400);
        let offset = read(&answer(COOKIE, later), COOKIE, later, later).unwrap();
        assert_eq!(milliseconds(offset), 0);
    }

    #[test]
    fn answers_that_say_nothing_are_refused() {
        let now = Duration::from_secs(1_800_000_000);
        let good = answer(COOKIE, now);
        let check = |change: fn(&mut [u8; LENGTH]), expected| {
            let mut packet = good;
            change(&mut packet);
            assert_eq!(read(&packet, COOKIE, now, now), Err(expected));
        };
        check(|packet| packet[0] |= ALARM << 6, ReadTimeError::NotSet);
        check(|packet| packet[1] = 0, ReadTimeError::Refused);
        check(|packet| packet[1] = 16, ReadTimeError::NotSet);
        check(|packet| packet[24] ^= 1, ReadTimeError::NotOurs);
        check(|packet| packet[40..].fill(0), ReadTimeError::NotSet);
        check(
            |packet| packet[0] = VERSION << 3 | CLIENT,
            ReadTimeError::NotAnAnswer,
        );
        check(|packet| packet[0] = SERVER, ReadTimeError::NotAnAnswer);
        let early = answer(COOKIE, Duration::from_secs(86_400));
        let read_early = read(&early, COOKIE, now, now);
        assert_eq!(read_early, Err(ReadTimeError::NotSet));
        for length in 0..LENGTH {
            let read = read(&good[..length], COOKIE, now, now);
            assert_eq!(read, Err(ReadTimeError::NotAnAnswer));
        }
    }

    #[test]
    fn a_question_tells_nothing_but_its_cookie() {
        let packet = request(COOKIE);
        assert_eq!(packet[0], 0x23);
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
        assert_eq!(packet[40..], COOKIE.to_be_bytes());
    }
}
