//! What /proc/meminfo says (proc_meminfo(5)).

/// Where it is.
pub const PATH: &str = "/proc/meminfo";

/// The line that begins with `name`, in bytes.
pub fn bytes(meminfo: &str, name: &str) -> Option<u64> {
    let value = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib = value.trim().strip_suffix(" kB")?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_in_bytes() {
        let text = "MemTotal:         241692 kB\nMemFree: 1 kB\n";
        assert_eq!(bytes(text, "MemTotal"), Some(241_692 << 10));
        assert_eq!(bytes(text, "MemFree"), Some(1 << 10));
        assert_eq!(bytes(text, "Mem"), None);
    }
}
