//! `--ca-bundle FILE`: certificate authorities that Node.js in the machine trusts beside its own, as behind a company's proxy.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What Node.js itself calls it; npm is Node.js. A host on which it is set is behind such a proxy.
pub const VARIABLE: &str = nodeos_spec::cmdline::AUTHORITIES;
/// How a certificate begins in a text file (RFC 7468, section 5.1).
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Why a file is no bundle.
#[derive(Debug, Error)]
pub enum ReadBundleError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} has no certificate in it", path.display())]
    NoCertificate { path: PathBuf },
}

impl ReadBundleError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        matches!(self, ReadBundleError::NoCertificate { .. }).then(|| {
            format!("a bundle is text, in which each certificate begins with {CERTIFICATE}")
        })
    }
}

/// What the machine is given, and a note where the host's own setting leads nowhere.
///
/// # Errors
/// [`ReadBundleError`] for a file that was named on the command line.
pub fn find(
    given: Option<&Path>,
    variable: Option<OsString>,
) -> Result<(Option<PathBuf>, Option<String>), ReadBundleError> {
    if let Some(path) = given {
        return check(path).map(|()| (Some(path.to_owned()), None));
    }
    let Some(path) = variable.filter(|path| !path.is_empty()) else {
        return Ok((None, None));
    };
    // Node.js goes on without it, too.
    let path = PathBuf::from(path);
    match check(&path) {
        Ok(()) => Ok((Some(path), None)),
        Err(error) => Ok((None, Some(format!("{VARIABLE} is passed over: {error}")))),
    }
}

fn check(path: &Path) -> Result<(), ReadBundleError> {
    let text = fs::read(path).map_err(|source| ReadBundleError::Read {
        path: path.to_owned(),
        source,
    })?;
    if !text
        .windows(CERTIFICATE.len())
        .any(|part| part == CERTIFICATE.as_bytes())
    {
        return Err(ReadBundleError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_has_certificates_and_the_flag_wins_over_the_variable() {
        let scratch = tempfile::tempdir().unwrap();
        let [good, bad] = ["good", "bad"].map(|name| scratch.path().join(name));
        fs::write(&good, format!("# ours\n{CERTIFICATE}\n")).unwrap();
        fs::write(&bad, "nothing").unwrap();

        let (found, note) = find(Some(&good), Some(bad.clone().into())).unwrap();
        assert_eq!((found, note), (Some(good.clone()), None));
        let (found, note) = find(None, Some(good.clone().into())).unwrap();
        assert_eq!((found, note), (Some(good), None));
        let (found, note) = find(None, Some(bad.clone().into())).unwrap();
        assert_eq!(found, None);
        assert_eq!(
            note.unwrap(),
            format!(
                "NODE_EXTRA_CA_CERTS is passed over: {} has no certificate in it",
                bad.display()
            )
        );
        assert!(find(None, Some(OsString::new())).unwrap().0.is_none());
        let error = find(Some(&bad), None).unwrap_err();
        assert!(error.hint().unwrap().ends_with(CERTIFICATE));
        let error = find(Some(&scratch.path().join("none")), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "));
    }
}
