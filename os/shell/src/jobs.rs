//! Jobs in the background, as processes: `list &`, and the built-in commands `kill` and `wait`.
//!
//! brush keeps jobs of its own, but gives a process only to one that was stopped. So a job begins as a shell that stops itself;
//! brush takes it for a stopped job, and then it is sent on. What brush knows of jobs (`jobs`, `fg`, `%1`, `$!`) is true
//! of it from then on. The shell gets this shell's variables and functions as text in front of the list, because a process that
//! has threads cannot be copied.

use std::fmt::Write as _;
use std::future::{Future as _, poll_fn};
use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use brush_core::openfiles::OpenFiles;
use brush_core::traps::TrapSignal;
use brush_core::variables::FormatStyle;
use brush_core::{
    CommandArg, Error, ErrorKind, ExecutionContext, ExecutionResult, ProcessGroupPolicy, Shell,
    ShellExtensions, ShellValue, SourceInfo, openfiles,
};

use brush_parser::ast::{AndOrList, Command, CompoundList, CompoundListItem};

use crate::rewrite::{self, quote};

/// The kernel's limit of one argument is 128 KiB; a shell with more functions than that runs its jobs as brush does.
const MOST_TEXT: usize = 120 * 1024;
/// The shell, wherever it lies.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Where the job finds the real standard error, which it must not have before brush has reported it as stopped.
const REAL_STDERR: i32 = 9;
/// What the job reads from before it stops itself: closed as soon as brush waits for that.
const GATE: i32 = 8;
/// Under load brush now and then misses the kernel's word that a child has stopped. It is told to look again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Who does not exist cannot be killed or waited for.
const NO_SUCH: u8 = 1;
const NOT_A_CHILD: u8 = 127;
const USAGE: u8 = 2;

/// Variables that a new shell sets by itself, and that cannot or need not be given to it.
const OWN: &[&str] = &[
    "_",
    "BASHPID",
    "HOSTNAME",
    "HOSTTYPE",
    "MACHTYPE",
    "OSTYPE",
    "SHELL",
    "COMP_WORDBREAKS",
    "OPTERR",
    "SHLVL",
    "PWD",
    "OLDPWD",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "BASH",
    "HISTFILE",
    "PS1",
    "PS2",
];

/// [`crate::rewrite::BACKGROUND`]: runs its argument as a job.
pub(crate) async fn background<E: ShellExtensions>(
    context: ExecutionContext<'_, E>,
    arguments: Vec<CommandArg>,
) -> Result<ExecutionResult, Error> {
    let Some(list) = arguments.get(1).map(ToString::to_string) else {
        return Ok(ExecutionResult::new(USAGE));
    };
    let shell = context.shell;
    let mut parameters = context.params.clone();
    // The process that `$!` names is the command itself, where that is a program.
    let exec = if is_program(shell, &list) {
        "exec "
    } else {
        ""
    };
    let text = format!(
        "read _ <&{GATE}; exec 2>&{REAL_STDERR} {REAL_STDERR}>&- {GATE}<&-; kill -STOP $$\n{}\n{exec}{list}",
        state(shell)
    );
    if text.len() > MOST_TEXT || !Path::new(THIS_PROGRAM).exists() {
        let source = SourceInfo::from(list.as_str());
        return shell
            .run_string(format!("{{ {list}\n}} &"), &source, &parameters)
            .await;
    }
    let stderr = parameters.try_fd(shell, OpenFiles::STDERR_FD);
    parameters.set_fd(REAL_STDERR, stderr.unwrap_or(openfiles::null()?));
    parameters.set_fd(OpenFiles::STDERR_FD, openfiles::null()?);
    // POSIX: without job control a job does not read the shell's input.
    if !shell.options().enable_job_control {
        parameters.set_fd(OpenFiles::STDIN_FD, openfiles::null()?);
    }
    // That it stops is no failure.
    parameters.suppress_errexit = true;
    parameters.process_group_policy = ProcessGroupPolicy::NewProcessGroup;
    let name = shell.current_shell_name().unwrap_or_default().into_owned();
    let words = std::iter::once(&name).chain(shell.current_shell_args());
    let words: Vec<String> = words.map(|word| quote(word)).collect();
    let command = format!("{THIS_PROGRAM} -c {} {}", quote(&text), words.join(" "));
    let before = shell.jobs().jobs.len();
    let (reader, writer) = std::io::pipe().map_err(ErrorKind::from)?;
    parameters.set_fd(GATE, reader.into());
    let mut gate = Some(writer);
    let source = SourceInfo::from("&");
    let mut again = tokio::time::interval(LOOK_AGAIN);
    {
        let mut job = pin!(shell.run_string(command, &source, &parameters));
        poll_fn(|context| {
            let result = job.as_mut().poll(context);
            // It waits: for the job, with its eyes open.
            gate.take();
            while result.is_pending() && again.poll_tick(context).is_ready() {
                look_at_children();
            }
            result
        })
        .await?;
    }
    let is_interactive = shell.options().interactive && !shell.is_subshell();
    if shell.jobs().jobs.len() > before
        && let Some(job) = shell.jobs_mut().current_job_mut()
    {
        job.command_line = list;
        job.move_to_background()?;
        if is_interactive {
            let line = job.to_pid_style_string();
            writeln!(context.params.stderr(shell), "{line}")?;
        }
    }
    shell.set_last_exit_status(0);
    Ok(ExecutionResult::success())
}

/// Whether a list is one command that is neither a function, an alias nor built in.
fn is_program<E: ShellExtensions>(shell: &mut Shell<E>, list: &str) -> bool {
    let Ok(program) = shell.parse_string(list) else {
        return false;
    };
    let [CompoundList(items)] = &program.complete_commands[..] else {
        return false;
    };
    let [CompoundListItem(AndOrList { first, additional }, _)] = &items[..] else {
        return false;
    };
    let [Command::Simple(command)] = &first.seq[..] else {
        return false;
    };
    let Some(name) = command
        .word_or_name
        .as_ref()
        .map(|word| word.value.as_str())
    else {
        return false;
    };
    let is_plain = |c: char| c.is_alphanumeric() || "_./+-".contains(c);
    additional.is_empty()
        && !first.bang
        && first.timed.is_none()
        && command.prefix.is_none()
        && name.chars().all(is_plain)
        && shell.funcs().get(name).is_none()
        && !shell.aliases().contains_key(name)
        && shell.builtin_mut(name).is_none()
}

/// Makes brush look for stopped children, as the kernel does when one stops.
fn look_at_children() {
    let own = i32::try_from(std::process::id()).ok();
    if let (Some(own), Ok(signal)) = (own, TrapSignal::try_from("CHLD")) {
        // One's own process is always there.
        let _ = brush_core::sys::signal::kill_process(own, signal);
    }
}

/// What another shell has to run to be like this one.
fn state(shell: &Shell<impl ShellExtensions>) -> String {
    let mut text = String::new();
    for (name, variable) in shell.env().iter() {
        let is_own =
            OWN.contains(&name.as_str()) || name.starts_with("BASH_") || name.starts_with("BRUSH_");
        if is_own || variable.is_exported() || variable.is_readonly() {
            continue;
        }
        let kind = match variable.value() {
            ShellValue::String(_) => "",
            ShellValue::IndexedArray(_) => "-a",
            ShellValue::AssociativeArray(_) => "-A",
            _ => continue,
        };
        if let Ok(value) = variable.value().format(FormatStyle::DeclarePrint, shell) {
            let _ = writeln!(text, "declare {kind} {name}={value}");
        }
    }
    for (_, function) in shell.funcs().iter() {
        let _ = writeln!(text, "{}", rewrite::written(function.definition()));
    }
    for (option, is_on) in [
        ("errexit", shell.options().exit_on_nonzero_command_exit),
        ("nounset", shell.options().treat_unset_variables_as_error),
        ("noglob", shell.options().disable_filename_globbing),
        (
            "pipefail",
            shell.options().return_last_failure_from_pipeline,
        ),
    ] {
        if is_on {
            let _ = writeln!(text, "set -o {option}");
        }
    }
    text
}

fn complain<E: ShellExtensions>(
    context: &ExecutionContext<'_, E>,
    text: &str,
    code: u8,
) -> Result<ExecutionResult, Error> {
    writeln!(context.stderr(), "{}: {text}", context.command_name)?;
    Ok(ExecutionResult::new(code))
}

/// `kill`: brush's sends KILL where none is named, and to one process only.
pub(crate) async fn kill<E: ShellExtensions>(
    context: ExecutionContext<'_, E>,
    arguments: Vec<CommandArg>,
) -> Result<ExecutionResult, Error> {
    let mut words: Vec<String> = arguments.iter().skip(1).map(ToString::to_string).collect();
    let mut signal = String::from("TERM");
    match words.first().map(String::as_str) {
        None => return complain(&context, "usage: kill [-SIGNAL] PID | %JOB ...", USAGE),
        Some("-l" | "-L") => return list_signals(&context, &words[1..]),
        Some("-s" | "-n") if words.len() > 1 => {
            signal = words.remove(1);
            words.remove(0);
        }
        Some("--") => {}
        Some(word) if word.len() > 1 && word.starts_with('-') => {
            signal = words.remove(0).split_off(1);
        }
        Some(_) => {}
    }
    if words.first().is_some_and(|word| word == "--") {
        words.remove(0);
    }
    // Signal 0 only asks whether the process is there.
    let parsed = match signal.parse::<i32>() {
        Ok(0) => None,
        Ok(number) => Some(TrapSignal::try_from(number)),
        Err(_) => Some(TrapSignal::try_from(signal.to_uppercase().as_str())),
    };
    let Ok(parsed) = parsed.transpose() else {
        return complain(
            &context,
            &format!("{signal}: there is no such signal"),
            NO_SUCH,
        );
    };
    let mut result = ExecutionResult::success();
    for word in &words {
        let pid = if word.starts_with('%') {
            let job = context.shell.jobs_mut().resolve_job_spec(word);
            // The whole group of the job.
            job.and_then(|job| job.process_group_id())
                .map(|group| -group)
        } else {
            word.parse::<i32>().ok()
        };
        let is_done = pid.is_some_and(|pid| match parsed {
            Some(signal) => brush_core::sys::signal::kill_process(pid, signal).is_ok(),
            None => Path::new(&format!("/proc/{pid}")).exists(),
        });
        if !is_done {
            result = complain(
                &context,
                &format!("{word}: no such process, or not yours"),
                NO_SUCH,
            )?;
        }
    }
    Ok(result)
}

fn list_signals<E: ShellExtensions>(
    context: &ExecutionContext<'_, E>,
    words: &[String],
) -> Result<ExecutionResult, Error> {
    if words.is_empty() {
        let signals =
            TrapSignal::iterator().filter(|signal| matches!(signal, TrapSignal::Signal(_)));
        brush_core::traps::format_signals(context.stdout(), signals)?;
    }
    for word in words {
        let number = word.parse::<i32>().ok();
        // 128 and a signal is what a shell's exit code says.
        let number = number.map(|number| if number > 128 { number - 128 } else { number });
        let found = match number {
            Some(number) => TrapSignal::try_from(number)
                .ok()
                .map(|signal| signal.as_str().trim_start_matches("SIG").to_owned()),
            None => TrapSignal::try_from(word.to_uppercase().as_str())
                .ok()
                .and_then(|signal| i32::try_from(signal).ok())
                .map(|number| number.to_string()),
        };
        match found {
            Some(text) => writeln!(context.stdout(), "{text}")?,
            None => {
                return complain(
                    context,
                    &format!("{word}: there is no such signal"),
                    NO_SUCH,
                );
            }
        }
    }
    Ok(ExecutionResult::success())
}

/// `wait`: brush's knows no process ids.
pub(crate) async fn wait<E: ShellExtensions>(
    context: ExecutionContext<'_, E>,
    arguments: Vec<CommandArg>,
) -> Result<ExecutionResult, Error> {
    let words: Vec<String> = arguments.iter().skip(1).map(ToString::to_string).collect();
    let mut result = ExecutionResult::success();
    if words.is_empty() {
        context.shell.jobs_mut().wait_all().await?;
        return Ok(result);
    }
    for word in &words {
        let jobs = context.shell.jobs_mut();
        let job = if word.starts_with('%') {
            jobs.resolve_job_spec(word)
        } else {
            let pid = word.parse().ok();
            jobs.jobs
                .iter_mut()
                .find(|job| pid.is_some() && job.representative_pid() == pid)
        };
        result = match job {
            Some(job) => {
                let result = job.wait().await?;
                let id = job.id;
                context.shell.jobs_mut().jobs.retain(|job| job.id != id);
                ExecutionResult::new(result.exit_code.into())
            }
            None => complain(
                &context,
                &format!("{word}: not a job of this shell"),
                NOT_A_CHILD,
            )?,
        };
    }
    Ok(result)
}
