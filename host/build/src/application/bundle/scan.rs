//! What a module does that a bundle changes: told by its text as esbuild writes it again, in which comments are gone, strings have
//! double quotes, and names of Node.js that nothing in the module declares are replaced by ours.

use std::collections::BTreeSet;

/// What stands for `require` where that is Node.js's.
const REQUIRE: &str = "__nodeos_require__";
/// What stands for the place of a module.
const PLACE: &str = "__nodeos_place__";
/// What stands for ways to look for modules, or into them.
const SEARCH: &str = "__nodeos_search__";

/// Names of Node.js, and what is put in their place.
pub(super) const NAMES: [(&str, &str); 16] = [
    ("require", REQUIRE),
    ("module.require", REQUIRE),
    ("__dirname", PLACE),
    ("__filename", PLACE),
    ("module.filename", PLACE),
    ("import.meta.url", PLACE),
    ("import.meta.dirname", PLACE),
    ("import.meta.filename", PLACE),
    ("import.meta.main", PLACE),
    ("import.meta.resolve", SEARCH),
    ("module.parent", SEARCH),
    ("module.children", SEARCH),
    ("module.paths", SEARCH),
    ("module.constructor", SEARCH),
    ("process.mainModule", SEARCH),
    ("process.dlopen", "__nodeos_native__"),
];
const NATIVE: &str = "__nodeos_native__";

/// Properties of `require` that look for modules, or into those that are loaded.
const SEARCHES: [&str; 4] = [".resolve", ".cache", ".extensions", ".main.require"];
/// Packages that find native add-ons for others.
const FINDERS: [&str; 7] = [
    "bindings",
    "node-gyp-build",
    "node-gyp-build-optional-packages",
    "@mapbox/node-pre-gyp",
    "node-pre-gyp",
    "prebuild-install",
    "pkg-prebuilds",
];
/// What starts scripts by their files.
const STARTERS: [&str; 6] = [
    "worker_threads",
    "child_process",
    "cluster",
    "node:worker_threads",
    "node:child_process",
    "node:cluster",
];

/// What a module uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Where it lies: what is beside it, or what it is called.
    pub(super) place: bool,
    /// Imports whose names stand nowhere.
    pub(super) computed: bool,
    /// Imports of which only the folder stands there: esbuild takes all that is in it.
    pub(super) folders: bool,
    /// What Node.js knows of modules.
    pub(super) search: bool,
    pub(super) native: bool,
    pub(super) eval: bool,
    /// What names `node_modules`, so that it may read files there.
    pub(super) names_modules: bool,
    /// Threads and processes that may run other scripts.
    pub(super) starts: bool,
    /// Every name that is imported, or looked for.
    pub(super) names: BTreeSet<String>,
}

/// What is between the brackets of an import.
enum Argument<'a> {
    Name(&'a str),
    Folder,
    Computed,
}

/// What the module uses whose text esbuild has written with [`NAMES`].
pub(super) fn uses(text: &str) -> Uses {
    let mut uses = Uses {
        place: text.contains(PLACE) || text.contains("import.meta"),
        search: text.contains(SEARCH),
        native: text.contains(NATIVE),
        eval: words(text, "eval")
            .any(|(before, after)| after.starts_with('(') && !before.ends_with(['.', '"', '\''])),
        names_modules: text.contains("node_modules"),
        names: specifiers(text),
        ..Uses::default()
    };
    for (before, after) in words(text, REQUIRE) {
        if before.ends_with("typeof ") {
            continue;
        }
        if let Some(property) = SEARCHES.iter().find(|name| after.starts_with(**name)) {
            uses.search = true;
            uses.take(&after[property.len()..]);
        } else if !after.starts_with(".main") {
            uses.take(after);
        }
    }
    for (before, after) in words(text, "import") {
        if after.starts_with('(') && !before.ends_with('.') {
            uses.take(after);
        }
    }
    // With its own `require` a module imports what esbuild does not see.
    uses.computed |= text.contains("createRequire");
    let is = |list: &[&str], name: &String| list.contains(&name.as_str());
    let is_native = |name: &String| is(&FINDERS, name) || name.ends_with(".node");
    uses.native |= uses.names.iter().any(is_native);
    uses.starts = uses.names.iter().any(|name| is(&STARTERS, name));
    uses
}

impl Uses {
    fn take(&mut self, after: &str) {
        match argument(after) {
            Argument::Name(name) => {
                self.names.insert(name.to_owned());
            }
            Argument::Folder => self.folders = true,
            Argument::Computed => self.computed = true,
        }
    }

    pub(super) fn add(&mut self, other: &Uses) {
        self.place |= other.place;
        self.computed |= other.computed;
        self.folders |= other.folders;
        self.search |= other.search;
        self.native |= other.native;
        self.eval |= other.eval;
        self.names_modules |= other.names_modules;
        self.starts |= other.starts;
        self.names.extend(other.names.iter().cloned());
    }
}

fn argument(after: &str) -> Argument<'_> {
    let Some(inner) = after.strip_prefix('(') else {
        return Argument::Computed;
    };
    let is_folder = |text: &str| text.starts_with("./") || text.starts_with("../");
    // esbuild leaves some comments that are about types, and those have the quotes that they had.
    for quote in ['"', '\''] {
        if let Some(text) = inner.strip_prefix(quote) {
            return match text.split_once(quote) {
                Some((name, rest)) if rest.starts_with([')', ',']) => Argument::Name(name),
                Some((name, _)) if is_folder(name) => Argument::Folder,
                _ => Argument::Computed,
            };
        }
    }
    match inner.strip_prefix('`') {
        Some(text) if is_folder(text) => Argument::Folder,
        _ => Argument::Computed,
    }
}

/// Every place of a word in a text: what is before it, and what is behind.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    text.match_indices(word)
        .map(move |(at, word)| (&text[..at], &text[at + word.len()..]))
        .filter(move |(before, after)| {
            !before.ends_with(is_in_word) && !after.starts_with(is_in_word)
        })
}

/// What a script imports by its text, whatever it is written in. Some may stand in a comment or a string, none is missed that stands
/// there in one piece.
pub(super) fn specifiers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // esbuild puts a number behind a name that the one of Node.js would hide.
    for word in [
        "require", "require2", "require3", REQUIRE, "import", "from", "resolve",
    ] {
        for (_, after) in words(text, word) {
            let after = after.trim_start();
            let after = after.strip_prefix('(').unwrap_or(after).trim_start();
            let Some(quote) = after
                .chars()
                .next()
                .filter(|c| matches!(c, '"' | '\'' | '`'))
            else {
                continue;
            };
            if let Some((name, _)) = after[1..].split_once(quote)
                && !name.contains(['\n', '$'])
            {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, change: impl FnOnce(&mut Uses)) {
        let mut found = uses(text);
        found.names.clear();
        let mut expected = Uses::default();
        change(&mut expected);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_a_bundle_keeps_as_it_is_says_nothing() {
        for text in [
            r#"const a = __nodeos_require__("./a");"#,
            r#"typeof __nodeos_require__ === "function";"#,
            "if (__nodeos_require__.main === module) run();",
            r#"import a from "a"; const b = import("b");"#,
            r#"throw new Error("cannot require that");"#,
            "retrieval(x); a.eval(y);",
            "module.exports = (/** @type {import('./a').B} */ a);",
        ] {
            check(text, |_| {});
        }
    }

    #[test]
    fn what_a_bundle_changes_is_told_apart() {
        check("read(__nodeos_place__);", |uses| uses.place = true);
        check("const { dirname } = import.meta;", |uses| uses.place = true);
        check("__nodeos_require__(name);", |uses| uses.computed = true);
        check("const r = __nodeos_require__;", |uses| uses.computed = true);
        check("import(file);", |uses| uses.computed = true);
        check(r#"__nodeos_require__("a" + b);"#, |uses| {
            uses.computed = true
        });
        check(r#"__nodeos_require__("./a/" + b);"#, |uses| {
            uses.folders = true
        });
        check("import(`./a/${b}.js`);", |uses| uses.folders = true);
        check("delete __nodeos_require__.cache[a];", |uses| {
            uses.search = true;
            uses.computed = true;
        });
        check(r#"__nodeos_require__.resolve("a");"#, |uses| {
            uses.search = true
        });
        check("if (!__nodeos_search__) run();", |uses| uses.search = true);
        check(r#"__nodeos_require__("bindings")("a");"#, |uses| {
            uses.native = true
        });
        check(r#"__nodeos_require__("./a.node");"#, |uses| {
            uses.native = true
        });
        check(r#"import { Worker } from "node:worker_threads";"#, |uses| {
            uses.starts = true;
        });
        check("eval(text);", |uses| uses.eval = true);
    }

    #[test]
    fn imports_are_found_in_any_writing() {
        let text = "import a from 'a'; import './b'; const c = require ( \"c\" );
            export * from \"d\"; import(`e`); import.meta.resolve('f'); require(g); require('h' + i)";
        let found = specifiers(text);
        let expected = ["./b", "a", "c", "d", "e", "f", "h"];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    }
}
