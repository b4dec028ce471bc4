//! Whether the file that is run can be understood, before a machine is started for it.

use std::path::Path;
use std::process::Command;

use super::PrepareApplicationError;
use crate::context::Context;
use crate::node::host::HostNode;
use crate::tool::{self, Tool, ToolError};

/// `node --check` does not strip types, so they are stripped as Node.js itself does. Only what it says counts.
const STRIP: &str = "process.removeAllListeners('warning');\
    require('node:module').stripTypeScriptTypes(require('node:fs').readFileSync(process.argv[1], 'utf8'))";

/// Lines of Node.js's report that say something about the file. What follows is about Node.js.
const STACK: &str = "    at ";

/// Lets the image's own Node.js look at the file.
pub(super) fn check(
    ctx: &Context,
    node: &HostNode,
    root: &Path,
    entry: &str,
) -> Result<(), PrepareApplicationError> {
    let file = root.join(entry);
    let mut command = Command::new(&node.program);
    if [".ts", ".mts", ".cts"]
        .iter()
        .any(|ending| entry.ends_with(ending))
    {
        command.args(["--no-warnings", "-e", STRIP, "--"]);
    } else {
        command.args(["--no-warnings", "--check"]);
    }
    command.arg(&file).current_dir(root);
    // What the user gives every Node.js is not meant for this one: it may load modules.
    command.env_remove("NODE_OPTIONS");
    let tool = Tool::new(command, "nodejs", "check-syntax");
    match tool::run(ctx, tool, &mut |_| {}) {
        Ok(_) => Ok(()),
        Err(ToolError::Failed { tail, .. }) => Err(PrepareApplicationError::Syntax {
            entry: entry.to_owned(),
            report: report(&tail, &file, entry),
        }),
        Err(source) => Err(PrepareApplicationError::Check {
            entry: entry.to_owned(),
            source,
        }),
    }
}

/// What the report says of the file: where, what the line is, and what is wrong with it.
fn report(tail: &[String], file: &Path, entry: &str) -> String {
    let file = file.display().to_string();
    let lines: Vec<String> = tail
        .iter()
        .take_while(|line| !line.starts_with(STACK))
        .map(|line| line.replace(&file, entry))
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_about_the_file_and_not_about_nodejs() {
        let tail = [
            "/tmp/app/c.js:1",
            "const a = ;",
            "          ^",
            "",
            "SyntaxError: Unexpected token ';'",
            "    at wrapSafe (node:internal/modules/cjs/loader:1804:18)",
            "",
            "Node.js v24.19.0",
        ]
        .map(str::to_owned);
        assert_eq!(
            report(&tail, Path::new("/tmp/app/c.js"), "c.js"),
            "c.js:1\nconst a = ;\n          ^\nSyntaxError: Unexpected token ';'"
        );
    }
}
