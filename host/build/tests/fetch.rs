//! Fetching from servers that work, fail and lie, and from the cache when there is no server any more.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{chain, context, nobody, not_found, ok, serve};
use nodeos_build::cache::{CacheError, Kind};
use nodeos_build::fetch::{FetchError, Layout, UsedFile, UsedInput, fetch};
use nodeos_build::manifest::Manifest;

/// `printf 'the kernel' | sha256sum`
const KERNEL: &str = "the kernel";
const KERNEL_SUM: &str = "7c2f712a5b31004cd31b6fe611e12219b02a73755049a698be58fdfa32a856cf";

/// A manifest whose input `linux` has these addresses as providers.
fn manifest(urls: &[String]) -> Manifest {
    let mut text =
        "[[input]]\nname = \"linux\"\nwhat = \"the kernel\"\nversion = \"6\"\n".to_owned();
    for url in urls {
        text += &format!(
            "[[input.provider]]\nurl = \"{url}\"\nversion = \"6.1\"\nsha256 = \"{KERNEL_SUM}\"\n"
        );
    }
    Manifest::parse(&text).unwrap()
}

/// Everything below the downloads of the cache that is not an entry's own file.
fn remains(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("downloads")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

/// What is wrong with the only provider, as the error tells it.
fn check_failure(url: &str, expected: &str) {
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let error = fetch(&ctx, &manifest(&[url.to_owned()]), "linux").unwrap_err();
    let reason = format!("url {url}: {expected}");
    assert_eq!(
        error.to_string(),
        format!("cannot fetch linux 6: no provider worked\n    {reason}")
    );
    assert_eq!(
        error.hint().unwrap(),
        "see whether this computer reaches the network, and try again"
    );
    let warning = format!("warn linux is not to be had from {reason}");
    assert!(
        recorder.lines().contains(&warning),
        "{:?}",
        recorder.lines()
    );
    assert_eq!(remains(root.path()), [""; 0]);
    assert!(ctx.cache.list().unwrap().is_empty(), "nothing is kept");
}

#[test]
fn a_file_is_fetched_checked_and_recorded() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let url = format!(
        "{}/v6/linux-6.1.tar.xz?mirror=1",
        serve(|_| ok(KERNEL.as_bytes()))
    );
    let fetched = fetch(&ctx, &manifest(std::slice::from_ref(&url)), "linux").unwrap();
    assert_eq!(fetched.layout, Layout::Upstream);
    assert_eq!(fs::read_to_string(&fetched.files[0]).unwrap(), KERNEL);
    let file = UsedFile {
        name: "linux-6.1.tar.xz".to_owned(),
        version: "6.1".to_owned(),
        sha256: KERNEL_SUM.to_owned(),
        bytes: KERNEL.len() as u64,
    };
    let used = UsedInput {
        name: "linux".to_owned(),
        version: "6.1".to_owned(),
        provider: format!("url {url}"),
        files: vec![file],
    };
    assert_eq!(fetched.used, used);
    assert_eq!(
        recorder.lines(),
        [format!("begin fetching linux 6.1 ({url})")]
    );
    assert_eq!(remains(fetched.files[0].parent().unwrap()), [""; 0]);
}

#[test]
fn what_was_fetched_once_is_there_without_a_server() {
    let root = tempfile::tempdir().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let url = serve(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        ok(KERNEL.as_bytes())
    });
    let manifest = manifest(&[format!("{url}/linux")]);
    let first = fetch(&context(root.path()).0, &manifest, "linux").unwrap();
    let (ctx, recorder) = context(root.path());
    let second = fetch(&ctx, &manifest, "linux").unwrap();
    assert_eq!(
        (first.used, first.files, first.layout),
        (second.used, second.files, second.layout)
    );
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    assert_eq!(recorder.lines(), [""; 0]);
}

#[test]
fn a_missing_file_is_told() {
    let url = format!("{}/linux", serve(|_| not_found()));
    check_failure(&url, &format!("cannot get {url}: the server answered 404"));
}

#[test]
fn a_wrong_checksum_names_the_input_and_both_sums_and_the_file_is_not_kept() {
    let url = format!("{}/linux", serve(|_| ok(b"abc")));
    let found = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check_failure(
        &url,
        &format!("wrong checksum of linux for linux: expected SHA-256 {KERNEL_SUM}, found {found}"),
    );
}

#[test]
fn a_provider_that_is_down_is_warned_about_and_the_next_one_used() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let down = format!("{}/linux", nobody());
    let lies = format!("{}/linux", serve(|_| ok(b"abc")));
    let works = format!("{}/linux", serve(|_| ok(KERNEL.as_bytes())));
    let fetched = fetch(
        &ctx,
        &manifest(&[down.clone(), lies.clone(), works.clone()]),
        "linux",
    )
    .unwrap();
    assert_eq!(fetched.used.provider, format!("url {works}"));
    let lines = recorder.lines();
    let warnings: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("warn"))
        .collect();
    assert_eq!(warnings.len(), 2);
    let refused = format!("warn linux is not to be had from url {down}: cannot get {down}: ");
    assert!(
        warnings[0].starts_with(&refused) && warnings[0].contains("refused"),
        "{warnings:?}"
    );
    let wrong =
        format!("warn linux is not to be had from url {lies}: wrong checksum of linux for linux: ");
    assert!(warnings[1].starts_with(&wrong), "{warnings:?}");
}

#[test]
fn when_all_providers_fail_each_is_listed_with_its_reason() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let server = serve(|_| not_found());
    let urls = [format!("{server}/one"), format!("{server}/two")];
    let error = fetch(&ctx, &manifest(&urls), "linux").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot fetch linux 6: no provider worked\
             \n    url {server}/one: cannot get {server}/one: the server answered 404\
             \n    url {server}/two: cannot get {server}/two: the server answered 404"
        )
    );
}

#[test]
fn an_input_that_the_manifest_does_not_have_is_named() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let error = fetch(&ctx, &manifest(&[nobody()]), "hurd").unwrap_err();
    assert_eq!(error.to_string(), "the manifest has no input hurd");
}

#[test]
fn a_cancelled_download_tries_no_other_provider() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, recorder) = context(root.path());
    let cancel = ctx.cancel.clone();
    // The body never comes to its end: only the cancellation ends the download.
    let url = serve(move |_| {
        cancel.store(true, Ordering::Relaxed);
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe".to_vec()
    });
    let error = fetch(
        &ctx,
        &manifest(&[format!("{url}/linux"), nobody()]),
        "linux",
    )
    .unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(error.to_string(), "fetching linux was cancelled");
    assert!(
        recorder
            .lines()
            .iter()
            .all(|line| !line.starts_with("warn")),
        "{:?}",
        recorder.lines()
    );
    assert_eq!(remains(root.path()), [""; 0]);
}

#[test]
fn a_cache_that_cannot_be_written_is_no_provider_s_fault() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    fs::write(&root, "").unwrap();
    let (ctx, recorder) = context(&root);
    let error = fetch(&ctx, &manifest(&[nobody()]), "linux").unwrap_err();
    assert!(
        matches!(error, FetchError::Cache(CacheError::Write { .. })),
        "{error}"
    );
    assert_eq!(
        chain(&error)[0],
        format!("cannot write the cache at {}", root.display())
    );
    assert_eq!(recorder.lines(), [""; 0]);
}

#[test]
fn two_builds_that_need_the_same_input_download_it_once() {
    let root = tempfile::tempdir().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let url = serve(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        ok(KERNEL.as_bytes())
    });
    let manifest = manifest(&[format!("{url}/linux")]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(&context(root.path()).0, &manifest, "linux").unwrap());
        }
    });
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    assert_eq!(
        context(root.path()).0.cache.list().unwrap()[0].kind,
        Kind::Downloads
    );
}

#[test]
fn the_manifest_of_the_checkout_is_valid_and_complete() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = Manifest::load(&source).unwrap();
    let names: Vec<&str> = manifest.inputs.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "esbuild.aarch64",
            "esbuild.x86_64",
            "glibc.x86_64",
            "linux",
            "musl.x86_64",
            "node.glibc.aarch64",
            "node.glibc.x86_64",
            "node.musl.aarch64",
            "node.musl.x86_64"
        ]
    );
}
