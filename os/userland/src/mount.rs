//! `mount`: shows what is mounted where. Nothing can be mounted after the start, and so not by this either.

use std::ffi::OsString;
use std::fs;
use std::io;

use lexopt::Arg;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};

const LIST: &str = "/proc/self/mounts";

pub(crate) const HELP: &str = "\
Usage: mount [-t TYPE]

Shows what is mounted where, with which type and options. In a session nothing can be mounted: that is done when the session
starts.

Options:
  -t TYPE  Show filesystems of this type only
  --help   Show this
";

#[derive(Debug, Error)]
enum MountError {
    #[error("cannot read {LIST}")]
    List(#[source] io::Error),
    #[error("mount only shows what is mounted: it does not mount {}", argument.display())]
    Refused { argument: OsString },
}

/// One line of the list, decoded.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    source: String,
    target: String,
    fstype: String,
    options: String,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut fstype = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Short('t') => fstype = Some(parser.value()?),
            // Everything is what is shown anyway.
            Arg::Short('l') => {}
            Arg::Value(argument) => {
                let hint =
                    "in a session nothing can be mounted, whoever asks; mount alone shows what is";
                return Err(Stop::failed(MountError::Refused { argument }).hint(hint));
            }
            option => return Err(option.unexpected().into()),
        }
    }
    let text = fs::read(LIST).map_err(|error| Stop::failed(MountError::List(error)))?;
    for line in String::from_utf8_lossy(&text).lines() {
        let Some(mounted) = parse(line) else {
            continue;
        };
        if fstype
            .as_ref()
            .is_none_or(|fstype| mounted.fstype.as_str() == fstype)
        {
            let Mounted {
                source,
                target,
                fstype,
                options,
            } = mounted;
            writeln!(call.out, "{source} on {target} type {fstype} ({options})")?;
        }
    }
    Ok(DONE)
}

/// A line of proc_pid_mounts(5); the last two of its six fields are always 0.
fn parse(line: &str) -> Option<Mounted> {
    let mut fields = line.split(' ').map(decode);
    Some(Mounted {
        source: fields.next()?,
        target: fields.next()?,
        fstype: fields.next()?,
        options: fields.next()?,
    })
}

/// The kernel writes what would be taken for the end of a field in octal, behind a backslash. What would move the cursor
/// stays so.
fn decode(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let code = rest
            .get(1..4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code
            .map(char::from)
            .filter(|c| c.is_ascii() && !c.is_ascii_control())
        {
            Some(c) => {
                text.push(c);
                rest = &rest[4..];
            }
            None => {
                text.push('\\');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::try_run;

    #[test]
    fn fields_are_decoded_but_do_not_move_the_cursor() {
        let check = |field: &str, expected: &str| assert_eq!(decode(field), expected);
        check("/home/old\\040user", "/home/old user");
        check("a\\134b", "a\\b");
        check("a\\012b\\", "a\\012b\\");
        check("\\", "\\");
        check("a\x1bb", "a?b");
        check("a\\0é", "a\\0é");
    }

    #[test]
    fn lines_have_at_least_four_fields() {
        let expected = Mounted {
            source: "/dev/vda".to_owned(),
            target: "/users".to_owned(),
            fstype: "ext4".to_owned(),
            options: "rw,nosuid".to_owned(),
        };
        assert_eq!(parse("/dev/vda /users ext4 rw,nosuid 0 0"), Some(expected));
        assert_eq!(parse("/dev/vda /users"), None);
    }

    #[test]
    fn what_is_mounted_here_is_shown_and_nothing_is_mounted() {
        let (code, out, _) = try_run(&["mount", "-t", "proc"]);
        assert_eq!(code, 0);
        assert!(out.starts_with("proc on /proc type proc ("), "{out}");
        let (code, out, err) = try_run(&["mount", "/dev/vda", "/mnt"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.starts_with(
            "error: mount only shows what is mounted: it does not mount /dev/vda\nhint: "
        ));
    }
}
