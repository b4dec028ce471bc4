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
    let mut piece = [0; 4096];
    // Not everybody closes the connection, even where nobody asks to keep it.
    while length(&answer).is_none_or(|length| answer.len() < length) {
        let count = stream
            .read(&mut piece)
            .with_context(|| format!("the server on port {port} does not answer"))?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..count]);
    }
    Ok(answer)
}

/// How long an answer is in the end, its head included, where its head says so.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let value = text.split_once("content-length:")?.1.lines().next()?;
    Some(head + 4 + value.trim().parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let check = |text: &str, expected| assert_eq!(length(text.as_bytes()), expected, "{text}");
        check("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhe", Some(43));
        check("HTTP/1.0 200 OK\r\n\r\nhello", None);
        check("HTTP/1.0 200 OK\r\nContent-Length: 5", None);
    }
}
