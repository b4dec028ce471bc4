//! What an application is made of, to be compared with what it was made of before: without contents, and without images.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::package::{FILE, Package};

use super::files::{ItemKind, Listing};
use super::image::numbers;
use super::manager;
use super::modules::mode;
use super::project::{NOT_OURS, PNPM_WORKSPACES};
use super::{Makers, Order, PrepareApplicationError, find_out, syntax};
use crate::context::Context;
use crate::manifest::Manifest;
use crate::recipe::Libc;

/// What an application is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The folder that its files are in. Empty for a package from the registry.
    pub root: PathBuf,
    /// The folders that its files can be in, below the root, which is one of them.
    pub folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    /// Files and folders that are not taken in, and say nothing about what is.
    left_out: BTreeSet<PathBuf>,
    machine: Option<MadeFor>,
}

/// What a machine that runs cannot follow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MadeFor {
    dependencies: Option<PathBuf>,
    libc: Libc,
    spec: ApplicationSpec,
    config: Package,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum File {
    Link(PathBuf),
    Contents { mode: u16, state: [i128; 8] },
}

/// What leads from one outline to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that are new, or have changed.
    pub changed: BTreeMap<PathBuf, Kind>,
    /// Files that are not there any more.
    pub removed: Vec<PathBuf>,
}

/// What a file is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// To be read where it is.
    File { mode: u16 },
    /// A symbolic link that leads there.
    Link(PathBuf),
}

/// Why a machine that runs cannot become what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnotherMachine {
    Dependencies,
    Settings,
}

impl Outline {
    pub(super) fn of(
        listing: &Listing,
        spec: ApplicationSpec,
        config: &Package,
        libc: Libc,
        dependencies: Option<PathBuf>,
    ) -> Outline {
        let files = listing.items.iter().map(|item| {
            let file = match &item.kind {
                ItemKind::Link(target) => File::Link(target.clone()),
                ItemKind::File(meta) => File::Contents {
                    mode: mode(meta),
                    state: numbers(meta),
                },
            };
            (item.path.clone(), file)
        });
        let left_out = listing.left_out.iter().map(|(path, _)| path);
        let left_out = left_out.filter(|path| !is_about_others(path));
        Outline {
            root: listing.root.clone(),
            folders: listing.folders.clone(),
            files: files.collect(),
            left_out: left_out.cloned().collect(),
            machine: Some(MadeFor {
                dependencies,
                libc,
                spec,
                // Which files it has they say themselves.
                config: Package {
                    include: Vec::new(),
                    exclude: Vec::new(),
                    ..config.clone()
                },
            }),
        }
    }

    /// Whether this file below the root can be one whose change changes something.
    pub fn concerns(&self, path: &Path) -> bool {
        if !self.files.contains_key(Path::new(FILE)) && self.files.len() == 1 {
            // A file alone, among whatever lies beside it.
            return self.files.contains_key(path);
        }
        !path.ancestors().any(|path| self.left_out.contains(path))
    }

    /// Forgets what is in this folder below the root.
    pub fn hide(&mut self, folder: &Path) {
        self.folders.retain(|path| !path.starts_with(folder));
        self.files.retain(|path, _| !path.starts_with(folder));
    }

    /// Whether this file is there, and another one than in `before`.
    pub(super) fn has_another(&self, before: &Outline, path: &Path) -> bool {
        let file = self.files.get(path);
        file.is_some() && file != before.files.get(path)
    }

    /// Why a machine made for `before` cannot become this one.
    pub fn needs_another_machine(&self, before: &Outline) -> Option<AnotherMachine> {
        let (Some(now), Some(before)) = (&self.machine, &before.machine) else {
            return None;
        };
        if now.dependencies != before.dependencies || now.libc != before.libc {
            Some(AnotherMachine::Dependencies)
        } else if now != before {
            Some(AnotherMachine::Settings)
        } else {
            None
        }
    }

    /// What has to be done to the files of `before`.
    pub fn changes_since(&self, before: &Outline) -> Changes {
        let changed = self
            .files
            .iter()
            .filter(|(path, file)| before.files.get(*path) != Some(*file));
        let changed = changed.map(|(path, file)| {
            let kind = match file {
                File::Link(target) => Kind::Link(target.clone()),
                File::Contents { mode, .. } => Kind::File { mode: *mode },
            };
            (path.clone(), kind)
        });
        let removed = before.files.keys();
        Changes {
            changed: changed.collect(),
            removed: removed
                .filter(|path| !self.files.contains_key(*path))
                .cloned()
                .collect(),
        }
    }
}

/// Whether a file that is not taken in says which are, or what is installed.
fn is_about_others(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_dotted = name.as_encoded_bytes().starts_with(b".");
    (is_dotted && NOT_OURS.iter().all(|not_ours| name != *not_ours))
        || name == PNPM_WORKSPACES
        || manager::is_lock(name)
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// Folders that the changed files are in, those above before those below.
    pub fn folders(&self) -> Vec<&Path> {
        let mut folders: Vec<&Path> = self
            .changed
            .keys()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|folder| folder.as_os_str() != OsStr::new(""))
            .collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

/// What an application is made of now.
#[derive(Debug)]
pub struct Looked {
    pub outline: Outline,
    /// Why what is run cannot be understood, where it is another file than before.
    pub trouble: Option<PrepareApplicationError>,
}

/// What [`super::prepare`] would make images of now, with dependencies that are installed where they have changed.
///
/// # Errors
/// [`PrepareApplicationError`].
pub fn look(
    ctx: &Context,
    order: &Order,
    before: &Outline,
) -> Result<Looked, PrepareApplicationError> {
    let manifest = Manifest::load(&ctx.source).map_err(PrepareApplicationError::Inputs)?;
    let makers = Makers {
        ctx,
        manifest: &manifest,
        arch: order.arch,
        files: None,
    };
    let built = find_out(&makers, order)?;
    let outline = built.outline();
    let entry = &built.start.entry;
    let trouble = match outline.has_another(before, entry.as_ref()) {
        true => syntax::check(ctx, &built.host, &built.listing.root, entry).err(),
        false => None,
    };
    Ok(Looked { outline, trouble })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::application::files;
    use crate::application::project::Project;

    fn outline(folder: &Path) -> Outline {
        let project = Project::read(folder).unwrap();
        let config = project.package.config().unwrap();
        let listing = files::list(&project, &config).unwrap();
        let text = serde_json::json!({"name": "a", "argv": ["/bin/node"], "env": &config.env});
        let spec = ApplicationSpec::parse(&text.to_string()).unwrap();
        Outline::of(&listing, spec, &config, Libc::Musl, None)
    }

    fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> String {
        let names = paths.into_iter().map(|path| path.display().to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_new_changed_or_gone_is_told_and_what_is_ignored_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("package.json", "{}");
        write(".npmignore", "notes");
        for name in ["a.js", "lib/b.js", "lib/deep/c.js", "node_modules/x/x.js"] {
            write(name, "1");
        }
        let before = outline(dir.path());
        assert_eq!(names(&before.folders).trim(), "lib lib/deep");
        assert!(outline(dir.path()).changes_since(&before).is_empty());

        write("a.js", "22");
        write("new/d.js", "1");
        write("notes", "1");
        write("x.log", "1");
        write("node_modules/x/x.js", "22");
        fs::remove_file(dir.path().join("lib/deep/c.js")).unwrap();
        let now = outline(dir.path());
        let changes = now.changes_since(&before);
        assert_eq!(names(changes.changed.keys()), "a.js new/d.js");
        assert_eq!(names(&changes.removed), "lib/deep/c.js");
        assert_eq!(changes.folders(), [Path::new("new")]);
        assert_eq!(now.needs_another_machine(&before), None);
        assert!(now.has_another(&before, Path::new("a.js")));
        assert!(!now.has_another(&before, Path::new("lib/b.js")));

        let check = |path: &str, expected: bool| {
            assert_eq!(now.concerns(Path::new(path)), expected, "{path}");
        };
        check("a.js", true);
        check("unknown", true);
        check("notes", false);
        check("x.log", false);
        check("node_modules/x/x.js", false);
        check(".npmignore", true);

        let mut hidden = now.clone();
        hidden.hide(Path::new("new"));
        let changes = hidden.changes_since(&before);
        assert_eq!(names(changes.changed.keys()), "a.js");
    }

    #[test]
    fn settings_need_another_machine_unless_they_are_about_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |section: &str| {
            let text = format!(r#"{{"nodeos": {{{section}}}}}"#);
            fs::write(dir.path().join("package.json"), text).unwrap();
        };
        write("");
        let before = outline(dir.path());
        let check = |section: &str, expected: Option<AnotherMachine>| {
            write(section);
            let found = outline(dir.path()).needs_another_machine(&before);
            assert_eq!(found, expected, "{section}");
        };
        check(r#""exclude": ["x"]"#, None);
        check(r#""memory": "64M""#, Some(AnotherMachine::Settings));
        check(r#""env": {"A": "b"}"#, Some(AnotherMachine::Settings));
        let mut other = before.clone();
        other.machine.as_mut().unwrap().dependencies = Some(PathBuf::from("else"));
        assert_eq!(
            other.needs_another_machine(&before),
            Some(AnotherMachine::Dependencies)
        );
    }
}
