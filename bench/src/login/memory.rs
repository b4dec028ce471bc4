//! Memory in use: what the machine says of itself, and what its QEMU takes of the host.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// On x86_64.
const PAGE_KIB: u64 = 4;

/// What the machine's kernel says (proc_meminfo(5)), in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MachineMemory {
    /// Without what the kernel itself took at the boot: its code, the list of all pages.
    pub total: u64,
    pub free: u64,
    /// What programs could still get without swapping: caches that can be given up count as free.
    pub available: u64,
    /// Free, but in the lists that each processor keeps for itself (proc_zoneinfo(5)): counted as neither.
    pub lists: u64,
}

impl MachineMemory {
    /// From the texts of `/proc/meminfo` and `/proc/zoneinfo`, whatever is around them: a shell may say something to the terminal just before.
    pub(super) fn parse(text: &str) -> Option<MachineMemory> {
        let field = |name: &str| kib(text.split_once(name)?.1.lines().next());
        let counts = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("count:"));
        let pages: u64 = counts
            .filter_map(|count| count.trim().parse::<u64>().ok())
            .sum();
        Some(MachineMemory {
            total: field("MemTotal:")?,
            free: field("MemFree:")?,
            available: field("MemAvailable:")?,
            lists: pages * PAGE_KIB,
        })
    }

    /// In use by kernel and programs.
    pub fn used(&self) -> u64 {
        self.total - self.available
    }

    /// As [`MachineMemory::used`], without what is free in the lists of processors.
    pub fn used_without_lists(&self) -> u64 {
        self.used().saturating_sub(self.lists)
    }

    /// All that is gone of a machine's `memory_mib`, the kernel's own part with it.
    pub fn gone(&self, memory_mib: u32) -> u64 {
        u64::from(memory_mib) * 1024 - self.available
    }
}

/// What the process of QEMU takes of the host's memory, in KiB. Each page that several processes have counts to each
/// with its share (Pss, proc_pid_smaps(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct HostMemory {
    /// Everything, shared pages whole.
    pub rss: u64,
    /// Everything, shared pages by their share: the sum of what follows.
    pub pss: u64,
    /// The machine's memory as far as the machine ever wrote to it. What its kernel has freed since is still in it.
    pub guest: u64,
    /// What it has touched of the system image that is mapped: pages of the host's page cache, which all machines share.
    pub image: u64,
    /// Code that the emulator has translated. With a hypervisor there is none.
    pub translated: u64,
    /// QEMU itself, and kernel and initrd as it has read them.
    pub rest: u64,
}

impl HostMemory {
    /// Of a running process whose machine has so much memory and this image mapped.
    pub(crate) fn of(
        pid: u32,
        memory_mib: u32,
        image: Option<&Path>,
    ) -> anyhow::Result<HostMemory> {
        let path = format!("/proc/{pid}/smaps");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(HostMemory::parse(&text, memory_mib, image))
    }

    fn parse(smaps: &str, memory_mib: u32, image: Option<&Path>) -> HostMemory {
        let mut sum = HostMemory::default();
        let mut mapping = None;
        for line in smaps.lines() {
            if let Some(begun) = Mapping::parse(line) {
                mapping = Some(begun);
            } else if let Some(value) = line.strip_prefix("Rss:") {
                sum.rss += kib(Some(value)).unwrap_or(0);
            } else if let (Some(value), Some(mapping)) = (line.strip_prefix("Pss:"), &mapping) {
                let value = kib(Some(value)).unwrap_or(0);
                sum.pss += value;
                *sum.part(mapping, memory_mib, image) += value;
            }
        }
        sum
    }

    fn part(&mut self, mapping: &Mapping<'_>, memory_mib: u32, image: Option<&Path>) -> &mut u64 {
        if image.is_some_and(|image| Path::new(mapping.path) == image) {
            &mut self.image
        } else if mapping.permissions.starts_with("rwx") {
            &mut self.translated
        // Nothing else of QEMU is half as large, but for what is only reserved.
        } else if mapping.path.is_empty()
            && mapping.permissions.starts_with("rw")
            && mapping.bytes >= u64::from(memory_mib) << 19
        {
            &mut self.guest
        } else {
            &mut self.rest
        }
    }
}

/// The line that begins a mapping: addresses, permissions, offset, device, inode, path.
struct Mapping<'a> {
    bytes: u64,
    permissions: &'a str,
    path: &'a str,
}

impl Mapping<'_> {
    fn parse(line: &str) -> Option<Mapping<'_>> {
        let (addresses, rest) = line.split_once(' ')?;
        let (begin, end) = addresses.split_once('-')?;
        let address = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut words = rest.splitn(5, ' ');
        let permissions = words.next()?;
        let path = words.nth(3)?;
        // The path is behind the spaces of a column, and may hold spaces itself.
        Some(Mapping {
            bytes: address(end)? - address(begin)?,
            permissions,
            path: path.trim_start(),
        })
    }
}

/// `   123 kB` as a number.
fn kib(value: Option<&str>) -> Option<u64> {
    value?.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_words_are_read_between_others() {
        let text = "cat /proc/meminfo\r\n\u{1b}[?2004l\rMemTotal:   500000 kB\r\nMemFree:  300000 kB\r\nMemAvailable:  400000 kB\r\n    cpu: 0\r\n              count: 1000\r\n              high:  3567\r\n";
        let memory = MachineMemory::parse(text).unwrap();
        assert_eq!((memory.used(), memory.free), (100_000, 300_000));
        assert_eq!(memory.used_without_lists(), 96_000);
        assert_eq!(memory.gone(512), 124_288);
        assert_eq!(MachineMemory::parse("MemTotal: 1 kB"), None);
    }

    #[test]
    fn every_page_is_counted_to_what_it_is_for() {
        let smaps = "\
7f0000000000-7f0020000000 rw-p 00000000 00:00 0 
Size:             524288 kB
Rss:              100000 kB
Pss:              100000 kB
Pss_Dirty:        100000 kB
7f0030000000-7f0070000000 rwxp 00000000 00:00 0 
Rss:               50000 kB
Pss:               50000 kB
7f0080000000-7f00a0000000 r--s 00000000 fe:00 123                        /out folder/system.img
Rss:                8000 kB
Pss:                4000 kB
7f00c0000000-7f00c0100000 rw-p 00000000 00:00 0                          [heap]
Rss:                 200 kB
Pss:                 100 kB
VmFlags: rd wr mr mw me ac
";
        let memory = HostMemory::parse(smaps, 512, Some(Path::new("/out folder/system.img")));
        let expected = HostMemory {
            rss: 158_200,
            pss: 154_100,
            guest: 100_000,
            image: 4000,
            translated: 50_000,
            rest: 100,
        };
        assert_eq!(memory, expected);
    }
}
