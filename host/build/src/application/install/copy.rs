//! The part of a project that decides what its dependencies are: copied for the package manager, and hashed for the cache.
//!
//! Mostly these are its package.json, the lock file and a few others. Where scripts of its own run at installation, or a
//! dependency is a folder of the project, everything may matter, so everything is copied.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nodeos_spec::package::{FILE, relative};
use serde_json::{Map, Value, json};

use crate::application::PrepareApplicationError;
use crate::application::manager::{Manager, cpu};
use crate::application::modules::read_error;
use crate::application::project::{DEPENDENCIES, NOT_OURS, PackageJson, Project};
use crate::cache::KeyHasher;
use crate::recipe::{Arch, Libc};

/// Fields of package.json that a package manager installs by.
const INSTALLED_BY: [&str; 14] = [
    "dependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "devDependencies",
    "bundleDependencies",
    "bundledDependencies",
    "overrides",
    "resolutions",
    "workspaces",
    "pnpm",
    "packageManager",
    "allowScripts",
    "trustedDependencies",
];
/// Those that say what a workspace is to the others.
const OF_WORKSPACES: [&str; 3] = ["name", "version", "bin"];
/// Scripts that install.
const INSTALL_SCRIPTS: [&str; 3] = ["preinstall", "install", "postinstall"];
/// How a dependency on this disk begins.
const LOCAL: [&str; 3] = ["file:", "link:", "portal:"];

/// What is copied.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    project: &'a Project,
    extent: Extent,
    /// The package.json of the root (`""`) and of each workspace, as the copy has them.
    packages: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Extent {
    /// What the package manager reads.
    Inputs,
    /// All of the project's files.
    Everything,
}

impl Copy<'_> {
    pub(super) fn of(project: &Project) -> Result<Copy<'_>, PrepareApplicationError> {
        let root = [("", &project.root_package)];
        let workspaces = project
            .workspaces
            .iter()
            .map(|(path, package)| (path.as_str(), package));
        let mut extent = Extent::Inputs;
        if project.manager == Manager::Pnpm
            && project
                .root
                .join(crate::application::project::PNPM_WORKSPACES)
                .exists()
        {
            // Its workspaces are in a language that is not read here.
            extent = Extent::Everything;
        }
        for (folder, package) in root.into_iter().chain(workspaces.clone()) {
            if has_install_scripts(package) || has_local_dependency(folder, package)? {
                extent = Extent::Everything;
            }
        }
        let packages = root
            .into_iter()
            .chain(workspaces)
            .map(|(folder, package)| {
                let fields = match extent {
                    Extent::Inputs => only_what_installs(package, folder, project.manager),
                    Extent::Everything => only_install_scripts(package),
                };
                let text = serde_json::to_string_pretty(&fields).expect("it was JSON before");
                (folder.to_owned(), text)
            })
            .collect();
        Ok(Copy {
            project,
            extent,
            packages,
        })
    }

    /// Adds all that is copied to a key.
    pub(super) fn hash(&self, hasher: KeyHasher) -> Result<KeyHasher, PrepareApplicationError> {
        let mut hasher = hasher;
        for (folder, text) in &self.packages {
            hasher = hasher.text(folder, text);
        }
        for path in self.files()? {
            let whole = self.project.root.join(&path);
            hasher = hasher
                .path(&path.to_string_lossy(), &whole)
                .map_err(|source| read_error(&whole, source))?;
        }
        Ok(hasher)
    }

    /// Writes the copy, for dependencies that run with this processor and C library.
    pub(super) fn write(
        &self,
        arch: Arch,
        libc: Libc,
        to: &Path,
    ) -> Result<(), PrepareApplicationError> {
        for path in self.files()? {
            copy(&self.project.root.join(&path), &to.join(&path))?;
        }
        for (folder, text) in &self.packages {
            let is_pnpms = folder.is_empty() && self.project.manager == Manager::Pnpm;
            let folder = to.join(folder);
            let write = || {
                fs::create_dir_all(&folder)?;
                match is_pnpms {
                    true => fs::write(folder.join(FILE), for_pnpm(text, arch, libc)),
                    false => fs::write(folder.join(FILE), text),
                }
            };
            write().map_err(|source| write_error(&folder, source))?;
        }
        Ok(())
    }

    /// Files and folders besides each package.json, below the root.
    fn files(&self) -> Result<Vec<PathBuf>, PrepareApplicationError> {
        let root = &self.project.root;
        match self.extent {
            Extent::Inputs => {
                let inputs = self.project.manager.inputs().into_iter().map(PathBuf::from);
                Ok(inputs.filter(|path| root.join(path).exists()).collect())
            }
            Extent::Everything => {
                let mut files = Vec::new();
                everything(root, Path::new(""), &mut files)?;
                files.retain(|path| {
                    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
                    path.file_name().is_none_or(|name| name != FILE)
                        || !self.packages.contains_key(folder)
                });
                files.sort();
                Ok(files)
            }
        }
    }
}

fn everything(
    root: &Path,
    folder: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<(), PrepareApplicationError> {
    let whole = root.join(folder);
    let error = |source| read_error(&whole, source);
    for entry in fs::read_dir(&whole).map_err(error)? {
        let entry = entry.map_err(error)?;
        if NOT_OURS
            .iter()
            .any(|not_ours| entry.file_name() == *not_ours)
        {
            continue;
        }
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().map_err(error)?;
        if kind.is_dir() {
            everything(root, &path, files)?;
        } else if kind.is_file() || kind.is_symlink() {
            files.push(path);
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), PrepareApplicationError> {
    let meta = fs::symlink_metadata(from).map_err(|source| read_error(from, source))?;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
    }
    if meta.is_dir() {
        fs::create_dir_all(to).map_err(|source| write_error(to, source))?;
        for entry in fs::read_dir(from).map_err(|source| read_error(from, source))? {
            let name = entry
                .map_err(|source| read_error(from, source))?
                .file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    let copied = if meta.is_symlink() {
        fs::read_link(from).and_then(|target| symlink(target, to))
    } else {
        fs::copy(from, to).map(drop)
    };
    copied.map_err(|source| write_error(to, source))
}

fn write_error(path: &Path, source: io::Error) -> PrepareApplicationError {
    PrepareApplicationError::Write {
        path: path.to_owned(),
        source,
    }
}

fn has_install_scripts(package: &PackageJson) -> bool {
    INSTALL_SCRIPTS
        .iter()
        .any(|name| package.script(name).is_some())
}

/// Whether a dependency is a folder or file of the project. One that is outside of it is an error.
fn has_local_dependency(
    folder: &str,
    package: &PackageJson,
) -> Result<bool, PrepareApplicationError> {
    let mut has = false;
    for (name, range) in DEPENDENCIES
        .iter()
        .take(3)
        .flat_map(|field| package.dependencies(field))
    {
        let is_path = ["./", "../", "/", "~/"]
            .iter()
            .any(|start| range.starts_with(start));
        let local = LOCAL.iter().find_map(|start| range.strip_prefix(start));
        let Some(path) = local.or(is_path.then_some(range)) else {
            continue;
        };
        has = true;
        if path.starts_with('/') || relative(&format!("./{folder}/{path}")).is_none() {
            return Err(PrepareApplicationError::Outside {
                name: name.to_owned(),
                range: range.to_owned(),
            });
        }
    }
    Ok(has)
}

/// Without all that changes while an application is written: each word of it would install everything anew.
fn only_what_installs(package: &PackageJson, folder: &str, manager: Manager) -> Map<String, Value> {
    let is_workspace = !folder.is_empty();
    // A lock file has to be one of all that package.json names. Without one, what is for developing need not even exist.
    let has_lock = manager != Manager::Npm { lock: None };
    let of_workspaces = OF_WORKSPACES.iter().filter(|_| is_workspace);
    INSTALLED_BY
        .iter()
        .chain(of_workspaces)
        .filter(|field| has_lock || **field != "devDependencies")
        .filter_map(|field| Some(((*field).to_owned(), package.fields.get(*field)?.clone())))
        .collect()
}

/// Says what to install for in the way of pnpm before 10.14.
fn for_pnpm(text: &str, arch: Arch, libc: Libc) -> String {
    let mut value: Value = serde_json::from_str(text).expect("we have written it");
    value["pnpm"]["supportedArchitectures"] = json!({
        "os": ["linux"],
        "cpu": [cpu(arch)],
        "libc": [libc.as_str()],
    });
    value.to_string()
}

fn only_install_scripts(package: &PackageJson) -> Map<String, Value> {
    let mut fields = package.fields.clone();
    if let Some(Value::Object(scripts)) = fields.get_mut("scripts") {
        // The others may be what an install script runs.
        for name in [
            "prepare",
            "preprepare",
            "postprepare",
            "prepublish",
            "prepublishOnly",
            "prepack",
        ] {
            scripts.remove(name);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let project = Project::read(dir.path()).unwrap();
        (dir, project)
    }

    fn key(files: &[(&str, &str)]) -> String {
        let (_dir, project) = project(files);
        let copy = Copy::of(&project).unwrap();
        copy.hash(KeyHasher::new("test"))
            .unwrap()
            .finish()
            .to_string()
    }

    #[test]
    fn only_what_decides_the_dependencies_counts() {
        let package = |more: &str| format!(r#"{{"dependencies": {{"a": "1"}}{more}}}"#);
        let with = |package: &str, lock: &str| {
            key(&[
                ("package.json", package),
                ("package-lock.json", lock),
                ("a.js", ""),
            ])
        };
        let plain = with(&package(""), "{}");
        let same = package(
            r#", "version": "2.0.0", "description": "new", "scripts": {"test": "x", "prepare": "husky"}"#,
        );
        assert_eq!(with(&same, "{}"), plain);
        assert_ne!(with(&package(r#", "overrides": {"b": "2"}"#), "{}"), plain);
        assert_ne!(with(&package(""), "{ }"), plain, "the lock file");
        let own = package(r#", "scripts": {"postinstall": "patch-package"}"#);
        assert_ne!(with(&own, "{}"), plain, "a script of its own");
    }

    #[test]
    fn a_script_of_its_own_may_look_at_everything() {
        let package = r#"{"scripts": {"postinstall": "patch-package", "prepare": "husky"}}"#;
        let (dir, project) = project(&[
            ("package.json", package),
            ("patches/a.patch", "x"),
            ("node_modules/a/index.js", ""),
        ]);
        let to = dir.path().join("node_modules/copy");
        let copy = Copy::of(&project).unwrap();
        copy.write(Arch::X86_64, Libc::Musl, &to).unwrap();
        assert!(to.join("patches/a.patch").exists());
        assert!(!to.join("node_modules").exists());
        let text = fs::read_to_string(to.join(FILE)).unwrap();
        assert!(
            text.contains("patch-package") && !text.contains("husky"),
            "{text}"
        );
    }

    #[test]
    fn a_dependency_outside_of_the_project_is_refused() {
        let check = |range: &str, is_inside: bool| {
            let text = format!(r#"{{"dependencies": {{"lib": "{range}"}}}}"#);
            let (_dir, project) = project(&[("package.json", &text), ("lib/package.json", "{}")]);
            let copy = Copy::of(&project);
            assert_eq!(copy.is_ok(), is_inside, "{range}: {copy:?}");
        };
        check("file:./lib", true);
        check("file:lib", true);
        check("./lib", true);
        check("file:../lib", false);
        check("link:/srv/lib", false);
    }
}
