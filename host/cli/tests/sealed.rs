//! The real binary in a sealed environment: what it says and how it ends where something is missing.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::{Said, Sealed};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_host_without_anything_is_told_what_to_install() {
    let sealed = Sealed::new();
    let said = sealed.run(&["doctor"]);
    assert_eq!(said.code, Some(69), "{said:?}");
    let rows = said
        .out
        .lines()
        .filter(|line| line.starts_with("missing  "))
        .count();
    let hints = said
        .out
        .lines()
        .filter(|line| line.starts_with("         "))
        .count();
    assert!(rows >= 13 && hints >= rows, "{}", said.out);
    for package in [
        "qemu-system-x86",
        "gcc",
        "libelf-dev",
        "xz-utils",
        "python3-pip",
    ] {
        assert!(
            said.out
                .contains(&format!("sudo apt-get install {package}\n")),
            "{package}: {}",
            said.out
        );
    }
    assert!(
        said.err
            .starts_with("error: this host cannot build and boot NodeOS yet: QEMU, gcc, ld, "),
        "{}",
        said.err
    );
}

#[test]
fn doctor_tells_scripts_the_same() {
    let said = Sealed::new().run(&["doctor", "--json"]);
    assert_eq!(said.code, Some(69));
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["ready"], false);
    let flex = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "flex")
        .unwrap();
    assert_eq!(
        *flex,
        serde_json::json!({
            "name": "flex", "state": "missing", "found": "not in PATH", "hint": "sudo apt-get install flex"
        })
    );
}

#[test]
fn start_without_qemu_says_what_to_install_before_it_builds() {
    let sealed = Sealed::new();
    let said = sealed.run(&["start"]);
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.starts_with("error: "), "{}", said.err);
    assert!(
        said.err.contains("hint: ") && said.err.contains("sudo apt-get install qemu-system-x86"),
        "{}",
        said.err
    );
    assert!(
        !sealed.path().join("out").exists(),
        "nothing may be built for a machine that cannot start"
    );
}

#[test]
fn a_port_that_is_taken_is_an_error_before_the_start() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = Sealed::new().run(&["start", "--port", &format!("{port}:80")]);
    assert_eq!(
        said,
        Said {
            code: Some(1),
            out: String::new(),
            err: format!(
                "error: port {port} of this host is taken\n\
                 hint: give --port another number before the colon, or end what listens there\n"
            ),
        }
    );
}

#[test]
fn an_output_folder_that_cannot_be_made_is_an_error_before_the_build() {
    let sealed = Sealed::new();
    fs::write(sealed.path().join("file"), "").unwrap();
    let said = sealed.run(&["build", "--out", "file/out"]);
    assert_eq!(
        said,
        Said {
            code: Some(1),
            out: String::new(),
            err: "error: cannot write file/out/x86_64/mainframe/qemu\n\
                  caused by: Not a directory (os error 20)\n\
                  hint: give a folder that you can write with --out\n"
                .to_owned(),
        }
    );
}

#[test]
fn a_source_that_is_none_is_refused() {
    let sealed = Sealed::new();
    let hint = "hint: run this inside a checkout of NodeOS, or name one with --source DIR or NODEOS_SOURCE\n";
    let expected = Said {
        code: Some(1),
        out: String::new(),
        err: format!("error: HOME is not a checkout of NodeOS: it has no layers\n{hint}"),
    };
    let home = sealed.path().to_str().unwrap();
    assert_eq!(sealed.run(&["build", "--source", home]), expected);
    assert_eq!(
        sealed.say(sealed.command(&["build"]).env("NODEOS_SOURCE", home)),
        expected
    );
}

#[test]
fn an_empty_cache_is_listed_and_cleaned_as_that() {
    let sealed = Sealed::new();
    let quiet = |out: &str| Said {
        code: Some(0),
        out: out.to_owned(),
        err: String::new(),
    };
    assert_eq!(
        sealed.run(&["cache", "list"]),
        quiet("KIND  SIZE  AGE  WHAT\nall    0 B       0 entries\n")
    );
    assert_eq!(
        sealed.run(&["cache", "list", "--json"]),
        quiet("{\n  \"bytes\": 0,\n  \"entries\": []\n}\n")
    );
    assert_eq!(
        sealed.run(&["cache", "clean", "--all"]),
        quiet("0 entries removed, 0 B freed\n")
    );
    assert_eq!(
        sealed.run(&["cache", "clean", "kernels"]),
        quiet("0 entries removed, 0 B freed\n")
    );
}

#[test]
fn without_a_home_there_is_no_cache() {
    let sealed = Sealed::new();
    let said = sealed.say(
        sealed
            .command(&["cache", "list"])
            .env_remove("HOME")
            .env_remove("XDG_CACHE_HOME"),
    );
    assert_eq!(
        said,
        Said {
            code: Some(1),
            out: String::new(),
            err: "error: cannot tell where the cache is: neither XDG_CACHE_HOME nor HOME is set\n\
                  hint: set XDG_CACHE_HOME to a folder for the cache\n"
                .to_owned(),
        }
    );
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for arguments in [&["cache", "list"][..], &["--help"], &["doctor", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let sealed = Sealed::new();
        let mut command = sealed.command(arguments);
        let child = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = child.wait_with_output().unwrap();
        assert_eq!(
            (
                said.status.code(),
                String::from_utf8(said.stderr).unwrap().as_str()
            ),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

/// The tools of this build never come to an end, unless somebody makes them.
#[test]
fn a_build_that_is_interrupted_says_so_and_ends_with_130() {
    for (signal, arguments) in [
        (Signal::INT, &["build", "-v"][..]),
        (Signal::TERM, &["build", "-v", "--json"]),
    ] {
        let sealed = Sealed::new();
        for tool in ["apt-get", "python3", "npm", "cargo"] {
            let file = sealed.path().join(tool);
            fs::write(&file, "#!/bin/sh\nexec /bin/sleep 600\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut child = sealed
            .command(arguments)
            .env("PATH", format!("{}:/usr/bin:/bin", sealed.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut before = String::new();
        // The first command that is run never ends, unless we make it.
        while !before.lines().any(|line| line.starts_with("+ ")) {
            assert!(
                said.read_line(&mut before).unwrap() > 0,
                "it ended by itself: {before}"
            );
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut after = String::new();
        said.read_to_string(&mut after).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{before}{after}");
        let end = "error: stopped\nhint: the same command goes on where this one stopped\n";
        assert!(after.ends_with(end), "{after}");
    }
}
