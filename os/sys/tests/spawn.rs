//! Programs that are started. The program is this test binary again, told by an argument to run one test only; that test
//! finds [`ROLE`] in its environment, and looks at the state it was started in.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use nodeos_sys::spawn::{self, Program, SpawnError, Terminal};
use rustix::io::Errno;
use rustix::process::{self, WaitOptions};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{self, Winsize};

const ROLE: &str = "NODEOS_TEST_ROLE";

/// Starts this test again and returns its exit code.
fn started_again(test: &str, terminal: Terminal<'_>, dir: Option<&CString>) -> Option<i32> {
    let path = CString::new(
        std::env::current_exe()
            .unwrap()
            .into_os_string()
            .into_encoded_bytes(),
    )
    .unwrap();
    let args = ["child", "--exact", test, "--nocapture", "--test-threads=1"]
        .map(|arg| CString::new(arg).unwrap());
    let env = [CString::new(format!("{ROLE}=child")).unwrap()];
    let program = Program {
        path: &path,
        args: &args,
        env: &env,
        dir: dir.map(CString::as_c_str),
    };
    let pid = spawn::spawn(program, terminal).unwrap();
    let (_, status) = process::waitpid(Some(pid), WaitOptions::empty())
        .unwrap()
        .unwrap();
    status.exit_status()
}

fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap();
    u64::from_str_radix(value.trim_start_matches(':').trim(), 16).unwrap()
}

#[test]
fn a_program_starts_without_blocked_or_ignored_signals_and_with_its_own_environment_and_directory()
{
    if is_child() {
        assert_eq!(status("SigBlk"), 0);
        // std itself ignores PIPE before the test begins.
        let pipe = 1 << (libc::SIGPIPE - 1);
        assert_eq!(status("SigIgn") & !pipe, 0);
        assert_eq!(
            std::env::vars().collect::<Vec<_>>(),
            [(ROLE.to_owned(), "child".to_owned())]
        );
        assert_eq!(std::env::current_dir().unwrap().to_str(), Some("/proc"));
        return;
    }
    let code = std::thread::spawn(|| {
        nodeos_sys::signals::block_all().unwrap();
        // SAFETY: to ignore a signal installs no handler, and nothing in this test binary relies on HUP.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        let test = "a_program_starts_without_blocked_or_ignored_signals_and_with_its_own_environment_and_directory";
        started_again(test, Terminal::OwnJob, Some(&c"/proc".into()))
    });
    assert_eq!(code.join().unwrap(), Some(0));
}

#[test]
fn a_program_in_its_own_session_has_the_console_as_its_controlling_terminal() {
    if is_child() {
        let stdin = std::io::stdin();
        assert_eq!(process::getsid(None).unwrap(), process::getpid());
        assert_eq!(termios::tcgetpgrp(&stdin).unwrap(), process::getpgrp());
        assert!(
            File::open("/dev/tty")
                .unwrap()
                .metadata()
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert_eq!(termios::tcgetwinsize(&stdin).unwrap().ws_col, 132);
        return;
    }
    let main = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    pty::grantpt(&main).unwrap();
    pty::unlockpt(&main).unwrap();
    let name = pty::ptsname(&main, Vec::new())
        .unwrap()
        .into_string()
        .unwrap();
    let console = File::options().read(true).write(true).open(name).unwrap();
    termios::tcsetwinsize(
        &console,
        Winsize {
            ws_row: 50,
            ws_col: 132,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )
    .unwrap();
    let test = "a_program_in_its_own_session_has_the_console_as_its_controlling_terminal";
    assert_eq!(
        started_again(test, Terminal::OwnSession(console.as_fd()), None),
        Some(0)
    );
}

#[test]
fn a_program_starts_on_a_console_that_is_no_terminal() {
    if is_child() {
        assert_eq!(process::getsid(None).unwrap(), process::getpid());
        return;
    }
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    let test = "a_program_starts_on_a_console_that_is_no_terminal";
    assert_eq!(
        started_again(test, Terminal::OwnSession(null.as_fd()), None),
        Some(0)
    );
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_with_the_reason_and_leaves_no_child() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = scratch.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    let check = |path: &str, errno: Errno| {
        let path = CString::new(path).unwrap();
        let program = Program {
            path: &path,
            args: std::slice::from_ref(&path),
            env: &[],
            dir: None,
        };
        assert_eq!(
            spawn::spawn(program, Terminal::OwnJob),
            Err(SpawnError::Exec(errno)),
            "{path:?}"
        );
    };
    check("/missing", Errno::NOENT);
    check(plain.to_str().unwrap(), Errno::ACCESS);
    check("/", Errno::ACCESS);
}
