//! Whether something listens on a port: by the kernel's own tables, as nobody tells.

use std::fs;
use std::time::{Duration, Instant};

/// Of proc_net(5).
const TABLES: [Table; 2] = [
    Table {
        path: "/proc/net/tcp",
        account: "/proc/net/sockstat",
        protocol: "TCP:",
    },
    Table {
        path: "/proc/net/tcp6",
        account: "/proc/net/sockstat6",
        protocol: "TCP6:",
    },
];
/// TCP_LISTEN of the kernel's tcp_states.h.
const LISTEN: &str = "0A";
/// Between two looks: an application that starts quickly is seen at once, and one that takes long is not slowed down.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The sockets of one protocol.
struct Table {
    /// Has a line for each: number, local address and port, remote ones, state, and more. For it the kernel goes through every
    /// place where a connection could be: the looks of one start take a fiftieth of everything, where that is emulated.
    path: &'static str,
    /// Says how many there are, of each protocol, without going anywhere.
    account: &'static str,
    /// What its line there begins with.
    protocol: &'static str,
}

/// Looks again and again, with growing pauses.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) port: u16,
    pub(crate) next_look: Instant,
    pause: Duration,
}

impl Watch {
    pub(crate) fn new(port: u16) -> Watch {
        Watch {
            port,
            next_look: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// True when something listens.
    pub(crate) fn look(&mut self) -> bool {
        self.next_look = Instant::now() + self.pause;
        self.pause = (self.pause * 5 / 4).min(LONGEST_PAUSE);
        TABLES.iter().any(|table| {
            is_used(&read(table.account), table.protocol) && listens(&read(table.path), self.port)
        })
    }
}

/// Empty where it cannot be read: a machine without the protocol.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Whether an account has sockets of this protocol: `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`.
fn is_used(account: &str, protocol: &str) -> bool {
    let line = account.lines().find_map(|line| line.strip_prefix(protocol));
    let count = line.and_then(|line| line.trim_start().strip_prefix("inuse "));
    count.is_some_and(|count| !count.starts_with("0 ") && count != "0")
}

fn listens(table: &str, port: u16) -> bool {
    let wanted = format!("{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_port = words
            .next()
            .and_then(|local| local.rsplit(':').next())
            .is_some_and(|found| found == wanted);
        is_port && words.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_who_listens_on_the_port_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
             \u{20}  0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000\n\
             \u{20}  1: 0100007F:0BB9 0100007F:C350 01 00000000:00000000 00:00000000\n";
        assert!(listens(table, 3000));
        assert!(!listens(table, 3001));
        assert!(!listens(table, 0));
        let six = "  sl  local_address\n   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert!(listens(six, 80));
    }

    #[test]
    fn an_account_tells_whether_there_are_sockets() {
        let account =
            "sockets: used 8\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 166\nUDP: inuse 0 mem 0\n";
        assert!(is_used(account, "TCP:"));
        assert!(!is_used(account, "UDP:"));
        assert!(!is_used("TCP6: inuse 0\nUDP6: inuse 3\n", "TCP6:"));
        assert!(is_used("TCP6: inuse 10\n", "TCP6:"));
        assert!(!is_used("", "TCP6:"), "a machine without IPv6");
    }

    #[test]
    fn who_listens_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Watch::new(port).look());
        drop(listener);
        assert!(!Watch::new(port).look());
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut watch = Watch::new(1);
        for _ in 0..40 {
            assert!(!watch.look(), "nobody listens on port 1 in a test");
        }
        assert_eq!(watch.pause, LONGEST_PAUSE);
    }
}
