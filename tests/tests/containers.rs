//! The system without a kernel of its own: in containers, which podman runs, and unpacked, where bubblewrap does.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nodeos_build::recipe::{Format, Recipe};
use nodeos_tests::boot::Scratch;
use nodeos_tests::cli;
use nodeos_tests::pc::build_as;
use nodeos_tests::people::USERSFS;
use nodeos_tests::podman::{Podman, layers, output_of, succeeded};
use nodeos_tests::system::BAREBONES;

/// What a process may do, as it sees that itself.
const WHO: &str = "const s=fs.readFileSync('/proc/self/status','utf8');\
    const of=n=>s.match(new RegExp(n+':\\\\s*(.*)'))[1];\
    console.log([process.ppid,process.getuid(),process.getgid(),of('CapEff'),of('Seccomp'),os.userInfo().username].join())";

fn layout(recipe: &Recipe, out: &Path) -> PathBuf {
    let index = build_as(recipe, Format::Oci, out).unwrap();
    index.parent().unwrap().to_owned()
}

fn oci(layout: &Path) -> String {
    format!("oci:{}:latest", layout.display())
}

#[test]
fn layers_are_shared_and_the_same_in_every_build() {
    let scratch = Scratch::new("oci-layers").unwrap();
    let of = |recipe: &Recipe, name: &str| layers(&layout(recipe, &scratch.dir.join(name)));
    let bare = of(&BAREBONES, "bare").unwrap();
    let people = of(&USERSFS, "people").unwrap();
    assert_eq!((bare.len(), people.len()), (1, 3));
    assert_eq!(bare[0], people[0], "Node.js is there once");
    let index = |name: &str| {
        fs::read(
            scratch
                .dir
                .join(name)
                .join("x86_64/mainframe/oci/image/index.json"),
        )
        .unwrap()
    };
    of(&USERSFS, "again").unwrap();
    assert!(index("people") == index("again"), "two builds differ");
    // Another image into the same folder: what it does not need goes.
    of(&BAREBONES, "people").unwrap();
    assert!(index("people") == index("bare"));
    let blobs = scratch
        .dir
        .join("people/x86_64/mainframe/oci/image/blobs/sha256");
    assert_eq!(fs::read_dir(blobs).unwrap().count(), 3);
}

#[test]
fn others_unpack_an_image_to_what_the_archive_holds() {
    let scratch = Scratch::new("oci-unpacked").unwrap();
    let layout = layout(&USERSFS, &scratch.dir.join("out"));
    let mut command = Command::new("umoci");
    command
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:latest", layout.display()))
        .arg(scratch.dir.join("bundle"));
    succeeded(command).unwrap();
    let root = unpacked(&scratch, &USERSFS, Format::Tar);
    let mut command = Command::new("diff");
    command
        .args(["--recursive", "--no-dereference"])
        .arg(scratch.dir.join("bundle/rootfs"))
        .arg(&root);
    assert_eq!(succeeded(command).unwrap(), "");
}

#[test]
fn nodejs_runs_in_a_container_without_any_privilege() {
    let podman = Podman::new("container-node").unwrap();
    let layout = layout(&BAREBONES, &podman.scratch.dir.join("out"));
    let image = podman.pull(&oci(&layout)).unwrap();
    // Nobody's capabilities, Docker's filter, and `init` above.
    let expected = "1,1000,1000,0000000000000000,2,nodeos\n";
    let said = succeeded(podman.run(&[], &image, &["-e", WHO])).unwrap();
    assert_eq!(said, expected);
    let strict = [
        "--read-only",
        "--cap-drop",
        "all",
        "--security-opt",
        "no-new-privileges",
    ];
    let said = succeeded(podman.run(&strict, &image, &["node", "-e", WHO])).unwrap();
    assert_eq!(said, expected);
}

#[test]
fn a_container_ends_as_its_program_does() {
    let podman = Podman::new("container-ends").unwrap();
    let layout = layout(&BAREBONES, &podman.scratch.dir.join("out"));
    let image = podman.pull(&oci(&layout)).unwrap();
    for (words, code) in [
        (&["-e", "process.exit(7)"][..], 7),
        (&["-e", "process.kill(process.pid, 'SIGKILL')"], 137),
        (&["/bin/nothing"], 127),
        (&["nothing"], 127),
    ] {
        let output = output_of(&mut podman.run(&[], &image, words)).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
    }
    // Standard input and output are the program's.
    let mut command = podman.run(&["--interactive"], &image, &["-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"console.log(6 * 7)").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
}

#[test]
fn a_container_that_is_stopped_lets_its_program_finish_and_waits_for_nothing_else() {
    let podman = Podman::new("container-stopped").unwrap();
    let layout = layout(&BAREBONES, &podman.scratch.dir.join("out"));
    let image = podman.pull(&oci(&layout)).unwrap();
    // It leaves somebody behind who is not its child any more: `init` reaps that one.
    let script = "const {spawn}=require('child_process');\
        spawn('/bin/node',['-e','setTimeout(()=>{},1e6)'],{detached:true,stdio:'ignore'}).unref();\
        process.on('SIGTERM',()=>{console.log('closing');process.exit(3)});\
        setInterval(()=>{},1000);console.log('up')";
    let name = ["--detach", "--name", "stopped"];
    succeeded(podman.run(&name, &image, &["-e", script])).unwrap();
    let logs = || succeeded(podman.command(&["logs", "stopped"])).unwrap();
    let begin = Instant::now();
    while !logs().contains("up") {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", logs());
    }
    let begin = Instant::now();
    succeeded(podman.command(&["stop", "--time", "60", "stopped"])).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(40), "it was killed");
    assert!(logs().contains("closing"), "{}", logs());
    let code = ["inspect", "--format", "{{.State.ExitCode}}", "stopped"];
    assert_eq!(succeeded(podman.command(&code)).unwrap(), "3\n");
}

#[test]
fn people_have_a_shell_a_home_and_npm_in_a_container() {
    let podman = Podman::new("container-shell").unwrap();
    let archive = build_as(&USERSFS, Format::Docker, &podman.scratch.dir.join("out")).unwrap();
    let names =
        succeeded(podman.command(&["load", "--quiet", "--input", archive.to_str().unwrap()]));
    let names = names.unwrap();
    assert!(names.contains("nodeos/nodeos:latest"), "{names}");
    let mut command = podman.run(&["--interactive"], "nodeos/nodeos", &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = "whoami; pwd; echo $PATH; echo mine > note && cat note; npm config get prefix\n\
        touch /system 2>/dev/null || echo no; ls ~/etc; exit 5\n";
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    // No password file of anybody's.
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "nodeos\n/home/nodeos\n/home/nodeos/bin:/bin:/sbin\nmine\n/home/nodeos\nno\n"
    );
}

/// The root filesystem that an archive holds, on this host. Owners are ours, unless we are root.
fn unpacked(scratch: &Scratch, recipe: &Recipe, format: Format) -> PathBuf {
    let archive = build_as(recipe, format, &scratch.dir.join("out")).unwrap();
    let root = scratch.dir.join(format.as_str());
    fs::create_dir(&root).unwrap();
    let mut command = Command::new("tar");
    command.arg("-C").arg(&root).arg("-xzf").arg(&archive);
    succeeded(command).unwrap();
    root
}

/// Bubblewrap in that root, as somebody without rights.
fn in_root(root: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-all", "--die-with-parent", "--clearenv", "--bind"])
        .arg(root)
        .args(["/", "--proc", "/proc", "--dev", "/dev"])
        .stdin(Stdio::null());
    command
}

#[test]
fn an_archive_is_a_system_wherever_it_is_unpacked() {
    let scratch = Scratch::new("tar").unwrap();
    let root = unpacked(&scratch, &BAREBONES, Format::Tar);
    let mut command = in_root(&root);
    command.args(["--uid", "1000", "--gid", "1000", "--as-pid-1"]);
    command.args([
        "/init",
        "-p",
        "[process.pid > 1, process.ppid, os.userInfo().username].join()",
    ]);
    assert_eq!(succeeded(command).unwrap(), "true,1,nodeos\n");
    let mut command = in_root(&root);
    command.args(["/init", "node", "-e", "process.exit(4)"]);
    assert_eq!(output_of(&mut command).unwrap().status.code(), Some(4));
}

#[test]
fn the_archive_for_windows_has_what_microsoft_asks_for() {
    let scratch = Scratch::new("wsl").unwrap();
    let root = unpacked(&scratch, &USERSFS, Format::Wsl);
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let distribution = read("etc/wsl-distribution.conf");
    let icon = distribution
        .lines()
        .find_map(|line| line.strip_prefix("icon = /"))
        .unwrap();
    // The icon's type, and how many pictures it has.
    assert_eq!(fs::read(root.join(icon)).unwrap()[..6], [0, 0, 1, 0, 3, 0]);
    assert!(distribution.contains("defaultUid = 1\n"), "{distribution}");
    let settings = read("etc/wsl.conf");
    assert!(settings.contains("[user]\ndefault=nodeos\n"), "{settings}");
    for absent in ["init", "boot", "etc/resolv.conf", "etc/hostname", "kernel"] {
        assert!(!root.join(absent).exists(), "{absent}");
    }
    // As WSL does it: the user's shell, with a PATH of its own.
    let passwd = read("etc/passwd");
    assert!(
        passwd.contains("nodeos:x:1:1::/home/nodeos:/bin/nsh\n"),
        "{passwd}"
    );
    let mut command = in_root(&root);
    command
        .args([
            "--setenv",
            "HOME",
            "/home/nodeos",
            "--setenv",
            "PATH",
            "/usr/bin:/sbin:/bin",
        ])
        .args([
            "/bin/nsh",
            "-l",
            "-c",
            "echo $PATH; node -p 1+1; npm config get prefix",
        ]);
    assert_eq!(
        succeeded(command).unwrap(),
        "/home/nodeos/bin:/usr/bin:/sbin:/bin\n2\n/home/nodeos\n"
    );
}

#[test]
fn what_a_format_cannot_have_is_refused_before_anything_is_built() {
    for (words, error, hint) in [
        (
            &["--format", "oci", "--layer", "initramfs"][..],
            "the format oci cannot be made of the layer initramfs: its sessions take a kernel of their own",
            "give --layer usersfs",
        ),
        (
            &["--format", "tar", "--layer", "application"],
            "the format tar cannot be made of the layer application alone: it has no application",
            "give --layer barebones",
        ),
        (
            &["--format", "docker", "--profile", "pc"],
            "the format docker has no kernel",
            "leave --profile away",
        ),
        (
            &["--format", "wsl", "--users-size", "1G"],
            "the format wsl has no users partition",
            "leave --users-size and --fresh away",
        ),
        (
            &["--format", "netboot", "--root", "disk"],
            "the format netboot has one kind of root, which cannot be chosen",
            "leave --root away",
        ),
    ] {
        let output = Command::new(cli::nodeos())
            .arg("build")
            .args(words)
            .args(["--out", "/proc/nowhere"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(error) && said.contains(hint), "{said}");
    }
}
