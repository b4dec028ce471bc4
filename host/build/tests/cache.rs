//! The cache with several builds at once, and with builds that fail or are killed.

mod common;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use common::{DEADLINE, KIND, ROOT, context, key, make, names, root_from_parent};
use nodeos_build::cache::{Kind, MakeEntryError, Origin, State};
use nodeos_build::context::Context;

/// This test program again, running only the test `test`, which finds `root` in its environment.
fn again(test: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::piped());
    command
}

/// Waits for a line of the child's output.
fn expect_line(child: &mut Child, wanted: &str) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines
        .map_while(Result::ok)
        .any(|line| line.contains(wanted));
    assert!(found, "the child never said {wanted}");
}

#[test]
fn an_entry_is_made_once_and_found_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    assert!(ctx.cache.find(KIND, &key("one")).is_none());
    assert_eq!(make(&ctx, "one").origin, Origin::Made);
    let found = make(&ctx, "one");
    assert_eq!((found.origin, found.label.as_str()), (Origin::Found, "one"));
    assert_eq!(fs::read_to_string(found.dir.join("file")).unwrap(), "one");
    assert_eq!(names(&found.dir), ["entry.json", "file"]);
    assert_eq!(
        names(&root.path().join("locks")),
        [""; 0],
        "no lock stays behind"
    );
}

#[test]
fn what_the_maker_returns_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let made_from = vec![("musl".to_owned(), 5)];
    let make = |_: &Path| Ok::<_, io::Error>(made_from.clone());
    ctx.cache
        .get_or_make(&ctx, KIND, &key("one"), "one", make)
        .unwrap();
    let found = ctx.cache.find(KIND, &key("one")).unwrap();
    assert_eq!(found.made_from::<Vec<(String, i32)>>(), Some(made_from));
    assert_eq!(found.made_from::<String>(), None);
}

#[test]
fn a_damaged_entry_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    for damage in [
        "",
        "{",
        r#"{"format":0,"label":"one","created":0,"made_from":null}"#,
    ] {
        let dir = make(&ctx, "one").dir;
        fs::write(dir.join("entry.json"), damage).unwrap();
        assert!(ctx.cache.find(KIND, &key("one")).is_none(), "{damage}");
        assert_eq!(make(&ctx, "one").origin, Origin::Made);
    }
}

#[test]
fn two_threads_that_want_the_same_entry_make_it_once() {
    let root = tempfile::tempdir().unwrap();
    let made = AtomicUsize::new(0);
    let (first, first_recorder) = context(root.path());
    let (second, second_recorder) = context(root.path());
    thread::scope(|scope| {
        let (let_go, wait) = mpsc::channel();
        let (inside, is_inside) = mpsc::channel();
        let made = &made;
        scope.spawn(move || {
            let make = |_: &Path| {
                inside.send(()).unwrap();
                wait.recv_timeout(DEADLINE).unwrap();
                made.fetch_add(1, Ordering::Relaxed);
                Ok::<_, io::Error>(())
            };
            first
                .cache
                .get_or_make(&first, KIND, &key("one"), "one", make)
                .unwrap();
        });
        is_inside.recv_timeout(DEADLINE).unwrap();
        let waiter = scope.spawn(move || {
            let make = |_: &Path| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok::<_, io::Error>(())
            };
            second
                .cache
                .get_or_make(&second, KIND, &key("one"), "one", make)
                .unwrap()
        });
        second_recorder.wait_for("begin waiting for another build of one");
        let_go.send(()).unwrap();
        assert_eq!(waiter.join().unwrap().origin, Origin::Found);
    });
    assert_eq!(made.load(Ordering::Relaxed), 1);
    assert_eq!(first_recorder.lines(), [""; 0]);
}

#[test]
fn two_processes_that_want_the_same_entry_make_it_once() {
    let make_counted = |ctx: &Context, root: &Path| {
        let write = |dir: &Path| {
            let mut count = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(root.join("count"))?;
            count.write_all(b"made\n")?;
            fs::write(dir.join("file"), vec![7; 1 << 20])
        };
        ctx.cache
            .get_or_make(ctx, KIND, &key("one"), "one", write)
            .unwrap()
    };
    if let Some(root) = root_from_parent() {
        make_counted(&context(&root).0, &root);
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let test = "two_processes_that_want_the_same_entry_make_it_once";
    let children: Vec<Child> = (0..4)
        .map(|_| again(test, root.path()).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        fs::read_to_string(root.path().join("count")).unwrap(),
        "made\n"
    );
    assert_eq!(
        make_counted(&context(root.path()).0, root.path()).origin,
        Origin::Found
    );
}

#[test]
fn a_wait_for_another_build_can_be_cancelled() {
    let root = tempfile::tempdir().unwrap();
    let (first, _) = context(root.path());
    let (second, recorder) = context(root.path());
    let _held = first
        .cache
        .work_dir(&first, KIND, &key("one"), "one")
        .unwrap();
    let cancel = second.cancel.clone();
    let waiter = thread::spawn(move || {
        second
            .cache
            .work_dir(&second, KIND, &key("one"), "one")
            .map(drop)
    });
    recorder.wait_for("begin waiting for another build of one");
    cancel.store(true, Ordering::Relaxed);
    let error = waiter.join().unwrap().unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.to_string(), "one was cancelled");
}

#[test]
fn what_a_failed_or_panicking_maker_wrote_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let fail = |dir: &Path| {
        fs::write(dir.join("file"), "half")?;
        Err::<(), _>(io::Error::other("no more paper"))
    };
    let error = ctx
        .cache
        .get_or_make(&ctx, KIND, &key("one"), "one", fail)
        .unwrap_err();
    assert!(
        matches!(&error, MakeEntryError::Make(e) if e.to_string() == "no more paper"),
        "{error}"
    );
    assert_eq!(names(&root.path().join("programs")), [""; 0]);

    let panic = |dir: &Path| -> io::Result<()> {
        fs::write(dir.join("file"), "half")?;
        panic!("this panic is part of the test")
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ctx.cache.get_or_make(&ctx, KIND, &key("one"), "one", panic)
    }));
    assert!(result.is_err());
    assert_eq!(names(&root.path().join("programs")), [""; 0]);
    assert_eq!(make(&ctx, "one").origin, Origin::Made);
}

#[test]
fn a_killed_maker_leaves_nothing_visible_and_the_next_build_succeeds() {
    if let Some(root) = root_from_parent() {
        let (ctx, _) = context(&root);
        let stay = |dir: &Path| -> io::Result<()> {
            fs::write(dir.join("file"), "half")?;
            println!("inside");
            thread::park_timeout(DEADLINE);
            Ok(())
        };
        let _ = ctx.cache.get_or_make(&ctx, KIND, &key("one"), "one", stay);
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut child = again(
        "a_killed_maker_leaves_nothing_visible_and_the_next_build_succeeds",
        root.path(),
    )
    .spawn()
    .unwrap();
    expect_line(&mut child, "inside");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));

    let (ctx, _) = context(root.path());
    let left = names(&root.path().join("programs"));
    assert!(
        left.len() == 1 && left[0].starts_with(".making-"),
        "{left:?}"
    );
    assert!(ctx.cache.find(KIND, &key("one")).is_none());
    assert!(ctx.cache.list().unwrap().is_empty());

    // A build of something else removes it.
    make(&ctx, "two");
    assert_eq!(names(&root.path().join("programs")), [key("two").as_str()]);
    assert_eq!(make(&ctx, "one").origin, Origin::Made);
}

#[test]
fn a_work_folder_survives_until_the_work_is_done() {
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    let work = || {
        ctx.cache
            .work_dir(&ctx, Kind::Kernels, &key("one"), "linux")
            .unwrap()
    };
    let first = work();
    fs::write(first.path().join("main.o"), "object").unwrap();
    drop(first);
    let second = work();
    assert_eq!(names(second.path()), ["main.o"]);
    let listed = ctx.cache.list().unwrap();
    assert_eq!(
        (listed.len(), listed[0].label.as_str(), listed[0].state),
        (1, "linux", State::Unfinished)
    );
    second.remove().unwrap();
    assert_eq!(names(work().path()), [""; 0]);
}

#[test]
fn a_build_killed_at_any_moment_leaves_only_whole_entries() {
    // Enough that a kill often comes while they are written.
    const FILES: usize = 16;
    let fill = |dir: &Path| {
        (0..FILES).try_for_each(|i| fs::write(dir.join(i.to_string()), vec![7; 10_000]))
    };
    let test = "a_build_killed_at_any_moment_leaves_only_whole_entries";
    if let Some(root) = root_from_parent() {
        let (ctx, _) = context(&root);
        loop {
            for name in ["one", "two", "three"] {
                println!("making");
                ctx.cache
                    .get_or_make(&ctx, KIND, &key(name), name, fill)
                    .unwrap();
            }
            ctx.cache.clean(Some(KIND)).unwrap();
        }
    }
    let root = tempfile::tempdir().unwrap();
    let (ctx, _) = context(root.path());
    for round in 0..20 {
        let mut child = again(test, root.path()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = lines
            .map_while(Result::ok)
            .filter(|line| line.contains("making"));
        assert_eq!(started.take(1 + round % 5).count(), 1 + round % 5);
        child.kill().unwrap();
        child.wait().unwrap();
        for entry in ctx.cache.list().unwrap() {
            let found = ctx
                .cache
                .find(KIND, &entry.key)
                .expect("what is listed is whole");
            assert_eq!(names(&found.dir).len(), FILES + 1);
        }
    }
    for name in ["one", "two", "three"] {
        let entry = ctx
            .cache
            .get_or_make(&ctx, KIND, &key(name), name, fill)
            .unwrap();
        assert_eq!(names(&entry.dir).len(), FILES + 1);
    }
    assert_eq!(names(&root.path().join("programs")).len(), 3);
}
