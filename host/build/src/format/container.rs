//! The system as a container has it: no kernel, no privileges, no mounts of its own, and nobody but one person.
//!
//! A session of the layer `usersfs` is an overlay in namespaces that `boot` makes as root. A container has no right to
//! that, and is a session's walls already. So in one there is no broker, no login and no service: what is started is
//! Node.js, the shell of the first user, or an application, as an unprivileged user from the first instruction on.

mod application;
mod blob;

use std::collections::BTreeMap;
use std::path::Path;

use nodeos_image::oci;
use nodeos_image::tree::{Content, Entry, InsertEntryError, Kind as EntryKind, Tree};
use nodeos_spec::boot::{BootSpec, LIBC, PATH as BOOT_JSON};

use super::Goods;
use crate::application::contents::lay_over;
use crate::assemble::BuildError;
use crate::layer::{LayerError, Stack, users};
use crate::recipe::{Layer, Recipe, RootKind};

pub(super) use blob::{Blob, blob};

/// [`MTIME`] as image-spec wants it.
const CREATED: &str = "2014-03-01T00:00:00Z";

/// PID 1, in a container too.
const INIT: &str = "/init";
/// Who works in a container that has no homes: the number that images of Node.js use, so that volumes fit.
const NOBODYS_ID: u32 = 1000;
/// Their name.
const NAME: &str = "nodeos";
/// Where everybody may write: the home of those who have none.
const TMP: &str = "/tmp";

/// What has no use without a kernel: the session broker and what is its, and the program of the layer, which is named by
/// boot.json instead.
const LEFT_OUT: [&str; 6] = [
    "/sbin/application",
    "/sbin/boot",
    "/sbin/init",
    "/users",
    "/usr/share",
    "/log",
];

/// Modes that differ from a machine's, where PID 1 is root and mounts something upon each.
const MODES: [(&str, u16); 10] = [
    ("/", 0o755),
    ("/init", 0o555),
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/lib", 0o555),
    ("/proc", 0o555),
    ("/run", 0o755),
    ("/sbin", 0o555),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
];

/// Files that whoever runs the container mounts upon, or fills.
const FILLED: [&str; 2] = ["/etc/hostname", "/etc/resolv.conf"];

/// A root filesystem in layers, and how it is started.
pub(super) struct Container {
    /// What people call it: NAME:TAG.
    pub(super) names: Vec<String>,
    /// What each is for and what is in it, the lowest first.
    pub(super) layers: Vec<(String, Tree)>,
    pub(super) start: oci::Start,
    /// Who works in it, and everybody else who has a home.
    pub(super) people: Vec<Person>,
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
    pub(super) shell: String,
}

impl Container {
    /// The layers of the recipe.
    pub(super) fn of(goods: &Goods<'_>) -> Result<Container, BuildError> {
        let recipe = goods.recipe;
        let mut stacks = vec![];
        let mut next = goods.made.stack.below();
        while let Some(stack) = next {
            next = stack.below();
            stacks.insert(0, stack);
        }
        let mut layers = Vec::new();
        let mut below = Tree::new();
        let insert_error = |source| insert_error(recipe.layer, source);
        for stack in stacks {
            let tree = tree(goods, &stack)?;
            let upper = adapted(tree, &stack, recipe).map_err(insert_error)?;
            layers.push((stack.layer.to_string(), upper.above(&below)));
            below = upper;
        }
        let top = &goods.made.stack;
        let tree = tree(goods, top)?;
        let mut tree = adapted(tree, top, recipe).map_err(insert_error)?;
        let mut people = people_without_homes();
        if let Some(folder) = top.users_folder() {
            let folder = goods.order.folder.clone().unwrap_or(folder);
            let homes = homes(recipe.layer, &folder)?;
            people = people_of(&homes);
            settle(&mut tree, &homes, &people).map_err(insert_error)?;
        }
        let start = start(top.layer, &people, recipe);
        layers.push((top.layer.to_string(), tree.above(&below)));
        let name = match top.layer {
            Layer::Usersfs => NAME.to_owned(),
            layer => layer.to_string(),
        };
        let tags = ["latest", env!("CARGO_PKG_VERSION")];
        let mut container = Container {
            names: tags.map(|tag| format!("nodeos/{name}:{tag}")).into(),
            layers,
            start,
            people,
        };
        if let Some(contents) = goods.application {
            application::add(&mut container, tree, contents).map_err(insert_error)?;
        }
        Ok(container)
    }

    /// All layers as one.
    pub(super) fn whole(self, layer: Layer) -> Result<Tree, BuildError> {
        let mut whole = Tree::new();
        for (_, tree) in self.layers {
            lay_over(&mut whole, tree).map_err(|source| insert_error(layer, source))?;
        }
        Ok(whole)
    }

    /// The layers, written.
    pub(super) fn blobs(&self, goods: &Goods<'_>) -> Result<Vec<Blob>, BuildError> {
        let write = |(name, tree): &(String, Tree)| blob(goods, name, tree);
        self.layers.iter().map(write).collect()
    }

    /// What an image is, once its layers are written.
    pub(super) fn image(&self, goods: &Goods<'_>, blobs: &[Blob]) -> oci::Image {
        oci::Image {
            architecture: goods.recipe.arch.container_name().to_owned(),
            created: CREATED.to_owned(),
            layers: blobs.iter().map(|blob| blob.layer.clone()).collect(),
            start: self.start.clone(),
        }
    }
}

/// What an archive with all of it holds, for those who look into the cache.
pub(super) fn what<'a>(goods: &Goods<'a>) -> &'a str {
    let application = goods.application.map(|contents| &contents.application.name);
    application.map_or(goods.recipe.layer.as_str(), String::as_str)
}

/// The filesystem of a machine with these layers.
fn tree(goods: &Goods<'_>, stack: &Stack) -> Result<Tree, BuildError> {
    let recipe = Recipe {
        layer: stack.layer,
        // Without devices.
        root: RootKind::Pmem,
        ..*goods.recipe
    };
    stack
        .tree(&goods.made.parts(&recipe))
        .map_err(BuildError::Layer)
}

/// What a machine has -> what a container has. The same for a layer whether another one stands upon it or not, so that
/// all images have it in common.
fn adapted(mut tree: Tree, stack: &Stack, recipe: &Recipe) -> Result<Tree, InsertEntryError> {
    for path in LEFT_OUT {
        tree.remove(path);
    }
    for (path, mode) in MODES {
        if let Some(entry) = tree.get(path) {
            let entry = Entry {
                mode,
                ..entry.clone()
            };
            tree.insert(path, entry)?;
        }
    }
    for path in FILLED {
        tree.insert(path, Entry::file(0o644, *b""))?;
    }
    let people = people_without_homes();
    describe(&mut tree, &people)?;
    let boot = BootSpec {
        banner: String::new(),
        program: program(stack.layer),
        env: BTreeMap::from([(LIBC.to_owned(), recipe.libc.as_str().to_owned())]),
        ..BootSpec::default()
    };
    tree.insert(BOOT_JSON, Entry::file(0o444, boot.to_json().into_bytes()))?;
    Ok(tree)
}

/// What `init` starts where nobody names anything else.
fn program(layer: Layer) -> Vec<String> {
    let words: &[&str] = match layer {
        Layer::Barebones | Layer::Application | Layer::Initramfs => &["/bin/node"],
        Layer::Usersfs => &["/bin/nsh", "-l"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn start(layer: Layer, people: &[Person], recipe: &Recipe) -> oci::Start {
    let person = people.last().expect("there is always root");
    let mut env = BTreeMap::from([
        ("HOME", person.home.clone()),
        ("PATH", format!("{}/bin:/bin:/sbin", person.home)),
        ("USER", person.name.clone()),
        (LIBC, recipe.libc.as_str().to_owned()),
    ]);
    if person.home == TMP {
        env.insert("PATH", "/bin:/sbin".to_owned());
    }
    let version = env!("CARGO_PKG_VERSION");
    let labels = [
        (
            "org.opencontainers.image.title",
            format!("NodeOS ({layer})"),
        ),
        ("org.opencontainers.image.version", version.to_owned()),
    ];
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    oci::Start {
        user: format!("{}:{}", person.uid, person.gid),
        env: env.into_iter().map(owned).collect(),
        entrypoint: vec![INIT.to_owned()],
        cmd: program(layer),
        working_dir: person.home.clone(),
        stop_signal: "SIGTERM".to_owned(),
        labels: labels.into_iter().map(owned).collect(),
        ..oci::Start::default()
    }
}

fn people_without_homes() -> Vec<Person> {
    let person = |name: &str, id, home: &str| Person {
        name: name.to_owned(),
        uid: id,
        gid: id,
        home: home.to_owned(),
        shell: "/bin/node".to_owned(),
    };
    vec![person("root", 0, "/"), person(NAME, NOBODYS_ID, TMP)]
}

fn homes(layer: Layer, folder: &Path) -> Result<Tree, BuildError> {
    users::tree(folder).map_err(|source| BuildError::Layer(LayerError::Users { layer, source }))
}

/// Those who have a folder in `homes`. The last is who works in the container: the demo user, or else the first name.
fn people_of(homes: &Tree) -> Vec<Person> {
    let is_home = |path: &Path| path.components().count() == 2;
    let mut people: Vec<Person> = homes
        .iter()
        .filter(|(path, entry)| is_home(path) && entry.kind == EntryKind::Directory)
        .map(|(path, entry)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Person {
                home: match entry.uid {
                    0 => "/root".to_owned(),
                    _ => format!("/home/{name}"),
                },
                name: name.into_owned(),
                uid: entry.uid,
                gid: entry.gid,
                shell: "/bin/nsh".to_owned(),
            }
        })
        .collect();
    people.sort_by_key(|person| {
        let rank = match (person.uid, person.name.as_str()) {
            (0, _) => 0,
            (_, NAME) => 2,
            _ => 1,
        };
        (rank, std::cmp::Reverse(person.name.clone()))
    });
    if people.is_empty() {
        people = people_without_homes();
    }
    people
}

/// Gives everybody the home that is theirs. npm installs into it, as the rest of the system is root's.
fn settle(tree: &mut Tree, homes: &Tree, people: &[Person]) -> Result<(), InsertEntryError> {
    tree.insert("/home", Entry::directory(0o755))?;
    for person in people {
        let of = Path::new("/").join(&person.name);
        for (path, entry) in homes.iter() {
            let Ok(below) = path.strip_prefix(&of) else {
                continue;
            };
            // Their passwords, and orders for the services of a machine.
            let is_machines = ["etc/logon.json", "etc/palmtree.json", "init"];
            if is_machines.iter().any(|name| below == Path::new(name)) {
                continue;
            }
            tree.insert(Path::new(&person.home).join(below), entry.clone())?;
        }
    }
    const NPMRC: &str = "/lib/node_modules/npm/npmrc";
    if let Some(Entry {
        kind: EntryKind::File(Content::Bytes(text)),
        mode,
        ..
    }) = tree.get(NPMRC)
    {
        let text = [text, &b"prefix=${HOME}\n"[..]].concat();
        let entry = Entry::file(*mode, text);
        tree.insert(NPMRC, entry)?;
    }
    describe(tree, people)
}

/// passwd(5) and group(5), in the order of their numbers.
pub(super) fn describe(tree: &mut Tree, people: &[Person]) -> Result<(), InsertEntryError> {
    let mut people: Vec<&Person> = people.iter().collect();
    people.sort_by_key(|person| person.uid);
    let passwd: String = people
        .iter()
        .map(|person| {
            let Person {
                name,
                uid,
                gid,
                home,
                shell,
            } = person;
            format!("{name}:x:{uid}:{gid}::{home}:{shell}\n")
        })
        .collect();
    let group: String = people
        .iter()
        .map(|person| format!("{}:x:{}:\n", person.name, person.gid))
        .collect();
    for (path, text) in [("/etc/passwd", passwd), ("/etc/group", group)] {
        tree.insert(path, Entry::file(0o444, text.into_bytes()))?;
    }
    Ok(())
}

fn insert_error(layer: Layer, source: InsertEntryError) -> BuildError {
    BuildError::Layer(LayerError::Insert { layer, source })
}
