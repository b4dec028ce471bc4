//! pjdfstest, which others keep: what POSIX promises about files, as some hundred small tests. It runs inside machines.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::ensure;

use crate::system;

/// What it is told: which optional behaviour there is on ext4, another filesystem, and two users, of whom it takes the names
/// only, since whoever is not root cannot become them.
pub const CONFIGURATION: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
secondary_fs = "/tmp"

[settings]
naptime = 0.05

[dummy_auth]
entries = [["nodeos", "nodeos"], ["nodeos", "nodeos"]]
"#;

/// What each test came to, by its name.
pub type Results = BTreeMap<String, String>;

/// The static program, as `bin/install-dependencies --test` compiles it.
pub fn program() -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path = system::source().join(target).join("tools/bin/pjdfstest");
    ensure!(
        path.exists(),
        "pjdfstest is missing: bin/install-dependencies --test compiles it"
    );
    Ok(path)
}

/// Reads what it has printed, without the reasons.
pub fn results(said: &str) -> Results {
    let result = |line: &str| {
        let (name, word) = line.trim_end().split_once(char::is_whitespace)?;
        let word = word.trim();
        let is_result = name.contains("::") && ["ok", "FAILED", "skipped"].contains(&word);
        is_result.then(|| (name.to_owned(), word.to_owned()))
    };
    said.lines().filter_map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines_with_a_name_and_a_word() {
        let said = "open::a      ok\r\nopen::b   skipped\r\n\trequires root privileges\r\nopen::c FAILED\r\n\tassertion failed: x::y\r\n\r\nSummary: 1 failed";
        let expected = [
            ("open::a", "ok"),
            ("open::b", "skipped"),
            ("open::c", "FAILED"),
        ];
        assert_eq!(
            results(said),
            expected
                .map(|(name, word)| (name.to_owned(), word.to_owned()))
                .into()
        );
    }
}
