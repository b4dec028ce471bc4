//! `--ca-bundle FILE`: certificate authorities that Node.js in the machine trusts beside its own, as behind a company's proxy.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_vm::machine::HostFile;
use thiserror::Error;

/// What Node.js itself calls it; npm is Node.js. A host on which it is set is behind such a proxy.
pub const VARIABLE: &str = "NODE_EXTRA_CA_CERTS";
/// The file's name for QEMU.
const NAME: &str = "opt/org.nodeos/ca-bundle";
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
) -> Result<(Option<HostFile>, Option<String>), ReadBundleError> {
    if let Some(path) = given {
        return read(path).map(|file| (Some(file), None));
    }
    let Some(path) = variable.filter(|path| !path.is_empty()) else {
        return Ok((None, None));
    };
    // Node.js goes on without it, too.
    match read(Path::new(&path)) {
        Ok(file) => Ok((Some(file), None)),
        Err(error) => Ok((None, Some(format!("{VARIABLE} is passed over: {error}")))),
    }
}

/// The word of the kernel's command line by which Node.js finds it: what the kernel does not know becomes a variable of
/// PID 1's.
pub fn word(file: &HostFile) -> String {
    format!("{VARIABLE}={}", file.path_in_machine())
}

fn read(path: &Path) -> Result<HostFile, ReadBundleError> {
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
    Ok(HostFile {
        name: NAME.to_owned(),
        path: path.to_owned(),
    })
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
        let path = |found: Option<HostFile>| found.map(|file| file.path);

        let (found, note) = find(Some(&good), Some(bad.clone().into())).unwrap();
        assert_eq!((path(found), note), (Some(good.clone()), None));
        let (found, note) = find(None, Some(good.clone().into())).unwrap();
        assert_eq!((path(found), note), (Some(good), None));
        let (found, note) = find(None, Some(bad.clone().into())).unwrap();
        assert_eq!(path(found), None);
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

    #[test]
    fn nodejs_is_told_where_the_machine_has_it() {
        let file = HostFile {
            name: NAME.to_owned(),
            path: "x".into(),
        };
        assert_eq!(
            word(&file),
            "NODE_EXTRA_CA_CERTS=/sys/firmware/qemu_fw_cfg/by_name/opt/org.nodeos/ca-bundle/raw"
        );
    }
}
