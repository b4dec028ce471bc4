//! A command of `scripts` in package.json as words. There is no shell in a machine, so what only a shell does is refused.

use std::collections::BTreeMap;

/// Why a command cannot be run without a shell, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("there is no shell in the machine, and {syntax} is shell syntax")]
    Shell { syntax: String },
    #[error("a quotation mark is never closed")]
    Quote,
    #[error("it names no program")]
    Nothing,
    #[error("node is given no file")]
    NoFile,
    #[error("there is no \"scripts.{name}\"")]
    NoScript { name: String },
    #[error("its scripts run each other without end")]
    Endless,
}

impl ScriptError {
    pub(super) fn hint(&self) -> String {
        "name the file to run in package.json: \"nodeos\": {\"entry\": \"server.js\"}".to_owned()
    }
}

/// A command without anything for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// `NAME=value` before the program.
    pub(super) env: BTreeMap<String, String>,
    pub(super) program: String,
    pub(super) args: Vec<String>,
}

/// Characters that mean something to a shell wherever they stand outside of single quotation marks.
const ALWAYS: [char; 3] = ['$', '`', '\\'];
/// Those that do outside of all quotation marks.
const BARE: [char; 14] = [
    '|', '&', ';', '<', '>', '(', ')', '*', '?', '[', '{', '~', '#', '!',
];

/// Reads a command.
pub(super) fn parse(text: &str) -> Result<Command, ScriptError> {
    let mut words = words(text)?.into_iter().peekable();
    let mut env = BTreeMap::new();
    while let Some(word) = words.peek() {
        // What a program of that name does elsewhere, a line of the environment does here.
        if !is_assignment(word) && word != "cross-env" {
            break;
        }
        if let Some((name, value)) = words
            .next()
            .as_deref()
            .and_then(|word| word.split_once('='))
        {
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    let program = words.next().ok_or(ScriptError::Nothing)?;
    Ok(Command {
        env,
        program,
        args: words.collect(),
    })
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn words(text: &str) -> Result<Vec<String>, ScriptError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.trim().chars() {
        match (quote, c) {
            (None, c) if c.is_whitespace() && c != '\n' => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, c) if ALWAYS.contains(&c) => return Err(shell(c)),
            (None, c) if BARE.contains(&c) || c == '\n' => return Err(shell(c)),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ScriptError::Quote);
    }
    words.extend(word);
    Ok(words)
}

fn shell(c: char) -> ScriptError {
    let syntax = match c {
        '\n' => "a line end".to_owned(),
        c => c.to_string(),
    };
    ScriptError::Shell { syntax }
}

/// Arguments of Node.js that are followed by a value of their own. All others have it behind a `=`, or have none.
const WITH_VALUE: [&str; 12] = [
    "-r",
    "--require",
    "--import",
    "-C",
    "--conditions",
    "--loader",
    "--experimental-loader",
    "--env-file",
    "--env-file-if-exists",
    "--title",
    "--icu-data-dir",
    "--stack-trace-limit",
];

/// The arguments of `node` as those for itself, the file, and those for the file.
pub(super) fn split_node(
    args: &[String],
) -> Result<(Vec<String>, String, Vec<String>), ScriptError> {
    let mut node_args = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            let file = args.next().ok_or(ScriptError::NoFile)?;
            return Ok((node_args, file.clone(), args.cloned().collect()));
        }
        if !arg.starts_with('-') {
            return Ok((node_args, arg.clone(), args.cloned().collect()));
        }
        if ["-e", "--eval", "-p", "--print", "-"].contains(&arg.as_str()) {
            return Err(ScriptError::NoFile);
        }
        node_args.push(arg.clone());
        if WITH_VALUE.contains(&arg.as_str()) {
            node_args.extend(args.next().cloned());
        }
    }
    Err(ScriptError::NoFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_command_is_words() {
        let check = |text: &str, expected: &[&str]| {
            let command = parse(text).unwrap();
            let mut found = vec![command.program];
            found.extend(command.args);
            assert_eq!(found, expected, "{text}");
        };
        check("node server.js", &["node", "server.js"]);
        check("  next   start -p 3000 ", &["next", "start", "-p", "3000"]);
        check("node 'a b.js' \"c d\" ''", &["node", "a b.js", "c d", ""]);
        check("node '$x'", &["node", "$x"]);
    }

    #[test]
    fn an_environment_may_stand_in_front() {
        for text in [
            "NODE_ENV=test A=1=2 node x",
            "cross-env NODE_ENV=test A=1=2 node x",
        ] {
            let command = parse(text).unwrap();
            assert_eq!(command.program, "node");
            assert_eq!(command.env["NODE_ENV"], "test");
            assert_eq!(command.env["A"], "1=2");
        }
        assert_eq!(parse("node --a=b").unwrap().program, "node");
    }

    #[test]
    fn what_only_a_shell_does_is_refused_by_its_character() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        };
        let shell = |c| format!("there is no shell in the machine, and {c} is shell syntax");
        check("npm run build && node x", &shell("&"));
        check("node x | pino-pretty", &shell("|"));
        check("node x -p $PORT", &shell("$"));
        check("node x -p \"$PORT\"", &shell("$"));
        check("node x > log", &shell(">"));
        check("node 'x", "a quotation mark is never closed");
        check("", "it names no program");
        check("A=b", "it names no program");
    }

    #[test]
    fn nodes_own_arguments_end_with_the_file() {
        let check = |text: &str, node: &[&str], file: &str, rest: &[&str]| {
            let command = parse(text).unwrap();
            let (node_args, found, args) = split_node(&command.args).unwrap();
            assert_eq!(
                (node_args, found.as_str(), args),
                (
                    node.iter().map(|s| s.to_string()).collect(),
                    file,
                    rest.iter().map(|s| s.to_string()).collect(),
                )
            );
        };
        check("node a.js -v", &[], "a.js", &["-v"]);
        check(
            "node --enable-source-maps -r ./b.js a.js x",
            &["--enable-source-maps", "-r", "./b.js"],
            "a.js",
            &["x"],
        );
        check("node --import=x -- a.js", &["--import=x"], "a.js", &[]);
        for text in ["node", "node -e 1", "node --watch", "node -r x"] {
            let command = parse(text).unwrap();
            assert_eq!(
                split_node(&command.args),
                Err(ScriptError::NoFile),
                "{text}"
            );
        }
    }
}
