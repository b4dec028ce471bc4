//! A machine in the background, and what it has written.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nodeos::machines::record::Mode;
use nodeos_spec::application::frame::{Frame, STREAMS};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};

use crate::common::Said;
use crate::hands::{detached, quiet, state};
use crate::peer::{Host, until, wait_for};

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
