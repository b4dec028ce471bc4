//! A command line of QEMU's, option by option, and paths in its options.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A command line in the making.
#[derive(Debug)]
pub(crate) struct Argv {
    words: Vec<OsString>,
}

impl Argv {
    pub(crate) fn new(program: OsString) -> Argv {
        Argv {
            words: vec![program],
        }
    }

    pub(crate) fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.words.push(name.into());
        self.words.push(value.as_ref().to_owned());
    }

    pub(crate) fn flags(&mut self, flags: &[&str]) {
        self.words.extend(flags.iter().map(OsString::from));
    }

    pub(crate) fn words(&mut self, words: &[OsString]) {
        self.words.extend(words.iter().cloned());
    }

    pub(crate) fn finish(self) -> Vec<OsString> {
        self.words
    }
}

/// Paths between pieces of text. In QEMU's options a comma in a value is written twice (qemu(1)).
pub(crate) fn join(texts: &[&str], paths: &[&Path]) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        bytes.extend_from_slice(text.as_bytes());
        for byte in paths
            .get(index)
            .map_or(&[][..], |path| path.as_os_str().as_bytes())
        {
            bytes.push(*byte);
            if *byte == b',' {
                bytes.push(b',');
            }
        }
    }
    OsString::from_vec(bytes)
}
