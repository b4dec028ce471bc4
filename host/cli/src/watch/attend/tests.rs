//! What is said of an application from change to change, and what follows for its machine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use nodeos_build::application::outline::Kind;
use nodeos_spec::application::message::End;

use super::*;

fn changed(name: &str) -> Report {
    Report::Changed {
        changes: Changes {
            changed: BTreeMap::from([(PathBuf::from(name), Kind::File { mode: 0o644 })]),
            removed: Vec::new(),
        },
        since: Instant::now(),
    }
}

fn runs(manner: Manner) -> Runs {
    let port = Port {
        address: Ipv4Addr::LOCALHOST,
        host: 8080,
        guest: 3000,
    };
    Runs::new(Some(port), manner)
}

fn rests(code: u8) -> MonitorMessage {
    MonitorMessage::Rests {
        ending: Ending::Application {
            how: End::Code(code),
            out_of_memory: false,
            memory_peak: 2,
            memory_limit: 1,
        },
    }
}

const READY: MonitorMessage = MonitorMessage::Ready { after_ms: 1500 };

/// What is said, in one word for each message.
fn said(runs: &mut Runs, messages: &[MonitorMessage]) -> Vec<String> {
    let texts = messages.iter().filter_map(|message| runs.learn(message));
    texts
        .map(|text| text.split(" in ").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_restart_is_over_when_it_listens_again() {
    let mut runs = runs(Manner::Plain);
    let first = said(&mut runs, &[MonitorMessage::Started, READY]);
    assert_eq!(first, ["ready: http://127.0.0.1:8080 after 1.5 s"]);
    assert_eq!(runs.follow(changed("a.js")), Some(ClientMessage::Restart));
    // The first run's, on its way when the second was asked for.
    assert_eq!(said(&mut runs, &[READY]), [""; 0]);
    let second = said(&mut runs, &[MonitorMessage::Started, READY, READY]);
    assert_eq!(second, ["changed: a.js; restarted"]);
}

#[test]
fn two_changes_at_once_are_told_once() {
    let mut runs = runs(Manner::Plain);
    said(&mut runs, &[MonitorMessage::Started, READY]);
    runs.follow(changed("a.js"));
    runs.follow(changed("b.js"));
    let told = said(&mut runs, &[MonitorMessage::Started, READY]);
    assert_eq!(told, ["changed: a.js, b.js; restarted"]);
}

#[test]
fn who_ends_by_itself_is_waited_for() {
    let mut runs = runs(Manner::Plain);
    let told = said(&mut runs, &[MonitorMessage::Started, rests(1)]);
    let text = "the application has ended with exit code 1; waiting for a change";
    assert_eq!(told, [text]);
    runs.follow(changed("a.js"));
    let told = said(&mut runs, &[MonitorMessage::Started, rests(1)]);
    assert_eq!(told, [format!("changed: a.js; {text}")]);
}

#[test]
fn nothing_follows_for_who_wants_it_to_end() {
    let mut runs = runs(Manner::Plain);
    said(&mut runs, &[MonitorMessage::Started]);
    runs.attended.answer(signal_hook::consts::SIGINT);
    assert_eq!(runs.follow(changed("a.js")), None);
}

#[test]
fn who_is_quiet_says_nothing_of_changes() {
    let mut runs = runs(Manner::Quiet);
    said(&mut runs, &[MonitorMessage::Started]);
    runs.follow(changed("a.js"));
    let told = said(&mut runs, &[MonitorMessage::Started, READY, rests(1)]);
    assert_eq!(told, [""; 0]);
}
