//! Whether the native add-ons of an application run in a machine with a certain C library.
//!
//! Every `.node` file is looked at as what it is, an ELF file. A package that brings several builds is fine when one of
//! them runs; a build for another processor or system says nothing.

mod elf;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PrepareApplicationError;
use super::files::{ItemKind, Listing};
use super::modules::read_error;
use super::project::{PackageJson, Project};
use crate::node::Node;
use crate::node::host::HostNode;
use crate::recipe::{Arch, Libc};
use elf::Object;

/// The libraries that musl is in one piece: it answers to these beginnings of names itself, glibc's among them
/// (`load_library` in musl's `ldso/dynlink.c`).
const MUSL_IS: [&str; 7] = [
    "libc.",
    "libpthread.",
    "librt.",
    "libm.",
    "libdl.",
    "libutil.",
    "libxnet.",
];
/// glibc's loader as a library: musl has no answer to it.
const GLIBC_LOADER: &str = "ld-linux";
/// How the name of musl begins as a library.
const MUSL: &str = "libc.musl-";

/// Native code below a folder.
#[derive(Debug, Default)]
pub(super) struct Addons {
    pub(super) root: PathBuf,
    /// `.node` files and shared libraries, below the root.
    pub(super) native: Vec<PathBuf>,
}

/// A package none of whose builds runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Its name.
    pub package: String,
    /// A build that does not run, below the package's folder.
    pub file: String,
    /// Why not: `needs ...`.
    pub reason: String,
}

impl Addons {
    /// Those among the application's own files.
    pub(super) fn of_application(project: &Project, listing: &Listing) -> Addons {
        let native = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".node") || name.contains(".so.") || name.ends_with(".so")
        };
        let items = listing.items.iter();
        Addons {
            root: project.root.clone(),
            native: items
                .filter(|item| matches!(item.kind, ItemKind::File(_)) && native(&item.path))
                .map(|item| item.path.clone())
                .collect(),
        }
    }

    /// The packages that do not run with this Node.js.
    pub(super) fn lacking(
        &self,
        arch: Arch,
        node: &Node,
        host: &HostNode,
    ) -> Result<Vec<Lacking>, PrepareApplicationError> {
        let mut judge = Judge {
            addons: self,
            arch,
            node,
            libc: host.libc,
            modules: &host.modules,
            machine: None,
        };
        // A package's builds that do not run; none once one was found that does.
        let mut packages: BTreeMap<String, Option<Lacking>> = BTreeMap::new();
        let addons = self
            .native
            .iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "node"));
        for path in addons {
            let (package, file) = package_of(path);
            if packages.get(&package) == Some(&None) || self.is_for_another(path, &file, host.libc)
            {
                continue;
            }
            match judge.judge(path)? {
                Verdict::SaysNothing => {}
                Verdict::Runs => {
                    packages.insert(package, None);
                }
                Verdict::Lacks(reason) => {
                    let lacking = Lacking {
                        package: package.clone(),
                        file,
                        reason,
                    };
                    packages.entry(package).or_insert(Some(lacking));
                }
            }
        }
        Ok(packages.into_values().flatten().collect())
    }
}

impl Addons {
    /// Whether the package says itself that it is for another C library. A package manager that knows no such word
    /// installs all that there are, and each asks for the right one when it runs.
    fn is_for_another(&self, path: &Path, file: &str, libc: Libc) -> bool {
        let depth = Path::new(file).components().count();
        let folder = path.ancestors().nth(depth).unwrap_or(Path::new(""));
        let Ok(Some(package)) = PackageJson::read(&self.root.join(folder)) else {
            return false;
        };
        let libcs = package
            .fields
            .get("libc")
            .and_then(|libcs| libcs.as_array());
        libcs.is_some_and(|libcs| !libcs.iter().any(|named| named == libc.as_str()))
    }
}

/// The package that a file belongs to, and the file's path in it.
fn package_of(path: &Path) -> (String, String) {
    let text = path.to_string_lossy();
    let Some((_, below)) = text.rsplit_once("node_modules/") else {
        return ("the application".to_owned(), text.into_owned());
    };
    let names = if below.starts_with('@') { 2 } else { 1 };
    let cut = below
        .match_indices('/')
        .nth(names - 1)
        .map_or(below.len(), |(at, _)| at);
    let (package, file) = below.split_at(cut);
    (package.to_owned(), file.trim_start_matches('/').to_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Runs,
    /// It is for another system or processor.
    SaysNothing,
    Lacks(String),
}

struct Judge<'a> {
    addons: &'a Addons,
    arch: Arch,
    node: &'a Node,
    libc: Libc,
    /// `process.versions.modules` of that Node.js.
    modules: &'a str,
    /// Every name that the machine's libraries and Node.js give, read when the first one is asked for.
    machine: Option<HashSet<Vec<u8>>>,
}

impl Judge<'_> {
    fn judge(&mut self, path: &Path) -> Result<Verdict, PrepareApplicationError> {
        let Some(object) = self.read(path)? else {
            return Ok(Verdict::SaysNothing);
        };
        // The add-on and, from library to library, what it needs of its package.
        let mut objects = vec![object];
        let mut seen = BTreeSet::new();
        let mut at = 0;
        while at < objects.len() {
            for needed in objects[at].needed.clone() {
                if !seen.insert(needed.clone()) {
                    continue;
                }
                if let Some(reason) = self.other_libc(&needed) {
                    return Ok(Verdict::Lacks(reason));
                }
                if self.is_of_machine(&needed) {
                    continue;
                }
                match self.beside(&needed)? {
                    Some(library) => objects.push(library),
                    None => {
                        let reason = format!(
                            "needs {needed}, which neither its package nor the machine has"
                        );
                        return Ok(Verdict::Lacks(reason));
                    }
                }
            }
            at += 1;
        }
        self.names(&objects)
    }

    /// An ELF file for the machine's processor; none for all else.
    fn read(&self, path: &Path) -> Result<Option<Object>, PrepareApplicationError> {
        let whole = self.addons.root.join(path);
        let data = std::fs::read(&whole).map_err(|source| read_error(&whole, source))?;
        Ok(elf::read(&data, self.arch))
    }

    fn beside(&self, name: &str) -> Result<Option<Object>, PrepareApplicationError> {
        let named = |path: &&PathBuf| path.file_name().is_some_and(|found| found == name);
        // Several packages may have a library of one name: the first for this processor stands for all.
        self.addons
            .native
            .iter()
            .filter(named)
            .find_map(|path| self.read(path).transpose())
            .transpose()
    }

    fn other_libc(&self, needed: &str) -> Option<String> {
        match self.libc {
            Libc::Musl if needed.starts_with(GLIBC_LOADER) => {
                Some(format!("needs {needed} of glibc"))
            }
            Libc::Glibc if needed.starts_with(MUSL) => {
                Some(format!("needs {needed}, which is musl"))
            }
            _ => None,
        }
    }

    fn is_of_machine(&self, needed: &str) -> bool {
        let brought = |path: &Path| path.file_name().is_some_and(|name| name == needed);
        (self.libc == Libc::Musl && MUSL_IS.iter().any(|name| needed.starts_with(name)))
            || brought(&self.node.loader.path)
            || self
                .node
                .libraries
                .iter()
                .any(|library| brought(&library.path))
            || self.node.aliases().iter().any(|alias| brought(&alias.path))
    }

    /// Whether every name that these objects want is given by one of them or by the machine.
    fn names(&mut self, objects: &[Object]) -> Result<Verdict, PrepareApplicationError> {
        let machine = match self.machine.take() {
            Some(names) => names,
            None => self.machine_names()?,
        };
        let given: HashSet<&Vec<u8>> = objects.iter().flat_map(|object| &object.gives).collect();
        let lacks = objects
            .iter()
            .flat_map(|object| &object.wants)
            .find(|name| !given.contains(name) && !machine.contains(*name));
        let verdict = match lacks {
            Some(name) => {
                let name = String::from_utf8_lossy(name);
                Verdict::Lacks(format!(
                    "needs {name}, which the machine's {} does not have",
                    self.libc
                ))
            }
            None => other_node(objects, self.modules).map_or(Verdict::Runs, Verdict::Lacks),
        };
        self.machine = Some(machine);
        Ok(verdict)
    }

    fn machine_names(&self) -> Result<HashSet<Vec<u8>>, PrepareApplicationError> {
        let libraries = self.node.libraries.iter().map(|library| &library.file);
        let files = [&self.node.program, &self.node.loader.file]
            .into_iter()
            .chain(libraries);
        let mut names = HashSet::new();
        for file in files {
            let data = std::fs::read(file).map_err(|source| read_error(file, source))?;
            if let Some(object) = elf::read(&data, self.arch) {
                names.extend(object.gives);
            }
        }
        Ok(names)
    }
}

/// The beginning of the name by which an add-on without Node-API says for which Node.js it was compiled: the number of
/// `process.versions.modules` follows (`NODE_MODULE_INIT` in Node.js's `node.h`).
const FOR_MODULES: &[u8] = b"node_register_module_v";
/// An add-on with Node-API, which every Node.js takes.
const NODE_API: &[u8] = b"napi_register_module_v1";

/// Node.js itself refuses an add-on that was compiled with another one's headers.
fn other_node(objects: &[Object], this: &str) -> Option<String> {
    let addon = objects.first()?;
    let modules = addon
        .gives
        .iter()
        .find_map(|name| name.strip_prefix(FOR_MODULES))?;
    let is_any = addon.gives.iter().any(|name| name == NODE_API);
    let modules = String::from_utf8_lossy(modules);
    (!is_any && modules != this).then(|| {
        format!("was compiled for another Node.js: for modules version {modules} instead of {this}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        let check = |path: &str, package: &str, file: &str| {
            assert_eq!(
                package_of(Path::new(path)),
                (package.to_owned(), file.to_owned())
            );
        };
        check("node_modules/a/build/a.node", "a", "build/a.node");
        check("node_modules/@img/x/lib/x.node", "@img/x", "lib/x.node");
        check("node_modules/a/node_modules/b/b.node", "b", "b.node");
        check("packages/api/node_modules/c/c.node", "c", "c.node");
        check(
            "build/Release/own.node",
            "the application",
            "build/Release/own.node",
        );
    }
}
