//! Running text: parse, rewrite, run, and report what is wrong. Everything that this crate runs goes through here.

use std::collections::HashMap;
use std::io::ErrorKind as ErrorKindOfIo;
use std::sync::LazyLock;

use brush_builtins::BuiltinSet;
use brush_core::builtins::Registration;
use brush_core::{
    CommandArg, Error, ErrorKind, ExecutionContext, ExecutionControlFlow, ExecutionExitCode,
    ExecutionParameters, ExecutionResult, ShellExtensions, SourceInfo,
};

use crate::rewrite;
use crate::start::Extensions;

/// Runs a text as the shell's own code. Errors are reported and become an exit code.
pub(crate) async fn text<E: ShellExtensions>(
    shell: &mut brush_core::Shell<E>,
    text: &str,
    source: &SourceInfo,
    parameters: &ExecutionParameters,
) -> ExecutionResult {
    let result = match shell.parse_string(text) {
        Ok(mut program) => {
            let functions = shell.funcs().iter().map(|(name, _)| name.clone()).collect();
            rewrite::program(&mut program, functions, &shell.parser_options());
            shell.run_program(program, parameters).await
        }
        Err(error) => Err(Error::from(ErrorKind::ParseError(error, source.clone())).into_fatal()),
    };
    result.unwrap_or_else(|error| {
        // Where standard error is closed, the exit code has to say it.
        let _ = shell.display_error(&mut parameters.stderr(shell), &error);
        let result = error.into_result(shell);
        shell.set_last_exit_status(result.exit_code.into());
        result
    })
}

/// `eval`: brush's own would not rewrite.
pub(crate) async fn eval<E: ShellExtensions>(
    context: ExecutionContext<'_, E>,
    arguments: Vec<CommandArg>,
) -> Result<ExecutionResult, Error> {
    let words: Vec<String> = arguments.iter().skip(1).map(ToString::to_string).collect();
    let words = match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => &words,
    };
    if words.is_empty() {
        return Ok(ExecutionResult::success());
    }
    let source = context.shell.call_stack().current_pos_as_source_info();
    Ok(text(context.shell, &words.join(" "), &source, &context.params).await)
}

/// `echo` and `printf`: brush's, and the end of the shell where nobody reads any more, as SIGPIPE ends other shells.
pub(crate) async fn write(
    context: ExecutionContext<'_, Extensions>,
    arguments: Vec<CommandArg>,
) -> Result<ExecutionResult, Error> {
    static BUILT_IN: LazyLock<HashMap<String, Registration<Extensions>>> =
        LazyLock::new(|| brush_builtins::default_builtins(BuiltinSet::BashMode));
    let Some(command) = BUILT_IN.get(&context.command_name) else {
        return Ok(ExecutionExitCode::NotFound.into());
    };
    let is_interactive = context.shell.options().interactive;
    match (command.execute_func)(context, arguments).await {
        Err(error) if !is_interactive && is_closed_pipe(&error) => {
            let mut result = ExecutionResult::from(ExecutionExitCode::BrokenPipe);
            result.next_control_flow = ExecutionControlFlow::ExitShell;
            Ok(result)
        }
        result => result,
    }
}

fn is_closed_pipe(error: &Error) -> bool {
    error
        .as_io_error()
        .is_some_and(|error| error.kind() == ErrorKindOfIo::BrokenPipe)
}
