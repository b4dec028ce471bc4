//! An application as files: they boot without anything of ours, on whatever reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nodeos_build::cache::Kind;
use nodeos_tests::boot::{ANSWER, BOOT, Scratch};
use nodeos_tests::cli;
use nodeos_tests::http::{fetch, free_port};
use nodeos_vm::process::{self, has_ended_within};
use nodeos_vm::qmp::Qmp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// All that takes long to make; images are left to the build under test.
const SLOW: &[Kind] = &[Kind::Downloads, Kind::Kernels, Kind::Programs, Kind::Nodes];

/// Answers with what it was started with, and with how often it was. Says how it is told to end.
const SHOP: &str = r#"
    import fs from 'node:fs';
    import http from 'node:http';
    fs.appendFileSync('/data/starts', 'x');
    const starts = fs.readFileSync('/data/starts', 'utf8').length;
    const said = [starts, process.env.COLOUR, ...process.argv.slice(2), ...process.execArgv].join(' ');
    http.createServer((_, answer) => answer.end(said)).listen(3000, () => console.log('listening'));
    process.on('SIGTERM', () => {
        console.log('heard SIGTERM');
        setTimeout(() => process.exit(7), 200);
    });
"#;

/// What there was built.
struct Built {
    dir: PathBuf,
    said: Value,
}

fn build(home: &Path, words: &[&str]) -> Built {
    let output = cli::command(home)
        .current_dir(home)
        .args(["build", "--json", "--app"])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dir = home.join(said["folder"].as_str().unwrap());
    Built { dir, said }
}

/// A home with the shop in it.
fn home(scratch: &Scratch, name: &str) -> PathBuf {
    let home = scratch.dir.join(name);
    cli::borrow_cache(&home, SLOW).unwrap();
    fs::write(home.join("shop.mjs"), SHOP).unwrap();
    home
}

/// The contents of files by their names.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// QEMU, and the lines that it and its machine say.
struct Running {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = tell.send(line);
            }
        });
        Running {
            child,
            lines,
            heard: Vec::new(),
        }
    }

    fn wait_for(&mut self, text: &str, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!("{text:?} was not said: {:#?}", self.heard);
            });
            self.heard.push(line);
            if self.heard.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
    }

    /// Waits for the end of the machine, and returns all that was said.
    fn ended(mut self) -> String {
        let has_ended = has_ended_within(&self.child, ANSWER);
        self.heard.extend(self.lines.try_iter());
        assert!(has_ended, "it did not end: {:#?}", self.heard);
        let status = self.child.wait().unwrap();
        self.heard.extend(self.lines.iter());
        assert!(status.success(), "{status}: {:#?}", self.heard);
        self.heard.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A place for QEMU's control socket: not below the checkout, whose path may be longer than a socket's can be.
fn socket() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    (folder, socket)
}

fn qmp_option(socket: &Path) -> String {
    format!("unix:{},server=on,wait=off", socket.display())
}

/// What a server in the machine answers, without the head.
fn answer(port: u16) -> String {
    let answer = fetch(port).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn the_files_run_without_us_and_stop_in_order() {
    let scratch = Scratch::new("files-run").unwrap();
    let home = home(&scratch, "home");
    let port = free_port().unwrap();
    let forward = format!("{port}:3000");
    let words = ["shop.mjs", "--port", &forward, "--volume", "db:/data"];
    let more = ["--env", "COLOUR=red", "--", "one", "two"];
    let built = build(&home, &[&words[..], &more].concat());
    assert_eq!(
        built.said["ports"],
        json!([format!("127.0.0.1:{port}:3000")])
    );

    // Somebody else's host, where there is nothing but the files and QEMU.
    let moved = scratch.dir.join("elsewhere");
    let copied = Command::new("cp")
        .args(["--recursive", "--sparse=always"])
        .args([&built.dir, &moved])
        .status()
        .unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&home).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let (_folder, socket) = socket();
    let run = |memory: &str| {
        let mut command = Command::new("sh");
        command
            .arg(moved.join("run.sh"))
            .args(["-qmp", &qmp_option(&socket)])
            .env_clear()
            .env("PATH", &path)
            .env("HOME", "")
            .env("NODEOS_MEMORY", memory);
        Running::start(command)
    };
    for (memory, starts, heap) in [("128M", 1, 66), ("256M", 2, 162)] {
        let mut running = run(memory);
        running.wait_for("listening", BOOT);
        let said = answer(port);
        let expected = format!("{starts} red one two --max-old-space-size={heap} ");
        assert!(said.starts_with(&expected), "{said}");
        let mut qmp = Qmp::connect(&socket, ANSWER).unwrap();
        qmp.execute("system_powerdown", json!({})).unwrap();
        let said = running.ended();
        // Once: many programs take a second signal for impatience.
        assert_eq!(said.matches("heard SIGTERM").count(), 1, "{said}");
        assert!(!said.contains("KILL"), "{said}");
    }
}

/// What Firecracker would be told, told QEMU: the same kernel, words and drives in their order.
#[test]
fn firecrackers_machine_boots_and_ends_by_a_restart() {
    let scratch = Scratch::new("files-firecracker").unwrap();
    let home = home(&scratch, "home");
    let port = free_port().unwrap();
    let built = build(&home, &["shop.mjs", "--volume", "db:/data"]);
    let text = fs::read_to_string(built.dir.join("firecracker.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let boot = &config["boot-source"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();

    let (_folder, socket) = socket();
    let mut command = Command::new(process::program());
    command
        .current_dir(&built.dir)
        .args(["-accel", "tcg", "-cpu", "max", "-M", "q35", "-nodefaults"])
        .args(["-no-reboot", "-display", "none", "-serial", "stdio"])
        .args(["-qmp", &qmp_option(&socket)])
        .args([
            "-m",
            &format!("{}M", config["machine-config"]["mem_size_mib"]),
        ]);
    for drive in config["drives"].as_array().unwrap() {
        let (id, file) = (text(&drive["drive_id"]), text(&drive["path_on_host"]));
        let access = match drive["is_read_only"].as_bool().unwrap() {
            true => "readonly=on",
            false => "readonly=off",
        };
        command
            .args([
                "-drive",
                &format!("if=none,id={id},format=raw,file={file},{access}"),
            ])
            .args(["-device", &format!("virtio-blk-pci,drive={id}")]);
    }
    let network = format!(
        "user,id=n,net=172.16.0.0/24,host=172.16.0.1,hostfwd=tcp:127.0.0.1:{port}-172.16.0.2:3000"
    );
    command
        .args(["-netdev", &network])
        .args(["-device", "virtio-net-pci,netdev=n"])
        .args(["-kernel", &text(&boot["kernel_image_path"])])
        .args(["-append", &text(&boot["boot_args"])]);
    let mut running = Running::start(command);
    running.wait_for("listening", BOOT);
    let said = answer(port);
    assert!(said.starts_with("1  --max-old-space-size=66 "), "{said}");
    // To Firecracker, and with -no-reboot to QEMU, a restart is the end.
    let mut qmp = Qmp::connect(&socket, ANSWER).unwrap();
    qmp.execute("system_powerdown", json!({})).unwrap();
    let said = running.ended();
    assert!(said.contains("reboot: Restarting system"), "{said}");

    let domain = fs::read_to_string(built.dir.join("libvirt.xml")).unwrap();
    for part in ["/shop-mjs/system.img'", "<acpi/>", "ip=::::nodeos::dhcp"] {
        assert!(domain.contains(part), "{part} is not in {domain}");
    }
}

#[test]
fn the_same_application_gives_the_same_bytes_and_its_volume_stays() {
    let scratch = Scratch::new("files-same").unwrap();
    let words = ["shop.mjs", "--volume", "db:/data", "--port", "8080:3000"];
    let [one, two] = ["one", "two"].map(|name| build(&home(&scratch, name), &words).dir);
    let first = contents(&one);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let expected = [
        "application.img",
        "firecracker.json",
        "kernel",
        "libvirt.xml",
        "run.sh",
        "sources.json",
        "system.img",
        "volume-db.img",
    ];
    assert_eq!(names, expected);
    for (name, bytes) in contents(&two) {
        assert!(bytes == first[&name], "{name} is another");
    }

    // What the application has written there is nobody's to overwrite; what the machine has no more, goes.
    fs::write(one.join("volume-db.img"), "used").unwrap();
    let home = scratch.dir.join("one");
    let words = [&words[..], &["--root", "initramfs"]].concat();
    let again = build(&home, &words);
    assert_eq!(again.dir, one);
    let found = contents(&one);
    assert_eq!(found["volume-db.img"], b"used");
    assert!(found.contains_key("initramfs.cpio.lz4") && !found.contains_key("system.img"));
    let latest = fs::canonicalize(home.join("out/latest")).unwrap();
    assert_eq!(latest, fs::canonicalize(&one).unwrap());
    assert_eq!(again.said["memoryMiB"], 384);
}
