//! Real projects, installed by real package managers from the registry, as images. What was installed once is in the
//! user's own cache, so that the second run takes seconds.

#[path = "../common/mod.rs"]
mod common;

mod addons;
mod bundles;
mod images;
mod managers;
mod refusals;
mod warmth;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Recorder, chain};
use nodeos_build::application::{Application, Order, PrepareApplicationError, Source, prepare};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use nodeos_build::recipe::Arch;
use tempfile::TempDir;

/// A context with the cache of whoever runs the tests: Node.js and what was installed before are there.
fn context() -> (Context, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let context = Context {
        source: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        cache: Cache::open(Cache::default_root().unwrap()),
        progress: recorder.clone(),
        cancel: Arc::default(),
        jobs: 1,
    };
    (context, recorder)
}

fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn order(source: Source) -> Order {
    Order {
        source,
        args: Vec::new(),
        libc: None,
        optimize: None,
        arch: Arch::X86_64,
    }
}

fn made(folder: &Path) -> Application {
    let order = order(Source::Folder(folder.to_owned()));
    prepare(&context().0, &order).unwrap_or_else(|error| panic!("{:?}", chain(&error)))
}

fn refused(order: &Order) -> (PrepareApplicationError, String) {
    let error = prepare(&context().0, order).unwrap_err();
    let text = chain(&error).join(": ");
    (error, text)
}

/// What is in an image, as `fsck.erofs` unpacks it: paths, and the contents of files.
fn unpacked(image: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("tree");
    let output = Command::new("fsck.erofs")
        .arg(format!("--extract={}", to.display()))
        .arg("--no-preserve")
        .arg(image)
        .output()
        .expect("fsck.erofs is there: apt-get install erofs-utils");
    assert!(output.status.success(), "{output:?}");
    let mut found = BTreeMap::new();
    walk(&to, &to, &mut found);
    found
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(root, &path, found);
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(name, format!("-> {}", target.display()).into_bytes());
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
}

fn dependencies(application: &Application) -> BTreeMap<String, Vec<u8>> {
    unpacked(
        &application
            .dependencies
            .as_ref()
            .expect("it has dependencies")
            .path,
    )
}
