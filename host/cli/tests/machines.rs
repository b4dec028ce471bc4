//! Monitors and commands against a machine that is played by the test: what is passed on, what is kept, and who survives whom.

mod common;
#[path = "machines/peer.rs"]
mod peer;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use common::{Said, Sealed};
use nodeos::exit::Exit;
use nodeos::machines::connection::{self, Frames};
use nodeos::machines::foreground::{self, Manner};
use nodeos::machines::protocol::{ClientMessage, Ending, MonitorMessage};
use nodeos::machines::record::Mode;
use nodeos::machines::start::Starting;
use nodeos::machines::state::StateError;
use nodeos::output::errors::Failure;
use nodeos::output::streams::{SharedWriter, Streams};
use nodeos_spec::application::flow::WINDOW;
use nodeos_spec::application::frame::{Frame, MAX_PAYLOAD, STREAMS, streams_of};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage, Stats};
use peer::{Host, Peer, SOON, until, wait_for};
use rustix::process::{Pid, Signal, kill_process};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

/// Attends to a machine, and returns what came of it, on standard output and on standard error.
fn attend(starting: Starting) -> (Result<Exit, Failure>, Page, Page) {
    let (out, err) = (Page::default(), Page::default());
    let mut streams = Streams {
        out: Box::new(out.clone()),
        err: SharedWriter::new(err.clone()),
        err_is_terminal: false,
    };
    let ended = foreground::attend(starting, None, Manner::Plain, &mut streams);
    (ended, out, err)
}

/// A machine in the background whose application runs.
fn detached(host: &Host, name: &str) -> (Peer, Starting) {
    let (mut peer, starting) = host.start(name, Mode::Detached);
    peer.say(&MachineMessage::Started);
    until("it is known to run", || {
        let record = peer.folder.record().unwrap().unwrap();
        record.running_after_ms
    });
    (peer, starting)
}

fn quiet(out: &str) -> Said {
    Said {
        code: Some(0),
        out: out.to_owned(),
        err: String::new(),
    }
}

/// What `ps` says of the first machine, in a few words.
fn state(sealed: &Sealed, arguments: &[&str]) -> String {
    let said = sealed.run(&[&["ps", "--json"], arguments].concat());
    let list: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    format!("{} {}", list[0]["name"], list[0]["state"]).replace('"', "")
}

#[test]
fn an_application_in_the_foreground_is_as_if_it_ran_here() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let binary: Vec<u8> = (0..=255).cycle().take(3 * MAX_PAYLOAD).collect();
    let written = binary.clone();
    let playing = std::thread::spawn(move || {
        peer.say(&MachineMessage::Started);
        peer.write(STREAMS.stderr, b"warning\n");
        for chunk in written.chunks(MAX_PAYLOAD) {
            peer.write(STREAMS.stdout, chunk);
        }
        peer.say(&MachineMessage::Note {
            text: "by the way".to_owned(),
        });
        peer.end(End::Code(7));
        peer.folder
    });
    let (ended, out, err) = attend(starting);
    assert_eq!(ended.unwrap(), Exit::Program(7));
    assert!(out.bytes() == binary, "every byte comes as it was written");
    let said = err.text();
    assert!(
        said.contains("warning\n") && said.contains("note: by the way\n"),
        "{said}"
    );
    let folder = playing.join().unwrap();
    assert!(!folder.path.exists(), "nothing is left of it");
}

#[test]
fn what_a_machine_fails_with_is_told_with_the_last_that_was_said() {
    let check = |script: &str, reason: &str, tail: &str| {
        let host = Host::new();
        let (ended, _, err) = attend(host.start_script("shop", Mode::Foreground, script));
        let failure = ended.unwrap_err();
        assert_eq!(
            (failure.exit, failure.error.to_string().as_str()),
            (Exit::Failed, reason)
        );
        assert_eq!(err.text(), tail);
        assert_eq!(host.machines().list().unwrap().len(), 0);
    };
    check(
        "echo no such device >&2; exit 1",
        "QEMU ended with exit code 1",
        "no such device\n",
    );
    check(
        "exec /nowhere/qemu 2>/dev/null",
        "QEMU ended with exit code 127",
        "",
    );
    check("kill -SEGV $$", "QEMU ended with SIGSEGV", "");
    let panic = "[    0.1] Kernel panic - not syncing: no init";
    check(
        &format!("printf 'one\\r\\n{panic}\\r\\n'; exit 1"),
        "the machine's kernel panicked",
        &format!("one\n{panic}\n"),
    );
    check("exit 0", "the machine ended before its application did", "");
}

#[test]
fn an_application_that_could_not_be_started_says_why() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let playing = std::thread::spawn(move || {
        peer.say(&MachineMessage::NotStarted {
            reason: "cannot run /bin/node: it is not there".to_owned(),
        });
        assert_eq!(peer.hear(), HostMessage::Goodbye);
        peer.power_off(0);
    });
    let (ended, ..) = attend(starting);
    assert_eq!(
        ended.unwrap_err().report(),
        "error: cannot run /bin/node: it is not there"
    );
    playing.join().unwrap();
}

#[test]
fn a_machine_in_the_background_is_seen_read_and_stopped() {
    let host = Host::new();
    let sealed = &host.sealed;
    assert_eq!(sealed.run(&["ps", "--json"]), quiet("[]\n"));
    let (mut peer, starting) = host.start("shop", Mode::Detached);
    assert_eq!(state(sealed, &[]), "shop starting");
    peer.say(&MachineMessage::Started);
    peer.write(STREAMS.stdout, b"one\n\0two\n");
    peer.write(STREAMS.stderr, b"bad\n");
    peer.write(STREAMS.stdout, b"three\n");
    peer.say(&MachineMessage::Ready { port: 3000 });
    until("it is ready", || {
        (state(sealed, &[]) == "shop ready").then_some(())
    });
    // Its input is empty, and never comes.
    assert_eq!(peer.next(), Frame::end(STREAMS.stdin));
    let said = |out: &str, err: &str| Said {
        err: err.to_owned(),
        ..quiet(out)
    };
    assert_eq!(
        sealed.run(&["logs", "shop"]),
        said("one\n\0two\nthree\n", "bad\n")
    );
    assert_eq!(sealed.run(&["logs", "-n2", "sh"]), said("three\n", "bad\n"));
    let folder = peer.folder.clone();
    let playing = std::thread::spawn(move || {
        assert_eq!(
            peer.hear(),
            HostMessage::Stop {
                grace_ms: Some(2000)
            }
        );
        peer.write(STREAMS.stdout, b"bye\n");
        peer.end(End::Signal(15));
    });
    assert_eq!(
        sealed.run(&["stop", "--time", "2", "shop"]),
        quiet("shop\n")
    );
    playing.join().unwrap();
    wait_for(starting.monitor);
    assert_eq!(sealed.run(&["ps", "--json"]), quiet("[]\n"));
    assert_eq!(state(sealed, &["--all"]), "shop SIGTERM");
    assert_eq!(sealed.run(&["logs", "--tail", "1", "shop"]), quiet("bye\n"));
    let again = sealed.run(&["stop", "shop"]);
    assert_eq!(
        again.err,
        "error: the machine shop does not run any more\nhint: nodeos logs shop shows what it wrote\n"
    );
    assert_eq!(sealed.run(&["rm", "shop"]), quiet("shop\n"));
    assert!(!folder.path.exists());
    let said = sealed.run(&["logs", "shop"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            Some(1),
            "error: there is no machine named shop\nhint: there are none: nodeos run --detach starts one\n"
        )
    );
}

#[test]
fn a_log_is_followed_until_the_application_ends() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    peer.write(STREAMS.stdout, b"before\nlast\n");
    let mut command = host.sealed.command(&["logs", "-f", "-n", "1", "shop"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    let mut line = |expected: &str| {
        let mut line = String::new();
        shown.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    };
    line("last\n");
    peer.write(STREAMS.stdout, b"more\n");
    line("more\n");
    peer.write(STREAMS.stdout, b"bye\n");
    peer.end(End::Code(0));
    line("bye\n");
    line("");
    assert!(child.wait().unwrap().success());
    wait_for(starting.monitor);
}

#[test]
fn a_command_has_its_own_streams_and_its_own_end() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    let playing = std::thread::spawn(move || {
        let HostMessage::Run {
            command,
            argv,
            env,
            terminal,
        } = peer.hear()
        else {
            panic!("it is not a command");
        };
        assert_eq!((argv.join(" ").as_str(), terminal), ("cat -n", None));
        assert_eq!(env["A"], "b=c");
        let streams = streams_of(command);
        let input = peer.read_to_end(streams.stdin);
        for chunk in input.chunks(MAX_PAYLOAD) {
            peer.write(streams.stdout, chunk);
        }
        peer.write(streams.stderr, b"done\n");
        peer.say(&MachineMessage::CommandEnded {
            command,
            how: End::Code(3),
        });
        // The next one gets no input, and is not found.
        let HostMessage::Run { command, .. } = peer.hear() else {
            panic!("it is not a command");
        };
        assert_eq!(peer.read_to_end(streams_of(command).stdin), b"");
        peer.say(&MachineMessage::CommandFailed {
            command,
            reason: "there is no program vi".to_owned(),
            code: 127,
        });
        peer
    });
    let words = ["exec", "-i", "--env", "A=b=c", "shop", "cat", "-n"];
    let mut command = host.sealed.command(&words);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The peer never gives credit, so that no more than this comes through.
    let input: Vec<u8> = (0..=255).cycle().take(WINDOW as usize).collect();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(3), &b"done\n"[..])
    );
    assert!(output.stdout == input);
    let said = host.sealed.run(&["exec", "shop", "vi"]);
    assert_eq!(
        said,
        Said {
            code: Some(127),
            out: String::new(),
            err: "error: there is no program vi\n".to_owned()
        }
    );
    let mut peer = playing.join().unwrap();
    peer.end(End::Code(0));
    wait_for(starting.monitor);
    assert_eq!(host.sealed.run(&["exec", "shop", "vi"]).code, Some(125));
}

#[test]
fn a_command_whose_caller_is_gone_is_ended_and_holds_up_nobody() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    // Somebody who starts a command and never reads what it writes.
    let run = ClientMessage::Run {
        argv: vec!["yes".to_owned()],
        env: Default::default(),
        terminal: None,
    };
    connection::say(&starting.connection, &run).unwrap();
    let HostMessage::Run { command, .. } = peer.hear() else {
        panic!("it is not a command");
    };
    for _ in 0..WINDOW as usize / MAX_PAYLOAD {
        peer.write(streams_of(command).stdout, &[b'y'; MAX_PAYLOAD]);
    }
    let playing = std::thread::spawn(move || {
        assert_eq!(peer.hear(), HostMessage::Stats);
        peer.say(&MachineMessage::Stats(Stats {
            memory: 5_000_000,
            ..Stats::default()
        }));
        peer
    });
    let said = host.sealed.run(&["stats", "shop"]);
    assert!(said.out.contains("5.0 MB"), "{said:?}");
    let mut peer = playing.join().unwrap();
    drop(starting.connection);
    // All that it was owed is given back, and then it is killed.
    let mut credited = 0;
    let ended = loop {
        let frame = peer.next();
        credited += frame.credited();
        if let Ok(message) = HostMessage::parse(&frame.payload) {
            break message;
        }
    };
    assert_eq!(credited, WINDOW);
    assert_eq!(ended, HostMessage::Signal { command, signal: 9 });
    peer.end(End::Code(0));
    wait_for(starting.monitor);
}

#[test]
fn a_machine_outlives_who_started_it_and_is_found_again() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    peer.say(&MachineMessage::Started);
    let mut frames = Frames::new(starting.connection.try_clone().unwrap());
    assert_eq!(
        frames.next_message(SOON).unwrap(),
        Some(MonitorMessage::Started)
    );
    peer.write(STREAMS.stdout, b"lost on nobody\n");
    assert_eq!(
        frames.next_frame().unwrap().unwrap().payload,
        b"lost on nobody\n"
    );
    // As when it is killed.
    drop(frames);
    drop(starting.connection);
    // What was on the way is given back, and there is no input any more.
    assert_eq!(peer.next(), Frame::credit(STREAMS.stdout, 15));
    assert_eq!(peer.next(), Frame::end(STREAMS.stdin));
    assert_eq!(state(&host.sealed, &[]), "shop running");
    let playing = std::thread::spawn(move || {
        assert_eq!(peer.hear(), HostMessage::Stop { grace_ms: None });
        peer.end(End::Code(0));
    });
    assert_eq!(host.sealed.run(&["stop", "shop"]), quiet("shop\n"));
    playing.join().unwrap();
    wait_for(starting.monitor);
    assert_eq!(
        host.sealed.run(&["logs", "shop"]),
        quiet("lost on nobody\n")
    );
}

#[test]
fn a_machine_does_not_outlive_its_monitor() {
    let host = Host::new();
    let (peer, mut starting) = detached(&host, "shop");
    let record = peer.folder.record().unwrap().unwrap();
    let qemu = record.qemu_pid.unwrap();
    assert_eq!(record.monitor_pid, Some(starting.monitor.id()));
    kill_process(Pid::from_child(&starting.monitor), Signal::KILL).unwrap();
    starting.monitor.wait().unwrap();
    until("QEMU has ended", || {
        // Nobody may have waited for it yet: then it is a zombie.
        let stat = std::fs::read_to_string(Path::new("/proc").join(qemu.to_string()).join("stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
    let said = host.sealed.run(&["ps"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            Some(0),
            "note: shop has ended: its monitor was killed, and the machine with it\n"
        )
    );
    assert_eq!(said.out, "NAME  STATE  FOR  MEMORY  PORTS  WHAT\n");
    let said = host.sealed.run(&["ps", "--all"]);
    assert_eq!(said.err, "", "it is told once");
    assert!(said.out.contains("shop  lost"), "{}", said.out);
    // The name is free again.
    let (mut peer, starting) = detached(&host, "shop");
    peer.end(End::Code(0));
    wait_for(starting.monitor);
}

#[test]
fn a_monitor_that_is_killed_is_told_in_the_foreground() {
    let host = Host::new();
    let (peer, starting) = host.start("shop", Mode::Foreground);
    kill_process(Pid::from_child(&starting.monitor), Signal::KILL).unwrap();
    let (ended, ..) = attend(starting);
    assert_eq!(
        ended.unwrap_err().report(),
        "error: the machine's monitor was killed, and the machine with it"
    );
    drop(peer);
}

#[test]
fn a_name_is_one_machines_at_a_time() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    let error = host.machines().claim(&starting.name).unwrap_err();
    assert!(matches!(error, StateError::Runs { .. }));
    assert_eq!(error.to_string(), "a machine named shop runs already");
    assert!(error.hint().unwrap().contains("nodeos stop shop"));
    let said = host.sealed.run(&["rm", "shop"]);
    assert_eq!(
        said.err,
        "error: the machine shop runs\nhint: stop it first: nodeos stop shop\n"
    );
    peer.end(End::Code(0));
    wait_for(starting.monitor);
    // What the ended one left is gone when the next one begins.
    peer.folder.record().unwrap().unwrap();
    let claim = host.machines().claim(&starting.name).unwrap();
    assert_eq!(claim.folder.record().unwrap(), None);
}

#[test]
fn a_machine_that_hangs_is_ended_when_its_time_is_over() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    connection::say(&starting.connection, &ClientMessage::Kill).unwrap();
    let mut frames = Frames::new(starting.connection);
    let over = MonitorMessage::Over {
        ending: Ending::Killed,
    };
    assert_eq!(frames.next_message(SOON).unwrap(), Some(over));
    wait_for(starting.monitor);
    // The end of its input, and nothing else, was said to it.
    assert_eq!(peer.next(), Frame::end(STREAMS.stdin));
    assert_eq!(state(&host.sealed, &["--all"]), "shop ended at once");
}

#[test]
fn a_monitor_that_is_told_to_end_stops_its_machine_first() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    kill_process(Pid::from_child(&starting.monitor), Signal::TERM).unwrap();
    assert_eq!(peer.hear(), HostMessage::Stop { grace_ms: None });
    peer.end(End::Code(0));
    wait_for(starting.monitor);
}

#[test]
fn files_are_copied_both_ways() {
    let host = Host::new();
    let sealed = &host.sealed;
    std::fs::write(sealed.path().join("file"), "text").unwrap();
    let (mut peer, starting) = detached(&host, "shop");
    let playing = std::thread::spawn(move || {
        // First it is asked what the destination is, which is nothing yet.
        let HostMessage::Pack { command, path } = peer.hear() else {
            panic!("it is not asked for");
        };
        assert_eq!(path, "/tmp/copy");
        peer.say(&MachineMessage::CommandFailed {
            command,
            reason: "there is no /tmp/copy".to_owned(),
            code: 125,
        });
        let HostMessage::Unpack { command, path } = peer.hear() else {
            panic!("it is not sent");
        };
        assert_eq!(path, "/tmp");
        let archive = peer.read_to_end(streams_of(command).stdin);
        peer.say(&MachineMessage::CommandEnded {
            command,
            how: End::Code(0),
        });
        // What was sent is sent back.
        let HostMessage::Pack { command, .. } = peer.hear() else {
            panic!("it is not fetched");
        };
        peer.write(streams_of(command).stdout, &archive);
        peer.say(&MachineMessage::CommandEnded {
            command,
            how: End::Code(0),
        });
        let HostMessage::Pack { command, .. } = peer.hear() else {
            panic!("it is not fetched");
        };
        peer.say(&MachineMessage::CommandFailed {
            command,
            reason: "there is no /tmp/nothing".to_owned(),
            code: 125,
        });
        peer
    });
    assert_eq!(sealed.run(&["cp", "file", "shop:/tmp/copy"]), quiet(""));
    assert_eq!(sealed.run(&["cp", "shop:/tmp/copy", "."]), quiet(""));
    assert_eq!(std::fs::read(sealed.path().join("copy")).unwrap(), b"text");
    let said = sealed.run(&["cp", "shop:/tmp/nothing", "."]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (Some(1), "error: there is no /tmp/nothing\n")
    );
    let mut peer = playing.join().unwrap();
    peer.end(End::Code(0));
    wait_for(starting.monitor);
    assert_eq!(sealed.run(&["cp", "a", "b"]).code, Some(2));
    assert_eq!(sealed.run(&["cp", "shop:tmp", "b"]).code, Some(2));
}

#[test]
fn a_terminal_is_the_commands_own() {
    let host = Host::new();
    let (mut peer, starting) = detached(&host, "shop");
    // script(1) gives a terminal of its own to what it runs.
    let nodeos = env!("CARGO_BIN_EXE_nodeos");
    let mut child = Command::new("script")
        .args([
            "-qec",
            &format!("stty cols 90 rows 33; {nodeos} exec -it shop node"),
            "/dev/null",
        ])
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("TERM", "xterm")])
        .env("HOME", host.sealed.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let HostMessage::Run {
        command, terminal, ..
    } = peer.hear()
    else {
        panic!("it is not a command");
    };
    let terminal = terminal.unwrap();
    assert_eq!(
        (terminal.columns, terminal.rows, terminal.term.as_str()),
        (90, 33, "xterm")
    );
    peer.write(streams_of(command).stdout, b"> ");
    let mut shown = child.stdout.take().unwrap();
    let mut prompt = [0; 2];
    shown.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"> ");
    // Ctrl-C is a key like any other, and no signal.
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    assert_eq!(peer.next(), Frame::data(streams_of(command).stdin, b"\x03"));
    peer.say(&MachineMessage::CommandEnded {
        command,
        how: End::Code(5),
    });
    assert_eq!(child.wait().unwrap().code(), Some(5));
    peer.end(End::Code(0));
    wait_for(starting.monitor);
}
