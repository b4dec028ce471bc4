//! `nodeos cp`: files from a machine, and into one.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use nodeos_spec::application::message::End;
use thiserror::Error;

use crate::exit::Exit;
use crate::machines::archive::{self, ArchiveError, Placement};
use crate::machines::command::{self, Ended};
use crate::machines::connection;
use crate::machines::conversation::{Conversation, Lent};
use crate::machines::find;
use crate::machines::foreground::SIGNALS;
use crate::machines::protocol::ClientMessage;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// Copy files and folders from a machine, or into one
///
/// One of the two is NAME:PATH, with a whole path in the machine. What is copied is put into the destination where that is a
/// folder, and gets its name otherwise. In the machine everything happens as the application's user, so that only what that may
/// write to can be a destination: /tmp, and volumes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to copy: PATH, or NAME:PATH of a machine
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where to: PATH, or NAME:PATH of a machine
    #[arg(value_name = "TO")]
    pub to: String,
}

/// Why nothing can be copied.
#[derive(Debug, Error)]
enum CopyError {
    #[error("one of the two has to be in a machine, and the other not")]
    Sides,
    #[error("{path:?} is no whole path in the machine, as /tmp is")]
    Relative { path: String },
    #[error("the machine ended the copying with {how}")]
    Ended { how: String },
}

/// Copies.
pub fn run(arguments: &Arguments, _streams: &mut Streams) -> Result<Exit, Failure> {
    match (in_machine(&arguments.from)?, in_machine(&arguments.to)?) {
        (Some((name, path)), None) => fetch(name, path, Path::new(&arguments.to)),
        (None, Some((name, path))) => send(Path::new(&arguments.from), name, path),
        _ => Err(Failure::new(CopyError::Sides)
            .exit(Exit::Usage)
            .hint(Some("as in nodeos cp shop:/tmp/report.html .".to_owned()))),
    }
}

/// The machine's name and the path in it. What has a `/` before its `:` is a path here.
fn in_machine(text: &str) -> Result<Option<(&str, &str)>, Failure> {
    let Some((name, path)) = text.split_once(':').filter(|(name, _)| !name.contains('/')) else {
        return Ok(None);
    };
    if !path.starts_with('/') {
        let path = path.to_owned();
        return Err(Failure::new(CopyError::Relative { path }).exit(Exit::Usage));
    }
    Ok(Some((name, path)))
}

fn fetch(name: &str, path: &str, to: &Path) -> Result<Exit, Failure> {
    let placement = Placement::on_host(to);
    let order = ClientMessage::Pack {
        path: path.to_owned(),
    };
    let (reader, writer) = io::pipe().map_err(Failure::new)?;
    let unpacking = std::thread::spawn(move || archive::unpack(reader, &placement));
    let packed = converse(
        name,
        &order,
        Lent {
            stdin: None,
            stdout: Box::new(writer),
            stderr: Box::new(io::sink()),
        },
    );
    let unpacked = unpacking.join().expect("it does not panic");
    // Where both failed, what could not be written here is why the machine could not go on.
    match (packed, unpacked) {
        (Err(failure), Err(ArchiveError::Empty) | Ok(())) => Err(failure),
        (_, Err(error)) => Err(error.into()),
        (Ok(()), Ok(())) => Ok(Exit::Done),
    }
}

fn send(from: &Path, name: &str, path: &str) -> Result<Exit, Failure> {
    let own = archive::name_of(from)?;
    let (folder, called) = place_in_machine(name, path, &own)?;
    let (reader, writer) = io::pipe().map_err(Failure::new)?;
    let source = PathBuf::from(from);
    let packing = std::thread::spawn(move || archive::pack(&source, &called, writer));
    let order = ClientMessage::Unpack { path: folder };
    let unpacked = converse(
        name,
        &order,
        Lent {
            stdin: Some(Box::new(reader)),
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
        },
    );
    match (unpacked, packing.join().expect("it does not panic")) {
        // The machine's word counts where it did not want the rest.
        (Err(failure), Ok(()) | Err(ArchiveError::Write(_))) => Err(failure),
        (_, Err(error)) => Err(error.into()),
        (Ok(()), Ok(())) => Ok(Exit::Done),
    }
}

/// Into which folder of the machine something goes, and what it is called there: into the destination if that is one. What it
/// is shows in what the machine would send of it.
fn place_in_machine(name: &str, path: &str, own: &str) -> Result<(String, String), Failure> {
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() < path.len() || is_folder(name, trimmed)? {
        let folder = if trimmed.is_empty() { "/" } else { trimmed };
        return Ok((folder.to_owned(), own.to_owned()));
    }
    let (folder, called) = trimmed
        .rsplit_once('/')
        .expect("a whole path begins with one");
    let folder = if folder.is_empty() { "/" } else { folder };
    Ok((folder.to_owned(), called.to_owned()))
}

fn is_folder(name: &str, path: &str) -> Result<bool, Failure> {
    let (reader, writer) = io::pipe().map_err(Failure::new)?;
    // The pipe is closed after the first entry, and the rest never sent.
    let looking = std::thread::spawn(move || archive::begins_with_folder(reader));
    let order = ClientMessage::Pack {
        path: path.to_owned(),
    };
    let lent = Lent {
        stdin: None,
        stdout: Box::new(writer),
        stderr: Box::new(io::sink()),
    };
    // One that cannot be read, or is not there, is no folder.
    let _ = converse(name, &order, lent);
    Ok(looking.join().expect("it does not panic"))
}

/// Has a machine do it.
fn converse(name: &str, order: &ClientMessage, lent: Lent) -> Result<(), Failure> {
    let running = find::running(&Machines::of_user()?, name)?;
    connection::say(&running.connection, order)?;
    let conversation =
        Conversation::begin(running.connection, lent, &SIGNALS).map_err(Failure::new)?;
    let mut signalled = false;
    let ended = command::follow(conversation, |happening, conversation| {
        if let crate::machines::conversation::Happening::Signal(_) = happening {
            signalled = true;
            let signal = rustix::process::Signal::KILL.as_raw();
            return conversation.say(&ClientMessage::Signal { signal });
        }
        Ok(())
    });
    if signalled {
        return Err(crate::interrupt::InterruptedError.into());
    }
    match ended.map_err(|failure| failure.exit(Exit::Failed))? {
        Ended::How(End::Code(0)) | Ended::Deaf => Ok(()),
        Ended::How(how) => {
            let how = crate::machines::ending::describe(how);
            Err(Failure::new(CopyError::Ended { how }))
        }
    }
}
