//! An application and what it imports as one file, by esbuild: what Node.js reads, compiles and looks for at a start is less.
//!
//! The file lies where the entry lies. What esbuild would change the meaning of stays outside of it ([`decide`]), and so do files
//! that are not scripts. It is made of copies, and follows from its inputs alone.

mod decide;
mod esbuild;
mod packages;
mod rewrite;
mod scan;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::Listing;
use super::install::Installed;
use super::{PrepareApplicationError, Start, error, image};
use crate::cache::{Key, KeyHasher, Kind, MakeEntryError, WorkDir};
use crate::context::Context;
use crate::manifest::Manifest;
use decide::{Decision, Known, Module, Outside};
use esbuild::{Complaint, Esbuild, Format, Metafile, Refusal};
use packages::{Packages, name_of, package_of};
use stage::write_error;

pub(super) use packages::package_of as package_of_file;

/// Raised when the way of making it changes.
const BUILD_VERSION: &str = "1";
/// The bundle, in the cache's folder.
const FILE: &str = "bundle";
/// The bundle while it is made, beside the entry: imports of what is outside are relative to it.
const OUTPUT: &str = ".nodeos-bundle.js";
/// What esbuild writes about it, beside the folder that it is made from.
const METAFILE: &str = "metafile.json";
/// Makes `require` of CommonJS modules in a bundle that is an ES module (esbuild leaves it to the file around).
const REQUIRE: &str = "import { createRequire as __nodeosCreateRequire } from \"node:module\"; \
                       const require = __nodeosCreateRequire(import.meta.url);\n";
/// Where esbuild puts what stands for `require` there.
const WANTS_REQUIRE: &str = "var __require = ";
/// How esbuild finds a module of a folder of which only the name is computed, and the same as Node.js has it for CommonJS
/// (nodejs.org/api/modules.html, "All together"): without its ending, too.
const FIND: &str = "var fn = map[path];";
const FIND_AS_NODE: &str = "var fn = map[path] || map[path + \".js\"] || map[path + \".json\"] || map[path + \"/index.js\"];";

/// What a bundle is made of.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) start: &'a Start,
    pub(super) listing: &'a Listing,
    pub(super) installed: Option<&'a Installed>,
    pub(super) node_version: &'a str,
    /// NODE_OPTIONS of the application.
    pub(super) options: Option<&'a str>,
}

/// What has come of it.
#[derive(Debug)]
pub(super) struct Bundled {
    /// The bundle, and the file of the application that it is. None where what is run cannot be bundled.
    pub(super) file: Option<(PathBuf, String)>,
    /// The packages that have to be there beside it.
    pub(super) kept: Kept,
    /// What people should know.
    pub(super) note: Option<String>,
    /// Changes whenever the bundle does.
    pub(super) contents: Key,
}

/// Which of the installed packages an image has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kept {
    Everything,
    /// By their folders below the project's root.
    Packages(BTreeSet<String>),
}

/// What `entry.json` keeps.
#[derive(Debug, Serialize, Deserialize)]
struct MadeFrom {
    entry: Option<String>,
    kept: Kept,
    note: Option<String>,
    contents: String,
}

/// The bundle: from the cache, else made.
pub(super) fn provide(
    ctx: &Context,
    manifest: &Manifest,
    wanted: &Wanted<'_>,
) -> Result<Bundled, PrepareApplicationError> {
    let esbuild = esbuild::prepare(ctx, manifest)?;
    let hasher = KeyHasher::new("bundle")
        .text("version", BUILD_VERSION)
        .text("esbuild", esbuild.key.as_str())
        .text("node", wanted.node_version)
        .text("entry", &wanted.start.entry)
        .text("node arguments", &wanted.start.node_args.join("\0"))
        .text("options", wanted.options.unwrap_or_default())
        .text(
            "dependencies",
            wanted
                .installed
                .map_or("", |installed| installed.key.as_str()),
        );
    let key = image::state(hasher, wanted.listing)?;
    let label = format!("bundle of {}", wanted.name);
    let maker = Maker {
        ctx,
        esbuild: &esbuild,
        wanted,
    };
    let entry = ctx
        .cache
        .get_or_make(ctx, Kind::Applications, &key, &label, |dir| {
            let step = ctx.progress.begin(&format!("write {label}"), None);
            let work = ctx.cache.work_dir(ctx, Kind::Applications, &key, &label)?;
            let made = maker.make(&work, dir);
            // What is wrong with the application is no work that could be continued.
            work.remove()?;
            step.finish("");
            made
        })
        .map_err(MakeEntryError::into_make)?;
    let made: MadeFrom = error::record(&entry)?;
    Ok(Bundled {
        file: made.entry.map(|path| (entry.dir.join(FILE), path)),
        kept: made.kept,
        note: made.note,
        contents: KeyHasher::new("bundle's contents")
            .text("contents", &made.contents)
            .finish(),
    })
}

struct Maker<'a> {
    ctx: &'a Context,
    esbuild: &'a Esbuild,
    wanted: &'a Wanted<'a>,
}

impl Maker<'_> {
    fn make(&self, work: &WorkDir, dir: &Path) -> Result<MadeFrom, PrepareApplicationError> {
        let root = work.path().join("app");
        // What an interrupted build left would be bundled with the rest.
        if root.exists() {
            fs::remove_dir_all(&root).map_err(|source| write_error(&root, source))?;
        }
        fs::create_dir_all(&root).map_err(|source| write_error(&root, source))?;
        let installed = self
            .wanted
            .installed
            .map(|installed| installed.path.as_path());
        let own = stage::fill(&root, self.wanted.listing, installed)?;
        let packages = Packages::below(&root)?;
        let making = Making {
            maker: self,
            work,
            packages: &packages,
            own: &own,
        };
        making.make(dir)
    }
}

/// A bundle under way.
struct Making<'a> {
    maker: &'a Maker<'a>,
    work: &'a WorkDir,
    packages: &'a Packages,
    own: &'a BTreeSet<String>,
}

impl Making<'_> {
    fn make(&self, dir: &Path) -> Result<MadeFrom, PrepareApplicationError> {
        let entry = &self.maker.wanted.start.entry;
        let mut refused = BTreeMap::new();
        // An ES module may have everything: what it really is, is told by this.
        let all = self.until_understood(&mut refused, |refused| {
            let outside = Outside::of_refused(refused);
            self.bundle(Format::Esm, &outside)
        })?;
        let format = match all.inputs.get(entry).and_then(|input| input.format) {
            Some(format) => format,
            None if entry.ends_with("mjs") || entry.ends_with("mts") => Format::Esm,
            None => Format::Cjs,
        };
        let modules = self.modules(&all)?;
        let mut decision = self.decide(&modules, &refused)?;
        if let Decision::Bundle(_) = decision {
            rewrite::places(self, &modules)?;
            self.until_understood(&mut refused, |refused| {
                decision = self.decide(&modules, refused)?;
                match &decision {
                    Decision::Bundle(outside) => self.bundle(format, outside),
                    Decision::Nothing(_) => Ok(Metafile::default()),
                }
            })?;
        }
        match decision {
            Decision::Nothing(reason) => Ok(MadeFrom {
                entry: None,
                kept: Kept::Everything,
                note: Some(format!("not bundled: {} {reason}", self.home_name())),
                contents: String::new(),
            }),
            Decision::Bundle(outside) => self.finish(dir, format, outside),
        }
    }

    fn home_name(&self) -> &str {
        let entry = &self.maker.wanted.start.entry;
        package_of(entry).map_or("the application", name_of)
    }

    /// Packages that esbuild does not understand go outside; what it does not understand of the application is an error.
    fn until_understood(
        &self,
        refused: &mut BTreeMap<String, String>,
        mut bundle: impl FnMut(&BTreeMap<String, String>) -> Result<Metafile, Refusal>,
    ) -> Result<Metafile, PrepareApplicationError> {
        loop {
            let complaints = match bundle(refused) {
                Ok(found) => return Ok(found),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::Complaints(complaints)) => complaints,
            };
            let home = package_of(&self.maker.wanted.start.entry);
            let (mut ours, mut is_new) = (Vec::new(), false);
            for complaint in complaints {
                let Complaint { text, place } = complaint;
                let package = place.as_ref().and_then(|(file, _)| package_of(file));
                match (package.filter(|package| Some(*package) != home), &place) {
                    (Some(package), _) => {
                        is_new |= refused.insert(package.to_owned(), text).is_none();
                    }
                    (None, Some((file, line))) => ours.push(format!("{file}:{line}: {text}")),
                    (None, None) => ours.push(text),
                }
            }
            if !ours.is_empty() || !is_new {
                return Err(PrepareApplicationError::Bundle { complaints: ours });
            }
        }
    }

    fn decide(
        &self,
        modules: &BTreeMap<String, Module>,
        refused: &BTreeMap<String, String>,
    ) -> Result<Decision, PrepareApplicationError> {
        let wanted = self.maker.wanted;
        let options = wanted.options.unwrap_or_default().split_whitespace();
        let node_args = wanted.start.node_args.iter().map(String::as_str);
        let words = node_args.chain(options).flat_map(|word| word.split('='));
        decide::decide(&Known {
            packages: self.packages,
            entry: &wanted.start.entry,
            modules,
            own: self.own,
            words: words.map(str::to_owned).collect(),
            refused,
        })
    }

    fn root(&self) -> &Path {
        self.packages.root()
    }

    fn output(&self) -> PathBuf {
        let entry = self.root().join(&self.maker.wanted.start.entry);
        entry.with_file_name(OUTPUT)
    }

    fn run(&self, args: &[String]) -> Result<(), Refusal> {
        let Maker { ctx, esbuild, .. } = self.maker;
        esbuild.run(ctx, self.work, self.root(), args)
    }

    fn bundle(&self, format: Format, outside: &Outside) -> Result<Metafile, Refusal> {
        let metafile = self.work.path().join(METAFILE);
        let mut args = self.options();
        args.extend([
            format!("./{}", self.maker.wanted.start.entry),
            "--bundle".to_owned(),
            match format {
                Format::Cjs => "--format=cjs".to_owned(),
                Format::Esm => "--format=esm".to_owned(),
            },
            format!("--outfile={}", self.output().display()),
            format!("--metafile={}", metafile.display()),
            // What Node.js itself looks for, and nothing that only bundlers do (nodejs.org/api/packages.html).
            "--conditions=node-addons,module-sync".to_owned(),
            "--resolve-extensions=.js,.json,.node".to_owned(),
            "--keep-names".to_owned(),
            "--loader:.node=empty".to_owned(),
        ]);
        // By their places, so that each importer gets the very one that it would have had.
        let root = self.root().display();
        let packages = outside
            .packages
            .keys()
            .map(|path| format!("--external:{root}/{path}/*"));
        let files = outside
            .files
            .iter()
            .map(|path| format!("--external:{root}/{path}"));
        args.extend(packages.chain(files));
        self.run(&args)?;
        let text = fs::read(&metafile).map_err(|source| write_error(&metafile, source))?;
        let read = serde_json::from_slice(&text);
        Ok(read.map_err(|source| PrepareApplicationError::Json {
            path: metafile,
            source,
        })?)
    }

    /// What holds for everything that esbuild writes here. Node.js follows no tsconfig.json, and leaves all imports that are not
    /// of types only.
    fn options(&self) -> Vec<String> {
        let major_minor: Vec<&str> = self.maker.wanted.node_version.split('.').take(2).collect();
        vec![
            "--platform=node".to_owned(),
            format!("--target=node{}", major_minor.join(".")),
            r#"--tsconfig-raw={"compilerOptions":{"verbatimModuleSyntax":true}}"#.to_owned(),
            // Programs of packages often have no ending.
            "--loader:=js".to_owned(),
            "--charset=utf8".to_owned(),
        ]
    }

    /// Everything that the entry leads to, and what it uses.
    fn modules(&self, all: &Metafile) -> Result<BTreeMap<String, Module>, PrepareApplicationError> {
        let scripts: Vec<&String> = all
            .inputs
            .keys()
            .filter(|path| !path.ends_with(".json") && !path.ends_with(".node"))
            .collect();
        let texts = rewrite::for_scan(self, &scripts)?;
        let mut modules = BTreeMap::new();
        for (path, input) in &all.inputs {
            let imports = input.imports.iter().filter(|import| !import.external);
            modules.insert(
                path.clone(),
                Module {
                    uses: texts
                        .get(path)
                        .map(|text| scan::uses(text))
                        .unwrap_or_default(),
                    imports: imports.map(|import| import.path.clone()).collect(),
                },
            );
        }
        Ok(modules)
    }

    /// Puts the bundle into the cache's folder.
    fn finish(
        &self,
        dir: &Path,
        format: Format,
        outside: Outside,
    ) -> Result<MadeFrom, PrepareApplicationError> {
        let output = self.output();
        let text = fs::read_to_string(&output).map_err(|source| write_error(&output, source))?;
        let text = text.replace(FIND, FIND_AS_NODE);
        let text = match format == Format::Esm && text.contains(WANTS_REQUIRE) {
            true => with_require(&text),
            false => text,
        };
        let file = dir.join(FILE);
        fs::write(&file, &text).map_err(|source| write_error(&file, source))?;
        let entry = &self.maker.wanted.start.entry;
        let mut kept: BTreeSet<String> = outside.packages.keys().cloned().collect();
        kept.extend(outside.also.iter().cloned());
        // What lies beside the program of a package may be read by it.
        kept.extend(package_of(entry).map(str::to_owned));
        kept.retain(|package| self.packages.is_there(package));
        Ok(MadeFrom {
            entry: Some(self.place(entry, format)),
            kept: Kept::Packages(kept),
            note: outside.note(),
            contents: KeyHasher::new("contents")
                .text("text", &text)
                .finish()
                .to_string(),
        })
    }

    /// Where the bundle lies: in the entry's place, so that it is found by whoever starts it again. What is TypeScript is not any
    /// more, and Node.js would look for types in it.
    fn place(&self, entry: &str, format: Format) -> String {
        let Some(stem) = ["ts", "mts", "cts"]
            .iter()
            .find_map(|ending| entry.strip_suffix(&format!(".{ending}")))
        else {
            return entry.to_owned();
        };
        let ending = match format {
            Format::Cjs => "cjs",
            Format::Esm => "mjs",
        };
        let usual = format!("{stem}.{ending}");
        match self.own.contains(&usual) {
            true => format!("{stem}.bundle.{ending}"),
            false => usual,
        }
    }
}

/// Puts the making of `require` before all else, but behind a first line for shells.
fn with_require(text: &str) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => format!("{first}\n{REQUIRE}{rest}"),
        _ => format!("{REQUIRE}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_shells_stays_the_first_one() {
        let text = with_require("#!/usr/bin/env node\nrun();\n");
        assert!(text.starts_with("#!/usr/bin/env node\nimport "), "{text}");
        assert!(text.ends_with("import.meta.url);\nrun();\n"), "{text}");
        assert!(with_require("run();").starts_with("import "));
    }
}
