//! What the machine uses.

use std::fs;

use nodeos_sandbox::meminfo;
use nodeos_spec::application::message::Stats;

use crate::cgroup::Groups;

/// proc_uptime(5), and proc_pid_net(5) for the other.
const UPTIME: &str = "/proc/uptime";
const NETWORK: &str = "/proc/net/dev";
const LOOPBACK: &str = "lo";

pub(crate) fn now(groups: &Groups) -> Stats {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let memory = read(meminfo::PATH);
    let (received, sent) = traffic(&read(NETWORK));
    Stats {
        uptime_ms: uptime(&read(UPTIME)),
        cpu_us: groups.cpu(),
        memory: groups.memory(),
        memory_peak: groups.memory_peak(),
        memory_limit: groups.limits.memory,
        machine_memory: meminfo::bytes(&memory, "MemTotal").unwrap_or_default(),
        machine_available: meminfo::bytes(&memory, "MemAvailable").unwrap_or_default(),
        processes: groups.processes(),
        received,
        sent,
    }
}

/// Seconds with two decimals, in milliseconds.
fn uptime(text: &str) -> u64 {
    let seconds = text.split(' ').next().unwrap_or_default();
    let (whole, hundredths) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    number(whole) * 1000 + number(hundredths) * 10
}

/// Bytes received and sent by all interfaces but the loopback.
fn traffic(table: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in table.lines() {
        let Some((name, numbers)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == LOOPBACK {
            continue;
        }
        let numbers: Vec<u64> = numbers
            .split_ascii_whitespace()
            .map(|word| word.parse().unwrap_or_default())
            .collect();
        // Eight columns of what is received come first.
        sum.0 += numbers.first().copied().unwrap_or_default();
        sum.1 += numbers.get(8).copied().unwrap_or_default();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds() {
        assert_eq!(uptime("12.34 5.00\n"), 12_340);
        assert_eq!(uptime(""), 0);
    }

    #[test]
    fn traffic_is_that_of_the_network_card() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n\
             \u{20} lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n\
             \u{20} eth0:1000 2 0 0 0 0 0 0 300 3 0 0 0 0 0 0\n";
        assert_eq!(traffic(table), (1000, 300));
    }
}
