//! From the command line to a running shell: its options, the files it reads first, and where its commands come from.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brush_builtins::{BuiltinSet, ShellBuilderExt as _};
use brush_core::builtins::{CommandExecuteFunc, Registration};
use brush_core::extensions::{ErrorFormatter, ShellExtensionsImpl};
use brush_core::openfiles::OpenFile;
use brush_core::{
    ProfileLoadBehavior, RcLoadBehavior, Shell, ShellExtensions, ShellValue, ShellVariable,
    SourceInfo,
};
use tokio::sync::Mutex;

use crate::arguments::{Arguments, Source};
use crate::rewrite::BACKGROUND;
use crate::{editor, execute, interactive, jobs, prompt};

/// What is read before the first command of a login shell, for everybody and for this user.
const PROFILES: [&str; 2] = ["/etc/profile", "~/.profile"];
/// In the home.
const HISTORY: &str = ".nsh_history";
/// A file that cannot be opened, and one that cannot be read as a script.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// How far to look for a zero byte, which no script has.
const PEEK: usize = 256;

/// Why a shell could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot set up the shell")]
    SetUp(#[source] brush_core::Error),
    #[error("cannot use the terminal")]
    Terminal(#[source] brush_interactive::ShellError),
    #[error("cannot run the commands")]
    Run(#[source] brush_core::Error),
}

/// Errors as `sh` writes them: the shell's name, then what is wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    name: String,
}

impl ErrorFormatter for Errors {
    fn format_error(
        &self,
        error: &brush_core::Error,
        _shell: &Shell<impl ShellExtensions>,
    ) -> String {
        format!("{}: {error:#}\n", self.name)
    }
}

pub(crate) type Extensions = ShellExtensionsImpl<Errors>;
pub(crate) type Nsh = Shell<Extensions>;

/// Runs a shell to its end, and returns its exit code.
pub(crate) fn run(arguments: Arguments) -> Result<u8, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // A shell waits most of its time. Each stage of a pipeline that is a built-in command has a thread of its own beside these.
        .worker_threads(2)
        .build()
        .map_err(StartError::Runtime)?;
    let code = runtime.block_on(execute(arguments));
    // A built-in command in the background may wait for input for ever; nobody waits for it.
    runtime.shutdown_background();
    code
}

async fn execute(arguments: Arguments) -> Result<u8, StartError> {
    let at_terminal = arguments.source == Source::Input
        && io::stdin().is_terminal()
        && io::stderr().is_terminal();
    let is_interactive = arguments.interactive || at_terminal;
    let mut shell = build(&arguments, is_interactive)
        .await
        .map_err(StartError::SetUp)?;
    if arguments.login {
        for profile in PROFILES {
            source(&mut shell, profile).await.map_err(StartError::Run)?;
        }
    }
    // POSIX: an interactive shell reads the file that $ENV names.
    if is_interactive && let Some(file) = shell.env_str("ENV").map(|name| name.into_owned()) {
        source(&mut shell, &file).await.map_err(StartError::Run)?;
    }
    match arguments.source {
        Source::Text(text) => {
            shell.start_command_string_mode();
            Ok(run_text(shell, &text, &SourceInfo::from("-c")).await)
        }
        Source::File(file) => Ok(script(shell, &file).await),
        Source::Input => {
            let shell = Arc::new(Mutex::new(shell));
            let mut editor = editor::Editor::new(&shell, is_interactive)?;
            interactive::run(&shell, &mut editor)
                .await
                .map_err(StartError::Terminal)?;
            Ok(shell.lock().await.last_exit_status())
        }
    }
}

/// What somebody types who knows nothing yet.
const HELP: &str = "help";

async fn build(arguments: &Arguments, interactive: bool) -> Result<Nsh, brush_core::Error> {
    // $0 without the dash that makes a login shell: it stands in messages.
    let name = arguments.name.trim_start_matches('-');
    let mut builder = Shell::builder_with_extensions::<Extensions>()
        .default_builtins(BuiltinSet::BashMode)
        .error_formatter(Errors {
            name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        })
        .login(arguments.login)
        .interactive(interactive)
        .command_string_mode(matches!(arguments.source, Source::Text(_)))
        .read_commands_from_stdin(arguments.source == Source::Input)
        // Both are read by this module, because brush's own start looks for bash's files.
        .profile(ProfileLoadBehavior::Skip)
        .rc(RcLoadBehavior::Skip)
        .enable_options(arguments.on.iter().cloned())
        .disable_options(arguments.off.iter().cloned())
        .shell_name(name.to_owned())
        .shell_args(arguments.parameters.clone())
        .fds(unbuffered_input())
        .shell_version(env!("CARGO_PKG_VERSION").to_owned());
    for (name, command) in built_in() {
        builder = builder.builtin(name, command);
    }
    // Theirs is about the shell; the system has a command of that name, which is about the system.
    if let Some(theirs) = brush_builtins::default_builtins(BuiltinSet::BashMode).remove(HELP) {
        let disabled = true;
        builder = builder.builtin(HELP, Registration { disabled, ..theirs });
    }
    if interactive {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let variables = [
            (
                "HISTFILE",
                home.join(HISTORY).to_string_lossy().into_owned(),
            ),
            ("PS1", prompt::PS1.to_owned()),
            ("PS2", prompt::PS2.to_owned()),
        ];
        for (name, value) in variables {
            if std::env::var_os(name).is_none() {
                builder = builder.var(name, ShellVariable::new(ShellValue::from(value)));
            }
        }
    }
    builder.build().await
}

/// Standard input without a buffer of the shell's own, unless it is a terminal: what `read` does not take belongs to the
/// next command.
fn unbuffered_input() -> HashMap<i32, OpenFile> {
    let input = (!io::stdin().is_terminal())
        .then(|| brush_core::sys::fd::try_get_file_for_open_fd(0))
        .flatten();
    input.into_iter().map(|input| (0, input)).collect()
}

/// The built-in commands that are not brush's.
fn built_in() -> [(&'static str, Registration<Extensions>); 6] {
    [
        (
            BACKGROUND,
            registration(|context, words| Box::pin(jobs::background(context, words))),
        ),
        (
            "eval",
            registration(|context, words| Box::pin(execute::eval(context, words))).special(),
        ),
        (
            "echo",
            registration(|context, words| Box::pin(execute::write(context, words))),
        ),
        (
            "printf",
            registration(|context, words| Box::pin(execute::write(context, words))),
        ),
        (
            "kill",
            registration(|context, words| Box::pin(jobs::kill(context, words))),
        ),
        (
            "wait",
            registration(|context, words| Box::pin(jobs::wait(context, words))),
        ),
    ]
}

fn registration(run: CommandExecuteFunc<Extensions>) -> Registration<Extensions> {
    Registration {
        execute_func: run,
        content_func: |name, _, _| Ok(format!("{name}: see `help`\n")),
        disabled: false,
        special_builtin: false,
        declaration_builtin: false,
    }
}

/// Runs a file in this shell, if there is such a file.
async fn source(shell: &mut Nsh, file: &str) -> Result<(), brush_core::Error> {
    let path = match file.strip_prefix("~/") {
        Some(rest) => {
            let home = shell
                .env_str("HOME")
                .map_or("/".into(), |home| home.into_owned());
            Path::new(&home).join(rest)
        }
        None => PathBuf::from(file),
    };
    if path.is_file() {
        let parameters = shell.default_exec_params();
        let nothing = std::iter::empty::<String>();
        shell.source_script(&path, nothing, &parameters).await?;
    }
    Ok(())
}

/// Runs a script and its exit trap.
async fn script(shell: Nsh, file: &str) -> u8 {
    let path = Path::new(file);
    let problem = match std::fs::read(path) {
        Ok(bytes) if bytes.iter().take(PEEK).any(|byte| *byte == 0) => {
            (NOT_EXECUTABLE, "it is a binary file".to_owned())
        }
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            return run_text(shell, &text, &SourceInfo::from(path.to_owned())).await;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (NOT_FOUND, error.to_string()),
        Err(error) => (NOT_EXECUTABLE, error.to_string()),
    };
    let _ = writeln!(io::stderr(), "{file}: {}", problem.1);
    problem.0
}

async fn run_text(mut shell: Nsh, text: &str, source: &SourceInfo) -> u8 {
    let parameters = shell.default_exec_params();
    execute::text(&mut shell, text, source, &parameters).await;
    let code = shell.last_exit_status();
    // The exit trap's own code counts only if it calls `exit`.
    let _ = shell.on_exit().await;
    code
}
