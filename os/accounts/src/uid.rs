//! Which number a new user gets.

use std::collections::BTreeMap;

use thiserror::Error;

/// The first number for people, as every distribution has it; the ones below are for what comes with the system.
const FIRST: u32 = 1000;

/// Whom the kernel shows where it has no other number (`/proc/sys/kernel/overflowuid`); nobody may be it.
const NOBODY: u32 = 65_534;

/// -1 means "leave it as it is" to chown(2), so it is no number.
const NO_NUMBER: u32 = u32::MAX;

/// The user whose number is 0, and whom nothing else may have.
pub const ROOT: &str = "root";

/// Why a user cannot have a number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChooseUidError {
    #[error("the number {uid} is {name}'s")]
    Taken { uid: u32, name: String },
    #[error("the number 0 is root's")]
    Root,
    #[error("root has the number 0 and no other")]
    RootHasAnother,
    #[error("the number {uid} means nobody")]
    Nobody { uid: u32 },
    #[error("there is no free number from {FIRST} on")]
    None,
}

/// The number of a new user: the wanted one, or else the first free one. `taken` says whose number is whose.
pub fn choose(
    taken: &BTreeMap<u32, String>,
    name: &str,
    wanted: Option<u32>,
) -> Result<u32, ChooseUidError> {
    match (name, wanted) {
        (ROOT, None | Some(0)) => free(taken, 0),
        (ROOT, Some(_)) => Err(ChooseUidError::RootHasAnother),
        (_, Some(0)) => Err(ChooseUidError::Root),
        (_, Some(uid @ (NOBODY | NO_NUMBER))) => Err(ChooseUidError::Nobody { uid }),
        (_, Some(uid)) => free(taken, uid),
        (_, None) => (FIRST..NO_NUMBER)
            .find(|uid| *uid != NOBODY && !taken.contains_key(uid))
            .ok_or(ChooseUidError::None),
    }
}

fn free(taken: &BTreeMap<u32, String>, uid: u32) -> Result<u32, ChooseUidError> {
    match taken.get(&uid) {
        Some(name) => Err(ChooseUidError::Taken {
            uid,
            name: name.clone(),
        }),
        None => Ok(uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(taken: &[u32], name: &str, wanted: Option<u32>, expected: Result<u32, &str>) {
        let taken = taken
            .iter()
            .map(|uid| (*uid, format!("user{uid}")))
            .collect();
        let chosen = choose(&taken, name, wanted).map_err(|error| error.to_string());
        assert_eq!(chosen, expected.map_err(str::to_owned), "{name} {wanted:?}");
    }

    #[test]
    fn the_first_free_number_is_chosen() {
        check(&[], "bob", None, Ok(1000));
        check(&[0, 1, 1000, 1001, 1003], "bob", None, Ok(1002));
        let all: Vec<u32> = (1000..NOBODY).collect();
        check(&all, "bob", None, Ok(65_535));
    }

    #[test]
    fn a_wanted_number_is_given_if_it_is_free() {
        check(&[0, 1], "bob", Some(2), Ok(2));
        check(&[0, 1], "bob", Some(1), Err("the number 1 is user1's"));
        check(
            &[],
            "bob",
            Some(65_534),
            Err("the number 65534 means nobody"),
        );
        check(
            &[],
            "bob",
            Some(u32::MAX),
            Err("the number 4294967295 means nobody"),
        );
    }

    #[test]
    fn root_and_zero_belong_together() {
        check(&[], "root", None, Ok(0));
        check(&[], "root", Some(0), Ok(0));
        check(&[0], "root", None, Err("the number 0 is user0's"));
        check(
            &[],
            "root",
            Some(5),
            Err("root has the number 0 and no other"),
        );
        check(&[], "bob", Some(0), Err("the number 0 is root's"));
    }
}
