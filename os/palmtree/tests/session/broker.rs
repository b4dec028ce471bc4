//! Services with capabilities, and a broker that the test plays itself.

use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;

use nodeos_spec::broker::{MAX_MESSAGE, Reply, Request};
use nodeos_spec::control::State;
use rustix::cmsg_space;
use rustix::fd::OwnedFd;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags,
    SocketAddrUnix, SocketType,
};
use rustix::process;

use crate::harness::{Session, entry};

const CAPABILITIES: &str = r#", "capabilities": ["net_admin"], "restart": "never""#;

/// The next request, and the descriptors that come with it.
fn receive(palmtree: &OwnedFd) -> (Request, Vec<OwnedFd>) {
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = net::recvmsg(
        palmtree,
        &mut [std::io::IoSliceMut::new(&mut buffer)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let fds = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        })
        .collect();
    (Request::parse(&buffer[..message.bytes]).unwrap(), fds)
}

fn reply(palmtree: &OwnedFd, reply: &Reply) {
    net::send(palmtree, &reply.to_packet(), SendFlags::empty()).unwrap();
}

/// For root. Who is not root is told that capabilities are root's.
#[test]
fn services_with_capabilities_are_the_brokers_to_start_and_to_signal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.sock");
    let broker = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    net::bind(&broker, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    net::listen(&broker, 1).unwrap();
    let session = Session::start_in(folder, &[entry("net", "wait net", CAPABILITIES)]);
    if !process::geteuid().is_root() {
        let refused = session.refused("start net");
        assert!(
            refused.contains("\"net\": capabilities are for root's services"),
            "{refused}"
        );
        return;
    }

    let palmtree = net::accept(&broker).unwrap();
    let (request, fds) = receive(&palmtree);
    let Request::StartService {
        name, capabilities, ..
    } = request
    else {
        panic!("{request:?}");
    };
    assert_eq!(
        (name.as_str(), capabilities[0].name()),
        ("net", "net_admin")
    );
    let [stdout, stderr] = <[OwnedFd; 2]>::try_from(fds).unwrap().map(File::from);
    reply(&palmtree, &Reply::Started { pid: 4711 });
    (&stdout).write_all(b"from the broker's child\n").unwrap();
    (&stderr).write_all(b"and its errors\n").unwrap();
    session.wait_for_log("net", "and its errors", 1);
    let state = session.state("net");
    assert_eq!((state.state, state.pid), (State::Running, Some(4711)));

    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| session.done("stop net"));
        let (request, _) = receive(&palmtree);
        let expected = Request::StopService {
            name: "net".to_owned(),
            signal: 15,
        };
        assert_eq!(request, expected);
        reply(&palmtree, &Reply::Done);
        let exited = Reply::Exited {
            name: "net".to_owned(),
            code: None,
            signal: Some(15),
        };
        reply(&palmtree, &exited);
        stopped.join().unwrap();
    });
    assert_eq!(session.state("net").state, State::Stopped);

    // The broker refuses.
    std::thread::scope(|scope| {
        let started = scope.spawn(|| session.refused("start net"));
        let palmtree = net::accept(&broker).unwrap();
        receive(&palmtree);
        let failed = Reply::Failed {
            message: "no".to_owned(),
        };
        reply(&palmtree, &failed);
        assert_eq!(started.join().unwrap(), "error: cannot start net: no\n");
    });
}

#[test]
fn without_a_broker_a_service_with_capabilities_says_what_is_missing() {
    if !process::geteuid().is_root() {
        return;
    }
    let session = Session::start(&[entry("net", "wait net", CAPABILITIES)]);
    let state = session.state("net");
    assert_eq!(state.state, State::Failed);
    let expected = format!(
        "cannot reach the session broker at {}: No such file or directory",
        session.paths.broker.display()
    );
    assert_eq!(state.last_exit, Some(expected));
}
