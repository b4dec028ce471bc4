//! The service sets the clock of the machine that runs this test, which is why it is alone in its machine.

mod peer;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use nodeos_network::{clock, ntp};

use peer::{Service, Wire, answer_udp, server_address};

/// What every machine of a guest test has, and no other.
const GUEST: &str = "/etc/guest.json";

/// How wrong the clock is, by what the server says.
const WRONG_BY: Duration = Duration::from_secs(100_000);

/// The name server knows one name.
fn name_server(query: &[u8]) -> Vec<Vec<u8>> {
    let query = Message::from_vec(query).unwrap();
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    let question = query.queries[0].clone();
    answer.add_query(question.clone());
    if question.name().to_ascii() != "time.lab.example." {
        answer.metadata.response_code = ResponseCode::NXDomain;
    } else if question.query_type() == RecordType::A {
        let address: Ipv4Addr = server_address(1);
        let data = RData::A(A(address));
        answer.add_answer(Record::from_rdata(question.name().clone(), 60, data));
    }
    vec![answer.to_vec().unwrap()]
}

/// The time server, by this machine's clock as it was at first and the time since then.
fn time_server(start: (Duration, Duration)) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    let (start, started) = start;
    move |question| {
        let now = start + (clock::now() - started) + WRONG_BY;
        // Unix time begins 2,208,988,800 seconds after NTP's.
        let seconds = now.as_secs() + 2_208_988_800;
        let timestamp = ((seconds & 0xffff_ffff) << 32)
            | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
        let mut answer = vec![0; ntp::LENGTH];
        answer[..2].copy_from_slice(&[0x24, 2]);
        answer[24..32].copy_from_slice(&question[40..48]);
        answer[32..40].copy_from_slice(&timestamp.to_be_bytes());
        answer[40..].copy_from_slice(&timestamp.to_be_bytes());
        let mut forgery = answer.clone();
        forgery[24] ^= 1;
        forgery[40] ^= 1;
        vec![forgery, answer]
    }
}

#[test]
fn a_wrong_clock_is_set_as_the_time_server_says() {
    assert!(
        Path::new(GUEST).exists(),
        "this test sets the clock of its machine: cargo xtask guest-test gives it one of its own"
    );
    let _wire = Wire::new(1);
    let (before, started) = (clock::unix(), clock::now());
    answer_udp(1, 53, name_server);
    answer_udp(1, ntp::PORT, time_server((before, started)));
    let mut service = Service::new(
        r#"{"nameservers": ["10.77.1.1"], "ntp": ["unknown.lab.example", "time.lab.example"],
            "interfaces": {"c1": {"address": "10.77.1.2/24"}}}"#,
    );
    service.start();
    service.expect("c1: 10.77.1.2/24 as configured");
    let line = service.line();
    let by = line
        .strip_prefix("time: set forward by ")
        .and_then(|rest| rest.strip_suffix(" s, as 10.77.1.1 says"))
        .unwrap_or_else(|| panic!("{line}"));
    assert!(["99999.9", "100000.0", "100000.1"].contains(&by), "{line}");
    let moved = clock::unix().saturating_sub(before + (clock::now() - started));
    assert!(
        moved.abs_diff(WRONG_BY) < Duration::from_secs(1),
        "{moved:?}"
    );
}
