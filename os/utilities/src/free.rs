//! `free`: the memory of the machine, from `/proc/meminfo`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};

use crate::complain;

const MEMORY: &str = "/proc/meminfo";
const HELP: &str =
    "Usage: free [-k|-m|-g|-h]\n\nShows how much memory there is, and how much of it is used.\n";

pub(crate) fn run(args: Vec<OsString>) -> i32 {
    let mut unit = Unit::Kibi;
    for arg in args.iter().skip(1) {
        unit = match arg.to_str() {
            Some("-k") => Unit::Kibi,
            Some("-m") => Unit::Mebi,
            Some("-g") => Unit::Gibi,
            Some("-h") => Unit::Human,
            Some("--help") => {
                // A closed pipe is the reader's wish.
                let _ = io::stdout().write_all(HELP.as_bytes());
                return 0;
            }
            _ => return complain(HELP.trim_end(), 2),
        };
    }
    match fs::read_to_string(MEMORY) {
        Ok(text) => {
            let _ = io::stdout().write_all(table(&text, unit).as_bytes());
            0
        }
        Err(error) => complain(&format!("free: cannot read {MEMORY}: {error}"), 1),
    }
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Kibi,
    Mebi,
    Gibi,
    Human,
}

impl Unit {
    fn show(self, kib: u64) -> String {
        match self {
            Self::Kibi => kib.to_string(),
            Self::Mebi => (kib >> 10).to_string(),
            Self::Gibi => (kib >> 20).to_string(),
            Self::Human if kib >= 1 << 20 => format!("{:.1}Gi", kib as f64 / f64::from(1 << 20)),
            Self::Human if kib >= 1 << 10 => format!("{:.1}Mi", kib as f64 / f64::from(1 << 10)),
            Self::Human => format!("{kib}Ki"),
        }
    }
}

fn table(meminfo: &str, unit: Unit) -> String {
    let value = |name: &str| {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0u64)
    };
    let total = value("MemTotal");
    let free = value("MemFree");
    let available = value("MemAvailable");
    let cache = value("Buffers") + value("Cached") + value("SReclaimable");
    let used = total.saturating_sub(available);
    let swap = value("SwapTotal");
    let unused = value("SwapFree");
    let row = |name: &str, values: &[u64]| {
        let mut line = format!("{name:<6}");
        for value in values {
            line.push_str(&format!(" {:>11}", unit.show(*value)));
        }
        line + "\n"
    };
    let mut text = format!("{:<6}", "");
    for name in ["total", "used", "free", "shared", "buff/cache", "available"] {
        text.push_str(&format!(" {name:>11}"));
    }
    text.push('\n');
    text.push_str(&row(
        "Mem:",
        &[total, used, free, value("Shmem"), cache, available],
    ));
    text.push_str(&row("Swap:", &[swap, swap.saturating_sub(unused), unused]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_what_is_not_available() {
        let text = "MemTotal: 4096 kB\nMemFree: 1024 kB\nMemAvailable: 2048 kB\nCached: 512 kB\n";
        let table = table(text, Unit::Mebi);
        let words: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["Mem:", "4", "2", "1", "0", "0", "2"]);
        assert_eq!(Unit::Human.show(1 << 21), "2.0Gi");
    }
}
