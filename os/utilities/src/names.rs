//! The addresses of a name: `/etc/hosts`, then the name servers of `/etc/resolv.conf`. The C library, which would need files that
//! a static program cannot have, is not asked. There is no cache: a command lives for one transfer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use std::{fs, io};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

const HOSTS: &str = "/etc/hosts";
const SERVERS: &str = "/etc/resolv.conf";
/// The port of name servers.
const PORT: u16 = 53;
/// How long one server may take for one question.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often all servers are asked.
const ROUNDS: usize = 2;
/// The largest answer over UDP that any server sends unasked is 512 bytes; some send more.
const ANSWER: usize = 4096;
/// The resolver may give this many addresses to ureq.
const MOST: usize = 16;

/// Looks names up for ureq.
#[derive(Debug)]
pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default);
        let hosts = fs::read_to_string(HOSTS).unwrap_or_default();
        let servers = servers(&fs::read_to_string(SERVERS).unwrap_or_default());
        let addresses = match known(host, &hosts) {
            found if found.is_empty() => ask(host, &servers).map_err(ureq::Error::Io)?,
            found => found,
        };
        let mut result = self.empty();
        for address in addresses.into_iter().take(MOST) {
            result.push(SocketAddr::new(address, port));
        }
        if result.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(result)
    }
}

/// What needs no server: an address itself, this machine, a line of the hosts file.
fn known(host: &str, hosts: &str) -> Vec<IpAddr> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse() {
        return vec![address];
    }
    let mut found = Vec::new();
    for line in hosts.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if let Some(Ok(address)) = words.next().map(str::parse)
            && words.any(|name| name.eq_ignore_ascii_case(host))
        {
            found.push(address);
        }
    }
    // RFC 6761: this name never leaves the machine.
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    found
}

fn servers(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    });
    servers.collect()
}

/// Asks the servers in turn until one tells. IPv4 first: machines without IPv6 are more common than those without IPv4.
fn ask(host: &str, servers: &[IpAddr]) -> io::Result<Vec<IpAddr>> {
    let wrong = |_| io::Error::other(format!("{host} cannot be the name of a machine"));
    let mut name = Name::from_ascii(host).map_err(wrong)?;
    name.set_fqdn(true);
    if servers.is_empty() {
        return Err(io::Error::other(format!("{SERVERS} names no name server")));
    }
    let mut heard = false;
    for kind in [RecordType::A, RecordType::AAAA] {
        for server in servers.iter().cycle().take(ROUNDS * servers.len()) {
            match question(&name, kind, *server) {
                Ok(Some(addresses)) if addresses.is_empty() => {
                    heard = true;
                    break;
                }
                Ok(Some(addresses)) => return Ok(addresses),
                // Silence, nonsense, or a server that cannot tell: the next one.
                Ok(None) | Err(_) => {}
            }
        }
    }
    if heard {
        return Ok(Vec::new());
    }
    Err(io::Error::other("no name server answers"))
}

/// One question to one server; none if it cannot tell.
fn question(name: &Name, kind: RecordType, server: IpAddr) -> io::Result<Option<Vec<IpAddr>>> {
    let mut message = Message::query();
    message.metadata.message_type = MessageType::Query;
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let socket = UdpSocket::bind(match server {
        IpAddr::V4(_) => "0.0.0.0:0",
        IpAddr::V6(_) => "[::]:0",
    })?;
    // Connected: the kernel lets nobody else answer.
    socket.connect((server, PORT))?;
    socket.send(&bytes)?;
    let deadline = Instant::now() + PATIENCE;
    let mut answer = [0; ANSWER];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut answer)?;
        let Ok(answer) = Message::from_vec(&answer[..length]) else {
            continue;
        };
        let is_ours = answer.metadata.id == message.metadata.id
            && answer.metadata.message_type == MessageType::Response
            && matches!(&answer.queries[..], [query] if query.name().eq_ignore_root(name));
        if !is_ours {
            continue;
        }
        return Ok(match answer.metadata.response_code {
            ResponseCode::NoError => Some(addresses(&answer)),
            ResponseCode::NXDomain => Some(Vec::new()),
            _ => None,
        });
    }
}

fn addresses(answer: &Message) -> Vec<IpAddr> {
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_and_addresses_need_no_server() {
        let hosts = "127.0.0.1 localhost # us\n10.0.0.1 a b.example\n::1 localhost\nbad c\n";
        let check = |host: &str, expected: &[&str]| {
            let found: Vec<String> = known(host, hosts).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{host}");
        };
        check("B.example", &["10.0.0.1"]);
        check("localhost", &["127.0.0.1", "::1"]);
        check("[::1]", &["::1"]);
        check("1.2.3.4", &["1.2.3.4"]);
        check("c", &[]);
        assert_eq!(known("localhost", "").len(), 1);
    }

    #[test]
    fn servers_are_the_lines_that_say_so() {
        let text = "# nameserver 1.1.1.1\nnameserver 10.0.2.3\noptions x\nnameserver fe80::1\n";
        assert_eq!(servers(text).len(), 2);
    }
}
