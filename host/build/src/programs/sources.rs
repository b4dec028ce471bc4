//! The sources of programs at one place in the cache, whichever checkout they come from.
//!
//! Cargo compiles again what lies at another path or is newer than its result. Here nothing ever lies at another path, and what is
//! the same in two checkouts is never newer: so a second clone, or another branch, compiles what differs and no more.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What Cargo reads of a checkout before it knows what a program is made from.
const WORKSPACE: [&str; 2] = ["Cargo.toml", "Cargo.lock"];

/// Makes `to` what a workspace has in `from`: all of `whole`, and of its other packages what Cargo has to see. Files that are as
/// they were are not touched.
///
/// # Errors
/// Something cannot be read or written, or the workspace's manifest is none.
pub(super) fn mirror(from: &Path, to: &Path, whole: &[&str]) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        members: Vec<PathBuf>,
    }
    let manifest = fs::read_to_string(from.join(WORKSPACE[0]))?;
    let manifest: Manifest = toml::from_str(&manifest)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut files: BTreeSet<PathBuf> = WORKSPACE.iter().map(PathBuf::from).collect();
    let all = |_: &Path| true;
    let of_cargo = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str);
        matches!(extension, Some("rs" | "toml"))
    };
    for folder in whole {
        list(from, Path::new(folder), &all, &mut files)?;
    }
    for member in &manifest.workspace.members {
        if !whole.iter().any(|folder| member.starts_with(folder)) {
            list(from, member, &of_cargo, &mut files)?;
        }
    }
    fs::create_dir_all(to)?;
    let mut there = BTreeSet::new();
    list(to, Path::new(""), &all, &mut there)?;
    for gone in there.difference(&files) {
        fs::remove_file(to.join(gone))?;
    }
    files.iter().try_for_each(|file| renew(from, to, file))
}

/// Adds the names of the files below `folder`, from `root` on.
fn list(
    root: &Path,
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    files: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let path = root.join(folder);
    if path.is_file() {
        files.insert(folder.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        // A link would lead out of the mirror.
        match entry.file_type()? {
            kind if kind.is_dir() => list(root, &name, wanted, files)?,
            kind if kind.is_file() && wanted(&name) => drop(files.insert(name)),
            _ => {}
        }
    }
    Ok(())
}

fn renew(from: &Path, to: &Path, file: &Path) -> io::Result<()> {
    let (source, copy) = (from.join(file), to.join(file));
    let bytes = fs::read(source)?;
    match fs::read(&copy) {
        Ok(old) if old == bytes => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            copy.parent().map_or(Ok(()), fs::create_dir_all)?;
        }
        Err(error) => return Err(error),
    }
    fs::write(copy, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of three packages.
    fn checkout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let manifest = "[workspace]\nmembers = [\"os/init\", \"host/cli\", \"tests\"]\n";
        for (path, text) in [
            ("Cargo.toml", manifest),
            ("Cargo.lock", "version = 4\n"),
            ("os/init/Cargo.toml", "[package]\n"),
            ("os/init/src/main.rs", "fn main() {}\n"),
            ("os/init/help/help.md", "help\n"),
            ("host/cli/Cargo.toml", "[package]\n"),
            ("host/cli/src/main.rs", "fn main() {}\n"),
            ("tests/Cargo.toml", "[package]\n"),
            ("tests/src/lib.rs", "\n"),
            ("tests/fixture.json", "{}\n"),
            ("README.md", "NodeOS\n"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn files(root: &Path) -> Vec<String> {
        let mut files = BTreeSet::new();
        list(root, Path::new(""), &|_| true, &mut files).unwrap();
        let name = |path: PathBuf| path.to_str().unwrap().to_owned();
        files.into_iter().map(name).collect()
    }

    #[test]
    fn it_has_what_cargo_reads_and_all_of_what_is_compiled() {
        let (checkout, cache) = (checkout(), tempfile::tempdir().unwrap());
        mirror(checkout.path(), cache.path(), &["os"]).unwrap();
        assert_eq!(
            files(cache.path()),
            [
                "Cargo.lock",
                "Cargo.toml",
                "host/cli/Cargo.toml",
                "host/cli/src/main.rs",
                "os/init/Cargo.toml",
                "os/init/help/help.md",
                "os/init/src/main.rs",
                "tests/Cargo.toml",
                "tests/src/lib.rs",
            ]
        );
    }

    #[test]
    fn another_checkout_touches_only_what_differs() {
        let (first, second) = (checkout(), checkout());
        let cache = tempfile::tempdir().unwrap();
        let written = |file: &str| {
            let metadata = fs::metadata(cache.path().join(file)).unwrap();
            metadata.modified().unwrap()
        };
        let (same, other, gone) = (
            "os/init/Cargo.toml",
            "os/init/src/main.rs",
            "os/init/help/help.md",
        );
        mirror(first.path(), cache.path(), &["os"]).unwrap();
        let before = [written(same), written(other)];
        fs::write(second.path().join(other), "fn main() { loop {} }\n").unwrap();
        fs::remove_file(second.path().join(gone)).unwrap();
        mirror(second.path(), cache.path(), &["os"]).unwrap();
        assert_eq!(written(same), before[0]);
        assert!(written(other) > before[1]);
        assert!(!cache.path().join(gone).exists());
    }

    #[test]
    fn a_checkout_without_a_workspace_is_an_error() {
        let (checkout, cache) = (checkout(), tempfile::tempdir().unwrap());
        fs::write(checkout.path().join("Cargo.toml"), "[package]\n").unwrap();
        let error = mirror(checkout.path(), cache.path(), &["os"]).unwrap_err();
        assert!(error.to_string().contains("workspace"), "{error}");
    }
}
