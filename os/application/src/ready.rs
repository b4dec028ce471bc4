//! Whether something listens on a port: by the kernel's own tables, as nobody tells.

use std::fs;
use std::time::{Duration, Instant};

/// proc_net(5). Each has a line for a socket: number, local address and port, remote ones, state, and more.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// TCP_LISTEN of the kernel's tcp_states.h.
const LISTEN: &str = "0A";
/// Between two looks: an application that starts quickly is seen at once, and one that takes long is not slowed down.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

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
        TABLES
            .iter()
            .any(|table| listens(&fs::read_to_string(table).unwrap_or_default(), self.port))
    }
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
    fn pauses_grow_up_to_a_limit() {
        let mut watch = Watch::new(1);
        for _ in 0..40 {
            assert!(!watch.look(), "nobody listens on port 1 in a test");
        }
        assert_eq!(watch.pause, LONGEST_PAUSE);
    }
}
