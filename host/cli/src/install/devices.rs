//! The disks of this host, by what the kernel says of them in `/sys` (Documentation/ABI/stable/sysfs-block of the kernel).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The unit of all sizes in `/sys/block`, whatever a device's sectors are.
const UNIT: u64 = 512;

/// Kinds of devices that nobody plugs in: by how their names begin.
const VIRTUAL: [&str; 7] = ["loop", "ram", "zram", "dm-", "md", "sr", "nbd"];

/// Where the kernel tells of itself. Only tests have others.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub sys: PathBuf,
    pub proc: PathBuf,
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel {
            sys: PathBuf::from("/sys"),
            proc: PathBuf::from("/proc"),
        }
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The kernel's name of it: `sdb`.
    pub name: String,
    /// Vendor and model, as the device calls itself. Maybe empty.
    pub model: String,
    /// Bytes.
    pub size: u64,
    /// The size of its sectors in bytes.
    pub sector: u64,
    /// Whether it is made to be plugged in and out.
    pub is_removable: bool,
    pub is_read_only: bool,
    /// Its partitions, by the kernel's names, with their sizes in bytes.
    pub partitions: Vec<(String, u64)>,
    /// What uses it or a part of it, each in words. Empty where nothing does.
    pub uses: Vec<String>,
}

impl Device {
    /// Where it is in `/dev`.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }
}

impl Kernel {
    /// The disks that can be plugged out, or all but those that only exist in the kernel.
    pub fn removable(&self) -> Vec<Device> {
        let mut names: Vec<String> = fs::read_dir(self.sys.join("block"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !VIRTUAL.iter().any(|start| name.starts_with(start)))
            .collect();
        names.sort();
        let devices = names.iter().map(|name| self.device(name));
        devices
            .filter(|device| device.is_removable && device.size > 0)
            .collect()
    }

    /// The disk of this name. What the kernel does not say is nothing.
    pub fn device(&self, name: &str) -> Device {
        let folder = self.sys.join("block").join(name);
        let text = |file: &str| text(&folder.join(file));
        let size = |folder: &Path| number(&folder.join("size")).unwrap_or(0) * UNIT;
        let model = [
            text("device/vendor"),
            text("device/model"),
            text("device/name"),
        ];
        // A bus that things are plugged into, though their controllers do not all say so of themselves.
        let is_plugged = fs::canonicalize(&folder).is_ok_and(|path| {
            let path = path.to_string_lossy().into_owned();
            path.contains("/usb") || path.contains("/mmc_host/")
        });
        let mut partitions: Vec<(String, u64)> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().join("partition").exists())
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, size(&entry.path()))))
            .collect();
        partitions.sort();
        let uses = self.uses(name, &partitions);
        Device {
            name: name.to_owned(),
            model: model.into_iter().flatten().collect::<Vec<_>>().join(" "),
            size: size(&folder),
            sector: number(&folder.join("queue/logical_block_size")).unwrap_or(UNIT),
            is_removable: number(&folder.join("removable")) == Some(1) || is_plugged,
            is_read_only: number(&folder.join("ro")) == Some(1),
            partitions,
            uses,
        }
    }

    /// The disk that a partition is on. None for what is no partition.
    pub fn disk_of_partition(&self, name: &str) -> Option<String> {
        let folder = fs::canonicalize(self.sys.join("class/block").join(name)).ok()?;
        let disk = folder.parent()?.file_name()?.to_str()?;
        folder.join("partition").exists().then(|| disk.to_owned())
    }

    fn uses(&self, name: &str, partitions: &[(String, u64)]) -> Vec<String> {
        let names = || {
            partitions
                .iter()
                .map(|(name, _)| name.as_str())
                .chain([name])
        };
        let numbers: BTreeSet<String> = names()
            .filter_map(|name| text(&self.sys.join("class/block").join(name).join("dev")))
            .collect();
        let paths: BTreeSet<String> = names().map(|name| format!("/dev/{name}")).collect();
        let mut uses: Vec<String> = read(&self.proc.join("self/mountinfo"))
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let number = words.nth(2)?;
                let place = words.nth(1)?;
                let source = line.split_once(" - ")?.1.split(' ').nth(1)?;
                let is_ours = numbers.contains(number) || paths.contains(source);
                is_ours.then(|| format!("mounted at {place}"))
            })
            .collect();
        let swaps = read(&self.proc.join("swaps"));
        uses.extend(
            swaps
                .lines()
                .filter_map(|line| line.split_whitespace().next())
                .filter(|path| paths.contains(*path))
                .map(|path| format!("{path} is swap")),
        );
        for name in names() {
            let holders = self.sys.join("class/block").join(name).join("holders");
            let holders = fs::read_dir(holders).into_iter().flatten().flatten();
            uses.extend(holders.map(|holder| {
                format!(
                    "{name} is a part of {}",
                    holder.file_name().to_string_lossy()
                )
            }));
        }
        uses.sort();
        uses.dedup();
        uses
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn text(path: &Path) -> Option<String> {
    let text = read(path).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A host with a disk that the system is on, a stick, and an empty card reader.
    fn host() -> (tempfile::TempDir, Kernel) {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let disk = |place: &str, name: &str, number: &str, size: &str, removable: &str| {
            let folder = format!("sys/devices/{place}/block/{name}");
            write(&format!("{folder}/size"), size);
            write(&format!("{folder}/removable"), removable);
            write(&format!("{folder}/ro"), "0\n");
            write(&format!("{folder}/dev"), number);
            write(&format!("{folder}/queue/logical_block_size"), "512\n");
            write(&format!("{folder}/{name}1/partition"), "1\n");
            write(&format!("{folder}/{name}1/size"), "2048\n");
            write(
                &format!("{folder}/{name}1/dev"),
                &number.replace(":0", ":1"),
            );
            fs::create_dir_all(dir.path().join("sys/block")).unwrap();
            fs::create_dir_all(dir.path().join("sys/class/block")).unwrap();
            for (link, target) in [
                (format!("sys/block/{name}"), folder.clone()),
                (format!("sys/class/block/{name}"), folder.clone()),
                (
                    format!("sys/class/block/{name}1"),
                    format!("{folder}/{name}1"),
                ),
            ] {
                symlink(dir.path().join(target), dir.path().join(link)).unwrap();
            }
            folder
        };
        disk("pci/ata1", "sda", "8:0\n", "1000000\n", "0\n");
        let stick = disk("pci/usb1", "sdb", "9:0\n", "62500000\n", "0\n");
        write(&format!("{stick}/device/vendor"), "Sample  \n");
        write(&format!("{stick}/device/model"), "Stick 32\n");
        disk("pci/ata2", "sdc", "10:0\n", "0\n", "1\n");
        disk("virtual", "loop0", "7:0\n", "10\n", "1\n");
        write(
            "proc/self/mountinfo",
            "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n21 20 0:5 / /dev rw - devtmpfs udev rw\n",
        );
        write("proc/swaps", "Filename\tType\n/dev/sda1 partition\n");
        let kernel = Kernel {
            sys: dir.path().join("sys"),
            proc: dir.path().join("proc"),
        };
        (dir, kernel)
    }

    #[test]
    fn sticks_are_found_and_fixed_disks_and_empty_readers_are_not() {
        let (_dir, kernel) = host();
        let found = kernel.removable();
        assert_eq!(found.len(), 1, "{found:?}");
        let stick = &found[0];
        assert_eq!(stick.path(), Path::new("/dev/sdb"));
        assert_eq!(
            (stick.model.as_str(), stick.size, stick.sector),
            ("Sample Stick 32", 32_000_000_000, 512)
        );
        assert_eq!(stick.partitions, [("sdb1".to_owned(), 1 << 20)]);
        assert!(stick.uses.is_empty() && !stick.is_read_only);
    }

    #[test]
    fn what_a_disk_is_used_for_is_said() {
        let (_dir, kernel) = host();
        assert_eq!(
            kernel.device("sda").uses,
            ["/dev/sda1 is swap", "mounted at /"]
        );
        assert_eq!(kernel.disk_of_partition("sda1").as_deref(), Some("sda"));
        assert_eq!(kernel.disk_of_partition("sda"), None);
    }
}
