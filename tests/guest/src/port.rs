//! The virtio port to the host: finding it by its name, and writing reports to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nodeos_spec::channel::TestReport;
use thiserror::Error;

/// Where the kernel lists the ports (drivers/char/virtio_console.c); each has a file `name`.
pub const CLASS: &str = "/sys/class/virtio-ports";
/// Where their devices are.
const DEVICES: &str = "/dev";

/// Why there is no port to report to.
#[derive(Debug, Error)]
pub enum FindPortError {
    #[error("cannot list {}", .class.display())]
    List {
        class: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the machine has no virtio port named {name}")]
    NotFound { name: String },
}

/// The device of the port called `name`.
pub fn find(class: &Path, name: &str) -> Result<PathBuf, FindPortError> {
    let list = |source| FindPortError::List {
        class: class.to_owned(),
        source,
    };
    for entry in fs::read_dir(class).map_err(list)? {
        let entry = entry.map_err(list)?;
        // A port without a name is somebody else's.
        let found = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if found.trim_end() == name {
            return Ok(Path::new(DEVICES).join(entry.file_name()));
        }
    }
    Err(FindPortError::NotFound {
        name: name.to_owned(),
    })
}

/// Sends reports, one JSON line each.
#[derive(Debug)]
pub struct Reporter {
    port: File,
}

impl Reporter {
    /// Opens the port's device.
    pub fn open(device: &Path) -> io::Result<Reporter> {
        let port = OpenOptions::new().read(true).write(true).open(device)?;
        Ok(Reporter { port })
    }

    /// Sends one line.
    pub fn send(&mut self, report: &TestReport) -> io::Result<()> {
        let mut line = serde_json::to_string(report).map_err(io::Error::other)?;
        line.push('\n');
        self.port.write_all(line.as_bytes())
    }

    /// Returns when the host has closed its end, which it does when it has read everything: a machine that powers off
    /// takes with it what QEMU has not passed on yet.
    pub fn wait_until_taken(mut self) -> io::Result<()> {
        // The driver reads as end of file while the host is not connected.
        self.port.read_to_end(&mut Vec::new()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        let class = scratch.path().join("virtio-ports");
        for (port, name) in [
            ("vport1p1", "org.example.other\n"),
            ("vport1p2", "org.nodeos.results\n"),
        ] {
            fs::create_dir_all(class.join(port)).unwrap();
            fs::write(class.join(port).join("name"), name).unwrap();
        }
        fs::create_dir_all(class.join("vport0p0")).unwrap();
        assert_eq!(
            find(&class, "org.nodeos.results").unwrap(),
            Path::new("/dev/vport1p2")
        );
        let error = find(&class, "org.nodeos").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the machine has no virtio port named org.nodeos"
        );
        fs::remove_dir_all(&class).unwrap();
        assert!(
            find(&class, "org.nodeos.results")
                .unwrap_err()
                .to_string()
                .starts_with("cannot list ")
        );
    }
}
