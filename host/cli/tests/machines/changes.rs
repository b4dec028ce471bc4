//! An application that is changed and started again: who may have that done, and what of it is told.

use nodeos::machines::connection::{self, Frames};
use nodeos::machines::protocol::{ClientMessage, Ending, MonitorMessage};
use nodeos::machines::record::Mode;
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};

use crate::peer::{Host, SOON, wait_for};

const RESTS: MachineMessage = MachineMessage::Rests {
    how: End::Code(3),
    out_of_memory: false,
    memory_peak: 2,
    memory_limit: 1,
};

fn ended(how: End, again_in_ms: Option<u64>) -> MachineMessage {
    MachineMessage::Ended {
        how,
        out_of_memory: false,
        memory_peak: 2,
        memory_limit: 1,
        again_in_ms,
    }
}

#[test]
fn who_attends_to_an_application_starts_it_again_and_hears_no_more_than_that() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let connection = starting.connection.try_clone().unwrap();
    let mut frames = Frames::new(starting.connection);
    let mut next = || frames.next_message(SOON).unwrap().unwrap();
    let ready = MachineMessage::Ready { port: 3000 };
    peer.say(&MachineMessage::Started);
    peer.say(&ready);
    assert_eq!(next(), MonitorMessage::Started);
    assert!(matches!(next(), MonitorMessage::Ready { .. }));

    connection::say(&connection, &ClientMessage::Restart).unwrap();
    assert_eq!(peer.hear(), HostMessage::Restart);
    peer.say(&ended(End::Signal(15), Some(0)));
    peer.say(&MachineMessage::Started);
    peer.say(&ready);
    assert_eq!(next(), MonitorMessage::Started);
    assert!(matches!(next(), MonitorMessage::Ready { .. }));

    // One that is started again by itself is another matter.
    peer.say(&ended(End::Code(3), Some(0)));
    assert!(matches!(next(), MonitorMessage::Note { .. }));
    peer.say(&RESTS);
    match next() {
        MonitorMessage::Rests {
            ending: Ending::Application { how, .. },
        } => assert_eq!(how, End::Code(3)),
        other => panic!("{other:?}"),
    }
    // Nobody else may.
    let record = peer.folder.record().unwrap().unwrap();
    let other = peer.folder.connect(&record).unwrap().unwrap();
    connection::say(&other, &ClientMessage::Restart).unwrap();
    let update = ClientMessage::Update {
        remove: vec!["a.js".to_owned()],
    };
    connection::say(&other, &update).unwrap();
    let expected = HostMessage::Update {
        command: 1,
        remove: vec!["a.js".to_owned()],
    };
    assert_eq!(peer.hear(), expected);
    peer.end(End::Code(3));
    wait_for(starting.monitor);
}

#[test]
fn an_application_at_rest_ends_with_who_attended_to_it() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    peer.say(&MachineMessage::Started);
    peer.say(&RESTS);
    let mut frames = Frames::new(starting.connection.try_clone().unwrap());
    while !matches!(
        frames.next_message(SOON).unwrap(),
        Some(MonitorMessage::Rests { .. })
    ) {}
    drop(frames);
    drop(starting.connection);
    assert_eq!(peer.hear(), HostMessage::Stop { grace_ms: None });
    peer.end(End::Code(3));
    wait_for(starting.monitor);

    // The other way round.
    let (mut peer, starting) = host.start("blog", Mode::Foreground);
    peer.say(&MachineMessage::Started);
    let mut frames = Frames::new(starting.connection.try_clone().unwrap());
    assert_eq!(
        frames.next_message(SOON).unwrap(),
        Some(MonitorMessage::Started)
    );
    drop(frames);
    drop(starting.connection);
    while peer.next().stream == nodeos_spec::application::frame::MESSAGES {}
    peer.say(&RESTS);
    assert_eq!(peer.hear(), HostMessage::Stop { grace_ms: None });
    peer.end(End::Code(3));
    wait_for(starting.monitor);
}
