//! What Node.js is told about the size of a machine, so that it does not outgrow a small one.
//!
//! Measured with Node.js 24.19 (musl) and a load of many short-lived objects: semi-spaces of 2 MiB instead of 16 take
//! 12 MiB off a peak of 29 MiB of its own memory and no time; 1 MiB takes 2 more, and a third more of processor time.
//! `--single-threaded-gc` and `--lite-mode` change no memory (they end threads, which hardly have any), and
//! `--max-old-space-size` none before it is reached. So only these two are given for it.
//!
//! `--v8-pool-size=1` where there is one processor takes a twentieth off the code that the start of a server runs through: V8's
//! usual four threads cannot work at the same time there, and still have to be made and to wait for each other.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// MiB that are not for V8's heap: Linux takes 20 in a machine of 128, Node.js 10 before any JavaScript, and buffers,
/// stacks and what is in `/tmp` are there as well.
const NOT_HEAP_MIB: u32 = 40;
/// With less, Node.js does not get through its own start.
const LEAST_HEAP_MIB: u32 = 16;
/// Machines of less memory than the first number, in MiB, have semi-spaces of the second. Larger ones have V8's own, 16.
const SEMI_SPACES: [(u32, u32); 3] = [(192, 2), (320, 4), (640, 8)];

/// The threads that V8 has for its own work, unless it is told.
const WORKERS: usize = 4;

/// Arguments for Node.js in a machine of so many MiB and processors. Whoever names one of them in `nodeArgs` is to be followed
/// instead: the later argument counts, so these come first.
pub fn size_arguments(memory_mib: u32, processors: usize) -> Vec<String> {
    // A quarter stays for buffers, which grow with what an application holds. Without a limit V8 would put off its
    // collections until the kernel kills it; with one, it works harder before, and then says in words what is wrong.
    let heap = (memory_mib.saturating_sub(NOT_HEAP_MIB) / 4 * 3).max(LEAST_HEAP_MIB);
    let mut arguments = vec![format!("--max-old-space-size={heap}")];
    let semi_space = SEMI_SPACES.iter().find(|(below, _)| memory_mib < *below);
    arguments.extend(semi_space.map(|(_, mib)| format!("--max-semi-space-size={mib}")));
    let workers = (processors < WORKERS).then(|| format!("--v8-pool-size={processors}"));
    arguments.extend(workers);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_has_a_small_heap() {
        let check = |mib, expected: &str| assert_eq!(size_arguments(mib, 4).join(" "), expected);
        check(40, "--max-old-space-size=16 --max-semi-space-size=2");
        check(64, "--max-old-space-size=18 --max-semi-space-size=2");
        check(128, "--max-old-space-size=66 --max-semi-space-size=2");
        check(256, "--max-old-space-size=162 --max-semi-space-size=4");
        check(512, "--max-old-space-size=354 --max-semi-space-size=8");
        check(1024, "--max-old-space-size=738");
    }

    #[test]
    fn v8_has_no_more_threads_for_itself_than_there_are_processors() {
        let last = |processors| size_arguments(1024, processors).pop().unwrap();
        assert_eq!(last(1), "--v8-pool-size=1");
        assert_eq!(last(3), "--v8-pool-size=3");
        assert_eq!(last(4), "--max-old-space-size=738");
        assert_eq!(last(16), "--max-old-space-size=738");
    }
}
