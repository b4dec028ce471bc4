//! Passwords: made into a hash, and compared with one. Neither what is typed nor a hash is ever shown.

use std::hint::black_box;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use nodeos_spec::logon::Password;
use rustix::io::Errno;
use rustix::rand::{self, GetRandomFlags};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The most bytes that a password has. What is longer cannot be typed at a logon.
pub const LONGEST: usize = 1024;

/// 19 MiB, two passes, one lane: what OWASP's Password Storage Cheat Sheet recommends at least for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes of salt: RFC 9106, section 3.1, recommends 16 for passwords.
const SALT: usize = 16;
/// Bytes of the result: 128 bits would do by the same RFC, and every implementation gives 256.
const OUTPUT: usize = 32;

/// Why there is no hash of a password.
#[derive(Debug, Error)]
pub enum HashPasswordError {
    #[error("cannot get random bytes for the salt of a password")]
    Salt(#[source] Errno),
    #[error("cannot compute the hash of a password")]
    Compute(#[source] argon2::password_hash::Error),
}

/// Why a new password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnfitPasswordError {
    #[error("a password that is empty is asked for by --no-password")]
    Empty,
    #[error("a password has at most {LONGEST} bytes")]
    TooLong,
    #[error("a password has no control characters, which nobody can type at a logon")]
    ControlCharacter,
}

/// Whether somebody could type this as a new password.
pub fn check_fit(password: &str) -> Result<(), UnfitPasswordError> {
    if password.is_empty() {
        Err(UnfitPasswordError::Empty)
    } else if password.len() > LONGEST {
        Err(UnfitPasswordError::TooLong)
    } else if password.chars().any(char::is_control) {
        Err(UnfitPasswordError::ControlCharacter)
    } else {
        Ok(())
    }
}

/// The Argon2id hash of a password with a new salt, as `logon.json` has it.
pub fn hash(password: &str) -> Result<String, HashPasswordError> {
    let mut salt = [0; SALT];
    // Up to 256 bytes come whole, once the kernel has gathered enough of them (getrandom(2)).
    rustix::io::retry_on_intr(|| rand::getrandom(&mut salt, GetRandomFlags::empty()))
        .map_err(HashPasswordError::Salt)?;
    let hash = hasher()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(HashPasswordError::Compute)?;
    Ok(hash.to_string())
}

/// Whether the password is the right one. A wrong one costs the same for every kind of account, and as much as
/// [`dummy_verify`]; the only quick answer is the yes to an empty password where none is asked for.
pub fn verify(expected: &Password, password: &str) -> bool {
    match expected {
        Password::Argon2(hash) => match PasswordHash::new(hash) {
            Ok(hash) => hasher().verify_password(password.as_bytes(), &hash).is_ok(),
            Err(_) => refuse(password),
        },
        Password::Sha1(expected) => {
            let given: [u8; 20] = Sha1::digest(password.as_bytes()).into();
            // The result is known only after the time that everybody else's takes.
            dummy_verify(password);
            given.ct_eq(expected).into()
        }
        Password::None => password.is_empty() || refuse(password),
        Password::NonInteractive => refuse(password),
    }
}

/// Takes the time of comparing a password, for a name that nobody has.
pub fn dummy_verify(password: &str) {
    let mut output = [0; OUTPUT];
    let result = hasher().hash_password_into(password.as_bytes(), &[0; SALT], &mut output);
    // Otherwise the compiler may leave out what nobody uses.
    let _ = black_box((result.is_ok(), output));
}

fn refuse(password: &str) -> bool {
    dummy_verify(password);
    false
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT))
        .expect("the numbers above are within the limits of RFC 9106");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the original's own demo user has: the SHA-1 of "nodeos".
    const OLD: [u8; 20] = [
        0x81, 0x4e, 0xdc, 0x24, 0x77, 0x62, 0x07, 0x18, 0xd6, 0x3f, 0xcf, 0xb8, 0xb8, 0x1a, 0x69,
        0xdb, 0xf4, 0x8b, 0xf8, 0x37,
    ];

    fn check(expected: &Password, password: &str, result: bool) {
        assert_eq!(verify(expected, password), result, "{password:?}");
    }

    #[test]
    fn a_password_is_right_for_its_own_hash_only() {
        let hash = hash("grünkohl 🥬").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let expected = Password::Argon2(hash);
        check(&expected, "grünkohl 🥬", true);
        check(&expected, "grünkohl 🥬 ", false);
        check(&expected, "grunkohl 🥬", false);
        check(&expected, "", false);
    }

    #[test]
    fn two_hashes_of_the_same_password_differ() {
        assert_ne!(hash("same").unwrap(), hash("same").unwrap());
    }

    #[test]
    fn hashes_of_other_programs_are_understood() {
        // Of the reference program argon2(1): echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -e
        let expected = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        check(&Password::Argon2(expected.to_owned()), "password", true);
        check(&Password::Argon2(expected.to_owned()), "passwore", false);
    }

    #[test]
    fn hashes_of_the_original_are_understood() {
        check(&Password::Sha1(OLD), "nodeos", true);
        check(&Password::Sha1(OLD), "", false);
        check(&Password::Sha1(OLD), "NodeOS", false);
    }

    #[test]
    fn no_password_means_only_the_empty_one_and_a_non_interactive_account_takes_none() {
        check(&Password::None, "", true);
        check(&Password::None, "x", false);
        check(&Password::NonInteractive, "", false);
        check(&Password::NonInteractive, "x", false);
    }

    #[test]
    fn a_hash_that_nobody_understands_accepts_nothing() {
        check(&Password::Argon2("$argon2id$".to_owned()), "", false);
        check(
            &Password::Argon2("$argon2id$v=19$m=19456,t=2,p=1$a$a".to_owned()),
            "a",
            false,
        );
    }

    #[test]
    fn what_nobody_can_type_is_not_taken_as_a_new_password() {
        let check = |password: &str, expected: Result<(), UnfitPasswordError>| {
            assert_eq!(check_fit(password), expected, "{password:?}");
        };
        check("a", Ok(()));
        check("ein Satz mit ß", Ok(()));
        check(&"x".repeat(LONGEST), Ok(()));
        check("", Err(UnfitPasswordError::Empty));
        check(&"ß".repeat(LONGEST), Err(UnfitPasswordError::TooLong));
        check("a\tb", Err(UnfitPasswordError::ControlCharacter));
        check("a\u{1b}", Err(UnfitPasswordError::ControlCharacter));
    }
}
