//! A machine in the background, and what it has written.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nodeos::machines::record::{Mode, now_ms};
use nodeos_spec::application::frame::{Frame, STREAMS};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};

use crate::common::Said;
use crate::hands::{detached, quiet, state};
use crate::peer::{Host, Peer, until, wait_for};

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
    is_kept(&peer, b"last\n\n");
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

/// Waits until the log ends so.
fn is_kept(peer: &Peer, end: &[u8]) {
    let log = peer.folder.file("log");
    let ends = || fs::read(&log).ok().filter(|log| log.ends_with(end));
    until("it is kept", ends);
}

/// A log with a record before a time, and some after. That time, as RFC 3339 has it.
fn in_two_parts(peer: &mut Peer) -> String {
    peer.write(STREAMS.stdout, b"before\n");
    is_kept(peer, b"before\n\n");
    let kept = now_ms();
    let between = until("time goes on", || Some(now_ms()).filter(|now| *now > kept));
    peer.write(STREAMS.stdout, b"af\0");
    peer.write(STREAMS.stdout, b"ter\nlast\n");
    peer.write(STREAMS.stderr, b"bad\n");
    is_kept(peer, b"bad\n\n");
    let between = i64::try_from(between).unwrap();
    let between = jiff::Timestamp::from_millisecond(between).unwrap();
    between.to_string()
}

#[test]
fn a_log_is_shown_from_a_time_on_and_lines_with_their_times() {
    let host = Host::new();
    let sealed = &host.sealed;
    let (mut peer, starting) = detached(&host, "shop");
    let between = in_two_parts(&mut peer);
    let said = |out: &str, err: &str| Said {
        err: err.to_owned(),
        ..quiet(out)
    };
    let since = |words: &[&str]| sealed.run(&[&["logs", "shop", "--since"], words].concat());
    assert_eq!(since(&["1h"]), said("before\naf\0ter\nlast\n", "bad\n"));
    assert_eq!(since(&[&between]), said("af\0ter\nlast\n", "bad\n"));
    assert_eq!(since(&[&between, "-n2"]), said("last\n", "bad\n"));
    assert_eq!(since(&["2999-01-01"]), quiet(""));
    let wrong = since(&["soon"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("expected a time span such as 10m"),
        "{wrong:?}"
    );

    let said = since(&[&between, "--timestamps"]);
    let times: Vec<(&str, &str)> = (said.out.lines().chain(said.err.lines()))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let lines: Vec<&str> = times.iter().map(|(_, line)| *line).collect();
    assert_eq!(lines, ["af\0ter", "last", "bad"]);
    // They can be given to --since, and mean the lines that they stand before.
    let (time, _) = times[0];
    assert_eq!(since(&[time]).out, "af\0ter\nlast\n");

    let mut command = sealed.command(&["logs", "-f", "--since", &between, "shop"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    peer.write(STREAMS.stdout, b"more\n");
    peer.end(End::Code(0));
    let shown = child.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8(shown).unwrap(), "af\0ter\nlast\nmore\n");
    wait_for(starting.monitor);
}

#[test]
fn a_machine_is_shown_as_what_its_application_does_now() {
    let host = Host::new();
    let sealed = &host.sealed;
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let becomes = |expected: &str| {
        let expected = format!("shop {expected}");
        until(&expected, || (state(sealed, &[]) == expected).then_some(()));
    };
    let ended = |again_in_ms| MachineMessage::Ended {
        how: End::Code(3),
        out_of_memory: false,
        memory_peak: 2,
        memory_limit: 1,
        again_in_ms: Some(again_in_ms),
    };
    peer.say(&MachineMessage::Started);
    peer.say(&MachineMessage::Ready { port: 3000 });
    becomes("ready");
    peer.say(&ended(600_000));
    becomes("restarting");
    let table = sealed.run(&["ps"]).out;
    assert!(
        table.contains("\nshop  exit code 3, restarts in "),
        "{table}"
    );
    peer.say(&MachineMessage::Started);
    becomes("running");
    peer.say(&MachineMessage::Ready { port: 3000 });
    becomes("ready");
    peer.say(&MachineMessage::Rests {
        how: End::Signal(9),
        out_of_memory: true,
        memory_peak: 2,
        memory_limit: 1,
    });
    becomes("waiting");
    let table = sealed.run(&["ps"]).out;
    let expected = "\nshop  SIGKILL, out of memory, waits for a change  ";
    assert!(table.contains(expected), "{table}");
    peer.end(End::Code(3));
    wait_for(starting.monitor);
}
