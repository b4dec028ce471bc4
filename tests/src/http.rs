//! Asking a server in a machine something, through a port of the host.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::Context as _;

use crate::boot::ANSWER;

/// A port of this host that nobody listens on.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// What an HTTP server on the host's loopback answers, whole.
pub fn fetch(port: u16) -> anyhow::Result<String> {
    ask(port, "/")
}

/// As [`fetch`], for another path.
pub fn ask(port: u16, path: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(bytes(port, path)?)?)
}

/// As [`fetch`], where the answer is no text.
pub fn fetch_bytes(port: u16) -> anyhow::Result<Vec<u8>> {
    bytes(port, "/")
}

fn bytes(port: u16, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("the server on port {port} does not answer"))?;
    Ok(answer)
}
