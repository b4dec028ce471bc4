//! Whether there is room for a build.

use std::path::Path;

use rustix::fs::statvfs;

use crate::checks::Check;
use crate::output::size;

/// What a build from an empty cache takes: the kernel's sources and objects are 2.5 GB of it, the downloads, Node.js and
/// images the rest, rounded up.
const FULL_BUILD_BYTES: u64 = 4_000_000_000;

/// What a build puts into the output folder: a kernel and a system image, with room for a second flavor.
const OUTPUT_BYTES: u64 = 500_000_000;

/// Checks the cache folder and the output folder.
pub fn checks(cache: &Path, out: &Path) -> Vec<Check> {
    vec![
        check("space for cache", cache, FULL_BUILD_BYTES),
        check("space for output", out, OUTPUT_BYTES),
    ]
}

fn check(name: &str, folder: &Path, needed: u64) -> Check {
    // Neither folder need exist yet; what counts is the filesystem it will be on.
    let existing = folder
        .ancestors()
        .find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists());
    let place = existing.unwrap_or(Path::new("."));
    match statvfs(place) {
        Err(error) => Check::missing(
            name,
            format!("cannot examine {}: {error}", place.display()),
            "give another folder",
        ),
        Ok(filesystem) => judge(
            name,
            folder,
            filesystem.f_bavail.saturating_mul(filesystem.f_frsize),
            needed,
        ),
    }
}

fn judge(name: &str, folder: &Path, free: u64, needed: u64) -> Check {
    let found = format!("{} free at {}", size::bytes(free), folder.display());
    if free >= needed {
        Check::ok(name, found)
    } else {
        let hint = "nodeos cache clean --all, or point XDG_CACHE_HOME and --out at a larger disk";
        Check::without(
            name,
            format!("{found}; a full build takes {}", size::bytes(needed)),
            hint,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::State;

    #[test]
    fn a_folder_that_does_not_exist_yet_is_judged_by_its_filesystem() {
        let scratch = tempfile::tempdir().unwrap();
        let check = check("space for cache", &scratch.path().join("a/b"), 0);
        assert_eq!(check.state, State::Ok);
        assert!(
            check
                .found
                .ends_with(&format!("free at {}/a/b", scratch.path().display())),
            "{check:?}"
        );
    }

    #[test]
    fn too_little_space_is_said_with_what_is_needed() {
        let check = judge(
            "space for cache",
            Path::new("/cache"),
            1_200_000_000,
            FULL_BUILD_BYTES,
        );
        assert_eq!(check.state, State::Without);
        assert_eq!(
            check.found,
            "1.2 GB free at /cache; a full build takes 4.0 GB"
        );
    }
}
