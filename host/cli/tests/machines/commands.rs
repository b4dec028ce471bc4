//! Commands beside the application, and files that are copied.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nodeos::machines::connection::{self};
use nodeos::machines::protocol::ClientMessage;
use nodeos_spec::application::flow::WINDOW;
use nodeos_spec::application::frame::{Frame, MAX_PAYLOAD, streams_of};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage, Stats};

use crate::common::Said;
use crate::hands::{detached, quiet};
use crate::peer::{Host, wait_for};

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
