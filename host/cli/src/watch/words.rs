//! What is said of changes.

use std::time::Duration;

use nodeos_build::application::outline::{AnotherMachine, Changes};

use super::update::UpdateError;
use crate::machines::ending;
use crate::machines::protocol::Ending;
use crate::output::size;

/// How many files are named.
const NAMED: usize = 3;

/// Which files have changed.
pub(super) fn files(changes: &Changes) -> String {
    let changed = changes.changed.keys();
    let changed = changed.map(|path| path.display().to_string());
    let removed = changes.removed.iter();
    let removed = removed.map(|path| format!("{} (removed)", path.display()));
    let mut names: Vec<String> = changed.chain(removed).collect();
    let more = names.len().saturating_sub(NAMED);
    if more > 1 {
        names.truncate(NAMED);
        return format!("{} and {more} more", names.join(", "));
    }
    names.join(", ")
}

/// That they are in the machine, and the application runs with them.
pub(super) fn restarted(files: &str, time: Duration) -> String {
    format!("changed: {files}; restarted in {}", size::duration(time))
}

/// That they are in the machine, and the application has ended.
pub(super) fn rests(files: Option<&str>, ending: &Ending) -> String {
    let changed = files.map_or_else(String::new, |files| format!("changed: {files}; "));
    let how = ending::in_short(ending);
    format!("{changed}the application has ended with {how}; waiting for a change")
}

/// Why another machine takes the place of this one.
pub(super) fn why(why: AnotherMachine) -> String {
    let what = match why {
        AnotherMachine::Dependencies => "dependencies",
        AnotherMachine::Settings => "settings of the machine",
    };
    format!("changed: {what}; starting the machine anew")
}

/// The same where the machine has no room for a change, say.
pub(super) fn cannot_follow(error: &UpdateError) -> String {
    format!("note: the running machine cannot be changed: {error}; starting it anew")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nodeos_build::application::outline::Kind;

    use super::*;

    #[test]
    fn a_few_files_are_named_and_the_rest_is_counted() {
        let check = |changed: &[&str], removed: &[&str], expected: &str| {
            let file = |path: &&str| (PathBuf::from(*path), Kind::File { mode: 0o644 });
            let changes = Changes {
                changed: changed.iter().map(file).collect(),
                removed: removed.iter().map(PathBuf::from).collect(),
            };
            assert_eq!(files(&changes), expected);
        };
        check(&["a.js"], &[], "a.js");
        check(&["a.js"], &["b.js"], "a.js, b.js (removed)");
        check(&["a", "b", "c", "d"], &[], "a, b, c, d");
        check(&["a", "b", "c"], &["d", "e"], "a, b, c and 2 more");
    }
}
