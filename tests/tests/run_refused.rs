//! What `nodeos run` refuses, each with its words.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use nodeos_tests::boot::Scratch;
use nodeos_tests::nodeos_run::{nobody_is_left, said, script};

#[test]
fn what_cannot_run_is_refused_in_words() {
    let scratch = Scratch::new("run-refused").unwrap();
    let check = |words: &[&str], expected: &str| {
        let (code, stdout, stderr) = said(&scratch, ["run"].iter().chain(words)).unwrap();
        assert_eq!((code, stdout.as_str()), (1, ""), "{words:?}: {stderr}");
        assert!(stderr.contains(expected), "{words:?}: {stderr}");
    };
    let project = |name: &str, package: Option<&str>| {
        let folder = scratch.dir.join(name);
        fs::create_dir(&folder).unwrap();
        if let Some(package) = package {
            fs::write(folder.join("package.json"), package).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    };
    let empty = project("empty", None);
    check(
        &[&empty],
        &format!("error: {empty} has no package.json\nhint: "),
    );
    let unknown = r#"{"nodeos": {"memroy": "64M"}}"#;
    check(
        &[&project("unknown", Some(unknown))],
        "\"nodeos\" has an unknown key \"memroy\": did you mean \"memory\"?\nhint: it knows entry, ",
    );
    let broken = project("broken", Some("{\"name\": "));
    check(&[&broken], "/package.json is not JSON\ncaused by: ");
    let without = project("without", Some("{}"));
    check(
        &[&without],
        "says what to run\nhint: name the file in package.json: ",
    );
    let wrong = scratch.dir.join("wrong.js");
    fs::write(&wrong, "function ( {\n").unwrap();
    let wrong = wrong.to_str().unwrap();
    check(&[wrong], "has a syntax error\n");
    check(&[wrong], "wrong.js:1\n    function ( {\n");
    check(&["./nowhere"], "error: there is no ./nowhere\n");
    check(
        &["@nodeos-tests/there-is-none"],
        "error: the registry has no package @nodeos-tests/there-is-none\nhint: look at its spelling",
    );

    let script = scratch.dir.join("server.js");
    fs::write(&script, "").unwrap();
    let script = script.to_str().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = listener.local_addr().unwrap().port();
    check(
        &["--port", &format!("{taken}:3000"), script],
        &format!("error: port {taken} of this host is taken\nhint: give --port another number"),
    );
    check(
        &["--env-file", "./nowhere", script],
        "error: cannot read ./nowhere\ncaused by: ",
    );
    let volume = "./nowhere:/data";
    check(
        &["--volume", volume, script],
        "as a volume\ncaused by: No such file or directory (os error 2)\nhint: make it: ",
    );
    check(
        &["--ca-bundle", script, script],
        "server.js has no certificate in it\nhint: ",
    );
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn an_add_on_without_a_build_for_this_libc_is_named_with_the_way_out() {
    let scratch = Scratch::new("run-add-on").unwrap();
    let folder = &scratch.dir;
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    fs::create_dir(folder.join("package")).unwrap();
    let package = r#"{"name": "old", "main": "a.js", "files": ["a.js"], "dependencies": {"only-glibc": "file:only-glibc.tgz"}}"#;
    write("package.json", package);
    write("a.js", "require('only-glibc/addon.node')");
    write(
        "package/package.json",
        r#"{"name": "only-glibc", "version": "1.0.0"}"#,
    );
    // An add-on in so far as it needs what glibc has and musl has not.
    let source =
        "#include <gnu/libc-version.h>\nconst char *v(void) { return gnu_get_libc_version(); }\n";
    write("package/addon.c", source);
    let run = |program: &str, words: &str| {
        let mut command = Command::new(program);
        command.args(words.split(' ')).current_dir(folder);
        assert!(command.status().unwrap().success(), "{command:?}");
    };
    run("cc", "-shared -fPIC -o package/addon.node package/addon.c");
    run("tar", "-czf only-glibc.tgz package");
    let words = ["run", "--libc", "musl", folder.to_str().unwrap()];
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let expected = "error: native add-ons have no build that runs here with musl:\n    \
        only-glibc: addon.node needs gnu_get_libc_version, which the machine's musl does not have\n\
        hint: use the other C library: --libc glibc\n";
    assert!(stderr.ends_with(expected), "{stderr}");
}

#[test]
fn a_volume_has_one_machine_at_a_time() {
    let scratch = Scratch::new("run-volume").unwrap();
    let script = script(&scratch, "stays.js", "setInterval(() => {}, 1000)").unwrap();
    let script = script.to_str().unwrap();
    let volume = ["--volume", "shared:/data"];
    let words = ["run", "--detach", "--name", "first"].into_iter();
    let started = said(&scratch, words.chain(volume).chain([script])).unwrap();
    assert_eq!(started.0, 0, "{started:?}");
    let (code, stdout, stderr) =
        said(&scratch, ["run"].into_iter().chain(volume).chain([script])).unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(
        stderr.starts_with("error: the volume ")
            && stderr.contains("is in use by another machine\n"),
        "{stderr}"
    );
    assert_eq!(
        said(&scratch, ["stop", "--time", "0", "first"]).unwrap().0,
        0
    );
    nobody_is_left(&scratch).unwrap();
}
