//! Certificates of authorities that came with the machine, for Node.js to trust beside its own.

use std::env;
use std::fs;
use std::io;
use std::path::Path;

use nodeos_spec::cmdline;

use crate::log::Log;

/// Whether there are some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorities {
    /// Those that Node.js brings, and no others.
    OfNode,
    Added,
}

/// Their text, where the kernel's command line names a file and it can be read; why it cannot is said. Only root can read what
/// the host passes on, so who confines somebody gives them a copy.
pub fn read(log: &mut Log) -> Option<String> {
    let path = env::var_os(cmdline::AUTHORITIES)?;
    let path = Path::new(&path);
    text(path)
        .inspect_err(|error| {
            let name = cmdline::AUTHORITIES;
            log.say(&format!("{name}: cannot read {}: {error}", path.display()));
        })
        .ok()
}

/// A disk ends with a whole sector, and so with zeros behind the text.
fn text(path: &Path) -> io::Result<String> {
    let mut text = fs::read_to_string(path)?;
    text.truncate(text.trim_end_matches('\0').len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_the_last_sector_is_no_text() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = scratch.path().join("disk");
        fs::write(&disk, "-----END CERTIFICATE-----\n\0\0\0").unwrap();
        assert_eq!(text(&disk).unwrap(), "-----END CERTIFICATE-----\n");
        fs::write(&disk, b"\xff").unwrap();
        assert!(text(&disk).is_err());
    }
}
