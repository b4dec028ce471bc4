//! What somebody says to the session broker who wants to confuse it: each packet, and what the broker answers.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nodeos_spec::broker::{MAX_MESSAGE, SOCKET};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recv, sendmsg, socket_with,
};

/// More than the broker takes from one session.
const CROWD: usize = 100;

/// Sends everything, each over a connection of its own.
pub fn all(out: &mut dyn Write) -> io::Result<()> {
    let long = vec![b'x'; MAX_MESSAGE + 1];
    let deep = [b'['; 1000];
    let packets: [(&str, &[u8]); 9] = [
        ("no JSON", b"\xff\xfe\0"),
        ("too long", &long),
        ("deep", &deep),
        ("unknown", br#"{"type":"become-root"}"#),
        (
            "log in",
            br#"{"type":"logon","user":"root","password":""}"#,
        ),
        (
            "start a service",
            br#"{"type":"start-service","name":"x","command":"/bin/sh","capabilities":["net_admin"]}"#,
        ),
        (
            "signal a service",
            br#"{"type":"stop-service","name":"network","signal":9}"#,
        ),
        (
            "signal nobody",
            br#"{"type":"stop-service","name":"../x","signal":-1}"#,
        ),
        ("sessions", br#"{"type":"sessions"}"#),
    ];
    for (name, packet) in packets {
        let connection = connection()?;
        send(&connection, packet, &[])?;
        writeln!(out, "{name}: {}", answer(&connection)?)?;
    }
    let terminal = io::stdin();
    let connection = connection()?;
    let request = br#"{"type":"logon","user":"nodeos","password":"nodeos"}"#;
    send(&connection, request, &[terminal.as_fd()])?;
    writeln!(out, "log in on a terminal: {}", answer(&connection)?)?;
    let folder = File::open("/")?;
    send(&connection, b"{}", &[folder.as_fd(); 20])?;
    writeln!(out, "many descriptors: {}", answer(&connection)?)?;
    crowd(out)?;
    send(&connection, b"{}", &[])?;
    writeln!(out, "after all: {}", answer(&connection)?)
}

/// Connects more often than anybody has reason to, and hears when it was enough.
fn crowd(out: &mut dyn Write) -> io::Result<()> {
    let connections: Vec<OwnedFd> = (0..CROWD).map(|_| connection()).collect::<Result<_, _>>()?;
    let last = connections.last().ok_or(io::ErrorKind::NotFound)?;
    writeln!(out, "a crowd: {}", answer(last)?)
}

fn connection() -> io::Result<OwnedFd> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(SOCKET)?)?;
    Ok(socket)
}

fn send(connection: &OwnedFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(20))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(
        connection,
        &[IoSlice::new(packet)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn answer(connection: &OwnedFd) -> io::Result<String> {
    let mut packet = vec![0; MAX_MESSAGE];
    let (_, length) = recv(connection, &mut packet, RecvFlags::empty())?;
    Ok(match length {
        0 => "it has hung up".to_owned(),
        _ => String::from_utf8_lossy(&packet[..length]).into_owned(),
    })
}
