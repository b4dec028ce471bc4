//! Numbers that two machines started at once do not have in common: for transaction numbers and for waiting times.

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

/// The generator splitmix64 of Steele, Lea and Flood, seeded by the kernel.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded by the kernel, or by the time where the kernel has nothing yet: this never waits.
    pub fn new(now: Duration) -> Random {
        let mut seed = [0; 8];
        match getrandom(&mut seed, GetRandomFlags::NONBLOCK) {
            Ok(8) => Random(u64::from_ne_bytes(seed)),
            _ => Random(now.as_nanos() as u64),
        }
    }

    /// With a known sequence, for tests.
    pub fn from_seed(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A time from `middle - spread` to `middle + spread`, at least zero.
    pub fn around(&mut self, middle: Duration, spread: Duration) -> Duration {
        let width = u64::try_from(2 * spread.as_millis()).unwrap_or(u64::MAX);
        let offset = Duration::from_millis(self.next_u64() % width.saturating_add(1));
        (middle + offset).saturating_sub(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spread_around_the_middle() {
        let mut random = Random::from_seed(1);
        let [middle, spread] = [4, 1].map(Duration::from_secs);
        let times: Vec<Duration> = (0..1000).map(|_| random.around(middle, spread)).collect();
        assert!(
            times
                .iter()
                .all(|time| (middle - spread..=middle + spread).contains(time))
        );
        assert!(times.iter().any(|time| *time < middle - spread / 2));
        assert!(times.iter().any(|time| *time > middle + spread / 2));
    }
}
