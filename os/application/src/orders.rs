//! Finding out what is to run: `application.json` of the host, of the application's image, or of the system itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_spec::application::{ApplicationSpec, HOST_SPEC, ParseApplicationSpecError, SPEC_NAME};
use thiserror::Error;

use crate::paths;

#[derive(Debug, Error)]
pub(crate) enum FindOrdersError {
    #[error("this machine has no application")]
    None,
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot use {}", path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: ParseApplicationSpecError,
    },
}

impl FindOrdersError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            FindOrdersError::None => Some("nodeos run gives a machine an application"),
            FindOrdersError::Read { .. } | FindOrdersError::Parse { .. } => None,
        }
    }
}

/// The host's orders, else those of the image mounted at `topmost`, else those of the system.
pub(crate) fn find(topmost: Option<&Path>) -> Result<ApplicationSpec, FindOrdersError> {
    let host = Path::new(paths::FIRMWARE).join(HOST_SPEC).join("raw");
    first_of(&[host, topmost.unwrap_or(Path::new("/")).join(SPEC_NAME)])
}

fn first_of(paths: &[PathBuf]) -> Result<ApplicationSpec, FindOrdersError> {
    for path in paths {
        match fs::read_to_string(path) {
            Ok(text) => {
                return ApplicationSpec::parse(&text).map_err(|source| FindOrdersError::Parse {
                    path: path.clone(),
                    source,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(FindOrdersError::Read {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    Err(FindOrdersError::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_there_counts_also_when_it_is_wrong() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = ["host", "image"].map(|name| scratch.path().join(name));
        let none = first_of(&paths).unwrap_err();
        assert_eq!(none.to_string(), "this machine has no application");
        assert!(none.hint().is_some());

        fs::write(&paths[1], r#"{"name": "shop", "argv": ["/bin/node"]}"#).unwrap();
        assert_eq!(first_of(&paths).unwrap().name, "shop");
        fs::write(&paths[0], "{}").unwrap();
        let error = first_of(&paths).unwrap_err().to_string();
        assert_eq!(error, format!("cannot use {}", paths[0].display()));
    }
}
