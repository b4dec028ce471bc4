//! The kernel's command line: NodeOS's own words on it, and how a line is cut into words.

/// With this word `init` writes a line beginning with [`MARK`] to the console at each stage of the boot.
pub const CHART: &str = "nodeos.chart";

/// `nodeos.console=COLUMNSxROWS`: the size of the terminal that shows a serial console.
pub const CONSOLE_SIZE: &str = "nodeos.console";

/// How a mark begins: `nodeos: mark STAGE SECONDS`, the seconds counted by the guest since its kernel started.
pub const MARK: &str = "nodeos: mark";

/// The value of `name=value` on a command line; `Some("")` for the word alone. The last one wins, as in the kernel.
///
/// Double quotes protect spaces, as the kernel's `next_arg` has it (lib/cmdline.c).
pub fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    words(line)
        .filter_map(|word| match word.strip_prefix(name)? {
            "" => Some(""),
            rest => rest.strip_prefix('=').map(unquote),
        })
        .last()
}

/// The words of a command line, with quotes kept where they stand.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

/// A terminal's size as written in [`CONSOLE_SIZE`]: `(columns, rows)`, none for anything that is not one.
pub fn parse_size(text: &str) -> Option<(u16, u16)> {
    let (columns, rows) = text.split_once('x')?;
    let size = (columns.parse().ok()?, rows.parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

fn unquote(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_whole_name() {
        let line = "quiet root=/dev/pmem0 nodeos.chart nodeos.console=80x24 a=\"b c\" a.b=d";
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(value(line, name), expected, "{name}");
        check("root", Some("/dev/pmem0"));
        check("nodeos.chart", Some(""));
        check("nodeos.console", Some("80x24"));
        check("nodeos", None);
        check("a", Some("b c"));
        check("a.b", Some("d"));
        assert_eq!(words(line).count(), 6);
    }

    #[test]
    fn the_last_of_several_wins() {
        assert_eq!(value("init=/a init=/b", "init"), Some("/b"));
    }

    #[test]
    fn sizes_are_two_positive_numbers() {
        assert_eq!(parse_size("120x40"), Some((120, 40)));
        for bad in ["", "80", "80x", "x24", "0x24", "80x0", "-1x2", "80x24x1"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
