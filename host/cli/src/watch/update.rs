//! Brings changed files into a machine that runs.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nodeos_build::application::outline::{Changes, Kind};
use nodeos_spec::application::message::End;
use tar::{Builder, EntryType, Header};
use thiserror::Error;

use crate::exit::Exit;
use crate::machines::command::{self, Ended, KILLED};
use crate::machines::connection::{self, TalkError};
use crate::machines::conversation::{Conversation, Lent};
use crate::machines::protocol::ClientMessage;
use crate::machines::state::{Folder, StateError};

/// How much of names goes into one message: JSON takes up to six bytes for one.
const NAMES: usize = 10 << 10;

/// Why a machine cannot be changed.
#[derive(Debug, Error)]
pub(super) enum UpdateError {
    /// It has just changed again.
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot pack what has changed")]
    Pack(#[source] io::Error),
    #[error("{} cannot be named to the machine", .path.display())]
    Name { path: PathBuf },
    #[error("{reason}")]
    Refused { reason: String },
    #[error("the machine has ended")]
    MachineEnded,
    #[error("cannot begin")]
    Begin(#[source] io::Error),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Talk(#[from] TalkError),
}

/// Removes what is gone, and writes what has changed.
pub(super) fn send(folder: &Folder, root: &Path, changes: &Changes) -> Result<(), UpdateError> {
    let mut batches = batches(&changes.removed)?;
    let last = batches.pop().unwrap_or_default();
    // All of it is read before the machine has any of it.
    let archive = pack(root, changes)?;
    for batch in batches {
        tell(folder, batch, None)?;
    }
    tell(folder, last, Some(archive))
}

/// Names in messages that are not too long.
fn batches(paths: &[PathBuf]) -> Result<Vec<Vec<String>>, UpdateError> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for path in paths {
        let name = path
            .to_str()
            .ok_or_else(|| UpdateError::Name { path: path.clone() })?;
        if room < name.len() || batches.is_empty() {
            batches.push(Vec::new());
            room = NAMES;
        }
        room = room.saturating_sub(name.len());
        if let Some(batch) = batches.last_mut() {
            batch.push(name.to_owned());
        }
    }
    Ok(batches)
}

/// What has changed, and the folders that it is in.
fn pack(root: &Path, changes: &Changes) -> Result<File, UpdateError> {
    let mut archive = Builder::new(tempfile::tempfile().map_err(UpdateError::Pack)?);
    for folder in changes.folders() {
        let mut header = header(EntryType::Directory, 0o755, 0);
        archive
            .append_data(&mut header, folder, io::empty())
            .map_err(UpdateError::Pack)?;
    }
    for (path, kind) in &changes.changed {
        match kind {
            Kind::Link(target) => {
                let mut header = header(EntryType::Symlink, 0o777, 0);
                archive.append_link(&mut header, path, target)
            }
            Kind::File { mode } => {
                let whole = root.join(path);
                let read = |source| UpdateError::Read {
                    path: whole.clone(),
                    source,
                };
                let changed = fs::symlink_metadata(&whole).map_err(read)?.mtime();
                let contents = fs::read(&whole).map_err(read)?;
                let mut header = header(EntryType::Regular, u32::from(*mode), contents.len());
                header.set_mtime(u64::try_from(changed).unwrap_or_default());
                archive.append_data(&mut header, path, contents.as_slice())
            }
        }
        .map_err(UpdateError::Pack)?;
    }
    let mut file = archive.into_inner().map_err(UpdateError::Pack)?;
    file.rewind().map_err(UpdateError::Pack)?;
    Ok(file)
}

fn header(kind: EntryType, mode: u32, bytes: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes as u64);
    header
}

fn tell(folder: &Folder, remove: Vec<String>, archive: Option<File>) -> Result<(), UpdateError> {
    let record = folder.record()?.ok_or(UpdateError::MachineEnded)?;
    let connection = folder.connect(&record)?.ok_or(UpdateError::MachineEnded)?;
    connection::say(&connection, &ClientMessage::Update { remove })?;
    let lent = Lent {
        stdin: archive.map(|archive| Box::new(archive) as _),
        stdout: Box::new(io::sink()),
        stderr: Box::new(io::sink()),
    };
    let conversation = Conversation::begin(connection, lent, &[]).map_err(UpdateError::Begin)?;
    match command::follow(conversation, |_, _| Ok(())) {
        Ok(Ended::How(End::Code(0)) | Ended::Deaf) => Ok(()),
        Ok(Ended::How(how)) => Err(UpdateError::Refused {
            reason: format!("it ended with {}", crate::machines::ending::describe(how)),
        }),
        Err(failure) if failure.exit == Exit::Program(KILLED) => Err(UpdateError::MachineEnded),
        Err(failure) => Err(UpdateError::Refused {
            reason: failure.error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_are_told_in_messages_that_are_not_too_long() {
        assert_eq!(batches(&[]).unwrap(), Vec::<Vec<String>>::new());
        let paths: Vec<PathBuf> = (0..1000)
            .map(|number| format!("a/folder/of/some/length/{number}").into())
            .collect();
        let batches = batches(&paths).unwrap();
        assert!(batches.len() > 2, "{}", batches.len());
        for batch in &batches {
            let remove = batch.clone();
            ClientMessage::Update { remove }.to_frame().unwrap();
        }
        let all: Vec<PathBuf> = batches.concat().into_iter().map(PathBuf::from).collect();
        assert_eq!(all, paths);
    }

    #[test]
    fn an_archive_has_what_has_changed_and_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("lib/deep")).unwrap();
        fs::write(dir.path().join("lib/deep/a.js"), "contents").unwrap();
        let file = Kind::File { mode: 0o755 };
        let changes = |name: &str| Changes {
            changed: BTreeMap::from([
                (PathBuf::from(name), file.clone()),
                (PathBuf::from("link"), Kind::Link("lib".into())),
            ]),
            removed: Vec::new(),
        };
        let packed = pack(dir.path(), &changes("lib/deep/a.js")).unwrap();
        let mut archive = tar::Archive::new(packed);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            io::Read::read_to_string(&mut entry, &mut text).unwrap();
            let path = entry.path().unwrap().display().to_string();
            format!("{path} {:o} {text}", entry.header().mode().unwrap())
        });
        let entries: Vec<String> = entries.collect();
        assert_eq!(
            entries,
            [
                "lib 755 ",
                "lib/deep 755 ",
                "lib/deep/a.js 755 contents",
                "link 777 "
            ]
        );
        let error = pack(dir.path(), &changes("gone")).unwrap_err();
        assert!(matches!(error, UpdateError::Read { .. }), "{error}");
    }
}
