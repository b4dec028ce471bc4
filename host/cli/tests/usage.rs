//! Command lines that cannot be understood: exit code 2, and what is wrong with them. In process, without a build.

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nodeos::exit::Exit;
use nodeos::output::streams::{SharedWriter, Streams};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn run(arguments: &[&str]) -> (Exit, String, String) {
    let (out, err) = (Page::default(), Page::default());
    let streams = Streams {
        out: Box::new(out.clone()),
        err: SharedWriter::new(err.clone()),
        err_is_terminal: false,
    };
    let words = std::iter::once("nodeos")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    (nodeos::run(words, streams), out.text(), err.text())
}

fn refused(arguments: &[&str], expected: &str) {
    let (exit, out, err) = run(arguments);
    assert_eq!(
        (exit, out.as_str()),
        (Exit::Usage, ""),
        "{arguments:?}: {err}"
    );
    assert!(
        err.starts_with("error: ") || err.starts_with("Build an operating system"),
        "{arguments:?}: {err}"
    );
    assert!(
        err.contains(expected),
        "{arguments:?}: {expected:?} is not in {err:?}"
    );
}

#[test]
fn what_is_not_a_command_is_a_usage_error() {
    refused(&[], "Usage: nodeos [OPTIONS] <COMMAND>");
    refused(&["strat"], "unrecognized subcommand 'strat'");
    refused(&["start", "--colour"], "unexpected argument '--colour'");
    refused(
        &["build", "--flavor", "mainfame"],
        "[possible values: mainframe, workstation]",
    );
    refused(&["build", "--arch", "pdp11"], "[possible values: x86_64");
    refused(&["start", "--json"], "--chart");
    refused(&["start", "--chart", "--dry-run"], "cannot be used with");
    refused(&["start", "--cpus", "0"], "0 is not in 1..=255");
    refused(&["run", "--watch", "--detach"], "cannot be used with");
    refused(
        &["run", "--watch", "cowsay"],
        "error: cowsay is a package of the registry: it has no files here that could change\n\
         hint: --watch is for a folder or a file; leave it away\n",
    );
}

#[test]
fn values_that_make_no_machine_are_usage_errors() {
    refused(
        &["start", "--memory", "12M"],
        "invalid value '12M' for '--memory <SIZE>': 12 MiB is too little: the kernel needs at least 36 MiB",
    );
    refused(
        &["start", "--memory", "lots"],
        "expected a number of MiB, or a number with M or G, as in 256M or 1G",
    );
    refused(
        &["start", "--port", "80"],
        "invalid value '80' for '--port <HOST:GUEST>': expected HOST:GUEST, as in 8080:80",
    );
    refused(
        &["start", "--port", "8080:80", "--port", "8080:81"],
        "error: port 8080 of this host was given twice\nhint: give each --port another number before the colon\n",
    );
    refused(
        &["start", "--display", "--flavor", "mainframe"],
        "error: a mainframe has no screen to display\nhint: leave --flavor away, or give --flavor workstation\n",
    );
}

#[test]
fn an_application_is_no_part_of_the_multi_user_system() {
    for flag in [
        &["--layer", "barebones"][..],
        &["--users", "homes"],
        &["--users-size", "1G"],
    ] {
        refused(
            &[&["build", "--app", "."], flag].concat(),
            "the argument '--app <DIR|FILE|PACKAGE>' cannot be used with",
        );
    }
    for words in [
        &["--port", "80:3000"][..],
        &["--memory", "64M"],
        &["--volume", "db:/data"],
        &["--env", "A=1"],
        &["--", "argument"],
    ] {
        refused(
            &[&["build"], words].concat(),
            "required arguments were not provided:\n  --app <DIR|FILE|PACKAGE>",
        );
    }
    refused(
        &["build", "--app", ".", "-p", "80:1", "-p", "80:2"],
        "error: port 80 of this host was given twice\n",
    );
    for (words, error, hint) in [
        (
            &["--format", "docker", "--memory", "64M"][..],
            "--memory means nothing to an application in the format docker",
            "leave --memory away",
        ),
        (
            &["--flavor", "mainframe"],
            "--flavor means nothing to an application in the format qemu",
            "leave --flavor away",
        ),
        (
            &["--format", "tar", "--profile", "pc"],
            "the format tar has no kernel",
            "leave --profile away",
        ),
        (
            &["--format", "disk", "--root", "pmem"],
            "the format disk has one kind of root, which cannot be chosen",
            "leave --root away",
        ),
    ] {
        refused(
            &[&["build", "--app", "."], words].concat(),
            &format!("error: {error}\nhint: {hint}\n"),
        );
    }
}

#[test]
fn what_is_installed_is_an_image_or_an_application() {
    refused(
        &["install", "--app", ".", "disk.img", "/dev/sdx"],
        "the argument '--app <DIR|FILE|PACKAGE>' cannot be used with '[DEVICE]'",
    );
    refused(
        &["install", "disk.img", "--volume", "db:/data"],
        "required arguments were not provided:\n  --app <DIR|FILE|PACKAGE>",
    );
    refused(&["install"], "required arguments were not provided");
    refused(
        &["install", "--app", ".", "/dev/null", "--cpus", "2"],
        "unexpected argument '--cpus'",
    );
}

#[test]
fn cleaning_nothing_in_particular_lists_the_kinds() {
    refused(
        &["cache", "clean"],
        "error: nothing to clean was named\n\
         hint: name a kind (downloads, sources, kernels, programs, nodes, images, dependencies, applications), or give --all\n",
    );
    refused(
        &["cache", "clean", "dust"],
        "[possible values: downloads, sources, kernels, programs, nodes, images, dependencies, applications]",
    );
    refused(
        &["cache", "clean", "kernels", "--all"],
        "cannot be used with",
    );
}

#[test]
fn help_and_version_are_results() {
    let (exit, out, err) = run(&["--version"]);
    assert_eq!(
        (exit, out.as_str(), err.as_str()),
        (
            Exit::Done,
            concat!("nodeos ", env!("CARGO_PKG_VERSION"), "\n"),
            ""
        )
    );
    let (exit, out, err) = run(&["start", "--help"]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert!(
        out.contains("Usage: nodeos start [OPTIONS] [-- <QEMU ARGS>...]"),
        "{out}"
    );
}
