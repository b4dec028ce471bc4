//! What an ELF file wants of others and gives to them, by name.

use object::elf;
use object::read::elf::{Dyn, FileHeader, Sym};

use crate::recipe::Arch;

/// A program or library.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// DT_NEEDED, in order.
    pub(super) needed: Vec<String>,
    /// Names of symbols that it cannot do without.
    pub(super) wants: Vec<Vec<u8>>,
    /// Names of symbols that it has for others.
    pub(super) gives: Vec<Vec<u8>>,
}

/// None for what is no ELF file for this processor, damaged ones included: nothing would load them.
pub(super) fn read(data: &[u8], arch: Arch) -> Option<Object> {
    parse(data, arch).ok().flatten()
}

fn parse(data: &[u8], arch: Arch) -> Result<Option<Object>, object::Error> {
    let header = elf::FileHeader64::<object::Endianness>::parse(data)?;
    let endian = header.endian()?;
    if header.e_machine(endian) != machine(arch) {
        return Ok(None);
    }
    let sections = header.sections(endian, data)?;
    let mut object = Object::default();
    if let Some((dynamic, link)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for entry in dynamic {
            if entry.tag(endian) == elf::DT_NEEDED {
                let name = entry.string(endian, strings)?;
                object
                    .needed
                    .push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
    for symbol in symbols.iter() {
        let name = symbols.symbol_name(endian, symbol)?;
        if name.is_empty() || symbol.is_local() {
            continue;
        }
        if !symbol.is_undefined(endian) {
            object.gives.push(name.to_vec());
        } else if !symbol.is_weak() {
            object.wants.push(name.to_vec());
        }
    }
    Ok(Some(object))
}

fn machine(arch: Arch) -> elf::Machine {
    match arch {
        Arch::X86_64 => elf::EM_X86_64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_wants_what_a_libc_gives() {
        let data = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let object = read(&data, Arch::X86_64).unwrap();
        assert!(object.needed.iter().any(|name| name.starts_with("libc.")));
        assert!(object.wants.contains(&b"malloc".to_vec()));
        assert!(!object.gives.contains(&b"malloc".to_vec()));
    }

    #[test]
    fn what_is_no_elf_file_for_the_processor_is_nothing() {
        assert!(read(b"\xcf\xfa\xed\xfe", Arch::X86_64).is_none());
        let mut data = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        data[18] = 183; // EM_AARCH64 in place of EM_X86_64
        assert!(read(&data, Arch::X86_64).is_none());
    }
}
