//! `nodeos start` itself: the program, its machine on its standard streams, its exit code.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use nodeos_tests::boot::Scratch;
use nodeos_tests::cli;

fn start(scratch: &Scratch) -> Command {
    let mut command = Command::new(cli::nodeos());
    command.env("NODEOS_SOURCE", nodeos_tests::system::source());
    command
        .args(["start", "--layer", "barebones", "--out"])
        .arg(scratch.dir.join("out"));
    command
}

#[test]
fn leaving_the_prompt_ends_nodeos_start_with_success() {
    let scratch = Scratch::new("start").unwrap();
    let mut command = start(&scratch);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut running = command.spawn().unwrap();
    let mut output = running.stdout.take().unwrap();
    let mut said = Vec::new();
    // Ends with the prompt, or with the machine; one that hangs is ended by whoever runs the tests.
    while !said.ends_with(b"> ") && !said.ends_with(b"> \x1b[3G") {
        let mut byte = [0];
        assert_eq!(
            output.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&said)
        );
        said.push(byte[0]);
    }
    running.stdin.take().unwrap().write_all(b".exit\r").unwrap();
    output.read_to_end(&mut said).unwrap();
    let status = running.wait().unwrap();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("Welcome to Node.js") && said.contains("init: power off"),
        "{said}"
    );
}

#[test]
fn a_chart_names_the_parts_of_a_boot_as_json() {
    let scratch = Scratch::new("chart").unwrap();
    let output = start(&scratch)
        .args(["--chart", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let chart: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let parts = chart["parts"].as_object().unwrap();
    for part in [
        "firmware_seconds",
        "kernel_seconds",
        "init_seconds",
        "program_seconds",
    ] {
        assert!(
            parts[part].as_f64().is_some_and(|seconds| seconds >= 0.0),
            "{part} in {chart}"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_named_before_anything_is_built() {
    let scratch = Scratch::new("taken-port").unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = start(&scratch)
        .args(["--port", &format!("{port}:80")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("error: port {port} of this host is taken\nhint: ")),
        "{error}"
    );
    assert!(!scratch.dir.join("out").exists());
}

#[test]
fn too_little_memory_for_an_initramfs_is_refused_with_what_it_needs() {
    let scratch = Scratch::new("initramfs-refused").unwrap();
    let arguments = ["--root", "initramfs", "--memory", "64M"];
    let output = start(&scratch)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("64 MiB of memory are too little for an initramfs of this size"),
        "{error}"
    );
    assert!(error.contains("hint: give --memory "), "{error}");
}
