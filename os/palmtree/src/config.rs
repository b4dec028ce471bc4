//! The file with the services, read for the session it is in.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nodeos_spec::service::{self, Service};
use rustix::process::Uid;
use thiserror::Error;

use crate::sentence::sentence;

/// A thousand services take less; the limit keeps a slip from taking the session's memory.
const LONGEST: u64 = 1 << 20;

/// What can be started, and why the rest cannot.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) services: Vec<Service>,
    pub(crate) problems: Vec<Problem>,
}

/// Something in the file that keeps a service from being started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Whose it is; none when that cannot be told.
    pub(crate) name: Option<String>,
    pub(crate) text: String,
}

#[derive(Debug, Error)]
pub(crate) enum ReadConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    // Transparent would leave out which sentence is whose cause.
    #[error("{}", sentence(.0))]
    Parse(service::ParseServicesError),
}

/// Reads it. A home without the file has no services.
pub(crate) fn read(path: &Path, uid: Uid) -> Result<Config, ReadConfigError> {
    match text(path) {
        Ok(text) => parse(&text, uid).map_err(ReadConfigError::Parse),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(source) => Err(ReadConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Of a plain file only: a pipe would never have been read to its end.
fn text(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut text = String::new();
    let length = File::open(path)?
        .take(LONGEST + 1)
        .read_to_string(&mut text)?;
    if length as u64 > LONGEST {
        return Err(io::Error::other(format!(
            "it has more than {LONGEST} bytes"
        )));
    }
    Ok(text)
}

fn parse(text: &str, uid: Uid) -> Result<Config, service::ParseServicesError> {
    let parsed = service::parse(text)?;
    let mut problems: Vec<Problem> = parsed
        .problems
        .into_iter()
        .map(|problem| Problem {
            text: problem.to_string(),
            name: problem.name,
        })
        .collect();
    let (services, refused): (Vec<Service>, Vec<Service>) = parsed
        .services
        .into_iter()
        .partition(|service| uid.is_root() || service.capabilities.is_empty());
    problems.extend(refused.into_iter().map(|service| Problem {
        text: format!(
            "palmtree.json: service {:?}: capabilities are for root's services, and this session is not root's",
            service.name
        ),
        name: Some(service.name),
    }));
    Ok(Config { services, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[
        {"command": "network", "capabilities": ["net_admin"]},
        {"command": "web"},
        {"command": ""}
    ]"#;

    fn check(uid: u32, services: &[&str], problems: &[&str]) {
        let config = parse(TEXT, Uid::from_raw(uid)).unwrap();
        let names: Vec<_> = config
            .services
            .iter()
            .map(|service| &service.name)
            .collect();
        assert_eq!(names, services);
        let texts: Vec<_> = config
            .problems
            .iter()
            .map(|problem| &problem.text)
            .collect();
        assert_eq!(texts, problems);
    }

    #[test]
    fn capabilities_are_for_root_and_the_others_hear_of_it_by_name() {
        let broken = "palmtree.json, line 4: service number 3: the command is an empty text";
        check(0, &["network", "web"], &[broken]);
        check(
            1000,
            &["web"],
            &[
                broken,
                "palmtree.json: service \"network\": capabilities are for root's services, and this session is not root's",
            ],
        );
    }

    #[test]
    fn a_home_without_the_file_has_no_services() {
        let config = read(Path::new("/no/such/file"), Uid::ROOT).unwrap();
        assert!(config.services.is_empty() && config.problems.is_empty());
    }

    #[test]
    fn what_is_no_plain_file_is_not_waited_for() {
        let scratch = tempfile::tempdir().unwrap();
        let pipe = scratch.path().join("palmtree.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        let error = read(&pipe, Uid::ROOT).unwrap_err();
        assert!(sentence(&error).ends_with("it is not a plain file"));
        let long = scratch.path().join("long");
        fs::write(&long, " ".repeat(1 << 20 | 1)).unwrap();
        let error = read(&long, Uid::ROOT).unwrap_err();
        assert!(sentence(&error).ends_with("it has more than 1048576 bytes"));
    }

    #[test]
    fn a_broken_file_is_one_sentence_with_line_and_column() {
        let error = ReadConfigError::Parse(parse("[\n,]", Uid::ROOT).unwrap_err());
        assert_eq!(
            error.to_string(),
            "palmtree.json is not what it should be: expected value at line 2 column 1"
        );
    }
}
