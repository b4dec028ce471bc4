//! Tests of `Tree`: what may be inserted, how trees merge, in which order entries come.

use super::*;

/// A tree of `(path, entry)`, in that order.
fn tree<const N: usize>(entries: [(&str, Entry); N]) -> Tree {
    let mut tree = Tree::new();
    for (path, entry) in entries {
        tree.insert(path, entry).unwrap();
    }
    tree
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(p, _)| p.to_str().unwrap()).collect()
}

fn file() -> Entry {
    Entry::file(0o644, *b"x")
}

#[test]
fn a_new_tree_is_a_root_directory_of_root() {
    let tree = Tree::new();
    assert_eq!(paths(&tree), ["/"]);
    assert_eq!(tree.get("/"), Some(&Entry::directory(0o755)));
}

#[test]
fn what_cannot_be_in_a_linux_filesystem_is_refused_by_name() {
    let check = |path: &str, entry: Entry, expected: &str| {
        let mut tree = tree([
            ("/dir", Entry::directory(0o755)),
            ("/dir/file", file()),
            ("/link", Entry::symlink("dir")),
        ]);
        let before = tree.clone();
        let error = tree.insert(path, entry).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(tree, before);
    };
    let not_absolute = "is not an absolute path without `.` and `..`";
    for path in ["", "file", "./file", "/dir/./x", "/dir/../x", "/..", "/."] {
        check(path, file(), &format!("{path:?} {not_absolute}"));
    }
    check("/a\0b", file(), &format!("\"/a\\0b\" {not_absolute}"));
    let long = format!("/{}", "n".repeat(256));
    let too_long = format!("{long:?} has a name longer than 255 bytes");
    check(&long, file(), &too_long);
    for (path, parent) in [
        ("/no/file", "/no"),
        ("/dir/file/x", "/dir/file"),
        ("/link/x", "/link"),
    ] {
        let expected =
            format!("{path:?} cannot be created: {parent:?} is not a directory of the tree");
        check(path, file(), &expected);
    }
    check(
        "/dir/",
        file(),
        "\"/dir\" is a directory with contents and cannot become something else",
    );
    check("/", file(), "/ cannot become anything but a directory");
    check(
        "/x",
        Entry::directory(0o10000),
        "\"/x\" has mode 10000, which is more than 7777",
    );
    check(
        "/x",
        Entry::symlink(""),
        "\"/x\" cannot be a link to \"\": a link's text has 1 to 4095 bytes, none of them zero",
    );
    check(
        "/x",
        Entry::char_device(0o600, 4096, 1),
        "\"/x\" cannot be device 4096:1: Linux ends at 4095:1048575",
    );
    check(
        "/x",
        Entry::block_device(0o600, 1, 1 << 20),
        "\"/x\" cannot be device 1:1048576: Linux ends at 4095:1048575",
    );
}

#[test]
fn slashes_too_many_mean_nothing() {
    let tree = tree([("//a/", Entry::directory(0o755)), ("/a//b", file())]);
    assert_eq!(paths(&tree), ["/", "/a", "/a/b"]);
}

#[test]
fn everything_below_a_directory_follows_it_even_where_bytes_would_order_otherwise() {
    // `-` and `.` are less than `/` as bytes.
    let tree = tree([
        ("/a.b", file()),
        ("/a-b", file()),
        ("/a", Entry::directory(0o755)),
        ("/a/z", Entry::directory(0o755)),
        ("/a/z/y", file()),
        ("/a/b", file()),
    ]);
    assert_eq!(
        paths(&tree),
        ["/", "/a", "/a/b", "/a/z", "/a/z/y", "/a-b", "/a.b"]
    );
}

#[test]
fn an_entry_replaces_another_one_and_a_directory_keeps_its_contents() {
    let mut tree = tree([
        ("/empty", Entry::directory(0o755)),
        ("/dir", Entry::directory(0o755)),
        ("/dir/file", file()),
    ]);
    tree.insert("/empty", file()).unwrap();
    let stricter = Entry::directory(0o700).owned_by(1, 2);
    tree.insert("/dir", stricter.clone()).unwrap();
    assert_eq!(tree.get("/empty"), Some(&file()));
    assert_eq!(tree.get("/dir"), Some(&stricter));
    assert_eq!(tree.get("/dir/file"), Some(&file()));
}

#[test]
fn removing_takes_everything_below_and_nothing_beside() {
    let whole = tree([
        ("/a", Entry::directory(0o755)),
        ("/a/b", Entry::directory(0o755)),
        ("/a/b/c", file()),
        ("/a-", file()),
        ("/ab", file()),
    ]);
    let check = |path: &str, expected: &[&str]| {
        let mut tree = whole.clone();
        tree.remove(path);
        assert_eq!(paths(&tree), expected, "{path}");
    };
    check("/a", &["/", "/a-", "/ab"]);
    check("/a/b", &["/", "/a", "/a-", "/ab"]);
    check("/ab", &["/", "/a", "/a/b", "/a/b/c", "/a-"]);
    check("/nothing", &paths(&whole));
    check("/", &["/"]);
}

#[test]
fn the_upper_tree_wins_and_directories_of_both_are_one() {
    let mut lower = tree([
        ("/bin", Entry::directory(0o755)),
        ("/bin/a", file()),
        ("/bin/b", file()),
        ("/lib", Entry::symlink("bin")),
    ]);
    let upper = tree([
        ("/", Entry::directory(0o711)),
        ("/bin", Entry::directory(0o711).owned_by(5, 6)),
        ("/bin/b", Entry::symlink("a")),
        ("/lib", Entry::directory(0o755)),
        ("/lib/c", file()),
    ]);
    let expected = tree([
        ("/", Entry::directory(0o711)),
        ("/bin", Entry::directory(0o711).owned_by(5, 6)),
        ("/bin/a", file()),
        ("/bin/b", Entry::symlink("a")),
        ("/lib", Entry::directory(0o755)),
        ("/lib/c", file()),
    ]);
    lower.merge(upper).unwrap();
    assert_eq!(lower, expected);
}

#[test]
fn a_merge_that_would_lose_a_directory_changes_nothing() {
    let mut lower = tree([("/bin", Entry::directory(0o755)), ("/bin/a", file())]);
    let before = lower.clone();
    let error = lower.merge(tree([("/a", file()), ("/bin", Entry::symlink("usr/bin"))]));
    assert!(matches!(error, Err(InsertEntryError::NotEmpty { path }) if path == Path::new("/bin")));
    assert_eq!(lower, before);
}

#[test]
fn a_host_file_must_be_a_regular_file() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    fs::write(&path, "12345").unwrap();
    let entry = Entry::host_file(0o600, &path).unwrap();
    assert_eq!(entry.kind, Kind::File(Content::Host { path, size: 5 }));

    let folder = Entry::host_file(0o600, scratch.path()).unwrap_err();
    assert!(folder.to_string().ends_with("is not a regular file"));
    let missing = Entry::host_file(0o600, scratch.path().join("no")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot look at"));
}

#[test]
fn folders_above_an_entry_are_made_where_there_are_none() {
    let mut tree = tree([("/etc", Entry::directory(0o555))]);
    tree.insert_with_folders("/etc/a/b", file(), 0o111).unwrap();
    assert_eq!(paths(&tree), ["/", "/etc", "/etc/a", "/etc/a/b"]);
    assert_eq!(tree.get("/etc"), Some(&Entry::directory(0o555)));
    assert_eq!(tree.get("/etc/a"), Some(&Entry::directory(0o111)));
    assert!(tree.insert_with_folders("a", file(), 0o111).is_err());
}

#[test]
fn what_lies_above_a_lower_tree_makes_the_whole_again() {
    let mut lower = Tree::new();
    for (path, entry) in [
        ("/bin", Entry::directory(0o755)),
        ("/bin/node", Entry::file(0o755, *b"node")),
        ("/etc", Entry::directory(0o111)),
        ("/etc/issue", Entry::file(0o444, *b"one")),
        ("/lib", Entry::directory(0o111)),
        ("/lib/a", Entry::symlink("b")),
    ] {
        lower.insert(path, entry).unwrap();
    }
    let mut whole = lower.clone();
    for (path, entry) in [
        ("/etc/issue", Entry::file(0o444, *b"two")),
        ("/lib", Entry::directory(0o555)),
        ("/home", Entry::directory(0o755).owned_by(1, 1)),
    ] {
        whole.insert(path, entry).unwrap();
    }
    let upper = whole.above(&lower);
    let paths: Vec<_> = upper
        .iter()
        .map(|(path, _)| path.to_str().unwrap())
        .collect();
    assert_eq!(paths, ["/", "/etc", "/etc/issue", "/home", "/lib"]);
    assert_eq!(upper.get("/etc").unwrap().mode, 0o111);
    lower.merge(upper).unwrap();
    assert_eq!(lower, whole);
    assert_eq!(whole.above(&whole), Tree::new());
}
