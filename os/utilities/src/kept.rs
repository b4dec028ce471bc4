//! Calling the kept programs: each wants its arguments and its start in its own way.

use std::ffi::OsString;
use std::io::{self, Read, Write};

use diffutilslib::params::{Format, Params};
use diffutilslib::{cmp as compare, params};

use crate::complain;

/// Of `diff` and `cmp`: there are differences, and: it did not work.
const DIFFERENT: i32 = 1;
const FAILED: i32 = 2;

/// One of uutils' coreutils, by the name of its library. Its texts are in the program itself.
pub(crate) fn coreutils(library: &str, args: Vec<OsString>, main: fn(Vec<OsString>) -> i32) -> i32 {
    let texts = uucore::get_canonical_util_name(library);
    if let Err(error) = uucore::locale::setup_localization(texts) {
        return complain(
            &format!("{texts}: cannot read its own texts: {error}"),
            FAILED,
        );
    }
    main(args)
}

pub(crate) fn grep(args: Vec<OsString>) -> i32 {
    uu_grep::uumain(args.into_iter())
}

/// `grep -E`, under its old name.
pub(crate) fn egrep(args: Vec<OsString>) -> i32 {
    grep(with_option(args, "-E"))
}

/// `grep -F`, under its old name.
pub(crate) fn fgrep(args: Vec<OsString>) -> i32 {
    grep(with_option(args, "-F"))
}

fn with_option(mut args: Vec<OsString>, option: &str) -> Vec<OsString> {
    args.insert(1.min(args.len()), option.into());
    args
}

pub(crate) fn sed(args: Vec<OsString>) -> i32 {
    sed::sed::uumain(args.into_iter())
}

pub(crate) fn find(args: Vec<OsString>) -> i32 {
    with_text(args, |words| {
        findutils::find::find_main(words, &findutils::find::StandardDependencies::new())
    })
}

pub(crate) fn xargs(args: Vec<OsString>) -> i32 {
    with_text(args, findutils::xargs::xargs_main)
}

/// findutils takes its arguments as text.
fn with_text(args: Vec<OsString>, main: impl Fn(&[&str]) -> i32) -> i32 {
    let words: Result<Vec<String>, OsString> =
        args.into_iter().map(OsString::into_string).collect();
    match words {
        Ok(words) => main(&words.iter().map(String::as_str).collect::<Vec<_>>()),
        Err(word) => complain(&format!("an argument is not UTF-8: {word:?}"), 1),
    }
}

pub(crate) fn cmp(args: Vec<OsString>) -> i32 {
    let result =
        compare::parse_params(args.into_iter().peekable()).and_then(|params| compare::cmp(&params));
    match result {
        Ok(compare::Cmp::Equal) => 0,
        Ok(compare::Cmp::Different) => DIFFERENT,
        Err(error) => complain(&error, FAILED),
    }
}

pub(crate) fn diff(args: Vec<OsString>) -> i32 {
    match params::parse_params(args.into_iter().peekable()) {
        Ok(params) => differences(&params).unwrap_or_else(|error| complain(&error, FAILED)),
        Err(error) => complain(&error, FAILED),
    }
}

fn differences(params: &Params) -> Result<i32, String> {
    let read = |name: &OsString| {
        let mut bytes = Vec::new();
        let result = if name == "-" {
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(name)
        };
        result.map_err(|error| format!("diff: {}: {error}", name.to_string_lossy()))
    };
    let (from, to) = (read(&params.from)?, read(&params.to)?);
    let names = [&params.from, &params.to].map(|name| name.to_string_lossy());
    let mut output = io::stdout().lock();
    if from == to {
        if params.report_identical_files {
            let _ = writeln!(output, "Files {} and {} are identical", names[0], names[1]);
        }
        return Ok(0);
    }
    if params.brief {
        let _ = writeln!(output, "Files {} and {} differ", names[0], names[1]);
        return Ok(DIFFERENT);
    }
    let text = match params.format {
        Format::Normal => diffutilslib::normal_diff(&from, &to, params),
        Format::Unified => diffutilslib::unified_diff(&from, &to, params),
        Format::Context => diffutilslib::context_diff(&from, &to, params),
        Format::Ed => {
            diffutilslib::ed_diff(&from, &to, params).map_err(|error| format!("diff: {error}"))?
        }
        Format::SideBySide => diffutilslib::side_by_side_diff(&from, &to, &mut output, params),
    };
    // A closed pipe is the reader's wish.
    let _ = output.write_all(&text);
    Ok(if text.is_empty() && params.format != Format::SideBySide {
        0
    } else {
        DIFFERENT
    })
}
