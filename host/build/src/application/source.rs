//! Where an application comes from: a folder, a file, or the registry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nodeos_spec::package::FILE;

use super::PrepareApplicationError;
use super::files::Listing;
use super::project::Project;

/// Where an application comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder with a package.json.
    Folder(PathBuf),
    /// A file that Node.js runs. In a folder with a package.json it is a file of that project; else it is alone, and what
    /// it imports from beside it is not taken along.
    File(PathBuf),
    /// `NAME` or `NAME@VERSION` of npm's registry.
    Package(String),
}

impl FromStr for Source {
    type Err = PrepareApplicationError;

    /// What is there as a file or folder is that; what looks like a path is one; all else is a package.
    fn from_str(given: &str) -> Result<Source, PrepareApplicationError> {
        let path = PathBuf::from(given);
        let is_path = ["/", "./", "../"]
            .iter()
            .any(|start| given.starts_with(start))
            || matches!(given, "." | "..");
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Ok(Source::Folder(path)),
            Ok(_) => Ok(Source::File(path)),
            Err(_) if is_path => Err(PrepareApplicationError::NoSource { path }),
            Err(_) if is_package(given) => Ok(Source::Package(given.to_owned())),
            Err(_) => Err(PrepareApplicationError::NotASource {
                given: given.to_owned(),
            }),
        }
    }
}

/// Whether this can be a package of the registry: `name`, `@scope/name`, with a version behind.
fn is_package(given: &str) -> bool {
    let (scope, rest) = match given.strip_prefix('@') {
        Some(scoped) => match scoped.split_once('/') {
            Some((scope, rest)) => (Some(scope), rest),
            None => return false,
        },
        None => (None, given),
    };
    let name = rest.split('@').next().unwrap_or_default();
    let is_name = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        !name.is_empty() && !name.starts_with(['.', '_', '-']) && name.chars().all(plain)
    };
    let has_script_ending = [".js", ".mjs", ".cjs", ".ts"]
        .iter()
        .any(|ending| given.ends_with(ending));
    // `server.js` that is not there is a file that is not there: the package would be a surprise.
    let looks_like_a_file = scope.is_none() && !rest.contains('@') && has_script_ending;
    is_name(name) && scope.is_none_or(is_name) && !looks_like_a_file
}

/// The project that a file belongs to, and its path in the application's folder. None where it is alone.
pub(super) fn project_of(
    file: &Path,
) -> Result<Option<(Project, String)>, PrepareApplicationError> {
    let (folder, name) = split(file)?;
    if !folder.join(FILE).exists() {
        return Ok(None);
    }
    Ok(Some((Project::read(&folder)?, name)))
}

/// A file without a project.
pub(super) fn alone(file: &Path) -> Result<(Listing, String), PrepareApplicationError> {
    let (folder, name) = split(file)?;
    Ok((Listing::of_one(&folder, Path::new(&name))?, name))
}

fn split(file: &Path) -> Result<(PathBuf, String), PrepareApplicationError> {
    let whole = fs::canonicalize(file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PrepareApplicationError::NoSource {
            path: file.to_owned(),
        },
        _ => PrepareApplicationError::Read {
            path: file.to_owned(),
            source,
        },
    })?;
    let name = whole.file_name().and_then(|name| name.to_str());
    match (whole.parent(), name) {
        (Some(folder), Some(name)) => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(PrepareApplicationError::NotASource {
            given: file.display().to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_itself_and_the_rest_is_a_package() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.js");
        fs::write(&file, "").unwrap();
        let parse = |path: &Path| path.to_str().unwrap().parse::<Source>().unwrap();
        assert_eq!(parse(dir.path()), Source::Folder(dir.path().to_owned()));
        assert_eq!(parse(&file), Source::File(file.clone()));
        for package in [
            "cowsay",
            "cowsay@1.6.0",
            "@acme/tool",
            "@acme/tool@^2",
            "JSONStream",
        ] {
            assert_eq!(
                package.parse::<Source>().unwrap(),
                Source::Package(package.to_owned())
            );
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        let check = |given: &str, expected: &str| {
            assert_eq!(given.parse::<Source>().unwrap_err().to_string(), expected);
        };
        check("./gone", "there is no ./gone");
        let neither = |given: &str| {
            format!("{given:?} is neither a file, nor a folder, nor the name of an npm package")
        };
        for given in ["gone.js", "a b", "@acme", "", "lib/gone"] {
            check(given, &neither(given));
        }
    }
}
