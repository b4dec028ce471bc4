//! Where lines come from: a terminal with an editor that suits it, or a pipe or file, of which never more is read than a
//! command needs, because the rest belongs to the commands.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use brush_core::ShellExtensions;
use brush_interactive::{
    BasicInputBackend, InputBackend, InteractivePrompt, ReadResult, ReedlineInputBackend,
    ShellError, ShellRef, UIOptions,
};
use brush_parser::ParseError;

use crate::start::{Extensions, StartError};

/// Terminals without cursor movement, and ones that nobody described.
const DUMB: [&str; 2] = ["dumb", "unknown"];

/// Reads lines.
pub(crate) enum Editor {
    /// Everything that reedline can do.
    Full(Box<ReedlineInputBackend>),
    /// Echo, backspace and completion, without moving the cursor or asking the terminal anything.
    Basic(BasicInputBackend),
    /// No terminal.
    Plain(Plain),
}

impl Editor {
    /// The editor for what standard input is.
    pub(crate) fn new(shell: &ShellRef<Extensions>, interactive: bool) -> Result<Self, StartError> {
        if !interactive || !io::stdin().is_terminal() {
            return Ok(Self::Plain(Plain {
                prompts: interactive,
            }));
        }
        // The shell leads the terminal's foreground, so that what it starts can get it and give it back.
        brush_core::terminal::TerminalControl::acquire()
            .map(std::mem::forget)
            .map_err(StartError::SetUp)?;
        let terminal = std::env::var("TERM").unwrap_or_default();
        if terminal.is_empty() || DUMB.contains(&terminal.as_str()) {
            return Ok(Self::Basic(BasicInputBackend));
        }
        let options = UIOptions::builder()
            .disable_color(std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()))
            // Not every terminal hides its markers: the kernel's own console prints them.
            .disable_bracketed_paste(terminal == "linux" || terminal.starts_with("vt"))
            .disable_highlighting(true)
            .build();
        let editor = ReedlineInputBackend::new(&options, shell).map_err(StartError::Terminal)?;
        Ok(Self::Full(Box::new(editor)))
    }
}

impl InputBackend for Editor {
    fn read_line(
        &mut self,
        shell: &ShellRef<impl ShellExtensions>,
        prompt: InteractivePrompt,
    ) -> Result<ReadResult, ShellError> {
        match self {
            Self::Full(editor) => {
                let again = InteractivePrompt {
                    prompt: prompt.prompt.clone(),
                    alt_side_prompt: String::new(),
                    continuation_prompt: prompt.continuation_prompt.clone(),
                };
                match editor.read_line(shell, prompt) {
                    // The terminal does not say where its cursor is: a serial line with nobody at its other end, or with a
                    // program. What was typed meanwhile is not lost, both editors read from the same queue.
                    Err(ShellError::InputError(_)) => {
                        *self = Self::Basic(BasicInputBackend);
                        self.read_line(shell, again)
                    }
                    result => result,
                }
            }
            Self::Basic(editor) => editor.read_line(shell, prompt),
            Self::Plain(plain) => plain.read_line(shell, prompt),
        }
    }
}

/// Input that is no terminal.
pub(crate) struct Plain {
    /// `-i`: show prompts all the same.
    prompts: bool,
}

impl Plain {
    fn show(&self, prompt: &str) -> Result<(), ShellError> {
        if self.prompts {
            let mut stderr = io::stderr();
            stderr.write_all(prompt.as_bytes())?;
            stderr.flush()?;
        }
        Ok(())
    }
}

impl InputBackend for Plain {
    fn read_line(
        &mut self,
        shell: &ShellRef<impl ShellExtensions>,
        prompt: InteractivePrompt,
    ) -> Result<ReadResult, ShellError> {
        self.show(&prompt.prompt)?;
        let mut text = String::new();
        while read_line(&mut text)? {
            let shell = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(shell.lock())
            });
            if !wants_more(shell.parse_string(text.clone())) {
                return Ok(ReadResult::Input(text));
            }
            self.show(&prompt.continuation_prompt)?;
        }
        if text.is_empty() {
            return Ok(ReadResult::Eof);
        }
        Ok(ReadResult::Input(text))
    }
}

/// Whether a command goes on in the next line.
fn wants_more<T>(parsed: Result<T, ParseError>) -> bool {
    match parsed {
        Err(ParseError::Tokenizing { inner, position: _ }) => inner.is_incomplete(),
        Err(ParseError::ParsingAtEndOfInput) => true,
        _ => false,
    }
}

/// Appends one line of standard input to `text`, and says whether there was one. It reads byte by byte: what follows the
/// line may be meant for `read` or another command, which reads from the same descriptor.
fn read_line(text: &mut String) -> Result<bool, ShellError> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ShellError::InputError(error)),
        }
    }
    text.push_str(&String::from_utf8_lossy(&line));
    Ok(!line.is_empty())
}
