//! A folder with a `package.json`, and the folder above it where that has it as a workspace.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use nodeos_spec::application::FOLDER;
use nodeos_spec::package::{FILE, Package, relative};
use serde_json::{Map, Value};

use super::PrepareApplicationError;
use super::manager::{self, Manager};

/// Folders that hold nothing of a project's own.
pub(super) const NOT_OURS: [&str; 2] = ["node_modules", ".git"];

/// pnpm's list of workspaces.
pub(super) const PNPM_WORKSPACES: &str = "pnpm-workspace.yaml";

/// Fields of package.json that name dependencies, those for production first.
pub(super) const DEPENDENCIES: [&str; 4] = [
    "dependencies",
    "optionalDependencies",
    "peerDependencies",
    "devDependencies",
];

/// A `package.json`.
#[derive(Debug, Clone)]
pub(super) struct PackageJson {
    pub(super) path: PathBuf,
    pub(super) fields: Map<String, Value>,
}

/// An npm project.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder that has the lock file. It becomes `/app`.
    pub(super) root: PathBuf,
    pub(super) root_package: PackageJson,
    /// Where the application is below it, where it is one of several workspaces.
    pub(super) member: Option<String>,
    /// The application's own.
    pub(super) package: PackageJson,
    /// Every workspace, by its path below the root.
    pub(super) workspaces: BTreeMap<String, PackageJson>,
    pub(super) manager: Manager,
}

impl PackageJson {
    /// None where there is no such file.
    pub(super) fn read(folder: &Path) -> Result<Option<PackageJson>, PrepareApplicationError> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PrepareApplicationError::Read { path, source }),
        };
        // As npm does: some editors put a byte order mark before the text.
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(fields)) => Ok(Some(PackageJson { path, fields })),
            Ok(_) => Err(PrepareApplicationError::NotAnObject { path }),
            Err(source) => Err(PrepareApplicationError::Json { path, source }),
        }
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields
            .get(field)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.fields.get("scripts")?.get(name)?.as_str()
    }

    /// Programs by name, as npm reads `bin`.
    pub(super) fn bins(&self) -> BTreeMap<String, String> {
        let own = self.text("name").unwrap_or_default();
        let own = own.rsplit('/').next().unwrap_or_default().to_owned();
        match self.fields.get("bin") {
            Some(Value::String(file)) => BTreeMap::from([(own, file.clone())]),
            Some(Value::Object(files)) => files
                .iter()
                .filter_map(|(name, file)| Some((name.clone(), file.as_str()?.to_owned())))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    /// Whether it cannot be published, so that nothing says what would be.
    pub(super) fn is_private(&self) -> bool {
        self.fields.get("private") == Some(&Value::Bool(true))
    }

    /// Name and range of each dependency in a field.
    pub(super) fn dependencies(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let object = self.fields.get(field).and_then(Value::as_object);
        object
            .into_iter()
            .flatten()
            .filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
    }

    /// The section about us.
    pub(super) fn config(&self) -> Result<Package, PrepareApplicationError> {
        Package::of(&self.fields).map_err(|source| PrepareApplicationError::Section {
            path: self.path.clone(),
            source,
        })
    }

    /// The workspaces that it names, as patterns.
    fn workspace_patterns(&self) -> Vec<&str> {
        let field = self.fields.get("workspaces");
        let list = field.and_then(|field| field.get("packages")).or(field);
        list.and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }
}

impl Project {
    /// The project of a folder.
    pub(super) fn read(folder: &Path) -> Result<Project, PrepareApplicationError> {
        let folder = fs::canonicalize(folder).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => PrepareApplicationError::NoSource {
                path: folder.to_owned(),
            },
            _ => PrepareApplicationError::Read {
                path: folder.to_owned(),
                source,
            },
        })?;
        let package =
            PackageJson::read(&folder)?.ok_or_else(|| PrepareApplicationError::NoPackageJson {
                folder: folder.clone(),
            })?;
        let above = match manager::has_lock(&folder) {
            true => None,
            false => root_above(&folder)?,
        };
        let (root, root_package, member) = match above {
            Some((root, root_package, member)) => (root, root_package, Some(member)),
            None => (folder, package.clone(), None),
        };
        Ok(Project {
            workspaces: workspaces(&root, &root_package)?,
            manager: manager::of(&root)?,
            root,
            root_package,
            member,
            package,
        })
    }

    /// The application's folder.
    pub(super) fn folder(&self) -> PathBuf {
        match &self.member {
            Some(member) => self.root.join(member),
            None => self.root.clone(),
        }
    }

    /// A path of the application as one of the project.
    pub(super) fn below_root(&self, path: &str) -> Option<String> {
        let member = self.member.as_deref().unwrap_or(".");
        relative(&format!("{member}/{path}"))
    }

    /// The folder in the machine that it starts in.
    pub(super) fn cwd(&self) -> String {
        match &self.member {
            Some(member) => format!("{FOLDER}/{member}"),
            None => FOLDER.to_owned(),
        }
    }

    /// The name in its package.json, else the folder's.
    pub(super) fn name(&self) -> String {
        let folder = self.folder();
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        host_name(self.package.text("name").unwrap_or(&folder))
    }

    /// What people should know about it.
    pub(super) fn notes(&self, node_version: &str) -> Vec<String> {
        let mut notes = Vec::new();
        let has_dependencies = DEPENDENCIES.iter().any(|field| {
            let packages = [&self.root_package, &self.package];
            packages
                .iter()
                .any(|package| package.dependencies(field).next().is_some())
        });
        if has_dependencies && self.manager == (Manager::Npm { lock: None }) {
            notes.push(
                "the project has no lock file, so another build may get other versions of its dependencies: \
                 `npm install` writes one"
                    .to_owned(),
            );
        }
        let engines = self
            .package
            .fields
            .get("engines")
            .and_then(|e| e.get("node"));
        if let Some(wanted) = engines.and_then(Value::as_str)
            && contains(wanted, node_version) == Some(false)
        {
            notes.push(format!(
                "\"engines.node\" of package.json is {wanted:?}, and this NodeOS has Node.js {node_version}"
            ));
        }
        notes
    }
}

/// Whether a range of versions, as npm writes it, has this version in it. None where it is no range.
pub(super) fn contains(range: &str, version: &str) -> Option<bool> {
    let range: nodejs_semver::Range = range.parse().ok()?;
    let version: nodejs_semver::Version = version.parse().ok()?;
    Some(version.satisfies(&range))
}

/// A name that a host can have (RFC 1123): of letters, digits and `-`, at most 63.
pub(super) fn host_name(name: &str) -> String {
    // A scope says whose it is, and not what.
    let name = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    match name.trim_matches('-') {
        "" => "app".to_owned(),
        name => name.to_owned(),
    }
}

/// The folder above that has this one as a workspace.
fn root_above(
    folder: &Path,
) -> Result<Option<(PathBuf, PackageJson, String)>, PrepareApplicationError> {
    for above in folder.ancestors().skip(1) {
        // A package.json that cannot be read there is none of our business.
        let Ok(Some(package)) = PackageJson::read(above) else {
            continue;
        };
        let member = folder.strip_prefix(above).unwrap_or(folder);
        let is_member = above.join(PNPM_WORKSPACES).exists()
            || matcher(above, &package)?.matched(member, true).is_ignore();
        if let Some(member) = member.to_str().filter(|_| is_member) {
            return Ok(Some((above.to_owned(), package, member.to_owned())));
        }
    }
    Ok(None)
}

/// The patterns of workspaces in the language of `.gitignore`, which says the same of them.
fn matcher(root: &Path, package: &PackageJson) -> Result<Gitignore, PrepareApplicationError> {
    let mut builder = GitignoreBuilder::new(root);
    let mut add = |pattern: &str| {
        let (not, path) = match pattern.strip_prefix('!') {
            Some(path) => ("!", path),
            None => ("", pattern),
        };
        let path = path.trim_start_matches("./").trim_matches('/');
        builder.add_line(None, &format!("{not}/{path}")).map(drop)
    };
    for pattern in package.workspace_patterns() {
        add(pattern).map_err(|source| PrepareApplicationError::Pattern {
            pattern: pattern.to_owned(),
            file: "\"workspaces\" in package.json".to_owned(),
            source,
        })?;
    }
    builder
        .build()
        .map_err(|source| PrepareApplicationError::Pattern {
            pattern: "a pattern".to_owned(),
            file: "\"workspaces\" in package.json".to_owned(),
            source,
        })
}

/// Every folder below the root that is a workspace.
fn workspaces(
    root: &Path,
    package: &PackageJson,
) -> Result<BTreeMap<String, PackageJson>, PrepareApplicationError> {
    let mut found = BTreeMap::new();
    if package.workspace_patterns().is_empty() {
        return Ok(found);
    }
    let matcher = matcher(root, package)?;
    let mut left = vec![PathBuf::new()];
    while let Some(folder) = left.pop() {
        let read_error = |source| PrepareApplicationError::Read {
            path: root.join(&folder),
            source,
        };
        for entry in fs::read_dir(root.join(&folder)).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let is_folder = entry.file_type().map_err(read_error)?.is_dir();
            let name = entry.file_name();
            if !is_folder || NOT_OURS.iter().any(|not_ours| name == *not_ours) {
                continue;
            }
            let path = folder.join(&name);
            if matcher.matched(&path, true).is_ignore()
                && let Some(package) = PackageJson::read(&root.join(&path))?
                && let Some(text) = path.to_str()
            {
                found.insert(text.to_owned(), package);
            }
            left.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_hosts() {
        let check = |name, expected| assert_eq!(host_name(name), expected, "{name}");
        check("shop", "shop");
        check("@acme/shop.api", "shop-api");
        check("My Server.js", "my-server-js");
        check("_", "app");
        assert_eq!(host_name(&"a".repeat(200)).len(), 63);
    }

    #[test]
    fn ranges_are_npms() {
        let check = |range, expected| assert_eq!(contains(range, "24.19.0"), expected, "{range}");
        check(">=18", Some(true));
        check("^22 || ^24", Some(true));
        check("24.x", Some(true));
        check(">=20 <24", Some(false));
        check("18 - 22", Some(false));
        check("latest and greatest", None);
    }

    #[test]
    fn a_workspace_knows_the_folder_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let write = |folder: &str, text: &str| {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join(FILE), text).unwrap();
        };
        write(
            "",
            r#"{"private": true, "workspaces": ["packages/*", "!packages/old"]}"#,
        );
        write("packages/api", r#"{"name": "@acme/api"}"#);
        write("packages/lib", r#"{"name": "lib"}"#);
        write("packages/old", r#"{"name": "old"}"#);
        write("packages/api/node_modules/x", r#"{"name": "x"}"#);
        write("other", r#"{"name": "other"}"#);
        let project = Project::read(&root.join("packages/api")).unwrap();
        assert_eq!(project.root, root);
        assert_eq!(project.member.as_deref(), Some("packages/api"));
        assert_eq!(
            (project.name(), project.cwd()),
            ("api".to_owned(), "/app/packages/api".to_owned())
        );
        assert_eq!(
            project.below_root("./a.js").as_deref(),
            Some("packages/api/a.js")
        );
        let found: Vec<_> = project.workspaces.keys().collect();
        assert_eq!(found, ["packages/api", "packages/lib"]);
        assert_eq!(Project::read(&root.join("other")).unwrap().member, None);
    }
}
