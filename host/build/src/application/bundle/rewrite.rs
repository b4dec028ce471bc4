//! Modules as esbuild writes them one by one: to see what they use, and with the places that they have in the machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nodeos_spec::application::FOLDER;
use serde_json::Value;

use super::decide::Module;
use super::esbuild::Refusal;
use super::packages::{is_script, package_of};
use super::stage::write_error;
use super::{Making, scan};
use crate::application::PrepareApplicationError;

/// Where what is looked at lies, beside the folder that is bundled.
const SCAN: &str = "scan";
/// A module that is to take the place of another.
const NEW: &str = "new.js";
/// As many at once as a command line can be long, each of them with a path.
const AT_ONCE: usize = 500;

/// The texts of these modules, as [`scan::uses`] reads them.
pub(super) fn for_scan(
    making: &Making<'_>,
    paths: &[&String],
) -> Result<BTreeMap<String, String>, PrepareApplicationError> {
    let folder = making.work.path().join(SCAN);
    let mut texts = BTreeMap::new();
    for some in paths.chunks(AT_ONCE) {
        let mut args = making.options();
        args.push(format!("--outdir={}", folder.display()));
        args.push("--legal-comments=none".to_owned());
        let defines = scan::NAMES.iter();
        args.extend(defines.map(|(name, ours)| format!("--define:{name}={ours}")));
        // Numbers, because a.js and a.mjs would both become a.js.
        let numbered = some.iter().enumerate();
        args.extend(numbered.map(|(number, path)| format!("{number}=./{path}")));
        making.run(&args).map_err(error)?;
        for (number, path) in some.iter().enumerate() {
            let file = folder.join(format!("{number}.js"));
            let text = fs::read_to_string(&file).map_err(|source| write_error(&file, source))?;
            texts.insert((*path).clone(), text);
        }
    }
    Ok(texts)
}

/// Puts into the application's own modules where they are in the machine, because in a bundle all of them have the entry's place.
/// The entry has it anyway.
pub(super) fn places(
    making: &Making<'_>,
    modules: &BTreeMap<String, Module>,
) -> Result<(), PrepareApplicationError> {
    let entry = &making.maker.wanted.start.entry;
    let home = package_of(entry);
    for (path, module) in modules {
        if package_of(path) != home || !is_script(Path::new(path)) {
            continue;
        }
        let has_place = module.uses.place || module.uses.search;
        let defines = match path == entry {
            true if modules.values().any(|other| other.imports.contains(path)) => {
                // One that others import is a module among others in the bundle, and would not be the main one.
                vec!["--define:require.main=module".to_owned()]
            }
            false if has_place => {
                let defines = defines(path).into_iter();
                let define = |(name, value)| format!("--define:{name}={value}");
                defines.map(define).collect()
            }
            _ => continue,
        };
        let new = making.work.path().join(NEW);
        let mut args = making.options();
        args.push(format!("./{path}"));
        args.push(format!("--outfile={}", new.display()));
        args.extend(defines);
        making.run(&args).map_err(error)?;
        // The file itself may be a second name of one in the cache.
        let file = making.root().join(path);
        fs::remove_file(&file)
            .and_then(|()| fs::rename(&new, &file))
            .map_err(|source| write_error(&file, source))?;
    }
    Ok(())
}

/// What Node.js tells a module about itself, for one of these in the machine.
fn defines(path: &str) -> [(&'static str, Value); 8] {
    let file = format!("{FOLDER}/{path}");
    let folder = Path::new(&file).parent().and_then(Path::to_str);
    let folder = folder.unwrap_or(FOLDER).to_owned();
    [
        ("__dirname", folder.clone().into()),
        ("__filename", file.clone().into()),
        ("module.filename", file.clone().into()),
        ("import.meta.dirname", folder.into()),
        ("import.meta.filename", file.clone().into()),
        ("import.meta.url", url(&file).into()),
        ("import.meta.main", false.into()),
        // It is not the one that was started.
        ("module.parent", true.into()),
    ]
}

/// A path as a URL (RFC 8089), with all that has a meaning there encoded.
fn url(path: &str) -> String {
    let mut url = "file://".to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => url.push(char::from(byte)),
            _ if b"/-._~!$&'()*+,;=:@".contains(&byte) => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn error(refusal: Refusal) -> PrepareApplicationError {
    match refusal {
        Refusal::Error(error) => error,
        Refusal::Complaints(complaints) => PrepareApplicationError::Bundle {
            complaints: complaints
                .into_iter()
                .map(|complaint| complaint.text)
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_the_place_that_it_has_in_the_machine() {
        let found = BTreeMap::from(defines("lib/a b.js"));
        let check = |name: &str, expected: &str| {
            assert_eq!(found[name].to_string(), expected, "{name}");
        };
        check("__dirname", "\"/app/lib\"");
        check("__filename", "\"/app/lib/a b.js\"");
        check("import.meta.url", "\"file:///app/lib/a%20b.js\"");
        check("import.meta.main", "false");
    }
}
