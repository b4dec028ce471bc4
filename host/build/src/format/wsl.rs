//! The format `wsl`: the archive that Windows installs with a double click or `wsl --install --from-file`.
//!
//! What has to be in it is Microsoft's to say ("Build a custom Linux distribution for WSL"): the two files about how it is
//! installed and started, an icon, no kernel, no `resolv.conf`, and passwords that nobody can enter. WSL has a PID 1 of
//! its own, which it puts at `/init`.

use std::path::Path;

use nodeos_image::oci;
use nodeos_image::tree::{Entry, InsertEntryError, Tree};
use serde_json::json;

use super::container::{self, Container, Person};
use super::{Goods, Packed};
use crate::assemble::{BuildError, output};
use crate::layer::LayerError;

const FILE: &str = "nodeos.wsl";
/// An N on a hexagon, of 16, 32 and 256 pixels: those that Windows shows.
const ICON: &[u8] = include_bytes!("wsl/nodeos.ico");
const ICON_PATH: &str = "/usr/lib/wsl/nodeos.ico";
/// The shell of who runs an application.
const SHELL: &str = "/usr/lib/wsl/application";
/// What WSL brings, or writes into each system that it starts.
const WINDOWS_OWN: [&str; 5] = [
    "/init",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/sbin/poweroff",
];

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let layer = goods.recipe.layer;
    let container = Container::of(goods)?;
    let mut people = container.people.clone();
    let start = container.start.clone();
    let mut tree = container.whole(layer)?;
    let mut make = || {
        if goods.application.is_some() {
            be_the_shell(&mut tree, &mut people, &start)?;
        }
        complete(&mut tree, &people, goods.title())
    };
    make().map_err(|source| BuildError::Layer(LayerError::Insert { layer, source }))?;
    let name = format!("{} for WSL", container::what(goods));
    let blob = container::blob(goods, &name, &tree)?;
    let path = dir.join(FILE);
    output::link(&blob.path, &path)?;
    Packed::of(goods, dir, vec![path])
}

/// Windows starts its user's shell: here it is the application, in its folder and with its variables.
fn be_the_shell(
    tree: &mut Tree,
    people: &mut [Person],
    start: &oci::Start,
) -> Result<(), InsertEntryError> {
    let value = json!({ "argv": start.cmd, "cwd": start.working_dir, "env": start.env });
    let script = format!(
        "#!/bin/node\n\
         const {{ argv, cwd, env }} = {value};\n\
         process.chdir(cwd);\n\
         process.execve(argv[0], argv, {{ ...process.env, ...env }});\n"
    );
    tree.insert_with_folders(SHELL, Entry::file(0o555, script.into_bytes()), 0o755)?;
    if let Some(person) = people.last_mut() {
        person.shell = SHELL.to_owned();
    }
    container::describe(tree, people)
}

fn complete(tree: &mut Tree, people: &[Person], name: &str) -> Result<(), InsertEntryError> {
    for path in WINDOWS_OWN {
        tree.remove(path);
    }
    for name in ["reboot", "halt"] {
        tree.remove(Path::new("/sbin").join(name));
    }
    let person = people.last().expect("there is always root");
    let shadow: String = people
        .iter()
        .map(|person| format!("{}:*:::::::\n", person.name))
        .collect();
    let files: [(&str, u16, Vec<u8>); 5] = [
        ("/etc/wsl.conf", 0o644, settings(person).into_bytes()),
        (
            "/etc/wsl-distribution.conf",
            0o644,
            distribution(person, name).into_bytes(),
        ),
        ("/etc/shadow", 0o400, shadow.into_bytes()),
        ("/etc/profile", 0o644, PROFILE.as_bytes().to_vec()),
        (ICON_PATH, 0o644, ICON.to_vec()),
    ];
    for (path, mode, bytes) in files {
        tree.insert_with_folders(path, Entry::file(mode, bytes), 0o755)?;
    }
    Ok(())
}

/// A shell of WSL begins with a `PATH` that WSL and Windows have made.
const PROFILE: &str = "export PATH=\"$HOME/bin:$PATH\"\n";

/// wsl.conf: there is no `mount` that could read an fstab, and no systemd.
fn settings(person: &Person) -> String {
    format!(
        "[boot]\nsystemd=false\n\n[automount]\nmountFsTab=false\n\n[user]\ndefault={}\n",
        person.name
    )
}

/// wsl-distribution.conf: what it is called, who it begins with, and its picture in the start menu.
fn distribution(person: &Person, name: &str) -> String {
    format!(
        "[oobe]\ndefaultUid = {}\ndefaultName = {name}\n\n[shortcut]\nenabled = true\nicon = {ICON_PATH}\n\n\
         [windowsterminal]\nenabled = true\n",
        person.uid
    )
}
