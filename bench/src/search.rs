//! The least memory with which something works.

/// In MiB: less than the kernel alone needs, and what a machine has by default.
const LEAST_MIB: u32 = 24;
pub(crate) const MOST_MIB: u32 = 256;

/// How the search is made.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Sizes are multiples of this many MiB.
    pub step_mib: u32,
    /// How often the size found must work again.
    pub confirmations: usize,
}

/// The least size for which `works` says so, once in the bisection and then each time that is asked for.
pub(crate) fn bisect(search: Search, mut works: impl FnMut(u32) -> bool) -> Option<u32> {
    let (mut too_small, mut enough) = (
        LEAST_MIB / search.step_mib - 1,
        MOST_MIB / search.step_mib + 1,
    );
    while enough - too_small > 1 {
        let middle = too_small.midpoint(enough);
        match works(middle * search.step_mib) {
            true => enough = middle,
            false => too_small = middle,
        }
    }
    let mut candidates = (enough..=MOST_MIB / search.step_mib).map(|steps| steps * search.step_mib);
    candidates.find(|mib| (0..search.confirmations).all(|_| works(*mib)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_size_that_always_works_is_found() {
        let check = |step_mib, works: fn(u32, usize) -> bool, expected| {
            let mut count = 0;
            let found = bisect(
                Search {
                    step_mib,
                    confirmations: 3,
                },
                |mib| {
                    count += 1;
                    works(mib, count)
                },
            );
            assert_eq!(found, expected);
        };
        check(1, |mib, _| mib >= 43, Some(43));
        check(4, |mib, _| mib >= 43, Some(44));
        check(1, |_, _| true, Some(24));
        check(1, |mib, _| mib >= 256, Some(256));
        check(1, |_, _| false, None);
        // It works in the bisection, and never again.
        check(
            1,
            |mib, count| mib >= 44 || (mib == 43 && count < 9),
            Some(44),
        );
    }
}
