//! What the host does beside a running application: commands, terminals, files, changes, numbers.

use std::collections::BTreeMap;
use std::process::Command;

use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_spec::application::frame::streams_of;
use nodeos_spec::application::message::{End, HostMessage, MachineMessage, Terminal};
use nodeos_tests::application::{APPLICATION, Plan, Running};
use nodeos_vm::machine::Network;

/// Listens, and says what is asked for.
const SERVER: &str = "
    require('node:http').createServer((_, answer) => answer.end('hello')).listen(PORT, () => console.log('listens'));";

fn server(port: u16) -> String {
    SERVER.replace("PORT", &port.to_string())
}

/// Waits until the application listens.
fn ready(machine: &mut Running, expected: u16) {
    machine.started().unwrap();
    assert_eq!(
        machine.hear().unwrap(),
        MachineMessage::Ready { port: expected }
    );
}

fn stop(machine: &mut Running) {
    machine.tell(&HostMessage::Stop { grace_ms: None }).unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Signal(15),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    machine.end().unwrap();
}

#[test]
fn commands_are_where_the_application_is_and_are_what_it_is() {
    let more = r#", "ports": [3000], "env": {"GREETING": "hello"}"#;
    let plan = Plan::new("commands", &APPLICATION, &server(3000), more).unwrap();
    let mut machine = plan.boot().unwrap();
    ready(&mut machine, 3000);

    let program = "console.log(process.getuid(), process.cwd(), process.env.GREETING); console.error('aside')";
    let written = machine.run(1, &["node", "-e", program]).unwrap();
    assert_eq!(written.stdout, "1000 /app hello\n");
    assert_eq!(written.stderr, "aside\n");

    machine
        .tell(&HostMessage::Run {
            command: 2,
            argv: ["nothing", "-x"].map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            terminal: None,
        })
        .unwrap();
    match machine.answer().unwrap() {
        MachineMessage::CommandFailed {
            command: 2,
            reason,
            code: 127,
        } => assert!(
            reason.starts_with("cannot start nothing: No such file"),
            "{reason}"
        ),
        other => panic!("{other:?}"),
    }

    machine.tell(&HostMessage::Stats).unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Stats(stats) => {
            assert!(stats.processes > 0 && stats.memory > 0 && stats.cpu_us > 0);
            assert!(stats.machine_available > 0 && stats.memory_limit < stats.machine_memory);
        }
        other => panic!("{other:?}"),
    }

    // A day in 2100.
    let unix_ns = 4_102_444_800_000_000_000;
    machine.tell(&HostMessage::Time { unix_ns }).unwrap();
    let program = "console.log(new Date().getUTCFullYear())";
    let written = machine.run(3, &["node", "-e", program]).unwrap();
    assert_eq!(written.stdout, "2100\n");
    stop(&mut machine);
}

#[test]
fn a_command_on_a_terminal_has_one_with_a_size() {
    let plan = Plan::new(
        "terminal",
        &APPLICATION,
        &server(3000),
        r#", "ports": [3000]"#,
    )
    .unwrap();
    let mut machine = plan.boot().unwrap();
    ready(&mut machine, 3000);
    let terminal = Terminal {
        columns: 91,
        rows: 17,
        term: "xterm".to_owned(),
    };
    machine
        .tell(&HostMessage::Run {
            command: 1,
            argv: vec!["node".to_owned()],
            env: BTreeMap::from([("NODE_REPL_HISTORY".to_owned(), String::new())]),
            terminal: Some(terminal),
        })
        .unwrap();
    machine.expect(1, "> ").unwrap();
    let size = "`${process.stdout.columns}x${process.stdout.rows} ${process.env.TERM}`\r";
    machine.type_on(1, size).unwrap();
    machine.expect(1, "'91x17 xterm'").unwrap();
    let told = "process.stdout.on('resize', () => console.log('resized ' + process.stdout.columns)) === process.stdout\r";
    machine.type_on(1, told).unwrap();
    machine.expect(1, "true").unwrap();
    machine
        .tell(&HostMessage::WindowSize {
            command: 1,
            columns: 102,
            rows: 33,
        })
        .unwrap();
    machine.expect(1, "resized 102").unwrap();
    // What a terminal makes a signal of; the REPL forgets the line.
    machine.type_on(1, "1 +\u{3}").unwrap();
    machine.type_on(1, ".exit\r").unwrap();
    machine.command_done(1).unwrap();
    stop(&mut machine);
}

#[test]
fn files_go_in_and_out_with_the_rights_of_the_application() {
    let plan = Plan::new("files", &APPLICATION, &server(3000), r#", "ports": [3000]"#).unwrap();
    let mut machine = plan.boot().unwrap();
    ready(&mut machine, 3000);

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("given")).unwrap();
    std::fs::write(folder.path().join("given/text"), "in and out\n").unwrap();
    let archive = Command::new("tar")
        .args(["-C", folder.path().to_str().unwrap(), "-cf", "-", "given"])
        .output()
        .unwrap()
        .stdout;
    let path = "/tmp".to_owned();
    machine
        .tell(&HostMessage::Unpack { command: 1, path })
        .unwrap();
    machine.feed(1, &archive).unwrap();
    machine.feed_no_more(1).unwrap();
    machine.command_done(1).unwrap();

    let path = "/tmp/given".to_owned();
    machine
        .tell(&HostMessage::Pack { command: 2, path })
        .unwrap();
    machine.command_done(2).unwrap();
    let back = folder.path().join("back.tar");
    std::fs::write(&back, machine.bytes(streams_of(2).stdout)).unwrap();
    let text = Command::new("tar")
        .args(["-xOf", back.to_str().unwrap(), "given/text"])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(String::from_utf8_lossy(&text), "in and out\n");

    let mut refused = |command, message: &HostMessage, expected: &str| {
        machine.tell(message).unwrap();
        machine.feed_no_more(command).unwrap();
        match machine.answer().unwrap() {
            MachineMessage::CommandFailed { reason, .. } => {
                assert!(reason.contains(expected), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    };
    let path = "/none".to_owned();
    refused(
        3,
        &HostMessage::Pack { command: 3, path },
        "there is no /none",
    );
    let path = "/proc/1/environ".to_owned();
    refused(
        4,
        &HostMessage::Pack { command: 4, path },
        "cannot pack /proc/1/environ",
    );
    let remove = Vec::new();
    refused(
        5,
        &HostMessage::Update { command: 5, remove },
        "does not change",
    );
    stop(&mut machine);
}

#[test]
fn changes_are_followed_by_a_machine_that_was_started_to() {
    let recipe = Recipe {
        root: RootKind::Disk,
        ..APPLICATION
    };
    let script = "console.log(require('dependency'), require('/app/local.js'));
        console.log(require('node:fs').readdirSync('/app').join());
        try { require('node:fs').writeFileSync('/app/new', ''); } catch { console.log('refused'); }
        setInterval(() => {}, 1000);";
    let mut plan = Plan::new("follow", &recipe, script, "").unwrap();
    plan.add_layer(&[
        (
            "application.json".to_owned(),
            r#"{"name": "test", "argv": ["/bin/node", "app.js"]}"#.to_owned(),
        ),
        (
            "files/local.js".to_owned(),
            "module.exports = 'old';".to_owned(),
        ),
        ("files/folder/file".to_owned(), String::new()),
        (
            "files/node_modules/dependency/index.js".to_owned(),
            "module.exports = 'there';".to_owned(),
        ),
    ])
    .unwrap();
    plan.machine.append.push("nodeos.follow".to_owned());
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    let listing = |folder: &str| format!("app.js,{folder}local.js,node_modules\nrefused\n");
    machine.expect(0, "there old\n").unwrap();
    machine.expect(0, &listing("folder,")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("local.js"), "module.exports = 'new';").unwrap();
    let archive = Command::new("tar")
        .args([
            "-C",
            folder.path().to_str().unwrap(),
            "-cf",
            "-",
            "local.js",
        ])
        .output()
        .unwrap()
        .stdout;
    let remove = ["folder/file", "none"].map(str::to_owned).to_vec();
    let message = HostMessage::Update { command: 1, remove };
    machine.tell(&message).unwrap();
    machine.feed(1, &archive).unwrap();
    machine.feed_no_more(1).unwrap();
    machine.command_done(1).unwrap();
    machine.tell(&HostMessage::Restart).unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Signal(15),
            again_in_ms: Some(0),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    machine.expect(0, "there new\n").unwrap();
    machine.expect(0, &listing("")).unwrap();

    let remove = vec!["../etc".to_owned()];
    let message = HostMessage::Update { command: 2, remove };
    machine.tell(&message).unwrap();
    machine.feed_no_more(2).unwrap();
    match machine.answer().unwrap() {
        MachineMessage::CommandFailed { reason, .. } => {
            assert_eq!(reason, "\"../etc\" is no path below /app");
        }
        other => panic!("{other:?}"),
    }
    stop(&mut machine);
}

#[test]
fn who_ends_on_a_machine_that_follows_changes_rests_until_it_is_started_again() {
    let script = "console.log('lives'); process.stdin.on('data', () => process.exit(3));";
    let mut plan = Plan::new("rest", &APPLICATION, script, "").unwrap();
    plan.machine.append.push("nodeos.follow".to_owned());
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    for lives in 1..=2 {
        machine.expect(0, &"lives\n".repeat(lives)).unwrap();
        machine.feed(0, b"end").unwrap();
        match machine.answer().unwrap() {
            MachineMessage::Rests {
                how: End::Code(3), ..
            } => {}
            other => panic!("{other:?}"),
        }
        machine.tell(&HostMessage::Restart).unwrap();
    }
    machine.expect(0, &"lives\n".repeat(3)).unwrap();
    machine.feed(0, b"end").unwrap();
    machine.answer().unwrap();
    let message = HostMessage::Signal {
        command: 0,
        signal: 2,
    };
    machine.tell(&message).unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Code(3),
            again_in_ms: None,
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    machine.end().unwrap();
}

#[test]
fn a_low_port_can_be_had_where_it_was_asked_for() {
    let plan = Plan::new("low-port", &APPLICATION, &server(80), r#", "ports": [80]"#);
    let mut plan = plan.unwrap();
    plan.machine.network = Network::ByTheKernel;
    let mut machine = plan.boot().unwrap();
    ready(&mut machine, 80);
    let program = "fetch('http://localhost').then((answer) => answer.text()).then(console.log)";
    assert_eq!(
        machine.run(1, &["node", "-e", program]).unwrap().stdout,
        "hello\n"
    );
    stop(&mut machine);
}
