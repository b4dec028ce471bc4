//! What is said where a disk of this host is full.

use std::error::Error;
use std::path::Path;

use nodeos_build::cache::{free_space, human_bytes, is_disk_full};

/// What the user can do where this could not be written there, if the reason is that the disk is full.
pub fn hint(path: &Path, error: &(dyn Error + 'static)) -> Option<String> {
    is_disk_full(error).then(|| needed(path))
}

/// What the user can do where there is no room for this.
pub fn needed(path: &Path) -> String {
    let (mount, free) = free_space(path);
    let free = human_bytes(free);
    format!(
        "free some space in {}, which has {free} left",
        mount.display()
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_a_full_disk_wants_room() {
        let path = Path::new("/proc/self/fd");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let expected = "free some space in /proc, which has 0 bytes left";
        assert_eq!(hint(path, &full).unwrap(), expected);
        let other = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(hint(path, &other), None);
    }
}
