//! `man`: the manual of a command or package, which is the README that came with it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use lexopt::Arg;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};
use crate::{pager, table};

/// NodeOS's own pages.
const PAGES: &str = "/usr/share/nodeos/man";
/// Where `npm install -g` puts packages.
const PACKAGES: &str = "/lib/node_modules";
/// Where npm links the commands of such packages to.
const COMMANDS: &str = "/bin";
const NODE_MODULES: &str = "node_modules";
/// What a README may be called, in letters of any size.
const READMES: [&str; 4] = ["readme.md", "readme.markdown", "readme", "readme.txt"];
/// The longest READMEs have some hundred kilobytes.
const LONGEST: u64 = 4 << 20;

pub(crate) const HELP: &str = "\
Usage: man [NAME]

Shows the manual of a command or an npm package: the page that NodeOS has for it, or the README of the package. Packages
are looked for in node_modules of this folder and the folders above it, and among those installed with npm install -g.

Without a NAME it lists what there is.

Options:
  --help  Show this
";

#[derive(Debug, Error)]
enum ManError {
    #[error("there is no manual for {}", name.display())]
    Missing { name: OsString },
    #[error("{} cannot be the name of a package", name.display())]
    Name { name: OsString },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut name = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Value(value) if name.is_none() => name = Some(value),
            Arg::Value(extra) => return Err(Stop::extra(extra)),
            option => return Err(option.unexpected().into()),
        }
    }
    let here = std::env::current_dir().unwrap_or_default();
    match name {
        None => list(call, &here)?,
        Some(name) => show(call, &name, &here)?,
    }
    Ok(DONE)
}

fn show(call: &mut Call<'_>, name: &OsStr, here: &Path) -> Result<(), Stop> {
    if !is_name(name) {
        let name = name.to_owned();
        return Err(Stop::failed(ManError::Name { name }));
    }
    let page = Path::new(PAGES).join(format!("{}.md", name.display()));
    let found = page.is_file().then_some(page);
    let found = found.or_else(|| {
        let mut packages: Vec<PathBuf> = folders(here)
            .iter()
            .map(|folder| folder.join(name))
            .collect();
        packages.extend(package_of_command(&Path::new(COMMANDS).join(name)));
        packages.iter().find_map(|package| readme(package))
    });
    match found {
        Some(path) => {
            let text =
                read(&path).map_err(|source| Stop::failed(ManError::Read { path, source }))?;
            pager::print(call, &text)
        }
        // What our own programs say of themselves is all that there is to say.
        None => match name.to_str().and_then(table::help) {
            Some(help) => pager::print(call, &format!("```\n{help}```\n")),
            None => {
                let hint = format!("{} --help may say something", name.display());
                let name = name.to_owned();
                Err(Stop::failed(ManError::Missing { name }).hint(hint))
            }
        },
    }
}

/// `name` or `@scope/name`, and nothing that could lead out of a folder of packages.
fn is_name(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let name = match name.strip_prefix('@').and_then(|name| name.split_once('/')) {
        Some((scope, name))
            if !scope.is_empty() && !scope.starts_with('.') && !scope.contains('/') =>
        {
            name
        }
        Some(_) => return false,
        None => name,
    };
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

/// The folders in which packages may be, the nearest one first.
fn folders(here: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = here
        .ancestors()
        .map(|folder| folder.join(NODE_MODULES))
        .collect();
    folders.push(PathBuf::from(PACKAGES));
    folders
}

/// The package that a command is a link into.
fn package_of_command(command: &Path) -> Option<PathBuf> {
    let target = fs::canonicalize(command).ok()?;
    package_of(&target)
}

/// The innermost package that a file belongs to.
fn package_of(file: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = file.components().collect();
    let modules = parts
        .iter()
        .rposition(|part| part.as_os_str() == NODE_MODULES)?;
    let first = parts.get(modules + 1)?;
    let is_scope = first.as_os_str().as_encoded_bytes().starts_with(b"@");
    let end = modules + if is_scope { 3 } else { 2 };
    (parts.len() >= end).then(|| parts[..end].iter().collect())
}

fn readme(package: &Path) -> Option<PathBuf> {
    let names: Vec<OsString> = fs::read_dir(package)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    READMES.iter().find_map(|readme| {
        let name = names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(readme))?;
        Some(package.join(name))
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(LONGEST)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list(call: &mut Call<'_>, here: &Path) -> Result<(), Stop> {
    let mut commands: Vec<String> = table::names().map(str::to_owned).collect();
    commands.extend(
        entries(Path::new(PAGES))
            .iter()
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned)),
    );
    commands.sort();
    commands.dedup();
    let mut text = format!("Commands of NodeOS: {}\n", commands.join(", "));
    for folder in folders(here) {
        let packages = packages(&folder);
        if !packages.is_empty() {
            text.push_str(&format!(
                "\nPackages in {}: {}\n",
                folder.display(),
                packages.join(", ")
            ));
        }
    }
    pager::print(call, &text)
}

/// The names of the packages in a folder of them.
fn packages(folder: &Path) -> Vec<String> {
    let mut packages = Vec::new();
    for name in entries(folder) {
        if name.starts_with('@') {
            let scoped = entries(&folder.join(&name));
            packages.extend(
                scoped
                    .into_iter()
                    .map(|package| format!("{name}/{package}")),
            );
        } else {
            packages.push(name);
        }
    }
    packages
}

/// The names in a folder, without the hidden ones, in order.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_a_folder_of_packages() {
        let check =
            |name: &str, expected: bool| assert_eq!(is_name(OsStr::new(name)), expected, "{name}");
        check("express", true);
        check("@types/node", true);
        check("", false);
        check("..", false);
        check("../etc", false);
        check("a/b", false);
        check("@types", true);
        check("@/node", false);
        check("@../node", false);
        check("@types/../x", false);
        check("@types/", false);
    }

    #[test]
    fn the_package_of_a_command_is_where_its_link_leads() {
        let check = |file: &str, expected: Option<&str>| {
            assert_eq!(
                package_of(Path::new(file)),
                expected.map(PathBuf::from),
                "{file}"
            );
        };
        check(
            "/lib/node_modules/cowsay/cli.js",
            Some("/lib/node_modules/cowsay"),
        );
        check(
            "/lib/node_modules/@a/b/bin/c.js",
            Some("/lib/node_modules/@a/b"),
        );
        check(
            "/lib/node_modules/a/node_modules/b/c.js",
            Some("/lib/node_modules/a/node_modules/b"),
        );
        check("/usr/bin/ls", None);
        check("/lib/node_modules", None);
    }

    #[test]
    fn a_readme_is_found_in_letters_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(readme(folder.path()), None);
        fs::write(folder.path().join("README"), "").unwrap();
        assert_eq!(readme(folder.path()), Some(folder.path().join("README")));
        fs::write(folder.path().join("Readme.MD"), "").unwrap();
        assert_eq!(readme(folder.path()), Some(folder.path().join("Readme.MD")));
    }

    #[test]
    fn packages_are_looked_for_from_here_upwards() {
        let folders = folders(Path::new("/a/b"));
        let expected = [
            "/a/b/node_modules",
            "/a/node_modules",
            "/node_modules",
            "/lib/node_modules",
        ];
        assert_eq!(folders, expected.map(PathBuf::from));
    }
}
