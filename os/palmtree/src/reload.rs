//! What has changed between two versions of the file.

use nodeos_spec::service::Service;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// There was none of this name.
    Added(Service),
    /// There is none of this name any more.
    Removed(String),
    /// There is another of this name.
    Changed(Service),
}

/// The differences: what is gone in reverse order, as at the end of a session, then the rest in the file's. A service
/// whose entry is `broken` now is left as it is, since a slip in the file should not end anybody's work.
pub(crate) fn changes(old: &[Service], new: &[Service], broken: &[String]) -> Vec<Change> {
    let find =
        |list: &'_ [Service], name: &str| list.iter().position(|service| service.name == name);
    let removed = old
        .iter()
        .rev()
        .filter(|old| find(new, &old.name).is_none() && !broken.contains(&old.name))
        .map(|old| Change::Removed(old.name.clone()));
    let rest = new.iter().filter_map(|new| match find(old, &new.name) {
        None => Some(Change::Added(new.clone())),
        Some(at) if old[at] != *new => Some(Change::Changed(new.clone())),
        Some(_) => None,
    });
    removed.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeos_spec::service;

    /// Services by `NAME` or `NAME=ARGUMENT`.
    fn services(words: &str) -> Vec<Service> {
        let entry = |word: &str| {
            let (name, argument) = word.split_once('=').unwrap_or((word, ""));
            format!(r#"{{"command": "/bin/{name}", "args": ["{argument}"]}}"#)
        };
        let entries: Vec<_> = words.split_whitespace().map(entry).collect();
        service::parse(&format!("[{}]", entries.join(",")))
            .unwrap()
            .services
    }

    fn check(old: &str, new: &str, broken: &[&str], expected: &[&str]) {
        let broken: Vec<_> = broken.iter().map(|name| (*name).to_owned()).collect();
        let changes: Vec<_> = changes(&services(old), &services(new), &broken)
            .into_iter()
            .map(|change| match change {
                Change::Added(service) => format!("+{}", service.name),
                Change::Removed(name) => format!("-{name}"),
                Change::Changed(service) => format!("{}={}", service.name, service.args[0]),
            })
            .collect();
        assert_eq!(changes, expected);
    }

    #[test]
    fn nothing_happens_to_what_is_as_it_was() {
        check("a b=1", "a b=1", &[], &[]);
        check("a b", "b a", &[], &[]);
    }

    #[test]
    fn what_is_new_gone_or_different_is_told() {
        check("a b c", "b=2 d", &[], &["-c", "-a", "b=2", "+d"]);
        check("", "a", &[], &["+a"]);
        check("a", "", &[], &["-a"]);
    }

    #[test]
    fn what_has_become_unreadable_stays() {
        check("a b", "a=1", &["b"], &["a=1"]);
        check("a", "a=1", &["a"], &["a=1"]);
    }
}
