//! What brush (0.5) runs differently from every other shell is written differently before it runs.
//!
//! * A compound command or a function that is not the last stage of a pipeline runs to its end before the next stage
//!   starts, and so waits for ever once its output fills the pipe. Built-in commands have a thread of their own, so the stage
//!   becomes `eval 'stage'`.
//! * `list &` runs inside the shell: it has no process that `$!` could name, and it dies with the shell. It becomes
//!   a call of the built-in command [`BACKGROUND`], see `jobs`.
//! * The same inside `$(...)`.
//!
//! Text that brush would not read back as it was is left alone; so are here-documents, whose body is not beside them.

use std::collections::HashSet;

use brush_parser::ast::{
    AndOr, AndOrList, AssignmentValue, Command, CommandPrefixOrSuffixItem, CommandSuffix,
    CompoundCommand, CompoundList, CompoundListItem, DoGroupCommand, FunctionDefinition, Pipeline,
    Program, SeparatorOperator, SimpleCommand, Word,
};
use brush_parser::word::{self, WordPiece, WordPieceWithSource};
use brush_parser::{Parser, ParserOptions};

/// The built-in command that runs its first argument as a job. No user's command has such a name.
pub(crate) const BACKGROUND: &str = "nsh:background";

/// Rewrites a program; `functions` are the names that the shell knows already.
pub(crate) fn program(program: &mut Program, functions: HashSet<String>, options: &ParserOptions) {
    let mut rewriter = Rewriter {
        functions,
        options,
        changed: false,
        aim: Aim::Running,
    };
    rewriter.program(program);
}

/// A function as text that means the same when it is read back.
pub(crate) fn written(function: &FunctionDefinition) -> String {
    let options = ParserOptions::default();
    let mut function = Command::Function(function.clone());
    let mut rewriter = Rewriter {
        functions: HashSet::new(),
        options: &options,
        changed: false,
        aim: Aim::Writing,
    };
    rewriter.command(&mut function);
    function.to_string()
}

/// What a program is rewritten for.
#[derive(Clone, Copy, PartialEq)]
enum Aim {
    Running,
    /// brush writes redirections of compound commands without a space before them: `done2> file`, which is another word.
    /// They move to an `eval`.
    Writing,
}

struct Rewriter<'a> {
    functions: HashSet<String>,
    options: &'a ParserOptions,
    changed: bool,
    aim: Aim,
}

impl Rewriter<'_> {
    fn program(&mut self, program: &mut Program) {
        for list in &mut program.complete_commands {
            self.list(list);
        }
    }

    fn list(&mut self, list: &mut CompoundList) {
        for CompoundListItem(commands, separator) in &mut list.0 {
            self.and_or(commands);
            if matches!(separator, SeparatorOperator::Async)
                && let Some(text) = self.list_text(commands)
            {
                *commands = AndOrList {
                    first: Pipeline {
                        timed: None,
                        bang: false,
                        seq: vec![call(BACKGROUND, &text, std::iter::empty())],
                    },
                    additional: Vec::new(),
                };
                *separator = SeparatorOperator::Sequence;
                self.changed = true;
            }
        }
    }

    fn and_or(&mut self, list: &mut AndOrList) {
        self.pipeline(&mut list.first);
        for AndOr::And(pipeline) | AndOr::Or(pipeline) in &mut list.additional {
            self.pipeline(pipeline);
        }
    }

    fn pipeline(&mut self, pipeline: &mut Pipeline) {
        let last = pipeline.seq.len() - 1;
        for (index, command) in pipeline.seq.iter_mut().enumerate() {
            self.command(command);
            let waits = match &*command {
                Command::Compound(..) => true,
                Command::Simple(simple) => simple
                    .word_or_name
                    .as_ref()
                    .is_some_and(|name| self.functions.contains(&name.value)),
                Command::Function(_) | Command::ExtendedTest(..) => false,
            };
            if index < last
                && waits
                && let Some(text) = self.command_text(command)
            {
                *command = call("eval", &text, std::iter::empty());
                self.changed = true;
            }
        }
    }

    fn command(&mut self, command: &mut Command) {
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound(compound, redirections) => {
                self.compound(compound);
                if self.aim == Aim::Writing
                    && let Some(redirections) = redirections.take()
                {
                    let redirections = redirections.0.into_iter();
                    let redirections = redirections.map(CommandPrefixOrSuffixItem::IoRedirect);
                    *command = call("eval", &compound.to_string(), redirections);
                }
            }
            Command::Function(function) => {
                self.functions.insert(function.fname.value.clone());
                self.compound(&mut function.body.0);
            }
            Command::ExtendedTest(..) => {}
        }
    }

    fn compound(&mut self, compound: &mut CompoundCommand) {
        match compound {
            CompoundCommand::Arithmetic(_) | CompoundCommand::Coprocess(_) => {}
            CompoundCommand::ArithmeticForClause(clause) => self.body(&mut clause.body),
            CompoundCommand::BraceGroup(group) => self.list(&mut group.list),
            CompoundCommand::Subshell(subshell) => self.list(&mut subshell.list),
            CompoundCommand::ForClause(clause) => {
                // brush writes `for x` without words as `for x in ;`, which is no word at all.
                let values = clause
                    .values
                    .get_or_insert_with(|| vec![Word::new("\"$@\"")]);
                values.iter_mut().for_each(|word| self.word(word));
                self.body(&mut clause.body);
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&mut clause.value);
                for case in &mut clause.cases {
                    case.cmd.iter_mut().for_each(|list| self.list(list));
                }
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&mut clause.condition);
                self.list(&mut clause.then);
                for branch in clause.elses.iter_mut().flatten() {
                    branch.condition.iter_mut().for_each(|list| self.list(list));
                    self.list(&mut branch.body);
                }
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&mut clause.0);
                self.body(&mut clause.1);
            }
        }
    }

    fn body(&mut self, body: &mut DoGroupCommand) {
        self.list(&mut body.list);
    }

    fn simple(&mut self, simple: &mut SimpleCommand) {
        simple
            .word_or_name
            .iter_mut()
            .for_each(|word| self.word(word));
        let prefix = simple.prefix.iter_mut().flat_map(|prefix| &mut prefix.0);
        let suffix = simple.suffix.iter_mut().flat_map(|suffix| &mut suffix.0);
        for item in prefix.chain(suffix) {
            match item {
                CommandPrefixOrSuffixItem::Word(word) => self.word(word),
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                    self.word(word);
                    if let AssignmentValue::Scalar(value) = &mut assignment.value {
                        self.word(value);
                    }
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => {
                    self.list(&mut subshell.list);
                }
                CommandPrefixOrSuffixItem::IoRedirect(_) => {}
            }
        }
    }

    /// Rewrites the command substitutions of a word, also those in double quotes.
    fn word(&mut self, word: &mut Word) {
        let has_work = word.value.contains("$(") && word.value.contains(['|', '&']);
        if !has_work {
            return;
        }
        let Ok(pieces) = word::parse(&word.value, self.options) else {
            return;
        };
        let mut edits = Vec::new();
        self.substitutions(&pieces, &mut edits);
        // From the end, so that the places before stay right.
        edits.sort_by_key(|(start, _, _)| std::cmp::Reverse(*start));
        for (start, end, text) in edits {
            if word
                .value
                .get(start..end)
                .is_some_and(|old| old.starts_with("$("))
            {
                word.value.replace_range(start..end, &text);
                self.changed = true;
            }
        }
    }

    fn substitutions(
        &self,
        pieces: &[WordPieceWithSource],
        edits: &mut Vec<(usize, usize, String)>,
    ) {
        for piece in pieces {
            match &piece.piece {
                WordPiece::DoubleQuotedSequence(inner) => self.substitutions(inner, edits),
                WordPiece::CommandSubstitution(text) => {
                    let Ok(mut inner) = parse(text, self.options) else {
                        continue;
                    };
                    let mut rewriter = self.inner(Aim::Running);
                    rewriter.program(&mut inner);
                    if rewriter.changed && self.safe_text(text).is_some() {
                        // `eval` rewrites it when it runs.
                        let text = format!("$(eval {})", quote(text));
                        edits.push((piece.start_index, piece.end_index, text));
                    }
                }
                _ => {}
            }
        }
    }

    fn inner(&self, aim: Aim) -> Self {
        Self {
            functions: self.functions.clone(),
            options: self.options,
            changed: false,
            aim,
        }
    }

    fn list_text(&self, list: &AndOrList) -> Option<String> {
        let mut list = list.clone();
        self.inner(Aim::Writing).and_or(&mut list);
        self.safe_text(&list.to_string())
    }

    fn command_text(&self, command: &Command) -> Option<String> {
        let mut command = command.clone();
        self.inner(Aim::Writing).command(&mut command);
        self.safe_text(&command.to_string())
    }

    /// The text, if it is a program that brush writes and reads back without a change.
    fn safe_text(&self, text: &str) -> Option<String> {
        if text.contains("<<") {
            return None;
        }
        let first = parse(text, self.options).ok()?.to_string();
        let second = parse(&first, self.options).ok()?.to_string();
        (first == second).then(|| text.to_owned())
    }
}

fn parse(text: &str, options: &ParserOptions) -> Result<Program, brush_parser::ParseError> {
    Parser::new(text.as_bytes(), options).parse_program()
}

fn call(
    name: &str,
    text: &str,
    redirections: impl Iterator<Item = CommandPrefixOrSuffixItem>,
) -> Command {
    let text = CommandPrefixOrSuffixItem::Word(Word::new(&quote(text)));
    Command::Simple(SimpleCommand {
        prefix: None,
        word_or_name: Some(Word::new(name)),
        suffix: Some(CommandSuffix(
            std::iter::once(text).chain(redirections).collect(),
        )),
    })
}

/// One word of the shell's language that stands for exactly this text.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let options = ParserOptions::default();
        let mut parsed = parse(text, &options).unwrap();
        program(&mut parsed, HashSet::from(["known".to_owned()]), &options);
        let written = parsed.to_string().replace('\n', " ");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&written), words(expected), "{text}");
    }

    #[test]
    fn what_runs_side_by_side_anyway_stays_as_it_is() {
        for text in [
            "a | b",
            "a | { b; }",
            "{ a; }",
            "a && b",
            "cat <<E | known\nx\nE\n",
            "known <<E | a\nx\nE\n",
        ] {
            let unchanged = parse(text, &ParserOptions::default()).unwrap();
            check(text, &unchanged.to_string());
        }
    }

    #[test]
    fn a_stage_that_would_wait_becomes_a_built_in_command() {
        check("{ a; } | b", "eval '{ a }' |b");
        check("known x | b", "eval 'known x' |b");
        check("f() { a; }; f | b", "f () { a }; eval 'f' |b");
        check("if (a) | b; then c; fi", "if eval '( a )' |b; then c fi");
        check(
            "for x; do a; done | b",
            "eval 'for x in \"$@\"; do a done' |b",
        );
    }

    #[test]
    fn a_job_becomes_a_built_in_command() {
        check("a b &", "nsh:background 'a b'");
        check(
            "{ a; } >f 2>&1 &",
            "nsh:background 'eval '\\''{ a }'\\'' > f 2>& 1'",
        );
        check("a & b", "nsh:background 'a'; b");
        check(
            "echo 'it'\\''s' &",
            r"nsh:background 'echo '\''it'\''\'\'''\''s'\'''",
        );
    }

    #[test]
    fn command_substitutions_are_reached() {
        check("x=$(known | b)", "x=$(eval 'known | b')");
        check("e \"1 $(known | b) 2\"", "e \"1 $(eval 'known | b') 2\"");
        check("e $(a | b)", "e $(a | b)");
        check("f() { a; }; x=$(f | b)", "f () { a }; x=$(eval 'f | b')");
    }
}
