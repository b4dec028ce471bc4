//! Rules about crates: who may use whom, and what the target's programs link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use xtask::project::{self, Package, Scope};

use crate::sources;

/// Who may have one all the same, and why.
const MAY_LINK_A_RUNTIME: &[(&str, &str)] = &[(
    "nodeos-shell",
    "brush, the shell that it embeds, runs the stages of a pipeline as tasks of tokio",
)];

/// PID 1 is to be read in an afternoon, with all that it links.
const INIT_PACKAGES: usize = 15;
/// What runs tasks behind the program's back. A single-purpose program of the target polls.
const ASYNC_RUNTIMES: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "async-executor",
    "futures-executor",
    "glommio",
];

fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| project::metadata(Scope::Everything).unwrap())
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn members() -> Vec<(Package, &'static Value)> {
    let ids: BTreeSet<&str> = list(metadata(), "workspace_members")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    list(metadata(), "packages")
        .iter()
        .filter(|package| ids.contains(package["id"].as_str().unwrap()))
        .map(|package| (project::package(package).unwrap(), package))
        .collect()
}

/// The root modules of the workspace's libraries and programs.
pub(crate) fn roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for (_, package) in members() {
        for target in list(package, "targets") {
            let is_built = list(target, "kind")
                .iter()
                .any(|kind| kind == "lib" || kind == "bin");
            let path = Path::new(target["src_path"].as_str().unwrap());
            if is_built {
                roots.push(path.strip_prefix(project::root()).unwrap().to_owned());
            }
        }
    }
    roots
}

/// Whether a crate in folder `user` may use one in folder `used`.
fn may_use(user: &Path, used: &Path) -> bool {
    let within = |folder: &Path, names: &[&str]| names.iter().any(|name| folder.starts_with(name));
    if within(user, &["spec"]) {
        false
    } else if within(user, &["os/sys"]) {
        within(used, &["spec"])
    } else if within(user, &["os"]) {
        within(used, &["spec", "os"])
    } else if within(user, &["host"]) {
        within(used, &["spec", "host"])
    } else if within(user, &["tests/guest"]) {
        // System calls that only an attacker makes need what only os/sys may have.
        within(used, &["spec", "os/sys"])
    } else {
        // Tests and chores look at the system from outside: they run the target's programs, they do not link them.
        within(used, &["spec", "host", "tests", "bench"])
    }
}

#[test]
fn host_and_target_share_nothing_but_spec() {
    let folders: BTreeMap<String, PathBuf> = members()
        .into_iter()
        .map(|(package, _)| (package.name, package.folder))
        .collect();
    let mut findings = Vec::new();
    for (package, value) in members() {
        for dependency in list(value, "dependencies") {
            let Some(used) = folders.get(dependency["name"].as_str().unwrap()) else {
                continue;
            };
            if !may_use(&package.folder, used) {
                findings.push(format!(
                    "{} must not use {}",
                    package.folder.display(),
                    used.display()
                ));
            }
        }
    }
    sources::expect_none(&findings);
}

#[test]
fn every_folder_of_crates_is_ruled() {
    let check = |user: &str, used: &str, expected: bool| {
        assert_eq!(
            may_use(Path::new(user), Path::new(used)),
            expected,
            "{user} -> {used}"
        );
    };
    check("host/cli", "spec", true);
    check("host/cli", "os/init", false);
    check("os/init", "os/sys", true);
    check("os/init", "host/image", false);
    check("os/sys", "os/init", false);
    check("spec", "os/sys", false);
    check("tests/guest", "host/vm", false);
    check("tests/guest", "os/init", false);
    check("xtask", "tests/guest", true);
    for (package, _) in members() {
        let first = package
            .folder
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .to_owned();
        let known = ["spec", "os", "host", "tests", "xtask", "fuzz", "bench"];
        assert!(
            known.contains(&first.as_str()),
            "{} is in a folder that no rule knows",
            package.folder.display()
        );
    }
}

/// The packages that are linked into a crate: normal dependencies, without what runs in the compiler.
fn linked(name: &str) -> BTreeSet<String> {
    let packages: BTreeMap<&str, &Value> = list(metadata(), "packages")
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata()["resolve"], "nodes")
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let is_macro = |id: &str| {
        let targets = list(packages[id], "targets").iter();
        targets
            .flat_map(|target| list(target, "kind"))
            .any(|kind| kind == "proc-macro")
    };
    let start = packages.iter().find(|(_, package)| package["name"] == name);
    let mut waiting = vec![
        *start
            .unwrap_or_else(|| panic!("there is no package {name}"))
            .0,
    ];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if is_macro(id) || !seen.insert(id) {
            continue;
        }
        for dependency in list(nodes[id], "deps") {
            // In the metadata a kind of null means a normal dependency.
            if list(dependency, "dep_kinds")
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                waiting.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    seen.iter()
        .map(|id| packages[id]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn init_links_at_most_fifteen_packages() {
    let linked = linked("nodeos-init");
    assert!(
        linked.contains("nodeos-spec"),
        "the list cannot be right: {linked:?}"
    );
    assert!(
        linked.len() <= INIT_PACKAGES,
        "{} packages: {linked:?}",
        linked.len()
    );
}

#[test]
fn no_program_of_the_target_links_an_async_runtime() {
    let mut findings = Vec::new();
    for (name, reason) in MAY_LINK_A_RUNTIME {
        let is_needed = ASYNC_RUNTIMES
            .iter()
            .any(|runtime| linked(name).contains(*runtime));
        assert!(
            is_needed,
            "{name} has an exception that it does not need: {reason}"
        );
    }
    for (package, _) in members()
        .iter()
        .filter(|(package, _)| package.is_of_the_target())
        .filter(|(package, _)| {
            !MAY_LINK_A_RUNTIME
                .iter()
                .any(|(name, _)| *name == package.name)
        })
    {
        let linked = linked(&package.name);
        let runtimes = ASYNC_RUNTIMES
            .iter()
            .filter(|runtime| linked.contains(**runtime));
        findings.extend(runtimes.map(|runtime| format!("{} links {runtime}", package.name)));
    }
    sources::expect_none(&findings);
}
