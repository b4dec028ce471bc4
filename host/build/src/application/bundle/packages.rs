//! The packages that are installed below a project's root: which one a file belongs to, where a name leads to, and what a package
//! needs.
//!
//! A package is named by its folder below the root. One that is installed twice is two.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nodeos_spec::package::FILE;

use super::scan;
use crate::application::PrepareApplicationError;
use crate::application::modules::read_error;
use crate::application::project::{DEPENDENCIES, PackageJson};

/// The folder that packages are in.
const MODULES: &str = "node_modules/";
/// What Node.js can be told to load as a script.
const SCRIPTS: [&str; 6] = ["js", "cjs", "mjs", "ts", "cts", "mts"];

/// A folder with a project and its installed packages.
#[derive(Debug)]
pub(super) struct Packages {
    /// Without symbolic links in it.
    root: PathBuf,
}

/// The folder of the innermost package that a file below the root belongs to. None for the project's own files.
pub(in crate::application) fn package_of(path: &str) -> Option<&str> {
    let at = path.rfind(MODULES)? + MODULES.len();
    let below = &path[at..];
    let names = if below.starts_with('@') { 2 } else { 1 };
    let end = below
        .match_indices('/')
        .nth(names - 1)
        .map_or(below.len(), |(end, _)| end);
    Some(&path[..at + end])
}

/// What the package in this folder is called by those who import it.
pub(super) fn name_of(package: &str) -> &str {
    package
        .rfind(MODULES)
        .map_or(package, |at| &package[at + MODULES.len()..])
}

/// The package that an import is from. None for a path and for what is Node.js's own by its form.
pub(super) fn imported(specifier: &str) -> Option<&str> {
    let starts_otherwise = ["./", "../", "/", "#", "node:", "data:", "file:"]
        .iter()
        .any(|start| specifier.starts_with(start));
    if specifier.is_empty() || specifier == "." || specifier == ".." || starts_otherwise {
        return None;
    }
    let names = if specifier.starts_with('@') { 2 } else { 1 };
    let end = specifier.match_indices('/').nth(names - 1);
    Some(end.map_or(specifier, |(end, _)| &specifier[..end]))
}

/// Whether this is the name of a file that Node.js loads as a script.
pub(super) fn is_script(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| SCRIPTS.contains(&ending))
}

impl Packages {
    pub(super) fn below(root: &Path) -> Result<Packages, PrepareApplicationError> {
        let root = fs::canonicalize(root).map_err(|source| read_error(root, source))?;
        Ok(Packages { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where Node.js finds a package that something in this folder imports. None where it finds none, and for a workspace, which
    /// is the project's own.
    pub(super) fn resolve(&self, folder: &str, name: &str) -> Option<String> {
        let found = Path::new(folder)
            .ancestors()
            .filter(|above| !above.ends_with("node_modules"))
            .map(|above| self.root.join(above).join(MODULES).join(name))
            .find(|place| place.is_dir())?;
        let whole = fs::canonicalize(found).ok()?;
        let below = whole.strip_prefix(&self.root).ok()?.to_str()?;
        package_of(below).map(str::to_owned)
    }

    /// These packages, and all that they need.
    pub(super) fn closure(
        &self,
        packages: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PrepareApplicationError> {
        let mut left: Vec<String> = packages.iter().cloned().collect();
        let mut all = packages;
        while let Some(package) = left.pop() {
            for name in self.names(&package)? {
                if let Some(needed) = self.resolve(&package, &name)
                    && all.insert(needed.clone())
                {
                    left.push(needed);
                }
            }
        }
        Ok(all)
    }

    /// The packages that a package names: those that its package.json has, and those that its scripts import without its having
    /// them, as a flat `node_modules` lets them.
    fn names(&self, package: &str) -> Result<BTreeSet<String>, PrepareApplicationError> {
        let mut names = self.declared(package)?;
        self.import_names(Path::new(package), &mut names)?;
        Ok(names)
    }

    /// What the package.json in this folder names for production.
    pub(super) fn declared(
        &self,
        folder: &str,
    ) -> Result<BTreeSet<String>, PrepareApplicationError> {
        let file = PackageJson::read(&self.root.join(folder))?;
        let names = file.iter().flat_map(|file| {
            let fields = DEPENDENCIES.iter().take(3);
            fields.flat_map(|field| file.dependencies(field))
        });
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }

    fn import_names(
        &self,
        folder: &Path,
        names: &mut BTreeSet<String>,
    ) -> Result<(), PrepareApplicationError> {
        let whole = self.root.join(folder);
        let error = |source| read_error(&whole, source);
        for entry in fs::read_dir(&whole).map_err(error)? {
            let entry = entry.map_err(error)?;
            let kind = entry.file_type().map_err(error)?;
            let path = folder.join(entry.file_name());
            if kind.is_dir() && entry.file_name() != "node_modules" {
                self.import_names(&path, names)?;
            } else if kind.is_file() && is_script(&path) {
                let specifiers = self.specifiers(&path)?;
                names.extend(
                    specifiers
                        .iter()
                        .filter_map(|s| imported(s))
                        .map(str::to_owned),
                );
            }
        }
        Ok(())
    }

    /// What a script below the root imports by its text.
    pub(super) fn specifiers(
        &self,
        path: &Path,
    ) -> Result<BTreeSet<String>, PrepareApplicationError> {
        let whole = self.root.join(path);
        let text = fs::read(&whole).map_err(|source| read_error(&whole, source))?;
        Ok(scan::specifiers(&String::from_utf8_lossy(&text)))
    }

    /// Whether there is a package.json beside these files, so that a package is one.
    pub(super) fn is_there(&self, package: &str) -> bool {
        self.root.join(package).join(FILE).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(package_of(path), expected);
        check("lib/a.js", None);
        check("node_modules/a/lib/a.js", Some("node_modules/a"));
        check("node_modules/@s/a/a.js", Some("node_modules/@s/a"));
        check(
            "node_modules/a/node_modules/b/b.js",
            Some("node_modules/a/node_modules/b"),
        );
        check(
            "node_modules/.pnpm/a@1/node_modules/a/a.js",
            Some("node_modules/.pnpm/a@1/node_modules/a"),
        );
        check(
            "packages/x/node_modules/c",
            Some("packages/x/node_modules/c"),
        );
        assert_eq!(name_of("node_modules/a/node_modules/@s/b"), "@s/b");
    }

    #[test]
    fn an_import_is_from_a_package_unless_it_is_a_path_or_nodes_own() {
        let check = |specifier: &str, expected| assert_eq!(imported(specifier), expected);
        check("ms", Some("ms"));
        check("express/lib/view", Some("express"));
        check("@s/a/b/c", Some("@s/a"));
        for other in ["./a", "../a", "/a", ".", "..", "#a", "node:fs", ""] {
            check(other, None);
        }
    }

    #[test]
    fn what_a_package_needs_is_found_where_node_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "node_modules/a/package.json",
            r#"{"dependencies": {"b": "1"}, "optionalDependencies": {"none": "1"}}"#,
        );
        write("node_modules/a/node_modules/b/package.json", "{}");
        write("node_modules/a/lib/x.js", "const c = require('c/sub')");
        write("node_modules/b/package.json", "{}");
        write(
            "node_modules/c/package.json",
            r#"{"peerDependencies": {"b": "2"}}"#,
        );
        write("node_modules/d/package.json", "{}");
        let packages = Packages::below(dir.path()).unwrap();
        let closure = packages
            .closure(BTreeSet::from(["node_modules/a".to_owned()]))
            .unwrap();
        let expected = [
            "node_modules/a",
            "node_modules/a/node_modules/b",
            "node_modules/b",
            "node_modules/c",
        ];
        assert_eq!(closure.iter().collect::<Vec<_>>(), expected);
    }
}
