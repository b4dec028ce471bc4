//! What the service tells the rest of the system: `resolv.conf`, the machine's name, and its own state.
//!
//! Each file is written when its content changes, and only then: a person's change lasts until the network's next one.

use std::net::IpAddr;
use std::path::Path;

use crate::files;
use crate::log::Log;

/// The C library reads no more than this (MAXNS of resolv.conf(5)), and waits for each in turn.
const MOST_NAMESERVERS: usize = 3;

/// A file and what was last written to it.
#[derive(Debug, Default)]
pub struct Output {
    written: Option<String>,
}

impl Output {
    /// Writes a text if it is another one than before. A place that cannot be written is told once for each text.
    pub fn write(&mut self, path: &Path, text: String, log: &mut Log<'_>) {
        if self.written.as_ref() == Some(&text) {
            return;
        }
        // To know nothing yet is no reason to take away what an earlier run knew.
        if self.written.is_none() && text.is_empty() && path.exists() {
            return;
        }
        if let Err(error) = files::replace_if_other(path, &text) {
            log.problem("network", &error);
        }
        self.written = Some(text);
    }
}

/// The text of `resolv.conf`.
pub fn resolv_conf(nameservers: &[IpAddr], search: &[String]) -> String {
    let mut text = String::new();
    for server in nameservers.iter().take(MOST_NAMESERVERS) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    text
}

/// The list without what is in it twice.
pub fn unique<T: PartialEq>(list: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in list {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_has_three_servers_at_most_and_the_domains() {
        let servers: Vec<IpAddr> = ["10.0.0.1", "fd00::1", "10.0.0.3", "10.0.0.4"]
            .map(|server| server.parse().unwrap())
            .to_vec();
        let search = ["a.example", "b.example"].map(str::to_owned);
        assert_eq!(
            resolv_conf(&servers, &search),
            "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.0.0.3\nsearch a.example b.example\n"
        );
        assert_eq!(resolv_conf(&[], &[]), "");
    }

    #[test]
    fn a_file_that_somebody_changed_stays_until_the_content_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let mut messages = Vec::new();
        let mut log = Log(&mut messages);
        let mut output = Output::default();
        output.write(&path, "one".to_owned(), &mut log);
        std::fs::write(&path, "mine").unwrap();
        output.write(&path, "one".to_owned(), &mut log);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        output.write(&path, "two".to_owned(), &mut log);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert!(messages.is_empty());
    }

    #[test]
    fn what_is_there_twice_stays_once_in_its_first_place() {
        assert_eq!(unique([3, 1, 3, 2, 1]), [3, 1, 2]);
    }
}
