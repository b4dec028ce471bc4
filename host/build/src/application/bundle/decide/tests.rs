//! Decisions about small projects that are really there.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A project of files, each with what it uses and imports; a package for each folder below `node_modules`.
struct Site {
    dir: TempDir,
    modules: BTreeMap<String, Module>,
    own: BTreeSet<String>,
}

impl Site {
    fn new(files: &[(&str, &str)]) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let mut own = BTreeSet::new();
        for (path, text) in files {
            let whole = dir.path().join(path);
            fs::create_dir_all(whole.parent().unwrap()).unwrap();
            fs::write(whole, text).unwrap();
            if package_of(path).is_none() && is_script(Path::new(path)) {
                own.insert((*path).to_owned());
            }
        }
        Site {
            dir,
            own,
            modules: BTreeMap::new(),
        }
    }

    fn module(mut self, path: &str, imports: &[&str], change: impl FnOnce(&mut Uses)) -> Site {
        let mut module = Module {
            imports: imports.iter().map(|path| (*path).to_owned()).collect(),
            ..Module::default()
        };
        change(&mut module.uses);
        self.modules.insert(path.to_owned(), module);
        self
    }

    fn decide(&self, entry: &str) -> Decision {
        let known = Known {
            packages: &Packages::below(self.dir.path()).unwrap(),
            entry,
            modules: &self.modules,
            own: &self.own,
            words: Vec::new(),
            refused: &BTreeMap::new(),
        };
        decide(&known).unwrap()
    }

    fn outside(&self) -> Outside {
        match self.decide("a.js") {
            Decision::Bundle(outside) => outside,
            Decision::Nothing(reason) => panic!("{reason}"),
        }
    }
}

const NOTHING: fn(&mut Uses) = |_| {};

#[test]
fn what_a_bundle_does_not_change_is_in_it() {
    let site = Site::new(&[("node_modules/b/package.json", "{}")])
        .module("a.js", &["node_modules/b/b.js"], NOTHING)
        .module("node_modules/b/b.js", &[], NOTHING);
    let outside = site.outside();
    assert!(outside.packages.is_empty() && outside.files.is_empty());
    assert_eq!(outside.note(), None);
}

#[test]
fn a_package_that_uses_its_place_is_outside_with_what_it_needs() {
    let site = Site::new(&[
        (
            "package.json",
            r#"{"dependencies": {"b": "1", "d": "1", "e": "1"}}"#,
        ),
        (
            "node_modules/b/package.json",
            r#"{"dependencies": {"c": "1"}}"#,
        ),
        ("node_modules/c/package.json", "{}"),
        ("node_modules/d/package.json", "{}"),
        ("node_modules/e/package.json", "{}"),
    ])
    .module(
        "a.js",
        &["node_modules/b/b.js", "node_modules/d/d.js"],
        NOTHING,
    )
    .module("node_modules/b/b.js", &["node_modules/c/c.js"], |uses| {
        uses.place = true;
    })
    .module("node_modules/c/c.js", &[], NOTHING)
    .module("node_modules/d/d.js", &["node_modules/c/c.js"], NOTHING);
    let outside = site.outside();
    let expected = [
        ("node_modules/b", Reason::Place),
        ("node_modules/c", Reason::Needed),
        ("node_modules/e", Reason::Unnamed),
    ];
    let expected = expected.map(|(path, reason)| (path.to_owned(), reason));
    assert_eq!(outside.packages, BTreeMap::from(expected));
    assert_eq!(
        outside.note().unwrap(),
        "outside the bundle: b (uses files beside its modules), e (nothing imports it by its name), and what they need"
    );
}

#[test]
fn scripts_that_are_loaded_by_a_computed_name_share_nothing_with_the_bundle() {
    let files = [
        ("a.js", ""),
        ("db.js", "require('c')"),
        ("routes/x.js", "require('../db'); require('b')"),
        ("test/x.js", "require('d')"),
        ("node_modules/b/package.json", "{}"),
        ("node_modules/c/package.json", "{}"),
        ("node_modules/d/package.json", "{}"),
    ];
    let imports = ["db.js", "node_modules/b/b.js", "node_modules/d/d.js"];
    let site = |computed: bool| {
        Site::new(&files)
            .module("a.js", &imports, |uses| uses.computed = computed)
            .module("db.js", &["node_modules/c/c.js"], NOTHING)
            .module("node_modules/b/b.js", &[], NOTHING)
            .module("node_modules/c/c.js", &[], NOTHING)
            .module("node_modules/d/d.js", &[], NOTHING)
    };
    let outside = site(true).outside();
    let packages: Vec<&str> = outside.packages.keys().map(String::as_str).collect();
    assert_eq!(packages, ["node_modules/b", "node_modules/c"]);
    assert_eq!(outside.files, BTreeSet::from(["db.js".to_owned()]));
    let outside = site(false).outside();
    assert!(outside.packages.is_empty() && outside.files.is_empty());
}

#[test]
fn a_thread_finds_its_packages_though_they_are_in_the_bundle() {
    let site = Site::new(&[
        ("a.js", ""),
        ("worker.js", "require('b')"),
        ("node_modules/b/package.json", "{}"),
        ("node_modules/c/package.json", "{}"),
    ])
    .module("a.js", &["node_modules/b/b.js"], |uses| uses.starts = true)
    .module("node_modules/b/b.js", &[], NOTHING);
    let outside = site.outside();
    assert!(outside.packages.is_empty());
    assert_eq!(outside.also, BTreeSet::from(["node_modules/b".to_owned()]));
}

#[test]
fn a_few_modules_are_known_to_be_harmless() {
    let check = |path: &str, is_outside: bool| {
        let package = package_of(path).unwrap();
        let site = Site::new(&[(&format!("{package}/package.json"), "{}")])
            .module("a.js", &[path], NOTHING)
            .module(path, &[], |uses| uses.computed = true);
        let found = site.outside().packages.contains_key(package);
        assert_eq!(found, is_outside, "{path}");
    };
    check("node_modules/express/lib/view.js", false);
    check("node_modules/express/lib/other.js", true);
    check("node_modules/other/lib/view.js", true);
}

#[test]
fn a_program_of_a_package_that_loads_by_computed_names_is_not_bundled() {
    let path = "node_modules/b/cli.js";
    let site = |change: fn(&mut Uses)| {
        Site::new(&[("node_modules/b/package.json", "{}")])
            .module(path, &[], change)
            .decide(path)
    };
    assert!(matches!(
        site(|uses| uses.computed = true),
        Decision::Nothing(Reason::Computed)
    ));
    assert!(matches!(
        site(|uses| uses.place = true),
        Decision::Bundle(_)
    ));
}
