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
fn an_application_that_cannot_become_files_is_refused_before_the_build() {
    let sealed = Sealed::new();
    fs::write(sealed.path().join("server.js"), "").unwrap();
    let check = |words: &[&str], err: &str| {
        let said = sealed.run(&[&["build", "--app"], words].concat());
        let expected = Said {
            code: Some(1),
            out: String::new(),
            err: err.to_owned(),
        };
        assert_eq!(said, expected, "{words:?}");
    };
    check(&["./gone"], "error: there is no ./gone\n");
    check(
        &["server.js", "--volume", "./data:/data"],
        "error: the folder ./data of this host, a volume at /data, is not there on another host\n\
         hint: give a volume a name, whose filesystem becomes a file: --volume data:/data\n",
    );
    check(
        &["server.js", "--env-file", "gone"],
        "error: cannot read gone\ncaused by: No such file or directory (os error 2)\n",
    );
    fs::write(sealed.path().join("file"), "").unwrap();
    check(
        &["server.js", "--out", "file/out"],
        "error: cannot write file/out/x86_64\n\
         caused by: Not a directory (os error 20)\n\
         hint: give a folder that you can write with --out\n",
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
        (Signal::INT, &["build", "-v", "--app", "server.js"]),
    ] {
        let sealed = Sealed::new();
        fs::write(sealed.path().join("server.js"), "").unwrap();
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

/// A program that answers as QEMU does when it is asked what it is and what devices it has.
fn fake_qemu(sealed: &Sealed, devices: &str) -> std::path::PathBuf {
    let file = sealed.path().join("qemu");
    let script = format!(
        "#!/bin/sh\ncase $1 in\n\
         --version) echo 'QEMU emulator version 9.9.9' ;;\n\
         -device) echo '{devices}' ;;\n\
         *) exit 3 ;;\nesac\n"
    );
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn dry_run(devices: &str, arguments: &[&str]) -> Said {
    let sealed = Sealed::new();
    let mut command = sealed.command(&["start", "--dry-run"]);
    command
        .args(arguments)
        .env("NODEOS_QEMU", fake_qemu(&sealed, devices));
    sealed.say(
        command
            .env("NODEOS_ACCEL", "kvm")
            .env("TERM", "xterm-256color"),
    )
}

#[test]
fn a_dry_run_prints_the_command_and_builds_nothing() {
    let pmem = "name \"virtio-pmem-pci\", bus PCI";
    let said = dry_run(
        pmem,
        &[
            "--memory", "1G", "--port", "8080:80", "--append", "a b", "--", "-name", "a b",
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.err,
        "note: out/x86_64/mainframe/qemu/system.img is not built yet: size=0 stands for its size\n"
    );
    let line = said.out.strip_suffix('\n').unwrap();
    assert!(
        line.starts_with("HOME/qemu -") && line.ends_with(" -name 'a b'"),
        "{line}"
    );
    for part in [
        "-accel kvm",
        "-m 1024M",
        "-kernel out/x86_64/mainframe/qemu/kernel",
        "mem-path=out/x86_64/mainframe/qemu/system.img,size=0",
        "hostfwd=tcp:127.0.0.1:8080-:80",
        " TERM=xterm-256color nodeos.users=LABEL=nodeos-users a b'",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

#[test]
fn a_qemu_without_virtio_pmem_gets_a_disk() {
    let said = dry_run("name \"virtio-blk-pci\", bus PCI", &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.err,
        "note: this QEMU has no virtio-pmem: the system is a disk, which takes more memory\n"
    );
    assert!(
        said.out.contains("virtio-blk-pci") && !said.out.contains("pmem"),
        "{}",
        said.out
    );
    let said = dry_run("", &["--root", "pmem"]);
    assert_eq!(
        said,
        Said {
            code: Some(1),
            out: String::new(),
            err: "error: this QEMU has no virtio-pmem device, which --root pmem needs\n\
                  hint: leave --root away, or give --root disk\n"
                .to_owned(),
        }
    );
}

#[test]
fn emulation_is_said_with_its_reason() {
    let sealed = Sealed::new();
    let mut command = sealed.command(&["start", "--dry-run", "--root", "initramfs"]);
    command
        .env("NODEOS_QEMU", fake_qemu(&sealed, ""))
        .env("NODEOS_ACCEL", "tcg");
    let said = sealed.say(&mut command);
    assert_eq!(
        said.err,
        "note: emulating the processor: NODEOS_ACCEL says so\n"
    );
    assert!(
        said.out
            .contains("-initrd out/x86_64/mainframe/qemu/initramfs.cpio.lz4"),
        "{}",
        said.out
    );
    let said = sealed.say(command.env("NODEOS_ACCEL", "warp"));
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.starts_with("error: NODEOS_ACCEL "), "{}", said.err);
}
