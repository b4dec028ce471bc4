//! What a network service needs to be tested: a link with somebody at its other end, and the service itself.
//!
//! Both ends of the link are in this machine. The service has the end `cN`, a server the end `sN` with the address
//! 10.77.N.1. The kernel is told to believe its own addresses from outside.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Encodable};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use nodeos_network::address::{self, Address};
use nodeos_network::link::{self, Kind, Link};
use nodeos_network::netlink::Netlink;
use rustix::process::{Pid, Signal, kill_process};
use socket2::SockRef;
use tempfile::TempDir;

/// The longest that anything may take: emulated machines are slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// A pair of ends.
pub(crate) struct Wire {
    pub(crate) number: u8,
    pub(crate) netlink: Netlink,
}

impl Wire {
    pub(crate) fn new(number: u8) -> Wire {
        let mut netlink = Netlink::open().unwrap();
        let links = link::list(&mut netlink).unwrap();
        let has_card = links
            .iter()
            .any(|link| matches!(link.kind, Kind::Ethernet { .. }));
        assert!(
            !has_card,
            "this test changes the network of its machine: cargo xtask guest-test gives it one of its own"
        );
        let mut peer = LinkMessage::default();
        let name = LinkAttribute::IfName(format!("s{number}"));
        peer.attributes.push(name);
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(format!("c{number}")),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        netlink
            .change(
                RouteNetlinkMessage::NewLink(message),
                NLM_F_CREATE | NLM_F_EXCL,
            )
            .unwrap();
        let mut wire = Wire { number, netlink };
        for end in [wire.client(), wire.server()] {
            let path = format!("/proc/sys/net/ipv4/conf/{}/accept_local", end.name);
            fs::write(path, "1").unwrap();
        }
        let index = wire.server().index;
        link::set_up(&mut wire.netlink, index).unwrap();
        wire.add_address(index, &format!("{}/24", server_address(number)), None);
        wire
    }

    pub(crate) fn client(&mut self) -> Link {
        self.end('c')
    }

    pub(crate) fn server(&mut self) -> Link {
        self.end('s')
    }

    fn end(&mut self, which: char) -> Link {
        let name = format!("{which}{}", self.number);
        let links = link::list(&mut self.netlink).unwrap();
        links.into_iter().find(|link| link.name == name).unwrap()
    }

    pub(crate) fn add_address(&mut self, index: u32, net: &str, lifetime: Option<Duration>) {
        let address = Address {
            index,
            net: net.parse().unwrap(),
            lifetime,
        };
        address::set_address(&mut self.netlink, &address).unwrap();
    }

    /// The client's addresses that are not the kernel's own idea.
    pub(crate) fn addresses(&mut self) -> Vec<String> {
        let index = self.client().index;
        let addresses = address::addresses(&mut self.netlink).unwrap();
        addresses
            .iter()
            .filter(|address| address.index == index)
            .map(|address| address.net.to_string())
            .filter(|net| !net.starts_with("fe80:"))
            .collect()
    }

    /// The client's routes, but for those that come with an address.
    pub(crate) fn routes(&mut self) -> Vec<String> {
        let index = self.client().index;
        let routes = address::routes(&mut self.netlink, index).unwrap();
        routes
            .iter()
            .filter(|route| route.origin != address::Origin::Other)
            .map(|route| match route.gateway {
                Some(gateway) => format!("{} by {gateway}", route.destination),
                None => route.destination.to_string(),
            })
            .collect()
    }

    /// Switches an end on or off; the other one sees it as a cable that is put in or pulled.
    pub(crate) fn switch(&mut self, index: u32, flags: LinkFlags) {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        self.netlink
            .change(RouteNetlinkMessage::SetLink(message), 0)
            .unwrap();
    }

    pub(crate) fn remove(mut self) {
        let mut message = LinkMessage::default();
        message.header.index = self.client().index;
        self.netlink
            .change(RouteNetlinkMessage::DelLink(message), 0)
            .unwrap();
    }
}

pub(crate) fn server_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, number, 1)
}

/// A gateway, which is nobody: the kernel takes none of its own addresses for one.
pub(crate) fn router_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, number, 9)
}

/// What a DHCP server lends, and whether it does.
pub(crate) struct Terms {
    pub(crate) address: Ipv4Addr,
    /// The lease, T1 and T2, in seconds.
    pub(crate) times: [u32; 3],
    pub(crate) options: Vec<DhcpOption>,
    pub(crate) refuses_requests: bool,
}

/// A DHCP server, which tells what it is asked.
pub(crate) struct DhcpServer {
    pub(crate) terms: Arc<Mutex<Terms>>,
    asked: Receiver<(Message, SocketAddr)>,
}

impl DhcpServer {
    pub(crate) fn start(number: u8, times: [u32; 3]) -> DhcpServer {
        let terms = Arc::new(Mutex::new(Terms {
            address: Ipv4Addr::new(10, 77, number, 50),
            times,
            options: Vec::new(),
            refuses_requests: false,
        }));
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_broadcast(true).unwrap();
        let name = format!("s{number}");
        socket.bind_device(Some(name.as_bytes())).unwrap();
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67));
        socket.bind(&any.into()).unwrap();
        let socket = UdpSocket::from(socket);
        let (tell, asked) = mpsc::channel();
        let shared = Arc::clone(&terms);
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let message = Message::from_bytes(&buffer[..length]).unwrap();
                let answer = answer(&message, server_address(number), &shared.lock().unwrap());
                if tell.send((message, from)).is_err() {
                    return;
                }
                let Some(answer) = answer else {
                    continue;
                };
                let to = match answer.ciaddr() {
                    Ipv4Addr::UNSPECIFIED => Ipv4Addr::BROADCAST,
                    address => address,
                };
                // While a plug is pulled, nothing can be sent.
                let _ = socket.send_to(&answer.to_vec().unwrap(), (to, 68));
            }
        });
        DhcpServer { terms, asked }
    }

    /// The next message, which is of this kind.
    pub(crate) fn expect(&self, kind: MessageType) -> (Message, SocketAddr) {
        let (message, from) = self.next();
        assert_eq!(message.opts().msg_type(), Some(kind), "{message:?}");
        (message, from)
    }

    /// The next message.
    pub(crate) fn next(&self) -> (Message, SocketAddr) {
        let deadline = "a message comes from the client in time";
        self.asked.recv_timeout(DEADLINE).expect(deadline)
    }
}

fn answer(asked: &Message, server: Ipv4Addr, terms: &Terms) -> Option<Message> {
    let wrong = match asked.opts().get(OptionCode::RequestedIpAddress) {
        Some(DhcpOption::RequestedIpAddress(address)) => *address != terms.address,
        _ => false,
    };
    let kind = match asked.opts().msg_type()? {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request if terms.refuses_requests || wrong => MessageType::Nak,
        MessageType::Request => MessageType::Ack,
        _ => return None,
    };
    let none = Ipv4Addr::UNSPECIFIED;
    let mut answer = Message::new_with_id(
        asked.xid(),
        asked.ciaddr(),
        none,
        none,
        none,
        asked.chaddr(),
    );
    answer.set_opcode(Opcode::BootReply);
    let options = answer.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(server));
    if kind == MessageType::Nak {
        options.insert(DhcpOption::Message("not any more".to_owned()));
        return Some(answer);
    }
    let [lease, t1, t2] = terms.times;
    options.insert(DhcpOption::AddressLeaseTime(lease));
    options.insert(DhcpOption::Renewal(t1));
    options.insert(DhcpOption::Rebinding(t2));
    options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
    options.insert(DhcpOption::Router(vec![router_address(server.octets()[2])]));
    for option in &terms.options {
        options.insert(option.clone());
    }
    answer.set_yiaddr(terms.address);
    Some(answer)
}

/// The service, with files of its own.
pub(crate) struct Service {
    root: TempDir,
    child: Option<Child>,
    lines: Option<Receiver<String>>,
}

impl Service {
    /// With a text for its network.json; it does not run yet.
    pub(crate) fn new(config: &str) -> Service {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/network.json"), config).unwrap();
        Service {
            root,
            child: None,
            lines: None,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_network"));
        command.arg("--root").arg(self.root.path());
        command
    }

    pub(crate) fn start(&mut self) {
        let mut child = self.command().stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // What is said when nobody listens any more.
                let _ = tell.send(line);
            }
        });
        self.child = Some(child);
        self.lines = Some(lines);
    }

    /// Runs it with `--once`, and returns what it says.
    pub(crate) fn run_once(&self) -> (ExitStatus, String) {
        let output = self.command().arg("--once").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status, said)
    }

    /// The next line that it says, which is this one.
    pub(crate) fn expect(&self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    pub(crate) fn line(&self) -> String {
        let lines = self.lines.as_ref().expect("the service runs");
        lines
            .recv_timeout(DEADLINE)
            .expect("the service says something in time")
    }

    /// Ends it with a signal, and returns how it ended.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.child.take().expect("the service runs");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let end = Instant::now() + DEADLINE;
        // Standard error ends with the program.
        let lines = self.lines.take().expect("the service runs");
        while lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        child.wait().unwrap()
    }

    /// A file that it has written.
    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(Path::new(path))).unwrap()
    }

    pub(crate) fn status(&self) -> String {
        let output = self.command().arg("--status").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A server of UDP that answers by a rule, at the server's end of a wire.
pub(crate) fn answer_udp(
    number: u8,
    port: u16,
    mut rule: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) {
    let address = IpAddr::V4(server_address(number));
    let socket = UdpSocket::bind((address, port)).unwrap();
    // A server of this machine is heard over its loopback interface.
    assert!(SockRef::from(&socket).device().unwrap().is_none());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for answer in rule(&buffer[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
}
