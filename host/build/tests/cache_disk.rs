//! The cache on disks that are full, on folders that cannot be written, and what it says about its contents.

mod common;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use common::{KIND, ROOT, chain, context, key, make, names, root_from_parent};
use nodeos_build::cache::{Cache, CacheError, Cleaned, Kind, MakeEntryError, Origin, State};

#[test]
fn a_cache_that_cannot_be_written_says_so_and_what_to_do() {
    // A file where the folder should be stops root as well, whom permissions do not.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    fs::write(&root, "").unwrap();
    let (ctx, _) = context(&root);
    let make = |_: &Path| Ok::<_, io::Error>(());
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("one"), "one", make)
        .unwrap_err();
    let MakeEntryError::Cache(error) = error else {
        panic!("{error}")
    };
    assert_eq!(
        error.to_string(),
        format!("cannot write the cache at {}", root.display())
    );
    assert_eq!(
        error.hint().unwrap(),
        "set XDG_CACHE_HOME to a folder that you can write, or make this one writable"
    );
}

#[test]
fn a_maker_that_fills_the_disk_is_told_from_other_failures() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let write = |_: &Path| fs::write("/dev/full", "more than fits");
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("one"), "one", write)
        .unwrap_err();
    let MakeEntryError::Cache(error @ CacheError::Full { .. }) = error else {
        panic!("{error}")
    };
    let text = error.to_string();
    let path = root.path().join("programs");
    assert!(
        text.starts_with(&format!("no space left in {}/.making-", path.display())),
        "{text}"
    );
    assert!(
        text.contains(": the file system at /") && text.ends_with(" free"),
        "{text}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "free some space; `nodeos cache clean --all` empties the cache"
    );
    assert_eq!(chain(&error)[1], "No space left on device (os error 28)");
    assert_eq!(names(&path), [""; 0]);
}

/// Runs the test again as root of a user namespace with a file system of its own at `root`.
fn again_with_tmpfs(test: &str, root: &Path, size: &str) {
    let script = r#"mount -t tmpfs -o "size=$1" nodeos "$2" && shift 2 && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", size])
        .arg(root);
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROOT, root);
    let output = command
        .output()
        .expect("unshare of util-linux is needed: sudo apt-get install util-linux");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n(where unshare is forbidden: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
    );
}

#[test]
fn a_full_disk_is_named_with_what_is_free_and_the_build_succeeds_with_space() {
    let Some(root) = root_from_parent() else {
        let root = tempfile::tempdir().unwrap();
        let test = "a_full_disk_is_named_with_what_is_free_and_the_build_succeeds_with_space";
        return again_with_tmpfs(test, root.path(), "1m");
    };
    let (ctx, _) = context(&root);
    let fill = |dir: &Path| fs::write(dir.join("file"), vec![1; 2 << 20]);
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("one"), "one", fill)
        .unwrap_err();
    let text = error.to_string();
    let end = format!(": the file system at {} has 0 bytes free", root.display());
    assert!(
        text.starts_with("no space left in ") && text.ends_with(&end),
        "{text}"
    );
    assert_eq!(names(&root.join("programs")), [""; 0]);

    // The maker's last byte fits, but not the cache's own.
    let leave_nothing = |dir: &Path| {
        let mut file = fs::File::create(dir.join("file"))?;
        while file.write_all(&[1; 4096]).is_ok() {}
        Ok::<_, io::Error>(())
    };
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("one"), "one", leave_nothing)
        .unwrap_err();
    assert!(
        matches!(error, MakeEntryError::Cache(CacheError::Full { .. })),
        "{error}"
    );
    assert_eq!(names(&root.join("programs")), [""; 0]);
    assert_eq!(make(&ctx, "one").origin, Origin::Made);
}

#[test]
fn a_read_only_cache_gives_what_it_has() {
    let Some(root) = root_from_parent() else {
        let root = tempfile::tempdir().unwrap();
        return again_with_tmpfs("a_read_only_cache_gives_what_it_has", root.path(), "1m");
    };
    let (ctx, _) = context(&root);
    make(&ctx, "one");
    let status = Command::new("mount")
        .args(["-o", "remount,bind,ro"])
        .arg(&root)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(make(&ctx, "one").origin, Origin::Found);
    assert_eq!(ctx.cache.list().unwrap().len(), 1);
    let make = |_: &Path| Ok::<_, io::Error>(());
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("two"), "two", make)
        .unwrap_err();
    assert_eq!(
        chain(&error),
        [
            format!("cannot write the cache at {}", root.display()),
            "Read-only file system (os error 30)".to_owned()
        ]
    );
}

#[test]
fn a_cache_that_does_not_exist_is_empty() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::open(root.path().join("none"));
    assert!(cache.list().unwrap().is_empty());
    assert_eq!(cache.clean(None).unwrap(), Cleaned::default());
    assert!(!cache.root().exists());
}

#[test]
fn the_list_says_what_lies_there_and_how_large_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    make(&ctx, "beta");
    make(&ctx, "alpha");
    let write = |dir: &Path| fs::write(dir.join("file"), vec![1; 100_000]);
    ctx.cache
        .get_or_make(&ctx, Kind::Downloads, &key("big"), "big", write)
        .unwrap();
    let listed = ctx.cache.list().unwrap();
    let labels: Vec<_> = listed
        .iter()
        .map(|entry| (entry.kind, entry.label.as_str()))
        .collect();
    assert_eq!(
        labels,
        [(Kind::Downloads, "big"), (KIND, "alpha"), (KIND, "beta")]
    );
    assert!(
        (100_000..200_000).contains(&listed[0].bytes),
        "{}",
        listed[0].bytes
    );
    assert!(listed.iter().all(|entry| entry.state == State::Complete));
}

#[test]
fn cleaning_removes_one_kind_or_all_but_not_what_is_in_use() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    make(&ctx, "one");
    make(&ctx, "two");
    ctx.cache
        .get_or_make(&ctx, Kind::Nodes, &key("node"), "node", |_| {
            Ok::<_, io::Error>(())
        })
        .unwrap();
    let work = ctx
        .cache
        .work_dir(&ctx, Kind::Kernels, &key("linux"), "linux")
        .unwrap();

    let cleaned = ctx.cache.clean(Some(KIND)).unwrap();
    assert_eq!((cleaned.entries, cleaned.busy.len()), (2, 0));
    assert!(cleaned.bytes > 0);
    assert!(ctx.cache.find(KIND, &key("one")).is_none());
    assert!(ctx.cache.find(Kind::Nodes, &key("node")).is_some());

    let cleaned = ctx.cache.clean(None).unwrap();
    assert_eq!(
        (cleaned.entries, cleaned.busy),
        (1, vec!["linux".to_owned()])
    );
    assert!(work.path().exists());
    drop(work);
    assert_eq!(ctx.cache.clean(None).unwrap().entries, 1);
    assert!(ctx.cache.list().unwrap().is_empty());
}
