//! How the machine's memory is shared out.

use nodeos_sandbox::meminfo;
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::application::memory::size_arguments;
use rustix::thread::sched_getaffinity;

/// Kept from the application, in bytes, of what is free when it starts: for what the kernel, PID 1 and this program come to need
/// while it runs, so that they go on when the application has taken all of its own.
const RESERVE: u64 = 4 << 20;
/// No machine that has got this far has less for its application. One with too little is told so by the kernel, which ends
/// the application.
const LEAST: u64 = 8 << 20;
/// Processes kept from the application: for commands, and for this program to make them.
const PROCESS_RESERVE: u64 = 64;
/// More than this no application needs; that of a machine with little memory is less.
const MOST_PROCESSES: u64 = 8192;
/// No machine has fewer.
const LEAST_PROCESSES: u64 = 64;

/// What the application may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) processes: u64,
}

/// By the texts of /proc/meminfo and of /proc/sys/kernel/threads-max.
pub(crate) fn limits(meminfo: &str, threads_max: &str) -> Limits {
    let available = meminfo::bytes(meminfo, "MemAvailable").unwrap_or_default();
    let threads: u64 = threads_max.trim().parse().unwrap_or_default();
    Limits {
        memory: available.saturating_sub(RESERVE).max(LEAST),
        processes: threads
            .saturating_sub(PROCESS_RESERVE)
            .clamp(LEAST_PROCESSES, MOST_PROCESSES),
    }
}

/// How many there are. Without an answer, one. `std` looks for limits of control groups, too; there are none here.
pub(crate) fn processors() -> usize {
    let usable = sched_getaffinity(None).map(|set| set.count());
    usize::try_from(usable.unwrap_or(1)).unwrap_or(1)
}

/// Tells Node.js how much memory there is and how many processors, where it is to be told. `iomem` is the text of
/// /proc/iomem.
pub(crate) fn fit(spec: &mut ApplicationSpec, iomem: &str, processors: usize) {
    let memory_mib = machine_mib(iomem);
    if spec.fit_memory && memory_mib > 0 {
        spec.argv
            .splice(1..1, size_arguments(memory_mib, processors));
    }
}

/// How much memory the machine was given, in MiB: firmware keeps less than one for itself. What the kernel says of it as a whole
/// (`MemTotal`) is less, by what it takes itself. Only for root the text has addresses in it; without them, this is 0 or 1.
fn machine_mib(iomem: &str) -> u32 {
    let bytes: u64 = iomem
        .lines()
        .filter_map(|line| {
            // What is a part of something else is indented.
            let range = line.strip_suffix(" : System RAM")?;
            let (first, last) = range.split_once('-')?;
            let [first, last] = [first, last].map(|at| u64::from_str_radix(at, 16).ok());
            last?.checked_sub(first?)?.checked_add(1)
        })
        .sum();
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

/// How much the application's filesystems in memory take at most, in bytes. What is in them counts as its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryFiles {
    pub(crate) tmp: u64,
    pub(crate) run: u64,
    pub(crate) shared_memory: u64,
    /// What the host changes in the application's files.
    pub(crate) changes: u64,
}

/// Full ones together leave an eighth of the memory to who filled them.
pub(crate) fn memory_files(meminfo: &str) -> MemoryFiles {
    let available = meminfo::bytes(meminfo, "MemAvailable").unwrap_or_default();
    MemoryFiles {
        tmp: available / 2,
        run: available / 8,
        shared_memory: available / 4,
        changes: available / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_has_what_is_free_but_for_a_reserve() {
        let check = |mib: u64, threads: &str, expected: (u64, u64)| {
            let limits = limits(&format!("MemAvailable: {} kB\n", mib << 10), threads);
            assert_eq!((limits.memory >> 20, limits.processes), expected, "{mib}");
        };
        check(34, "500\n", (30, 436));
        check(1000, "60000\n", (996, 8192));
        check(2, "10\n", (8, 64));
    }

    #[test]
    fn node_is_told_what_the_machine_was_given() {
        let iomem = "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-07fdffff : System RAM\n  \
                     04000000-04ffffff : Kernel code\n240000000-2479fffff : Persistent Memory\n";
        assert_eq!(machine_mib(iomem), 128);
        assert_eq!(machine_mib("00000000-00000000 : System RAM\n"), 1);
        let argv = |more: &str| {
            let text = format!(r#"{{"name": "a", "argv": ["/bin/node", "a.js"]{more}}}"#);
            let mut spec = ApplicationSpec::parse(&text).unwrap();
            fit(&mut spec, iomem, 1);
            spec.argv.join(" ")
        };
        assert_eq!(argv(""), "/bin/node a.js");
        assert_eq!(
            argv(r#", "fitMemory": true"#),
            "/bin/node --max-old-space-size=66 --max-semi-space-size=2 --v8-pool-size=1 a.js"
        );
    }

    #[test]
    fn full_filesystems_leave_memory_to_who_filled_them() {
        let sizes = memory_files("MemAvailable: 32768 kB\n");
        assert_eq!(sizes.tmp, 16 << 20);
        assert!(sizes.tmp + sizes.run + sizes.shared_memory < 32 << 20);
    }
}
