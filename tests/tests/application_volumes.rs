//! What an application keeps: disks and folders of the host; and one that lies in the machine's own memory.

use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nodeos_build::assemble;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_image::tree::{Entry, Tree};
use nodeos_image::{cpio, ext4};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};
use nodeos_tests::application::{APPLICATION, Plan};
use nodeos_tests::system;
use nodeos_vm::machine::Root;

/// Counts in a database how often it has run. A write-ahead log is shared memory in a file: what a filesystem can do least.
const COUNTER: &str = "
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[2] + '/counter.db');
    const mode = database.prepare('PRAGMA journal_mode=WAL').get().journal_mode;
    database.exec('CREATE TABLE IF NOT EXISTS runs (at INTEGER)');
    database.exec('INSERT INTO runs VALUES (1)');
    console.log(mode, database.prepare('SELECT count(*) AS runs FROM runs').get().runs);
    const fs = require('node:fs');
    for (const folder of ['/app', '/data', '/']) {
        try { fs.writeFileSync(folder + '/file', 'x'); console.log(folder, 'written'); }
        catch (error) { console.log(folder, error.code); }
    }";

/// Runs it to its end with code 0, and returns what it wrote.
fn run(plan: &Plan) -> String {
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Code(0), ..
        } => {}
        other => panic!("{other:?}, and {:?}", machine.written(0)),
    }
    machine.end().unwrap();
    machine.written(0).stdout
}

fn counter(name: &str, volumes: &str, folder: &str) -> Plan {
    let argv = format!(r#", "argv": ["/bin/node", "/app/app.js", "{folder}"]"#);
    let more = format!(r#", "volumes": [{volumes}]"#);
    let spec = format!(r#"{{"name": "test"{argv}{more}}}"#);
    let mut plan = Plan::new(name, &APPLICATION, COUNTER, &more).unwrap();
    // The topmost image has the orders.
    plan.add_layer(&[
        ("application.json".to_owned(), spec),
        ("files/other.js".to_owned(), String::new()),
    ])
    .unwrap();
    plan
}

#[test]
fn a_disk_keeps_what_is_written_also_below_the_applications_folder() {
    let volumes = r#"{"source": {"disk": "/dev/vda"}, "path": "/app/data"}"#;
    let mut plan = counter("volume-disk", volumes, "/app/data");
    let disk = plan.scratch.dir.join("data.img");
    let options = ext4::Options {
        uuid: [7; 16],
        hash_seed: [8; 16],
        label: "data".to_owned(),
        time: 1,
        size: 64 << 20,
        bytes_per_inode: ext4::BYTES_PER_INODE,
    };
    let mut tree = Tree::new();
    tree.insert("/", Entry::directory(0o755)).unwrap();
    ext4::write(&tree, &options, &File::create_new(&disk).unwrap()).unwrap();
    plan.machine.disks = vec![disk];
    let expected = |runs| format!("wal {runs}\n/app EROFS\n/data ENOENT\n/ EROFS\n");
    assert_eq!(run(&plan), expected(1));
    assert_eq!(run(&plan), expected(2));
}

#[test]
fn a_folder_of_the_host_is_shared() {
    let volumes = r#"{"source": {"share": "volume0"}, "path": "/data"}"#;
    let mut plan = counter("volume-share", volumes, "/data");
    let folder = plan.scratch.dir.join("shared");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    share(&mut plan, &folder);
    assert_eq!(run(&plan), "wal 1\n/app EROFS\n/data written\n/ EROFS\n");
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "x");
    assert_eq!(run(&plan), "wal 2\n/app EROFS\n/data written\n/ EROFS\n");
}

fn share(plan: &mut Plan, folder: &Path) {
    let folder = folder.display();
    plan.machine.extra = [
        "-fsdev".into(),
        format!("local,id=volume0,security_model=none,path={folder}").into(),
        "-device".into(),
        "virtio-9p-pci,fsdev=volume0,mount_tag=volume0".into(),
    ]
    .to_vec();
}

#[test]
fn what_cannot_be_mounted_is_named_with_what_to_do() {
    let check = |name: &str, volume: &str, expected: &str, disk: bool| {
        let more = format!(r#", "volumes": [{volume}]"#);
        let mut plan = Plan::new(name, &APPLICATION, "", &more).unwrap();
        if disk {
            let disk = plan.scratch.dir.join("empty.img");
            File::create_new(&disk).unwrap().set_len(4 << 20).unwrap();
            plan.machine.disks = vec![disk];
        }
        let mut machine = plan.boot().unwrap();
        match machine.hear().unwrap() {
            MachineMessage::NotStarted { reason } => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
        machine.tell(&HostMessage::Goodbye).unwrap();
        machine.vm.powered_off().unwrap();
    };
    check(
        "volume-unformatted",
        r#"{"source": {"disk": "/dev/vda"}, "path": "/data"}"#,
        "/dev/vda, which is to be /data, holds no ext4 filesystem: Invalid argument \
         (the machine formats nothing: give it a disk with an ext4 filesystem)",
        true,
    );
    check(
        "volume-untagged",
        r#"{"source": {"share": "volume9"}, "path": "/data"}"#,
        "the machine has no shared folder \"volume9\" for /data: No such file or directory \
         (give the machine the folder with QEMU's -virtfs and this tag)",
        false,
    );
    check(
        "volume-in-the-way",
        r#"{"source": {"share": "volume9"}, "path": "/etc/passwd/below"}"#,
        "/etc/passwd/below is in the way of a volume: it has to be a folder \
         (choose another place for the volume, /data for instance)",
        false,
    );
}

#[test]
fn an_application_can_be_a_part_of_a_system_in_memory() {
    let recipe = Recipe {
        root: RootKind::Initramfs,
        ..APPLICATION
    };
    let script =
        "console.log(process.getuid(), process.cwd(), require('node:fs').readdirSync('/app'));";
    let mut plan = Plan::new("application-initramfs", &recipe, script, "").unwrap();
    plan.machine.layers.clear();
    let mut tree = assemble::tree(&system::context().unwrap(), &recipe).unwrap();
    let spec = r#"{"name": "test", "argv": ["/bin/node", "/app/app.js"]}"#;
    tree.insert("/application.json", Entry::file(0o444, spec.as_bytes()))
        .unwrap();
    tree.insert("/app/app.js", Entry::file(0o444, script.as_bytes()))
        .unwrap();
    let archive = plan.scratch.dir.join("system.cpio");
    let mut file = BufWriter::new(File::create_new(&archive).unwrap());
    cpio::write(&tree, 1, &mut file).unwrap();
    file.flush().unwrap();
    plan.machine.root = Root::Initramfs { archive };
    plan.machine.memory_mib = 384;
    assert_eq!(run(&plan), "1000 /app [ 'app.js' ]\n");
}
