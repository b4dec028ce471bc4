//! Tests of `Machine`: each state, each event, and times that are given, not waited for.

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Encodable};

use super::*;
use crate::dhcp::reply::tests::{client, reply};
use crate::lease::tests::lease;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn machine() -> Machine {
    Machine::new(client(), None, None, Random::from_seed(1))
}

/// The only message among the actions, and whom it is for.
fn sent(actions: &[Action]) -> (To, Message) {
    let sent: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send { to, message } => Some((*to, Message::from_bytes(message).unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 1, "{actions:?}");
    sent.into_iter().next().unwrap()
}

fn check_sent(actions: &[Action], expected_to: To, expected: MessageType) -> Message {
    let (to, message) = sent(actions);
    assert_eq!(to, expected_to);
    assert_eq!(message.opts().msg_type(), Some(expected));
    message
}

fn answer(machine: &mut Machine, kind: MessageType, now: Time) -> Vec<Action> {
    let bytes = reply(kind, machine.xid).to_vec().unwrap();
    machine.on(Event::Message(&bytes), now)
}

/// A machine that got its lease at once, asked for in the second 100.
fn bound() -> Machine {
    let mut machine = machine();
    machine.on(Event::Up, seconds(100));
    answer(&mut machine, MessageType::Offer, seconds(100));
    let actions = answer(&mut machine, MessageType::Ack, seconds(100));
    assert_eq!(actions, [Action::Configure(Box::new(lease()))]);
    assert_eq!(*machine.state(), State::Bound);
    machine
}

/// Lets the time pass until the machine wants to do something.
fn wait(machine: &mut Machine) -> (Time, Vec<Action>) {
    let now = machine.deadline().expect("it waits for a time");
    (now, machine.on(Event::Due, now))
}

#[test]
fn a_link_that_comes_up_is_searched_for_servers() {
    let mut machine = machine();
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.needs(), Socket::None);
    let actions = machine.on(Event::Up, seconds(1));
    let message = check_sent(&actions, To::Everybody, MessageType::Discover);
    assert_eq!(message.opts().get(OptionCode::RequestedIpAddress), None);
    assert_eq!(machine.needs(), Socket::Packet);
    assert_eq!(machine.on(Event::Up, seconds(1)), []);
}

#[test]
fn the_search_becomes_slower_and_says_once_that_nobody_answers() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    let mut last = seconds(0);
    let mut notices = 0;
    for expected in [4, 8, 16, 32, 64, 64, 64, 64] {
        let (now, actions) = wait(&mut machine);
        let waited = now - last;
        assert!(
            (seconds(expected - 1)..=seconds(expected + 1)).contains(&waited),
            "{waited:?}, not {expected} s"
        );
        last = now;
        let message = check_sent(&actions, To::Everybody, MessageType::Discover);
        assert_eq!(u64::from(message.secs()), now.as_secs());
        notices += actions.len() - 1;
    }
    assert_eq!(notices, 1);
}

#[test]
fn time_that_has_not_come_changes_nothing() {
    let mut machine = bound();
    assert_eq!(machine.on(Event::Due, seconds(200)), []);
    assert_eq!(*machine.state(), State::Bound);
}

#[test]
fn the_first_offer_is_asked_for() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    let actions = answer(&mut machine, MessageType::Offer, seconds(1));
    let message = check_sent(&actions, To::Everybody, MessageType::Request);
    let options = message.opts();
    assert_eq!(
        options.get(OptionCode::RequestedIpAddress),
        Some(&DhcpOption::RequestedIpAddress(lease().address.addr()))
    );
    assert_eq!(
        options.get(OptionCode::ServerIdentifier),
        Some(&DhcpOption::ServerIdentifier(lease().server))
    );
    assert_eq!(answer(&mut machine, MessageType::Offer, seconds(1)), []);
}

#[test]
fn a_server_that_does_not_keep_its_offer_is_given_up() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    answer(&mut machine, MessageType::Offer, seconds(0));
    for _ in 1..REQUESTS {
        let (_, actions) = wait(&mut machine);
        check_sent(&actions, To::Everybody, MessageType::Request);
    }
    let (_, actions) = wait(&mut machine);
    check_sent(&actions, To::Everybody, MessageType::Discover);
}

#[test]
fn only_the_chosen_server_can_grant_or_refuse_its_offer() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    answer(&mut machine, MessageType::Offer, seconds(0));
    let requesting = machine.state().clone();
    for kind in [MessageType::Ack, MessageType::Nak] {
        let mut message = reply(kind, machine.xid);
        let other = DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 0, 2, 66));
        message.opts_mut().insert(other);
        let bytes = message.to_vec().unwrap();
        assert_eq!(machine.on(Event::Message(&bytes), seconds(0)), []);
    }
    let mut other_address = reply(MessageType::Ack, machine.xid);
    other_address.set_yiaddr(Ipv4Addr::new(10, 0, 2, 16));
    let bytes = other_address.to_vec().unwrap();
    assert_eq!(machine.on(Event::Message(&bytes), seconds(0)), []);
    assert_eq!(*machine.state(), requesting);
}

#[test]
fn messages_of_another_exchange_change_nothing() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    let old = reply(MessageType::Offer, machine.xid.wrapping_add(1))
        .to_vec()
        .unwrap();
    assert_eq!(machine.on(Event::Message(&old), seconds(0)), []);
    assert_eq!(machine.on(Event::Message(b"nonsense"), seconds(0)), []);
    // Nobody has asked anything: an acknowledgement out of the blue, with whatever number.
    let mut machine = bound();
    assert_eq!(answer(&mut machine, MessageType::Ack, seconds(101)), []);
    assert_eq!(answer(&mut machine, MessageType::Nak, seconds(101)), []);
}

#[test]
fn the_time_of_a_lease_counts_from_the_request() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    answer(&mut machine, MessageType::Offer, seconds(10));
    answer(&mut machine, MessageType::Ack, seconds(13));
    let (_, end) = machine.lease().unwrap();
    assert_eq!(end, Some(seconds(10 + 86_400)));
    assert_eq!(machine.deadline(), Some(seconds(10 + 43_200)));
}

#[test]
fn at_t1_the_server_is_asked_for_more_time() {
    let mut machine = bound();
    let (now, actions) = wait(&mut machine);
    assert_eq!(now, seconds(100 + 43_200));
    let server = To::Server(lease().server);
    let message = check_sent(&actions, server, MessageType::Request);
    assert_eq!(message.ciaddr(), lease().address.addr());
    assert_eq!(message.opts().get(OptionCode::RequestedIpAddress), None);
    assert_eq!(message.opts().get(OptionCode::ServerIdentifier), None);
    assert_eq!(machine.needs(), Socket::Udp);
    let actions = answer(&mut machine, MessageType::Ack, now + seconds(1));
    assert_eq!(actions, [Action::Configure(Box::new(lease()))]);
    assert_eq!(machine.deadline(), Some(now + seconds(43_200)));
    assert_eq!(machine.needs(), Socket::None);
}

#[test]
fn requests_for_more_time_come_at_half_of_what_is_left() {
    let mut machine = bound();
    let (t1, _) = wait(&mut machine);
    let (next, actions) = wait(&mut machine);
    assert_eq!(next - t1, seconds(32_400 / 2));
    check_sent(&actions, To::Server(lease().server), MessageType::Request);
}

#[test]
fn at_t2_every_server_is_asked_and_at_the_end_the_address_is_given_up() {
    let mut machine = bound();
    let mut said = Vec::new();
    let mut last_to_everybody = None;
    loop {
        let (now, actions) = wait(&mut machine);
        for action in &actions {
            match action {
                Action::Say(notice) => said.push((now, notice.clone())),
                Action::Send {
                    to: To::Everybody, ..
                } => last_to_everybody = last_to_everybody.or(Some(now)),
                _ => {}
            }
        }
        if let [Action::Unconfigure(given_up), ..] = &actions[..] {
            assert_eq!(now, seconds(100 + 86_400));
            assert_eq!(**given_up, lease());
            let message = check_sent(&actions, To::Everybody, MessageType::Discover);
            assert_eq!(
                message.opts().get(OptionCode::RequestedIpAddress),
                Some(&DhcpOption::RequestedIpAddress(lease().address.addr()))
            );
            break;
        }
    }
    let t2 = seconds(100 + 75_600);
    assert_eq!(last_to_everybody, Some(t2));
    let server = lease().server;
    let address = lease().address.addr();
    let end = seconds(100 + 86_400);
    assert_eq!(
        said,
        [
            (t2, Notice::NotRenewed { server }),
            (end, Notice::Ended { address })
        ]
    );
    assert_eq!(machine.lease(), None);
}

#[test]
fn another_server_can_take_over_after_t2() {
    let mut machine = bound();
    while !matches!(machine.state(), State::Rebinding { .. }) {
        wait(&mut machine);
    }
    let mut message = reply(MessageType::Ack, machine.xid);
    let other = Ipv4Addr::new(10, 0, 2, 66);
    message
        .opts_mut()
        .insert(DhcpOption::ServerIdentifier(other));
    let bytes = message.to_vec().unwrap();
    machine.on(Event::Message(&bytes), seconds(80_000));
    assert_eq!(*machine.state(), State::Bound);
    assert_eq!(machine.lease().unwrap().0.server, other);
}

#[test]
fn a_refusal_takes_the_address_away_and_more_of_them_slow_the_client_down() {
    let mut machine = bound();
    let (now, _) = wait(&mut machine);
    let actions = answer(&mut machine, MessageType::Nak, now);
    let server = lease().server;
    let reason = None;
    assert_eq!(actions[0], Action::Unconfigure(Box::new(lease())));
    assert_eq!(actions[1], Action::Say(Notice::Refused { server, reason }));
    check_sent(&actions, To::Everybody, MessageType::Discover);
    let mut now = now;
    for expected in [2, 4, 8, 16, 32, 64, 64] {
        answer(&mut machine, MessageType::Offer, now);
        let actions = answer(&mut machine, MessageType::Nak, now);
        assert_eq!(actions.len(), 1, "{actions:?}");
        assert_eq!(machine.deadline(), Some(now + seconds(expected)));
        assert_eq!(machine.needs(), Socket::None);
        now = wait(&mut machine).0;
    }
}

#[test]
fn an_address_from_before_a_restart_is_asked_for_at_once() {
    let address = lease().address.addr();
    let new = || Machine::new(client(), Some(address), Some(address), Random::from_seed(1));
    let mut machine = new();
    let actions = machine.on(Event::Up, seconds(0));
    let message = check_sent(&actions, To::Everybody, MessageType::Request);
    assert_eq!(
        message.opts().get(OptionCode::RequestedIpAddress),
        Some(&DhcpOption::RequestedIpAddress(address))
    );
    assert_eq!(message.opts().get(OptionCode::ServerIdentifier), None);
    assert_eq!(message.ciaddr(), Ipv4Addr::UNSPECIFIED);
    answer(&mut machine, MessageType::Ack, seconds(0));
    assert_eq!(*machine.state(), State::Bound);

    let mut machine = new();
    machine.on(Event::Up, seconds(0));
    let actions = answer(&mut machine, MessageType::Nak, seconds(0));
    check_sent(&actions, To::Everybody, MessageType::Discover);

    let mut machine = new();
    machine.on(Event::Up, seconds(0));
    for _ in 1..REBOOT_REQUESTS {
        let (_, actions) = wait(&mut machine);
        check_sent(&actions, To::Everybody, MessageType::Request);
    }
    let (_, actions) = wait(&mut machine);
    check_sent(&actions, To::Everybody, MessageType::Discover);
}

#[test]
fn a_cable_that_is_plugged_in_again_leads_to_the_same_address() {
    let mut machine = bound();
    assert_eq!(machine.on(Event::Down, seconds(200)), []);
    assert!(machine.lease().is_some());
    let actions = machine.on(Event::Up, seconds(300));
    check_sent(&actions, To::Everybody, MessageType::Request);
    assert!(matches!(machine.state(), State::Rebooting { .. }));
    assert!(machine.lease().is_some());
}

#[test]
fn a_lease_ends_without_a_cable_too() {
    let mut machine = bound();
    machine.on(Event::Down, seconds(200));
    let (now, actions) = wait(&mut machine);
    assert_eq!(now, seconds(100 + 86_400));
    assert!(matches!(
        actions[..],
        [Action::Unconfigure(_), Action::Say(Notice::Ended { .. })]
    ));
    assert_eq!(machine.deadline(), None);
}

#[test]
fn the_old_address_stays_while_a_new_one_is_searched() {
    let mut machine = bound();
    machine.on(Event::Down, seconds(200));
    machine.on(Event::Up, seconds(300));
    while !matches!(machine.state(), State::Selecting { .. }) {
        let (_, actions) = wait(&mut machine);
        assert!(matches!(actions[..], [Action::Send { .. }]), "{actions:?}");
    }
    assert!(machine.lease().is_some());
}

#[test]
fn a_service_that_ends_gives_the_address_back() {
    let mut machine = bound();
    let actions = machine.on(Event::Stop, seconds(200));
    let message = check_sent(&actions, To::Server(lease().server), MessageType::Release);
    assert_eq!(message.ciaddr(), lease().address.addr());
    assert_eq!(actions[1], Action::Unconfigure(Box::new(lease())));
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.on(Event::Stop, seconds(200)), []);
}

#[test]
fn a_lease_for_ever_is_never_renewed() {
    let mut machine = machine();
    machine.on(Event::Up, seconds(0));
    for kind in [MessageType::Offer, MessageType::Ack] {
        let mut message = reply(kind, machine.xid);
        let for_ever = DhcpOption::AddressLeaseTime(u32::MAX);
        message.opts_mut().insert(for_ever);
        let bytes = message.to_vec().unwrap();
        machine.on(Event::Message(&bytes), seconds(0));
    }
    assert_eq!(*machine.state(), State::Bound);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn no_sequence_of_events_leads_to_nonsense() {
    let mut random = Random::from_seed(5);
    for round in 0..200 {
        let known = (round % 2 == 0).then(|| lease().address.addr());
        let mut machine = Machine::new(client(), known, None, Random::from_seed(round));
        let mut now = seconds(0);
        let mut configured = false;
        for _ in 0..200 {
            let kinds = [MessageType::Offer, MessageType::Ack, MessageType::Nak];
            let xid = if random.next_u32().is_multiple_of(4) {
                1
            } else {
                machine.xid
            };
            let kind = kinds[random.next_u32() as usize % kinds.len()];
            let bytes = reply(kind, xid).to_vec().unwrap();
            let event = match random.next_u32() % 6 {
                0 => Event::Up,
                1 if random.next_u32().is_multiple_of(4) => Event::Down,
                2 | 3 => {
                    now = machine.deadline().unwrap_or(now).max(now);
                    Event::Due
                }
                _ => Event::Message(&bytes),
            };
            for action in machine.on(event, now) {
                match action {
                    Action::Configure(_) => configured = true,
                    Action::Unconfigure(_) => {
                        assert!(configured);
                        configured = false;
                    }
                    _ => {}
                }
            }
            assert_eq!(machine.lease().is_some(), configured);
            if event == Event::Due {
                assert!(machine.deadline().is_none_or(|deadline| deadline > now));
            }
        }
    }
}
