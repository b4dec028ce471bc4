//! [`Lookup`]: the addresses of a name, asked of the network's name servers.
//!
//! It decides what to ask whom and reads the answers; sending and waiting is the business of [`crate::timekeeper`]. There is
//! no cache and no search list: only the service itself asks, and seldom.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use thiserror::Error;

/// The port of name servers.
const PORT: u16 = 53;
/// How long a server may take.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How often all servers are asked.
const ROUNDS: usize = 2;
/// What is asked for, in this order: the second only where there is none of the first.
const TYPES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupError {
    #[error("{name} cannot be the name of a machine")]
    Name { name: String },
    #[error("no name server answers")]
    Silence,
    #[error("{name} has no address")]
    NoAddress { name: String },
}

/// One name being looked up.
#[derive(Debug)]
pub struct Lookup {
    name: Name,
    servers: Vec<IpAddr>,
    /// Which of [`TYPES`] is asked for.
    kind: usize,
    /// Queries sent for it.
    sent: usize,
    id: u16,
}

/// What an answer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Found(Vec<IpAddr>),
    /// The next query is to be sent.
    Next,
    /// It is not an answer to the query: the wait goes on.
    Ignored,
}

impl Lookup {
    pub fn new(name: &str, servers: Vec<IpAddr>) -> Result<Lookup, LookupError> {
        let wrong = |_| LookupError::Name {
            name: name.to_owned(),
        };
        let mut name = Name::from_ascii(name).map_err(wrong)?;
        name.set_fqdn(true);
        Ok(Lookup {
            name,
            servers,
            kind: 0,
            sent: 0,
            id: 0,
        })
    }

    /// The next query, with an unpredictable number, and whom to ask.
    pub fn next(&mut self, id: u16) -> Result<(SocketAddr, Vec<u8>), LookupError> {
        let kind = TYPES.get(self.kind).ok_or_else(|| LookupError::NoAddress {
            name: self.name.to_ascii(),
        })?;
        if self.sent >= ROUNDS * self.servers.len() {
            return Err(LookupError::Silence);
        }
        let server = self.servers[self.sent % self.servers.len()];
        self.sent += 1;
        self.id = id;
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), *kind));
        let bytes = message.to_vec().map_err(|_| LookupError::Name {
            name: self.name.to_ascii(),
        })?;
        Ok((SocketAddr::new(server, PORT), bytes))
    }

    /// Reads what came from the server that was asked last.
    pub fn read(&mut self, bytes: &[u8]) -> Progress {
        let Ok(message) = Message::from_vec(bytes) else {
            return Progress::Ignored;
        };
        let is_ours = message.metadata.id == self.id
            && message.metadata.message_type == MessageType::Response
            && matches!(&message.queries[..], [query] if query.name().eq_ignore_root(&self.name)
                && Some(&query.query_type()) == TYPES.get(self.kind));
        if !is_ours {
            return Progress::Ignored;
        }
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            // There is no such name, of whatever type.
            ResponseCode::NXDomain => {
                self.kind = TYPES.len();
                return Progress::Next;
            }
            // This server cannot tell; another one may.
            _ => return Progress::Next,
        }
        // The name itself may be another one's alias; servers send the whole way to the addresses.
        let addresses: Vec<IpAddr> = message
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            })
            .collect();
        if addresses.is_empty() {
            self.kind += 1;
            self.sent = 0;
            return Progress::Next;
        }
        Progress::Found(addresses)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, CNAME};

    use super::*;
    use crate::random::Random;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn lookup(servers: &[&str]) -> Lookup {
        let servers = servers.iter().map(|server| server.parse().unwrap());
        Lookup::new("time.example", servers.collect()).unwrap()
    }

    fn answer(query: &[u8], records: Vec<Record>) -> Message {
        let query = Message::from_vec(query).unwrap();
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_queries(query.queries);
        answer.add_answers(records);
        answer
    }

    fn record(name: &str, data: RData) -> Record {
        Record::from_rdata(Name::from_ascii(name).unwrap(), 60, data)
    }

    #[test]
    fn an_alias_is_followed_to_its_addresses() {
        let mut lookup = lookup(&["10.0.0.1"]);
        let (to, query) = lookup.next(7).unwrap();
        assert_eq!(to, "10.0.0.1:53".parse().unwrap());
        let alias = Name::from_ascii("clock.example.").unwrap();
        let records = vec![
            record("time.example.", RData::CNAME(CNAME(alias))),
            record("clock.example.", RData::A(A(ADDRESS))),
        ];
        let bytes = answer(&query, records).to_vec().unwrap();
        let found = Progress::Found(vec![IpAddr::V4(ADDRESS)]);
        assert_eq!(lookup.read(&bytes), found);
    }

    #[test]
    fn answers_to_other_questions_are_ignored() {
        let mut lookup = lookup(&["10.0.0.1"]);
        let (_, query) = lookup.next(7).unwrap();
        let right = answer(&query, vec![record("time.example.", RData::A(A(ADDRESS)))]);
        let mut wrong_id = right.clone();
        wrong_id.metadata.id = 8;
        let mut no_response = right.clone();
        no_response.metadata.message_type = MessageType::Query;
        let mut wrong_name = right.clone();
        let other = Name::from_ascii("other.example.").unwrap();
        wrong_name.queries[0].set_name(other);
        let mut wrong_type = right.clone();
        wrong_type.queries[0].set_query_type(RecordType::MX);
        for message in [wrong_id, no_response, wrong_name, wrong_type] {
            let bytes = message.to_vec().unwrap();
            assert_eq!(lookup.read(&bytes), Progress::Ignored);
        }
        assert_eq!(lookup.read(b"nonsense"), Progress::Ignored);
    }

    #[test]
    fn every_server_is_asked_twice() {
        let mut lookup = lookup(&["10.0.0.1", "10.0.0.2"]);
        let asked: Vec<String> = (0..4)
            .map(|id| lookup.next(id).unwrap().0.ip().to_string())
            .collect();
        assert_eq!(asked, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]);
        assert_eq!(lookup.next(4), Err(LookupError::Silence));
        assert_eq!(
            super::Lookup::new("a", Vec::new()).unwrap().next(1),
            Err(LookupError::Silence)
        );
    }

    #[test]
    fn a_name_without_addresses_of_one_version_is_asked_for_the_other() {
        let mut lookup = lookup(&["10.0.0.1"]);
        for (id, kind) in [(1, RecordType::A), (2, RecordType::AAAA)] {
            let (_, query) = lookup.next(id).unwrap();
            let asked = Message::from_vec(&query).unwrap();
            assert_eq!(asked.queries[0].query_type(), kind);
            let bytes = answer(&query, Vec::new()).to_vec().unwrap();
            assert_eq!(lookup.read(&bytes), Progress::Next);
        }
        let name = "time.example.".to_owned();
        assert_eq!(lookup.next(3), Err(LookupError::NoAddress { name }));
    }

    #[test]
    fn a_name_that_does_not_exist_is_not_asked_for_again() {
        let mut lookup = lookup(&["10.0.0.1", "10.0.0.2"]);
        let (_, query) = lookup.next(1).unwrap();
        let mut message = answer(&query, Vec::new());
        message.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(lookup.read(&message.to_vec().unwrap()), Progress::Next);
        assert!(matches!(lookup.next(2), Err(LookupError::NoAddress { .. })));
    }

    #[test]
    fn no_answer_whatever_is_in_it_does_harm() {
        let mut lookup = lookup(&["10.0.0.1"]);
        let (_, query) = lookup.next(1).unwrap();
        let whole = answer(&query, vec![record("time.example.", RData::A(A(ADDRESS)))])
            .to_vec()
            .unwrap();
        let mut random = Random::from_seed(9);
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random.next_u32() % 6 {
                let at = random.next_u32() as usize % bytes.len();
                bytes[at] = random.next_u32() as u8;
            }
            bytes.truncate(random.next_u32() as usize % (2 * bytes.len()));
            let _ = lookup.read(&bytes);
        }
    }
}
