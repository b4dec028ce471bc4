//! Somebody who asks an HTTP server: until it answers for the first time, and as often as it can.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Between two attempts: little against the seconds that a boot takes under emulation.
const PAUSE: Duration = Duration::from_millis(5);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// For the first one. QEMU accepts connections as soon as it runs, and tries longer and longer to pass one on to a machine that is
/// not there yet; so who says nothing is asked again.
const SILENCE: Duration = Duration::from_secs(1);
/// So many ask at the same time.
const CLIENTS: usize = 8;

/// A port of this host that nobody listens on.
///
/// # Errors
/// When there is none left.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Asks until the answer is 200, and returns when that was.
///
/// # Errors
/// When it was not within `deadline`, or `alive` says why it never will be.
pub fn first_answer(
    port: u16,
    deadline: Duration,
    mut alive: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Instant> {
    let begin = Instant::now();
    while begin.elapsed() < deadline {
        let asked = Connection::open(port, SILENCE).and_then(|mut it| it.ask());
        if asked.is_ok() {
            return Ok(Instant::now());
        }
        alive()?;
        pause();
    }
    anyhow::bail!("no answer from port {port} within {} s", deadline.as_secs())
}

fn pause() {
    // The condition is another host's, so to speak: there is nothing to wait on.
    let nobody: &mut [rustix::event::PollFd<'_>; 0] = &mut [];
    let timeout = rustix::event::Timespec::try_from(PAUSE).expect("it is short");
    let _ = rustix::event::poll(nobody, Some(&timeout));
}

/// One connection, one question.
///
/// # Errors
/// Unless the answer is 200.
pub fn ask_once(port: u16) -> io::Result<()> {
    Connection::open(port, ANSWER)?.ask()
}

/// Answers per second over `duration`, from several connections that are kept.
///
/// # Errors
/// When an answer is not 200, or does not come.
pub fn answers_per_second(port: u16, duration: Duration) -> anyhow::Result<f64> {
    let ask_on = || -> io::Result<usize> {
        let mut connection = Connection::open(port, ANSWER)?;
        let end = Instant::now() + duration;
        let mut answers = 0;
        while Instant::now() < end {
            connection.ask()?;
            answers += 1;
        }
        Ok(answers)
    };
    let counts: Vec<io::Result<usize>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask_on)).collect();
        let join = |client: thread::ScopedJoinHandle<'_, _>| client.join();
        clients
            .into_iter()
            .map(|client| join(client).expect("a client does not panic"))
            .collect()
    });
    let counts: io::Result<Vec<usize>> = counts.into_iter().collect();
    let answers: usize = counts.context("the server stopped answering")?.iter().sum();
    ensure!(answers > 0, "the server never answered");
    Ok(answers as f64 / duration.as_secs_f64())
}

struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(port: u16, patience: Duration) -> io::Result<Connection> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            reader: BufReader::new(stream),
        })
    }

    fn ask(&mut self) -> io::Result<()> {
        self.reader.get_mut().write_all(REQUEST)?;
        let length = read_head(&mut self.reader)?;
        let copied = io::copy(&mut (&mut self.reader).take(length), &mut io::sink())?;
        if copied < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// Reads up to the end of an answer's head, and returns the length of what follows.
fn read_head(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(io::Error::other(format!("the answer is {:?}", line.trim())));
    }
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    length.ok_or_else(|| io::Error::other("the answer has no length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_the_end_of_its_head() {
        let check = |text: &str, expected: Option<u64>| {
            let mut reader = text.as_bytes();
            assert_eq!(read_head(&mut reader).ok(), expected, "{text}");
        };
        check("HTTP/1.1 200 OK\r\ncontent-Length: 5\r\n\r\nhello", Some(5));
        check("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\nA: b", None);
        check("", None);
    }

    #[test]
    fn nobody_answers_where_nobody_listens() {
        let port = free_port().unwrap();
        assert!(ask_once(port).is_err());
        let dead = || anyhow::bail!("the server is gone");
        let error = first_answer(port, ANSWER, dead).unwrap_err();
        assert_eq!(error.to_string(), "the server is gone");
    }
}
