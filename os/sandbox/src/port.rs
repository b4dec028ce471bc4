//! Finding a virtio-serial port by its name.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel lists the ports (drivers/char/virtio_console.c); each has a file `name`.
pub const CLASS: &str = "/sys/class/virtio-ports";

/// The device of the port called `name`, if the machine has one. `class` is [`CLASS`].
pub fn find(class: &Path, name: &str) -> Option<PathBuf> {
    let ports = fs::read_dir(class).ok()?;
    let is_it = |path: &Path| {
        fs::read_to_string(path.join("name")).is_ok_and(|found| found.trim_end() == name)
    };
    let port = ports.flatten().find(|port| is_it(&port.path()))?;
    Some(Path::new("/dev").join(port.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(find(&scratch.path().join("none"), "org.some"), None);
        for (port, name) in [("vport1p1", "org.other\n"), ("vport1p2", "org.some\n")] {
            fs::create_dir(scratch.path().join(port)).unwrap();
            fs::write(scratch.path().join(port).join("name"), name).unwrap();
        }
        assert_eq!(
            find(scratch.path(), "org.some"),
            Some("/dev/vport1p2".into())
        );
    }
}
