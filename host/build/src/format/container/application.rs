//! An application over the system of a container: a layer for each of its images, and how it is started.

use std::collections::BTreeMap;
use std::path::Path;

use nodeos_image::tree::{Entry, InsertEntryError, Tree};
use nodeos_spec::application::{ApplicationSpec, COMPILE_CACHE, COMPILE_CACHE_VARIABLE, FOLDER};
use nodeos_spec::boot::{BootSpec, LIBC, PATH as BOOT_JSON};

use super::{Container, NAME, TMP};
use crate::application::contents::{Contents, lay_over};

/// Where programs are looked for: the commands of the application's packages, as npm has it, and Node.js.
const PATH: &str = "/app/node_modules/.bin:/bin:/sbin";

/// Adds its layers to those of the system, which together are `below`.
pub(super) fn add(
    container: &mut Container,
    mut below: Tree,
    contents: &Contents<'_>,
) -> Result<(), InsertEntryError> {
    let application = contents.application;
    let spec = &application.spec;
    let env = environment(contents);
    let [.., last] = contents.parts.as_slice() else {
        return Ok(());
    };
    for part in &contents.parts {
        let mut upper = below.clone();
        lay_over(&mut upper, part.tree.clone())?;
        if std::ptr::eq(part, last) {
            settle(&mut upper, spec, &env)?;
        }
        let name = format!("{} of {}", part.name, application.name);
        container.layers.push((name, upper.above(&below)));
        below = upper;
    }
    container.names = vec![format!("{}:latest", application.name)];
    let start = &mut container.start;
    start.user = format!("{}:{}", spec.uid, spec.gid);
    start.env = env;
    start.cmd = spec.argv.clone();
    start.working_dir = spec.cwd.clone();
    start.ports = spec.ports.clone();
    start.volumes = spec.volumes.iter().map(|it| it.path.clone()).collect();
    start.labels = BTreeMap::from([(
        "org.opencontainers.image.title".to_owned(),
        application.name.clone(),
    )]);
    Ok(())
}

/// What its programs find in their environment: what a machine gives them, too, and over that what its orders say.
fn environment(contents: &Contents<'_>) -> BTreeMap<String, String> {
    let application = contents.application;
    let mut env: BTreeMap<String, String> = [
        ("HOME", TMP),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", NAME),
        ("PATH", PATH),
        ("USER", NAME),
        (LIBC, application.libc.as_str()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if application.compile_cache.is_some() {
        let folder = format!("{FOLDER}/{COMPILE_CACHE}");
        env.insert(COMPILE_CACHE_VARIABLE.to_owned(), folder);
    }
    env.extend(application.spec.env.clone());
    env
}

/// What `init` starts wherever the archive is unpacked, and folders for volumes: who mounts one has them as the application's.
fn settle(
    tree: &mut Tree,
    spec: &ApplicationSpec,
    env: &BTreeMap<String, String>,
) -> Result<(), InsertEntryError> {
    let boot = BootSpec {
        banner: String::new(),
        program: spec.argv.clone(),
        env: env.clone(),
        stop_grace: spec.stop_grace,
    };
    tree.insert(BOOT_JSON, Entry::file(0o444, boot.to_json().into_bytes()))?;
    for volume in &spec.volumes {
        let place = Path::new(&volume.path);
        let entry = Entry::directory(0o755).owned_by(spec.uid, spec.gid);
        tree.insert_with_folders(place, entry, 0o755)?;
    }
    Ok(())
}
