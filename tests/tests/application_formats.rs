//! An application in the formats that have no images of its own: containers, disks, and files for a network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nodeos_tests::boot::{BOOT, Boot, Scratch};
use nodeos_tests::http::{ask, fetch, free_port};
use nodeos_tests::nodeos_run::{folder, said};
use nodeos_tests::pc::{Attachment, Firmware, Pc};
use nodeos_tests::podman::{Podman, layers, succeeded};
use nodeos_vm::process;
use serde_json::{Value, json};

/// Answers with how often it was started, and with what it was started with; or with how many GiB its volume has.
const SHOP: &str = r#"
    import fs from 'node:fs';
    import http from 'node:http';
    let starts = 'no volume';
    if (fs.existsSync('/data')) {
        fs.appendFileSync('/data/starts', 'x');
        starts = fs.readFileSync('/data/starts', 'utf8').length;
    }
    const said = [starts, process.env.COLOUR, process.getuid(), process.cwd(), ...process.argv.slice(2)];
    const gib = () => { const { blocks, bsize } = fs.statfsSync('/data'); return String(Math.round(blocks * bsize / 2 ** 30)); };
    const server = http.createServer(({ url }, answer) => {
        answer.end(url === '/size' ? gib() : said.join());
        if (url === '/end') setTimeout(() => process.exit(0), 200);
    });
    server.listen(3000, () => console.log('listening'));
    process.on('SIGTERM', () => { console.log('closing'); process.exit(7); });
"#;

/// Asks from within a container, which has no network.
const ASK: &str = "fetch('http://127.0.0.1:3000').then(answer => answer.text()).then(console.log)";

/// The most important file of what is built.
fn build(scratch: &Scratch, app: &Path, format: &str, more: &[&str]) -> PathBuf {
    let out = scratch.dir.join("out");
    let (app, out) = (app.to_str().unwrap(), out.to_str().unwrap());
    let words = [
        "build", "--json", "--app", app, "--format", format, "--out", out,
    ];
    let (code, stdout, stderr) = said(scratch, [&words[..], more].concat()).unwrap();
    assert_eq!(code, 0, "{stderr}");
    let said: Value = serde_json::from_str(&stdout).unwrap();
    PathBuf::from(said["files"][0]["path"].as_str().unwrap())
}

fn shop(scratch: &Scratch) -> PathBuf {
    let file = scratch.dir.join("shop.mjs");
    fs::write(&file, SHOP).unwrap();
    file
}

/// Waits until a container has said this.
fn wait_for(podman: &Podman, container: &str, text: &str) {
    let begin = Instant::now();
    let logs = || succeeded(podman.command(&["logs", container])).unwrap();
    while !logs().contains(text) {
        assert!(begin.elapsed() < BOOT, "{text:?} is not in {:?}", logs());
    }
}

/// Express, under another name. It is not started once when it is built: that takes a machine, and is tested elsewhere.
fn express(scratch: &Scratch, name: &str) -> PathBuf {
    let project = scratch.dir.join(name);
    fs::create_dir(&project).unwrap();
    for file in ["package-lock.json", "server.js"] {
        fs::copy(folder("express").join(file), project.join(file)).unwrap();
    }
    let text = fs::read_to_string(folder("express").join("package.json")).unwrap();
    let mut package: Value = serde_json::from_str(&text).unwrap();
    package["nodeos"] = json!({ "compileCache": false, "ports": [3000] });
    fs::write(project.join("package.json"), package.to_string()).unwrap();
    fs::write(project.join("name"), name).unwrap();
    project
}

#[test]
fn an_express_app_is_a_container_and_shares_what_lies_below_it() {
    let podman = Podman::new("application-oci").unwrap();
    let scratch = &podman.scratch;
    let layers_of = |app: &Path| {
        let index = build(scratch, app, "oci", &[]);
        layers(index.parent().unwrap()).unwrap()
    };
    let first = layers_of(&express(scratch, "first"));
    let second = layers_of(&express(scratch, "second"));
    // The system, the dependencies, and its own files.
    assert_eq!((first.len(), second.len()), (3, 3));
    assert_eq!(first[..2], second[..2]);
    assert_ne!(first[2], second[2]);
    let script = layers_of(&shop(scratch));
    assert_eq!((script.len(), &script[0]), (2, &first[0]));

    let layout = scratch
        .dir
        .join("out/x86_64/application-express-hello/oci/image");
    let bundle = scratch.dir.join("bundle");
    let mut command = Command::new("umoci");
    command
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:latest", layout.display()))
        .arg(&bundle);
    succeeded(command).unwrap();
    let app = bundle.join("rootfs/app");
    assert!(app.join("node_modules/express/package.json").exists());
    assert_eq!(fs::read_to_string(app.join("name")).unwrap(), "second");

    let from = format!("oci:{}:latest", layout.display());
    let image = podman.pull(&from).unwrap();
    let flags = ["--detach", "--name", "express", "--read-only"];
    succeeded(podman.run(&flags, &image, &[])).unwrap();
    wait_for(&podman, "express", "on 3000");
    let ask = podman.command(&["exec", "express", "node", "-e", ASK]);
    assert_eq!(succeeded(ask).unwrap(), "Hello from express\n");
}

#[test]
fn a_containers_engine_is_told_what_package_json_says() {
    let podman = Podman::new("application-docker").unwrap();
    let scratch = &podman.scratch;
    let words = ["--volume", "db:/data", "--port", "8080:3000"];
    let words = [&words[..], &["--env", "COLOUR=red", "--", "one"]].concat();
    let archive = build(scratch, &shop(scratch), "docker", &words);
    let load = ["load", "--quiet", "--input", archive.to_str().unwrap()];
    let names = succeeded(podman.command(&load)).unwrap();
    assert!(names.contains("shop-mjs:latest"), "{names}");
    let inspect = ["inspect", "--type", "image", "shop-mjs"];
    let said: Value = serde_json::from_str(&succeeded(podman.command(&inspect)).unwrap()).unwrap();
    let config = &said[0]["Config"];
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["WorkingDir"], "/app");
    assert!(config["ExposedPorts"]["3000/tcp"].is_object(), "{config}");
    assert!(config["Volumes"]["/data"].is_object(), "{config}");

    let strict = ["--read-only", "--cap-drop", "all"];
    let flags = ["--detach", "--name", "shop", "--security-opt"];
    let flags = [&flags[..], &["no-new-privileges"], &strict].concat();
    succeeded(podman.run(&flags, "shop-mjs", &[])).unwrap();
    wait_for(&podman, "shop", "listening");
    let ask = podman.command(&["exec", "shop", "node", "-e", ASK]);
    assert_eq!(succeeded(ask).unwrap(), "1,red,1000,/app,one\n");
    succeeded(podman.command(&["stop", "--time", "60", "shop"])).unwrap();
    wait_for(&podman, "shop", "closing");
    let code = ["inspect", "--format", "{{.State.ExitCode}}", "shop"];
    assert_eq!(succeeded(podman.command(&code)).unwrap(), "7\n");
}

#[test]
fn an_archive_has_the_application_in_it_and_init_starts_it() {
    let scratch = Scratch::new("application-archives").unwrap();
    let app = scratch.dir.join("says.js");
    fs::write(
        &app,
        "console.log(process.cwd(), process.env.COLOUR, process.ppid)",
    )
    .unwrap();
    for (format, program, dir) in [
        ("tar", "/init", "/app"),
        ("wsl", "/usr/lib/wsl/application", "/"),
    ] {
        let archive = build(&scratch, &app, format, &["--env", "COLOUR=red"]);
        let root = scratch.dir.join(format);
        fs::create_dir(&root).unwrap();
        let mut command = Command::new("tar");
        command.arg("-C").arg(&root).arg("-xzf").arg(&archive);
        succeeded(command).unwrap();
        assert_eq!(root.join("init").exists(), format == "tar");
        let passwd = fs::read_to_string(root.join("etc/passwd")).unwrap();
        assert_eq!(passwd.contains(program), format == "wsl", "{passwd}");
        let mut command = Command::new("bwrap");
        command
            .args(["--unshare-all", "--die-with-parent", "--clearenv", "--bind"])
            .arg(&root)
            .args(["/", "--proc", "/proc", "--dev", "/dev", "--uid", "1000"])
            .args(["--gid", "1000", "--as-pid-1", "--chdir", dir, program]);
        let said = succeeded(command).unwrap();
        // Windows has a PID 1 of its own, so what is tried here has none above it.
        let expected = match format {
            "tar" => "/app red 1\n",
            _ => "/app red 0\n",
        };
        assert_eq!(said, expected);
    }
}

/// What the server in a machine answers, once it listens.
fn answer(boot: &mut Boot, port: u16) -> String {
    // A boot as any other, and the kernel's conversation with a network.
    boot.console.expect("listening", BOOT * 2).unwrap();
    let answer = fetch(port).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_disk_is_an_application_and_keeps_what_it_writes() {
    let scratch = Scratch::new("application-disk").unwrap();
    let app = shop(&scratch);
    let words = ["--volume", "db:/data", "--flavor", "mainframe", "--", "one"];
    let disk = build(&scratch, &app, "disk", &words);
    let same = scratch.dir.join("same.img");
    fs::rename(&disk, &same).unwrap();
    build(&scratch, &app, "disk", &words);
    let mut compare = Command::new("cmp");
    compare.arg(&disk).arg(&same);
    assert_eq!(succeeded(compare).unwrap(), "", "two builds differ");
    let mut pc = Pc::with(scratch, disk, Firmware::Bios);
    let port = free_port().unwrap();
    for (starts, firmware, attachment) in [
        (1, Firmware::Bios, Attachment::Virtio),
        (2, Firmware::Uefi, Attachment::Nvme),
    ] {
        (pc.firmware, pc.attachment) = (firmware, attachment);
        let mut boot = pc.start_forwarding(port, 3000).unwrap();
        assert_eq!(answer(&mut boot, port), format!("{starts},,1000,/app,one"));
        // The volume has grown to the end of the disk.
        let size = ask(port, "/size").unwrap();
        assert!(size.ends_with(&format!("\r\n\r\n{starts}")), "{size}");
        ask(port, "/end").unwrap();
        boot.powered_off().unwrap();
        let disk = File::options().write(true).open(&pc.disk).unwrap();
        disk.set_len(disk.metadata().unwrap().len() + (1 << 30))
            .unwrap();
    }
    // Its files are somebody's now.
    let (app, out) = (app.to_str().unwrap(), pc.scratch.dir.join("out"));
    let words = ["build", "--app", app, "--format", "disk", "--flavor"];
    let more = ["mainframe", "--volume", "db:/data", "--out"];
    let words = [&words[..], &more, &[out.to_str().unwrap(), "--", "two"]].concat();
    let (code, _, stderr) = said(&pc.scratch, words).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("a machine has written to it"), "{stderr}");
}

#[test]
fn an_application_is_installed_and_boots_from_what_it_is_on() {
    let scratch = Scratch::new("application-installed").unwrap();
    let device = scratch.dir.join("device.img");
    File::create_new(&device).unwrap().set_len(4 << 30).unwrap();
    let app = shop(&scratch);
    let words = ["install", "--app", app.to_str().unwrap()];
    let words = [&words[..], &[device.to_str().unwrap()]].concat();
    let (code, _, stderr) = said(&scratch, &words).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("--yes writes without asking"), "{stderr}");
    let more = ["--yes", "--flavor", "mainframe", "--volume", "db:/data"];
    let words = [&words[..], &more].concat();
    let (code, stdout, stderr) = said(&scratch, &words).unwrap();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("shop-mjs is on "), "{stdout}");
    let pc = Pc {
        attachment: Attachment::Ahci,
        ..Pc::with(scratch, device, Firmware::Bios)
    };
    let port = free_port().unwrap();
    let mut boot = pc.start_forwarding(port, 3000).unwrap();
    assert_eq!(answer(&mut boot, port), "1,,1000,/app");
    // All that the device has, and not the one that a volume has at first.
    let size = ask(port, "/size").unwrap();
    assert!(size.ends_with("\r\n\r\n3"), "{size}");
}

#[test]
fn a_machine_without_a_disk_fetches_an_application_from_a_network() {
    let scratch = Scratch::new("application-netboot").unwrap();
    let kernel = build(&scratch, &shop(&scratch), "netboot", &[]);
    let folder = kernel.parent().unwrap();
    let port = free_port().unwrap();
    let mut argv = vec![process::program()];
    let mut words = |words: &[&str]| argv.extend(words.iter().map(std::ffi::OsString::from));
    words(&["-accel", "tcg", "-cpu", "max", "-m", "640", "-M", "q35"]);
    words(&["-nodefaults", "-no-user-config", "-display", "none"]);
    words(&["-serial", "stdio", "-no-reboot", "-boot", "n"]);
    let network = format!(
        "user,id=lan,tftp={},bootfile=boot.ipxe,hostfwd=tcp:127.0.0.1:{port}-:3000",
        folder.display()
    );
    words(&["-netdev", &network, "-device", "e1000e,netdev=lan"]);
    let mut boot = scratch.start(&argv).unwrap();
    boot.console.expect("listening", BOOT * 2).unwrap();
    let answer = fetch(port).unwrap();
    assert!(answer.ends_with("no volume,,1000,/app"), "{answer}");
}
