//! What this program does as palmtree, as a service, or as the home's own program.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nodeos_palmtree::supervisor;
use nodeos_sys::entry::exit_now;
use rustix::event;
use rustix::process;
use signal_hook::consts::SIGTERM;

use crate::harness::{self, FOLDER, PLAY, ROLE};

/// A file that services tell of their end in, given in the environment.
pub(crate) const END: &str = "NODEOS_TEST_END";

/// The role that this process was given.
pub(crate) fn assigned() -> Option<String> {
    // The home's own program is started without arguments, by a line that begins with #!; its file is the last one.
    if std::env::args()
        .next_back()
        .is_some_and(|arg| arg.ends_with("/init"))
    {
        return Some("init".to_owned());
    }
    std::env::var(ROLE).ok()
}

pub(crate) fn play(role: &str) -> bool {
    let (word, argument) = role.split_once(' ').unwrap_or((role, ""));
    // The test harness has begun a line.
    println!();
    match word {
        "palmtree" => palmtree(),
        "ready" => {
            println!("{role} is ready");
            exit_now(0);
        }
        "init" => {
            // Past the test harness, which keeps what `println!` writes to itself unless it is told otherwise.
            let _ = std::io::stdout().write_all(b"init is here\n");
            exit_now(4);
        }
        "wait" => {
            println!("{argument} is here");
            wait_for_ever();
        }
        "exit" => {
            println!("ending with {argument}");
            exit_now(argument.parse().unwrap());
        }
        "both" => {
            println!("one");
            eprintln!("two");
            println!("three");
            wait_for_ever();
        }
        "stubborn" => {
            signal_hook::flag::register(SIGTERM, Arc::<AtomicBool>::default()).unwrap();
            println!("stubborn is here");
            wait_for_ever();
        }
        "tell" => {
            let mut signals = signal_hook::iterator::Signals::new([SIGTERM]).unwrap();
            println!("{argument} is here");
            signals.forever().next();
            let mut end = fs::File::options()
                .append(true)
                .create(true)
                .open(std::env::var_os(END).unwrap())
                .unwrap();
            writeln!(end, "{argument}").unwrap();
            exit_now(0);
        }
        "write" => {
            write_lines(argument.parse().unwrap());
            wait_for_ever();
        }
        "leave" => {
            println!("left {}", leave(argument));
            exit_now(0);
        }
        "state" => {
            tell_state();
            wait_for_ever();
        }
        "stranger" => stranger(Path::new(argument)),
        _ => return false,
    }
    true
}

/// Starts another in the same group, and returns its number. Palmtree is to wait for it.
fn leave(role: &str) -> u32 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(PLAY)
        .env(ROLE, role)
        .stdin(Stdio::null())
        .spawn();
    child.unwrap().id()
}

fn palmtree() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    match supervisor::run(&harness::paths(&folder)) {
        Ok(()) => exit_now(0),
        Err(error) => {
            println!("palmtree is ready to end: {error}");
            exit_now(1);
        }
    }
}

fn wait_for_ever() -> ! {
    loop {
        // An interrupted wait is not the end of it.
        let _ = event::poll(&mut [], None);
    }
}

/// Lines of 16 bytes, numbered from 0, and one that says that there are no more.
fn write_lines(count: usize) {
    let lines: String = (0..count).map(|number| format!("{number:015}\n")).collect();
    let mut out = std::io::stdout();
    out.write_all(lines.as_bytes()).unwrap();
    out.write_all(b"that was all\n").unwrap();
}

/// The state that a service is started in, which is to be as if nobody had started it.
fn tell_state() {
    // Not the main thread's, which blocks signals for as long as it makes the thread that this runs in.
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    for line in status.lines().filter(|line| line.starts_with("SigBlk")) {
        println!("{line}");
    }
    println!(
        "leads its session: {}",
        process::getsid(None) == Ok(process::getpid())
    );
    println!(
        "input: {}",
        fs::read_link("/proc/self/fd/0").unwrap().display()
    );
    println!("folder: {}", std::env::current_dir().unwrap().display());
    println!("greeting: {}", std::env::var("GREETING").unwrap());
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        println!(
            "open: {}",
            fs::read_link(entry.unwrap().path()).unwrap().display()
        );
    }
    println!("that was all");
}

/// Somebody else who wants to talk to a palmtree.
fn stranger(socket: &Path) {
    let palmtree = harness::connect(socket);
    // Palmtree may have hung up already.
    let order = nodeos_spec::control::Command::List.to_packet();
    let _ = rustix::net::send(&palmtree, &order, rustix::net::SendFlags::NOSIGNAL);
    let mut buffer = [0; 64];
    let heard = rustix::net::recv(&palmtree, &mut buffer[..], rustix::net::RecvFlags::empty());
    let nothing = matches!(heard, Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET));
    exit_now(if nothing { 7 } else { 8 });
}
