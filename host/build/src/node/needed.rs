//! What an ELF file needs to run: its loader and its libraries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{Dyn, ElfFile64, ProgramHeader};

/// Why an ELF file's needs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadElfError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a 64-bit ELF file", .path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: object::Error,
    },
}

/// The needs of a file.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// PT_INTERP: the program that the kernel starts in its place.
    pub(super) interpreter: Option<PathBuf>,
    /// DT_NEEDED, in order.
    pub(super) needed: Vec<String>,
}

pub(super) fn read(path: &Path) -> Result<Needs, ReadElfError> {
    let data = fs::read(path).map_err(|source| ReadElfError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&data).map_err(|source| ReadElfError::Parse {
        path: path.to_owned(),
        source,
    })
}

fn parse(data: &[u8]) -> Result<Needs, object::Error> {
    let file = ElfFile64::<object::Endianness>::parse(data)?;
    let endian = file.endian();
    let mut needs = Needs::default();
    for header in file.elf_program_headers() {
        if let Some(text) = header.interpreter(endian, data)? {
            needs.interpreter = Some(PathBuf::from(String::from_utf8_lossy(text).into_owned()));
        }
    }
    let sections = file.elf_section_table();
    if let Some((dynamic, link)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for entry in dynamic
            .iter()
            .filter(|entry| entry.tag(endian) == elf::DT_NEEDED)
        {
            let name = entry.string(endian, strings)?;
            needs
                .needed
                .push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_needs_a_libc_and_a_loader() {
        let needs = read(&std::env::current_exe().unwrap()).unwrap();
        assert!(
            needs.needed.iter().any(|name| name.starts_with("libc.")),
            "{needs:?}"
        );
        assert!(
            needs
                .interpreter
                .is_some_and(|loader| loader.to_string_lossy().contains("ld-"))
        );
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(parse(b"#!/bin/sh\n").is_err());
    }
}
