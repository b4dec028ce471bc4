//! What stays outside of a bundle, and why.
//!
//! A module exists once. So what is loaded from outside of the bundle is not in it, nor is what that needs: a package that does
//! what a bundle would change, with all of its dependencies, and whatever is only known when the application runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::packages::{Packages, imported, is_script, name_of, package_of};
use super::scan::Uses;
use crate::application::PrepareApplicationError;

/// Modules that are known to do nothing with other modules that a bundle changes: the first loads the package that is called as a
/// view's ending is, the others ask which file a plugin is from, for messages only.
const HARMLESS: [(&str, &str); 3] = [
    ("express", "lib/view.js"),
    ("fastify", "lib/pluginUtils.js"),
    ("fastify", "lib/plugin-utils.js"),
];
/// Folders of scripts that no application loads.
const TESTS: [&str; 5] = ["test", "tests", "__tests__", "spec", "node_modules"];
/// How the names of such scripts end, before the ending.
const TEST_NAMES: [&str; 2] = [".test", ".spec"];

/// A module that esbuild has found.
#[derive(Debug, Clone, Default)]
pub(super) struct Module {
    pub(super) uses: Uses,
    /// The modules that it imports, by their paths.
    pub(super) imports: Vec<String>,
}

/// What is known when it is decided.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) packages: &'a Packages,
    /// The file that is run, below the root.
    pub(super) entry: &'a str,
    /// Every module that the entry leads to.
    pub(super) modules: &'a BTreeMap<String, Module>,
    /// All scripts of the application, whether something leads to them or not.
    pub(super) own: &'a BTreeSet<String>,
    /// What `nodeArgs` and NODE_OPTIONS name.
    pub(super) words: Vec<String>,
    /// Packages that esbuild does not understand, and what it said.
    pub(super) refused: &'a BTreeMap<String, String>,
}

/// Why a package is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    Place,
    Computed,
    Search,
    Native,
    Eval,
    /// Nothing imports it.
    Unnamed,
    /// A file that is not in the bundle, or imports in a way that esbuild does not see.
    ImportedBy(String),
    Preloaded,
    Refused(String),
    /// Another one that is outside needs it.
    Needed,
}

/// What stays outside.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) packages: BTreeMap<String, Reason>,
    /// Files of the application.
    pub(super) files: BTreeSet<String>,
    /// Packages that have to be there, though they are in the bundle: for scripts that threads and processes run.
    pub(super) also: BTreeSet<String>,
}

/// What comes of it.
#[derive(Debug)]
pub(super) enum Decision {
    Bundle(Outside),
    /// What is run cannot be in a bundle itself.
    Nothing(Reason),
}

pub(super) fn decide(known: &Known<'_>) -> Result<Decision, PrepareApplicationError> {
    let home = package_of(known.entry);
    let mut own_uses = Uses::default();
    let mut by_package: BTreeMap<&str, Uses> = BTreeMap::new();
    for (path, module) in known.modules {
        let package = package_of(path);
        if package == home || package.is_none() {
            own_uses.add(&module.uses);
        } else if let Some(package) = package {
            let mut uses = module.uses.clone();
            if is_harmless(package, path) {
                (uses.computed, uses.search) = (false, false);
            }
            uses.native |= path.ends_with(".node");
            by_package.entry(package).or_default().add(&uses);
        }
    }
    if home.is_some()
        && let Some(reason) = reason(&own_uses).filter(|reason| *reason != Reason::Place)
    {
        return Ok(Decision::Nothing(reason));
    }
    let mut decider = Decider {
        known,
        home,
        outside: Outside::default(),
    };
    for (package, uses) in &by_package {
        if let Some(reason) = reason(uses) {
            decider.put_out(package, reason);
        }
    }
    for (package, text) in known.refused {
        decider.put_out(package, Reason::Refused(text.clone()));
    }
    let is_native = |path: &&String| path.ends_with(".node") && package_of(path) == home;
    let native = known.modules.keys().filter(is_native).cloned();
    decider.outside.files.extend(native);
    decider.unnamed()?;
    decider.preloaded();
    decider.hidden_imports();
    let is_computed = |uses: &Uses| uses.computed;
    if is_computed(&own_uses) || by_package.values().any(is_computed) {
        decider.shared()?;
    }
    decider.close()?;
    if own_uses.starts || own_uses.names_modules {
        decider.also(&own_uses)?;
    }
    Ok(Decision::Bundle(decider.outside))
}

/// Why what uses this stays outside.
fn reason(uses: &Uses) -> Option<Reason> {
    if uses.native {
        Some(Reason::Native)
    } else if uses.place {
        Some(Reason::Place)
    } else if uses.search {
        Some(Reason::Search)
    } else if uses.computed || uses.folders {
        Some(Reason::Computed)
    } else if uses.eval {
        Some(Reason::Eval)
    } else {
        None
    }
}

fn is_harmless(package: &str, path: &str) -> bool {
    HARMLESS.iter().any(|(name, file)| {
        name_of(package) == *name && path.strip_prefix(package) == Some(&format!("/{file}"))
    })
}

struct Decider<'a> {
    known: &'a Known<'a>,
    /// The package that the entry is a file of.
    home: Option<&'a str>,
    outside: Outside,
}

impl Decider<'_> {
    fn put_out(&mut self, package: &str, reason: Reason) {
        if self.home != Some(package) {
            let packages = &mut self.outside.packages;
            packages.entry(package.to_owned()).or_insert(reason);
        }
    }

    fn folder(&self) -> &str {
        folder_of(self.known.entry)
    }

    /// Dependencies that nothing imports are there for something else: to be imported by a name that is computed, or to be read.
    fn unnamed(&mut self) -> Result<(), PrepareApplicationError> {
        let known = self.known;
        // Of a package that is run everything is imported as by any other.
        if self.home.is_some() {
            return Ok(());
        }
        let used: BTreeSet<&str> = known
            .modules
            .keys()
            .filter_map(|path| package_of(path))
            .collect();
        for folder in Path::new(folder_of(known.entry)).ancestors() {
            let folder = folder.to_str().unwrap_or_default();
            for name in known.packages.declared(folder)? {
                if let Some(package) = known.packages.resolve(folder, &name)
                    && !used.contains(package.as_str())
                {
                    self.put_out(&package, Reason::Unnamed);
                }
            }
        }
        Ok(())
    }

    /// What Node.js is told to load first.
    fn preloaded(&mut self) {
        for word in &self.known.words {
            let name = imported(word);
            let package = name.and_then(|name| self.known.packages.resolve(self.folder(), name));
            if let Some(package) = package {
                self.put_out(&package, Reason::Preloaded);
            }
        }
    }

    /// What the application imports or looks for in a way that esbuild does not see.
    fn hidden_imports(&mut self) {
        let known = self.known;
        for (path, module) in known.modules {
            if package_of(path) != self.home {
                continue;
            }
            let seen: BTreeSet<&str> = module
                .imports
                .iter()
                .filter_map(|path| package_of(path))
                .collect();
            let names = module.uses.names.iter().filter_map(|name| imported(name));
            for name in names {
                if let Some(package) = known.packages.resolve(folder_of(path), name)
                    && (!seen.contains(package.as_str()) || module.uses.search)
                {
                    self.put_out(&package, Reason::ImportedBy(path.clone()));
                }
            }
        }
    }

    /// Scripts that the application may load in a way that nobody sees, and everything that they import.
    fn shared(&mut self) -> Result<(), PrepareApplicationError> {
        let known = self.known;
        let is_loaded = |path: &&String| !known.modules.contains_key(*path) && !is_test(path);
        let mut left: Vec<String> = known.own.iter().filter(is_loaded).cloned().collect();
        let mut seen: BTreeSet<String> = left.iter().cloned().collect();
        while let Some(path) = left.pop() {
            for specifier in known.packages.specifiers(Path::new(&path))? {
                if let Some(name) = imported(&specifier) {
                    let package = known.packages.resolve(folder_of(&path), name);
                    package.iter().for_each(|package| {
                        self.put_out(package, Reason::ImportedBy(path.clone()))
                    });
                } else if let Some(file) = self.file(&path, &specifier)
                    && file != known.entry
                    && seen.insert(file.clone())
                {
                    self.outside.files.insert(file.clone());
                    left.push(file);
                }
            }
        }
        Ok(())
    }

    /// The file of the application that a path in another one leads to.
    fn file(&self, from: &str, specifier: &str) -> Option<String> {
        let joined = Path::new(folder_of(from)).join(specifier);
        let mut parts = PathBuf::new();
        for part in joined.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::ParentDir if !parts.pop() => return None,
                Component::ParentDir | Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        let path = parts.to_str()?;
        let endings = [
            "",
            ".js",
            ".json",
            ".mjs",
            ".cjs",
            ".ts",
            "/index.js",
            "/index.ts",
        ];
        let mut names = endings.iter().map(|ending| format!("{path}{ending}"));
        names.find(|name| self.known.own.contains(name) || self.known.modules.contains_key(name))
    }

    /// What is outside needs what it needs there.
    fn close(&mut self) -> Result<(), PrepareApplicationError> {
        let packages: BTreeSet<String> = self.outside.packages.keys().cloned().collect();
        for package in self.known.packages.closure(packages)? {
            self.put_out(&package, Reason::Needed);
        }
        Ok(())
    }

    /// Packages for scripts that run in threads and processes of their own, and those whose files are named.
    fn also(&mut self, uses: &Uses) -> Result<(), PrepareApplicationError> {
        let known = self.known;
        let mut names: BTreeSet<(String, String)> = BTreeSet::new();
        if uses.starts {
            let is_other = |path: &&String| {
                let is_bundled = known.modules.contains_key(*path);
                (!is_bundled || path.ends_with("ts")) && !is_test(path)
            };
            let mut left: Vec<String> = known.own.iter().filter(is_other).cloned().collect();
            let mut seen: BTreeSet<String> = left.iter().cloned().collect();
            while let Some(path) = left.pop() {
                for specifier in known.packages.specifiers(Path::new(&path))? {
                    match imported(&specifier) {
                        Some(name) => {
                            names.insert((folder_of(&path).to_owned(), name.to_owned()));
                        }
                        None => {
                            let file = self.file(&path, &specifier);
                            left.extend(file.filter(|file| seen.insert(file.clone())));
                        }
                    }
                }
            }
        }
        if uses.names_modules || (uses.starts && self.home.is_some()) {
            let folder = self.home.unwrap_or(self.folder()).to_owned();
            let declared = known.packages.declared(&folder)?;
            names.extend(declared.into_iter().map(|name| (folder.clone(), name)));
        }
        let packages = names
            .iter()
            .filter_map(|(folder, name)| known.packages.resolve(folder, name));
        self.outside.also = known.packages.closure(packages.collect())?;
        Ok(())
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn is_test(path: &str) -> bool {
    let path = Path::new(path);
    let mut folders = path.parent().into_iter().flat_map(Path::components);
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    !is_script(path)
        || folders.any(|folder| TESTS.iter().any(|test| folder.as_os_str() == *test))
        || TEST_NAMES.iter().any(|ending| stem.ends_with(ending))
}

impl Outside {
    /// Packages that cannot be in any bundle.
    pub(super) fn of_refused(refused: &BTreeMap<String, String>) -> Outside {
        let packages = refused
            .iter()
            .map(|(package, text)| (package.clone(), Reason::Refused(text.clone())));
        Outside {
            packages: packages.collect(),
            ..Outside::default()
        }
    }

    /// What people are told: each package by its name with the reason, but for those that are only needed by others.
    pub(super) fn note(&self) -> Option<String> {
        let named = self
            .packages
            .iter()
            .filter(|(_, reason)| **reason != Reason::Needed);
        let mut named: Vec<String> = named
            .map(|(package, reason)| format!("{} ({reason})", name_of(package)))
            .chain(
                self.files
                    .iter()
                    .map(|file| format!("{file} (loaded from outside)")),
            )
            .collect();
        named.dedup();
        let needed = match self
            .packages
            .values()
            .any(|reason| *reason == Reason::Needed)
        {
            true => ", and what they need",
            false => "",
        };
        (!named.is_empty()).then(|| format!("outside the bundle: {}{needed}", named.join(", ")))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Place => "uses files beside its modules",
            Reason::Computed => "computes the names of modules that it loads",
            Reason::Search => "looks for modules by itself",
            Reason::Native => "has a native add-on",
            Reason::Eval => "uses eval",
            Reason::Unnamed => "nothing imports it by its name",
            Reason::Preloaded => "Node.js loads it before the application",
            Reason::Needed => "another one needs it",
            Reason::ImportedBy(file) => return write!(f, "{file} loads it at run time"),
            Reason::Refused(text) => return write!(f, "cannot be bundled: {text}"),
        })
    }
}

#[cfg(test)]
mod tests;
