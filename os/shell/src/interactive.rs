//! The loop of a shell that reads line after line, from a terminal or from a pipe: prompt, read, run, remember.

use std::io::Write as _;

use brush_core::results::ExecutionControlFlow;
use brush_core::{ExecutionExitCode, ExecutionResult, SourceInfo};
use brush_interactive::{InputBackend as _, ReadResult, ShellError, ShellRef};

use crate::editor::Editor;
use crate::start::{Extensions, Nsh};
use crate::{execute, prompt};

/// Reads and runs until the end of input or `exit`.
pub(crate) async fn run(
    shell: &ShellRef<Extensions>,
    editor: &mut Editor,
) -> Result<(), ShellError> {
    shell.lock().await.start_interactive_session()?;
    loop {
        let prompt = {
            let mut shell = shell.lock().await;
            shell.check_for_completed_jobs()?;
            prompt_command(&mut shell).await?;
            prompt::compose(&mut shell).await?
        };
        let result = match editor.read_line(shell, prompt)? {
            ReadResult::Input(line) => {
                let mut shell = shell.lock().await;
                remember(&mut shell, &line)?;
                run_line(&mut shell, line).await
            }
            ReadResult::BoundCommand(line) => run_line(&mut *shell.lock().await, line).await,
            ReadResult::Interrupted => {
                let interrupted: ExecutionResult = ExecutionExitCode::Interrupted.into();
                let code = interrupted.exit_code.into();
                shell.lock().await.set_last_exit_status(code);
                continue;
            }
            ReadResult::Eof => break,
        };
        if matches!(result.next_control_flow, ExecutionControlFlow::ExitShell) {
            break;
        }
    }
    let mut shell = shell.lock().await;
    shell.end_interactive_session()?;
    shell.on_exit().await?;
    Ok(())
}

async fn run_line(shell: &mut Nsh, line: String) -> ExecutionResult {
    let lines = line.lines().count().max(1);
    let parameters = shell.default_exec_params();
    let result = execute::text(shell, &line, &SourceInfo::from("main"), &parameters).await;
    shell.increment_interactive_line_offset(lines);
    result
}

/// Into the history and its file at once: a machine may lose its power before the shell ends.
fn remember(shell: &mut Nsh, line: &str) -> Result<(), ShellError> {
    if !shell.options().interactive {
        return Ok(());
    }
    // By convention, what begins with a space is not to be found again.
    if !line.starts_with(' ') {
        shell.add_to_history(line.trim_end())?;
    }
    // A home that is read-only or full is no reason to stop working.
    let _ = shell.save_history();
    Ok(())
}

/// bash's `PROMPT_COMMAND`, whose exit code nobody sees.
async fn prompt_command(shell: &mut Nsh) -> Result<(), ShellError> {
    let Some(command) = shell
        .env_str("PROMPT_COMMAND")
        .map(|text| text.into_owned())
    else {
        return Ok(());
    };
    let before = shell.last_exit_status();
    let parameters = shell.default_exec_params();
    let source = SourceInfo::from("PROMPT_COMMAND");
    shell.run_string(command, &source, &parameters).await?;
    shell.set_last_exit_status(before);
    let _ = shell.stdout().flush();
    Ok(())
}
