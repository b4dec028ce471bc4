//! Where NodeOS's own sources are: the checkout with `layers/` and `os/`, from which a system is built.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What only the root of a checkout has.
const LANDMARKS: [&str; 2] = ["layers", "os/init/Cargo.toml"];

/// The variable that names the checkout when `--source` does not.
pub const VARIABLE: &str = "NODEOS_SOURCE";

/// Why there is nothing to build from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FindSourceError {
    #[error("{} is not a checkout of NodeOS: it has no {missing}", path.display())]
    NotACheckout {
        path: PathBuf,
        missing: &'static str,
    },
    #[error("cannot find the sources of NodeOS")]
    NotFound,
}

impl FindSourceError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(format!(
            "run this inside a checkout of NodeOS, or name one with --source DIR or {VARIABLE}"
        ))
    }
}

/// Finds the checkout: the one that is `named`, else the one around `current`, else the one that this program was
/// compiled from, if it still exists.
pub fn find(
    named: Option<&Path>,
    current: Option<&Path>,
    compiled: &Path,
) -> Result<PathBuf, FindSourceError> {
    if let Some(named) = named {
        return match missing_landmark(named) {
            Some(missing) => Err(FindSourceError::NotACheckout {
                path: named.to_owned(),
                missing,
            }),
            None => Ok(std::path::absolute(named).unwrap_or_else(|_| named.to_owned())),
        };
    }
    let around = current.into_iter().flat_map(Path::ancestors);
    around
        .chain(std::iter::once(compiled))
        .find(|folder| missing_landmark(folder).is_none())
        .map(Path::to_owned)
        .ok_or(FindSourceError::NotFound)
}

/// The folder that this program was compiled in: two above that of the crate.
pub fn compiled() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder
        .ancestors()
        .nth(2)
        .unwrap_or(crate_folder)
        .to_owned()
}

fn missing_landmark(folder: &Path) -> Option<&'static str> {
    LANDMARKS
        .into_iter()
        .find(|landmark| !folder.join(landmark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn checkout(at: &Path) {
        fs::create_dir_all(at.join("layers")).unwrap();
        fs::create_dir_all(at.join("os/init")).unwrap();
        fs::write(at.join("os/init/Cargo.toml"), "").unwrap();
    }

    #[test]
    fn the_nearest_answer_wins() {
        let scratch = tempfile::tempdir().unwrap();
        let [named, around, compiled] =
            ["named", "around", "compiled"].map(|name| scratch.path().join(name));
        for folder in [&named, &around, &compiled] {
            checkout(folder);
        }
        let inside = around.join("layers");
        assert_eq!(find(Some(&named), Some(&inside), &compiled), Ok(named));
        assert_eq!(find(None, Some(&inside), &compiled), Ok(around));
        assert_eq!(find(None, Some(scratch.path()), &compiled), Ok(compiled));
    }

    #[test]
    fn what_is_no_checkout_is_refused_with_what_it_lacks() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("layers")).unwrap();
        let error = find(Some(scratch.path()), None, Path::new("/nowhere")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is not a checkout of NodeOS: it has no os/init/Cargo.toml",
                scratch.path().display()
            )
        );
        assert_eq!(
            find(None, None, Path::new("/nowhere")),
            Err(FindSourceError::NotFound)
        );
        assert_eq!(
            FindSourceError::NotFound.hint().unwrap(),
            "run this inside a checkout of NodeOS, or name one with --source DIR or NODEOS_SOURCE"
        );
    }

    #[test]
    fn tests_run_in_the_checkout_they_were_compiled_in() {
        assert_eq!(missing_landmark(&compiled()), None);
    }
}
