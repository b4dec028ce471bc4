//! Something of the host that the machine can write to and that lasts: in `package.json` and as `--volume`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The longest name of a volume in bytes, so that it can be a file's name with room to spare.
const MAX_NAME: usize = 64;

/// Where the machine keeps what is its own: a volume there would hide it.
const OWN_FOLDERS: [&str; 7] = ["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sys"];

/// A volume that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeOrder {
    pub source: VolumeSource,
    /// Where, in the machine.
    pub path: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A folder of the host, as it was written: it begins with `/`, `./`, `../` or `~/`, or is `.` or `..`.
    Folder(String),
    /// A filesystem that the host keeps under this name.
    Named(String),
}

/// Why a text is not a volume.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseVolumeError {
    #[error(
        "expected HOST_DIR:GUEST_DIR or NAME:GUEST_DIR, with :ro behind it where nobody is to write, as in ./data:/data"
    )]
    Form,
    #[error(
        "{given:?} is neither a folder (./{given}) nor the name of a volume: letters, digits, - and _, at most {MAX_NAME}"
    )]
    Name { given: String },
    #[error("{given:?} is not a folder in the machine: it has to begin with /, without .. in it")]
    Path { given: String },
    #[error("{given:?} belongs to the machine itself: choose another folder, as /data")]
    Taken { given: String },
}

impl FromStr for VolumeOrder {
    type Err = ParseVolumeError;

    fn from_str(text: &str) -> Result<VolumeOrder, ParseVolumeError> {
        let (text, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        // A folder of the host may have a colon in its name; one of the machine is chosen here, and has none.
        let (source, path) = text.rsplit_once(':').ok_or(ParseVolumeError::Form)?;
        Ok(VolumeOrder {
            source: self::source(source)?,
            path: guest_path(path)?,
            read_only,
        })
    }
}

fn source(given: &str) -> Result<VolumeSource, ParseVolumeError> {
    let is_folder = matches!(given, "." | "..")
        || ["/", "./", "../", "~/"]
            .iter()
            .any(|start| given.starts_with(start));
    if is_folder && !given.contains('\0') {
        return Ok(VolumeSource::Folder(given.to_owned()));
    }
    let is_name = given.len() <= MAX_NAME
        && given.starts_with(|c: char| c.is_ascii_alphanumeric())
        && given
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match is_name {
        true => Ok(VolumeSource::Named(given.to_owned())),
        false => Err(ParseVolumeError::Name {
            given: given.to_owned(),
        }),
    }
}

fn guest_path(given: &str) -> Result<String, ParseVolumeError> {
    let path = given.trim_end_matches('/');
    let is_path = path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|name| matches!(name, "." | ".."));
    if !is_path {
        return Err(ParseVolumeError::Path {
            given: given.to_owned(),
        });
    }
    let is_taken = OWN_FOLDERS.iter().any(|own| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    match is_taken || path == crate::application::FOLDER {
        true => Err(ParseVolumeError::Taken {
            given: given.to_owned(),
        }),
        false => Ok(path.to_owned()),
    }
}

impl fmt::Display for VolumeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (VolumeSource::Folder(source) | VolumeSource::Named(source)) = &self.source;
        let read_only = if self.read_only { ":ro" } else { "" };
        write!(f, "{source}:{}{read_only}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn volumes_are_folders_or_names() {
        let folder = |text: &str| VolumeSource::Folder(text.to_owned());
        let check = |text: &str, source: VolumeSource, path: &str, read_only: bool| {
            let expected = VolumeOrder {
                source,
                path: path.to_owned(),
                read_only,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        };
        check("./data:/data", folder("./data"), "/data", false);
        check("/srv/a:b:/data/:ro", folder("/srv/a:b"), "/data", true);
        check(".:/app/files", folder("."), "/app/files", false);
        check("~/db:/db:rw", folder("~/db"), "/db", false);
        check("db:/db", VolumeSource::Named("db".to_owned()), "/db", false);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["./data:/data", "db:/var/db:ro"] {
            assert_eq!(text.parse::<VolumeOrder>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_volume_is_refused_in_words() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<VolumeOrder>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("data", "expected HOST_DIR:GUEST_DIR");
        check("data/x:/data", "(./data/x)");
        check(":/data", "neither a folder");
        check("db:data", "has to begin with /");
        check("db:/", "has to begin with /");
        check("db:/a/../b", "without .. in it");
        check("db:/etc/x", "belongs to the machine itself");
        check("db:/app", "belongs to the machine itself");
    }
}
