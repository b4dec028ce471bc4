//! Who survives whom, and names.

use std::io::{Read, Write};
use std::path::Path;

use nodeos::machines::connection::{self, Frames};
use nodeos::machines::find;
use nodeos::machines::protocol::{ClientMessage, Ending, MonitorMessage};
use nodeos::machines::record::Mode;
use nodeos::machines::state::StateError;
use nodeos_spec::application::frame::{Frame, STREAMS};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};
use rustix::process::{Pid, Signal, kill_process};

use crate::hands::{attend, detached, quiet, state};
use crate::peer::{Host, SOON, until, wait_for};

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
fn of_many_who_want_a_name_at_once_one_has_it() {
    let host = Host::new();
    // What an ended machine has left is in the way of none of them.
    let (mut peer, starting) = detached(&host, "shop");
    let name = starting.name.clone();
    peer.end(End::Code(0));
    wait_for(starting.monitor);
    for _ in 0..50 {
        let claim = || host.machines().claim(&name);
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            // Who looks takes nothing from anybody.
            let seen = find::all(&host.machines()).unwrap();
            assert!(seen.iter().all(|known| !known.was_lost));
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (mut taken, refused): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
        assert_eq!((taken.len(), refused.len()), (1, 7));
        for error in refused {
            assert_eq!(
                error.unwrap_err().to_string(),
                "a machine named shop runs already"
            );
        }
        taken.pop().unwrap().unwrap().give_up();
        assert_eq!(host.machines().list().unwrap().len(), 0);
    }
}

#[test]
fn a_machine_whose_volume_cannot_grow_ends_in_words() {
    let host = Host::new();
    let volume = host.sealed.path().join("shop.img");
    std::fs::write(&volume, "").unwrap();
    let volumes = [host.sealed.path().join("other.img"), volume.clone()];
    std::fs::write(&volumes[0], "").unwrap();
    let (mut peer, starting) = host.start_having("shop", Mode::Foreground, &volumes);
    let mut qemu = peer.qemu();
    peer.say(&MachineMessage::Started);
    let event = r#"{"event": "BLOCK_IO_ERROR", "data": {"device": "disk1", "nospace": true, "action": "stop"}}"#;
    // In two parts, after something else.
    let (begin, rest) = event.split_at(20);
    qemu.write_all(b"{\"QMP\": {}}\r\n{\"return\": {}}\r\n")
        .unwrap();
    qemu.write_all(begin.as_bytes()).unwrap();
    let mut asked = [0; 31];
    qemu.read_exact(&mut asked).unwrap();
    assert_eq!(asked, *b"{\"execute\":\"qmp_capabilities\"}\n");
    qemu.write_all(format!("{rest}\r\n").as_bytes()).unwrap();
    let (ended, ..) = attend(starting);
    let report = ended.unwrap_err().report();
    let expected = format!(
        "error: the volume {} cannot grow: this host's disk is full\nhint: free some space in /",
        volume.display()
    );
    assert!(report.starts_with(&expected), "{report}");
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
