//! `--memory`: how much of it a machine gets.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Below this the kernel alone does not reach its init (measured: 36 MiB boots, 32 MiB does not).
const MINIMUM_MIB: u32 = 36;

/// 1 TiB: what QEMU's TCG addresses with room to spare. More is a slip of the finger.
const MAXIMUM_MIB: u32 = 1024 * 1024;

/// Memory of a machine in MiB. What was read by [`str::parse`] is enough for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// MiB, at most 1,048,576.
    pub mib: u32,
}

/// Why a text is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseMemoryError {
    #[error("expected a number of MiB, or a number with M or G, as in 256M or 1G")]
    Form,
    #[error("{given_mib} MiB is too little: the kernel needs at least {MINIMUM_MIB} MiB")]
    TooSmall { given_mib: u64 },
    #[error("more than {} GiB", MAXIMUM_MIB / 1024)]
    TooLarge,
}

impl FromStr for Memory {
    type Err = ParseMemoryError;

    /// Reads `256M`, `1G` or `512` (MiB), in either case.
    fn from_str(text: &str) -> Result<Memory, ParseMemoryError> {
        let given_mib = mib(text)?;
        match given_mib {
            Some(given_mib) if given_mib < u64::from(MINIMUM_MIB) => {
                Err(ParseMemoryError::TooSmall { given_mib })
            }
            Some(given_mib) if given_mib <= u64::from(MAXIMUM_MIB) => Ok(Memory {
                mib: u32::try_from(given_mib).expect("the maximum is below u32's"),
            }),
            _ => Err(ParseMemoryError::TooLarge),
        }
    }
}

/// As [`Memory::from_str`], for where something else than the kernel says how much is needed: there is no least amount.
///
/// # Errors
/// [`ParseMemoryError`].
pub fn of_any_size(text: &str) -> Result<Memory, ParseMemoryError> {
    let mib = mib(text)?.and_then(|mib| u32::try_from(mib).ok());
    mib.filter(|mib| *mib <= MAXIMUM_MIB)
        .map(|mib| Memory { mib })
        .ok_or(ParseMemoryError::TooLarge)
}

/// How many MiB the machine of an application needs whose root does not lie in its memory.
///
/// Measured with one line of JavaScript under QEMU 7.2: with 48 MiB it runs from both kinds of root; with 44 MiB it hangs from a disk, whose
/// pages are read again and again; with 40 MiB Node.js is killed from mapped memory, too. Two processors run it in 52 MiB, and four in 60.
pub fn needed_for_application(cpus: u32) -> u32 {
    const FIRST_MIB: u32 = 48;
    const MORE_MIB: u32 = 4;
    FIRST_MIB.saturating_add(MORE_MIB.saturating_mul(cpus.saturating_sub(1)))
}

/// Who says how much memory an application's machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    CommandLine,
    Package,
}

/// An application cannot start with so little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", too_little(self))]
pub struct ApplicationMemoryError {
    pub given_mib: u32,
    pub needed_mib: u32,
    pub cpus: u32,
    pub giver: Giver,
}

fn too_little(error: &ApplicationMemoryError) -> String {
    let ApplicationMemoryError {
        given_mib,
        needed_mib,
        cpus,
        giver,
    } = error;
    let processors = match cpus {
        0 | 1 => String::new(),
        cpus => format!(" on {cpus} processors"),
    };
    let needs = format!("it needs at least {needed_mib} MiB");
    match giver {
        Giver::CommandLine => format!(
            "{given_mib} MiB of memory are too little for an application{processors}: {needs}"
        ),
        Giver::Package => format!(
            "package.json gives the application {given_mib} MiB of memory, which are too little{processors}: {needs}"
        ),
    }
}

impl ApplicationMemoryError {
    /// What the user can do.
    pub fn hint(&self) -> String {
        let needed_mib = self.needed_mib;
        match self.giver {
            Giver::CommandLine => format!("give --memory {needed_mib}M, or leave it away"),
            Giver::Package => {
                format!(
                    "write \"nodeos\": {{\"memory\": \"{needed_mib}M\"}} there, or give --memory"
                )
            }
        }
    }
}

/// Refuses memory with which an application is killed at its start, or hangs.
///
/// # Errors
/// [`ApplicationMemoryError`].
pub fn for_application(
    given_mib: u32,
    cpus: u32,
    giver: Giver,
) -> Result<(), ApplicationMemoryError> {
    let needed_mib = needed_for_application(cpus);
    if given_mib >= needed_mib {
        return Ok(());
    }
    Err(ApplicationMemoryError {
        given_mib,
        needed_mib,
        cpus,
        giver,
    })
}

/// What `256M`, `1G` or `512` is in MiB; none when it is more than can be counted.
pub(crate) fn mib(text: &str) -> Result<Option<u64>, ParseMemoryError> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'M' | 'm')) => (&text[..at], 1),
        Some((at, 'G' | 'g')) => (&text[..at], 1024),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseMemoryError::Form);
    }
    Ok(digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor)))
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.mib)
    }
}

/// How many MiB a machine needs whose root is an archive that is unpacked into memory.
///
/// While the kernel unpacks it, the archive and what came out of it so far are both there; the rest is the kernel's own
/// (measured with a 50 MB archive of 118 MB: 208 MiB boots, 192 MiB does not).
pub fn needed_for_initramfs(archive_bytes: u64, unpacked_bytes: u64) -> u64 {
    const KERNEL_MIB: u64 = 40;
    /// Finer steps would promise more than was measured.
    const STEP_MIB: u64 = 16;
    let contents = (archive_bytes + unpacked_bytes).div_ceil(1024 * 1024);
    (contents + KERNEL_MIB).next_multiple_of(STEP_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mib_or_have_a_unit() {
        let check = |text: &str, mib: u32| assert_eq!(text.parse(), Ok(Memory { mib }), "{text}");
        check("256M", 256);
        check("256m", 256);
        check("512", 512);
        check("1G", 1024);
        check("36", 36);
        check("1024G", 1_048_576);
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                text.parse::<Memory>().expect_err(text).to_string(),
                expected,
                "{text}"
            );
        };
        let form = "expected a number of MiB, or a number with M or G, as in 256M or 1G";
        for text in [
            "", "M", "G", "-1", "+64", "1.5G", "64K", "64MB", "1é", "0x40",
        ] {
            check(text, form);
        }
        check(
            "35M",
            "35 MiB is too little: the kernel needs at least 36 MiB",
        );
        check("0", "0 MiB is too little: the kernel needs at least 36 MiB");
        check("1025G", "more than 1024 GiB");
        check("99999999999999999999", "more than 1024 GiB");
        check("18446744073709551615G", "more than 1024 GiB");
    }

    #[test]
    fn an_application_without_enough_memory_is_refused_with_what_it_needs() {
        assert_eq!(for_application(48, 1, Giver::CommandLine), Ok(()));
        assert_eq!(for_application(60, 4, Giver::Package), Ok(()));
        let error = for_application(47, 1, Giver::CommandLine).unwrap_err();
        assert_eq!(
            error.to_string(),
            "47 MiB of memory are too little for an application: it needs at least 48 MiB"
        );
        assert_eq!(error.hint(), "give --memory 48M, or leave it away");
        let error = for_application(48, 2, Giver::Package).unwrap_err();
        assert_eq!(
            error.to_string(),
            "package.json gives the application 48 MiB of memory, which are too little on 2 processors: it needs at least 52 MiB"
        );
        assert_eq!(
            error.hint(),
            "write \"nodeos\": {\"memory\": \"52M\"} there, or give --memory"
        );
    }

    #[test]
    fn an_archive_needs_room_for_itself_and_its_contents() {
        assert_eq!(needed_for_initramfs(50_160_000, 118_070_000), 208);
        assert_eq!(needed_for_initramfs(0, 0), 48);
    }
}
