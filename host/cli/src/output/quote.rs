//! Command lines as one can paste them into a shell.

use std::ffi::{OsStr, OsString};
use std::process::Command;

/// The words of a command, quoted where a POSIX shell would take them apart.
pub fn command_line<I, S>(words: I) -> OsString
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut line = OsString::new();
    for word in words {
        if !line.is_empty() {
            line.push(" ");
        }
        line.push(quote(word.as_ref()));
    }
    line
}

/// A command as a shell would have to be told it: with its folder and the variables it is given.
pub fn command(command: &Command) -> String {
    let (given, removed): (Vec<_>, Vec<_>) =
        command.get_envs().partition(|(_, value)| value.is_some());
    let mut words = Vec::new();
    if !removed.is_empty() {
        words.push(OsString::from("env"));
        words.extend(
            removed
                .iter()
                .map(|(name, _)| command_line([OsStr::new("-u"), name])),
        );
    }
    for (name, value) in given {
        let mut word = name.to_owned();
        word.push("=");
        word.push(quote(value.unwrap_or_default()));
        words.push(word);
    }
    words.push(command_line(
        std::iter::once(command.get_program()).chain(command.get_args()),
    ));
    let line = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
    match command.get_current_dir() {
        Some(folder) => format!(
            "cd {} && {line}",
            quote(folder.as_os_str()).to_string_lossy()
        ),
        None => line,
    }
}

fn quote(word: &OsStr) -> OsString {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    let bytes = word.as_encoded_bytes();
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        return word.to_owned();
    }
    // Inside single quotes everything is literal but the single quote, which has to stand outside.
    let mut quoted = OsString::from("'");
    match word.to_str() {
        Some(text) => quoted.push(text.replace('\'', r"'\''")),
        None => quoted.push(word),
    }
    quoted.push("'");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_take_apart_are_quoted() {
        let check =
            |words: &[&str], expected: &str| assert_eq!(command_line(words), expected, "{words:?}");
        check(
            &["qemu-system-x86_64", "-m", "256M"],
            "qemu-system-x86_64 -m 256M",
        );
        check(
            &["-append", "quiet root=/dev/pmem0"],
            "-append 'quiet root=/dev/pmem0'",
        );
        check(
            &["echo", "it's", "", "$HOME", "a\nb"],
            "echo 'it'\\''s' '' '$HOME' 'a\nb'",
        );
        check(&["~/x", "*", "#"], "'~/x' '*' '#'");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = ["it's", "a b", "", "\"$(id)\"", "\\", "ä"];
        let line = command_line(["printf", "%s|"].iter().chain(&words));
        let output = Command::new("/bin/sh")
            .arg("-c")
            .arg(line)
            .output()
            .expect("every system has /bin/sh");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            words.map(|word| format!("{word}|")).concat()
        );
    }

    #[test]
    fn folder_and_variables_come_first() {
        let mut make = Command::new("make");
        make.args(["-j2", "vmlinux"])
            .env("LC_ALL", "C")
            .current_dir("/a b");
        assert_eq!(command(&make), "cd '/a b' && LC_ALL=C make -j2 vmlinux");
        let mut make = Command::new("make");
        make.env_remove("MAKEFLAGS").env("A", "b c");
        assert_eq!(command(&make), "env -u MAKEFLAGS A='b c' make");
    }
}
