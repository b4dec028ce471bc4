//! What is taken from a training, and what is told to it.

use super::*;

/// An archive as a machine sends it, with entries of this kind.
fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o600);
        header.set_size(text.len() as u64);
        // Not by a method, which would refuse what machines may send.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn what_was_compiled_lies_where_everybody_can_read_it() {
    let archive = archive(&[
        ("c/", EntryType::Directory, ""),
        ("c/v24-x64-0/", EntryType::Directory, ""),
        ("c/v24-x64-0/00aa", EntryType::Regular, "code"),
        ("c/v24-x64-0/00ab", EntryType::Regular, "more"),
    ]);
    let (tree, count) = tree(&archive, None).unwrap();
    assert_eq!(count, 2);
    let file = tree
        .get("/files/.node-compile-cache/v24-x64-0/00aa")
        .unwrap();
    assert_eq!(file, &Entry::file(0o644, b"code".as_slice()));
}

#[test]
fn what_nodejs_does_not_write_is_not_taken() {
    let check = |entries: &[(&str, EntryType, &str)], expected: &str| {
        let error = tree(&archive(entries), None).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let file = EntryType::Regular;
    check(&[], "nothing that was loaded could be kept");
    check(
        &[("c/", EntryType::Directory, "")],
        "nothing that was loaded could be kept",
    );
    check(&[("c/a", file, "")], "c/a is not what Node.js keeps");
    check(
        &[("c/../../b", file, "")],
        "c/../../b is not what Node.js keeps",
    );
    check(
        &[("c/a/b", EntryType::Symlink, "")],
        "c/a/b is not what Node.js keeps",
    );
    assert!(matches!(
        tree(&[7; 600], None).unwrap_err(),
        MakeError::Archive(_)
    ));
}

#[test]
fn another_user_finds_the_same() {
    let file = EntryType::Regular;
    let archive = archive(&[
        ("c/v24-x64-0a-1000/00aa", file, ""),
        ("c/other/00aa", file, ""),
    ]);
    let (tree, _) = tree(&archive, Some(1234)).unwrap();
    let place = Path::new("/files/.node-compile-cache");
    let link = tree.get(place.join("v24-x64-0a-1234")).unwrap();
    assert_eq!(link, &Entry::symlink("v24-x64-0a-1000"));
    assert_eq!(
        tree.iter()
            .filter(|(path, _)| path.parent() == Some(place))
            .count(),
        3
    );
}

#[test]
fn the_training_is_the_application_with_something_before_it() {
    let text = r#"{"name": "a", "argv": ["/bin/node", "--no-opt", "/app/a.js"], "env": {"A": "b"},
        "ports": [80], "volumes": [{"source": {"share": "v"}, "path": "/data"}]}"#;
    let spec = training_spec(&ApplicationSpec::parse(text).unwrap());
    let argv = spec.argv.join(" ");
    let expected = "/bin/node --require /app/.nodeos-training/preload.cjs --no-opt /app/a.js";
    assert_eq!(argv, expected);
    assert_eq!(spec.env["NODE_COMPILE_CACHE"], TRAINING_FOLDER);
    assert_eq!((spec.env["A"].as_str(), spec.ports), ("b", vec![80]));
    assert!(spec.volumes.is_empty());
    assert_eq!(spec.restart, Restart::Always);
}
