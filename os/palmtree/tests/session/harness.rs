//! A session in a scratch folder, and its end.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nodeos_palmtree::paths::Paths;
use nodeos_palmtree::streams::Streams;
use nodeos_palmtree::svc;
use nodeos_spec::control::{Answer, Command as Order, MAX_MESSAGE, ServiceState};
use nodeos_sys::signals;
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, sockopt};
use rustix::process::{self, Pid, PidfdFlags, Signal};

/// Says in the environment what this program is to do.
pub(crate) const ROLE: &str = "NODEOS_TEST_ROLE";
/// Where the session's files are, for the one who plays palmtree.
pub(crate) const FOLDER: &str = "NODEOS_TEST_FOLDER";
/// What tells this binary to play its role.
pub(crate) const PLAY: [&str; 3] = ["--exact", "role", "--nocapture"];

/// Longer than anything takes on a busy machine that is emulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// A palmtree that runs.
pub(crate) struct Session {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) paths: Paths,
    pub(crate) palmtree: Child,
    /// Kept open, since palmtree's harness writes to it at its end.
    _output: BufReader<ChildStdout>,
}

/// What a call of `svc` has led to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// An entry of `palmtree.json`: this program in a role. `more` is what follows in JSON, beginning with a comma.
pub(crate) fn entry(name: &str, role: &str, more: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let [exe, role] = [exe.to_str().unwrap(), role].map(|text| format!("{text:?}"));
    let args = PLAY.map(|arg| format!("{arg:?}")).join(", ");
    // The environment is given here, where `more` does not.
    let env = if more.contains("\"env\"") {
        String::new()
    } else {
        format!(", \"env\": {{\"{ROLE}\": {role}}}")
    };
    format!("{{\"name\": {name:?}, \"command\": {exe}, \"args\": [{args}]{env}{more}}}")
}

/// The places of a session in a folder.
pub(crate) fn paths(folder: &Path) -> Paths {
    let built = Path::new(env!("CARGO_BIN_EXE_palmtree"));
    Paths {
        config: folder.join("etc/palmtree.json"),
        socket: folder.join("palmtree.sock"),
        broker: folder.join("broker.sock"),
        log: folder.join("log"),
        init: folder.join("init"),
        program: built.to_owned(),
    }
}

impl Session {
    /// Starts a palmtree with these entries, and returns when it listens.
    pub(crate) fn start(entries: &[String]) -> Session {
        Session::start_in(tempfile::tempdir().unwrap(), entries)
    }

    pub(crate) fn start_in(folder: tempfile::TempDir, entries: &[String]) -> Session {
        // Palmtree listens before it starts anything, so the first word of a service says that it does.
        let ready = entry(
            "ready",
            "ready",
            r#", "restart": "never", "stdio": {"stdout": "inherit"}"#,
        );
        let entries: Vec<String> = [vec![ready], entries.to_vec()].concat();
        Session::start_with(
            folder,
            &format!("[\n{}\n]", entries.join(",\n")),
            "is ready",
        )
    }

    /// Starts a palmtree with this text as its file, and returns when its standard output has a line with this text.
    pub(crate) fn start_with(folder: tempfile::TempDir, config: &str, sign: &str) -> Session {
        let paths = paths(folder.path());
        fs::create_dir_all(folder.path().join("etc")).unwrap();
        fs::write(&paths.config, config).unwrap();
        let mut palmtree = spawn_deaf(
            Command::new(std::env::current_exe().unwrap())
                .args(PLAY)
                .env(ROLE, "palmtree")
                .env(FOLDER, folder.path())
                .stdout(Stdio::piped()),
        );
        let output = wait_for_line(&mut palmtree, sign);
        Session {
            folder,
            paths,
            palmtree,
            _output: output,
        }
    }

    pub(crate) fn svc(&self, line: &str) -> Outcome {
        svc_at(&self.paths, line)
    }

    /// What `svc` says when it succeeds.
    pub(crate) fn done(&self, line: &str) -> String {
        let outcome = self.svc(line);
        assert_eq!(
            outcome.code,
            0,
            "svc {line}: {outcome:?}\n{}",
            self.journal()
        );
        outcome.out
    }

    /// What `svc` says when it fails.
    pub(crate) fn refused(&self, line: &str) -> String {
        let outcome = self.svc(line);
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (1, ""),
            "svc {line}: {outcome:?}"
        );
        outcome.err
    }

    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(self.paths.log.join("palmtree.log")).unwrap_or_default()
    }

    /// The service as palmtree lists it.
    pub(crate) fn state(&self, name: &str) -> ServiceState {
        let palmtree = connect(&self.paths.socket);
        send(&palmtree, &Order::List);
        let Some(Answer::Services { services, .. }) = receive(&palmtree) else {
            panic!("palmtree lists nothing");
        };
        services
            .into_iter()
            .find(|service| service.name == name)
            .unwrap_or_else(|| panic!("palmtree does not list {name}"))
    }

    /// Reads a service's log, and waits for more, until it has this text so many times.
    pub(crate) fn wait_for_log(&self, name: &str, text: &str, times: usize) -> String {
        let palmtree = connect(&self.paths.socket);
        send(
            &palmtree,
            &Order::Logs {
                name: name.to_owned(),
                lines: u64::MAX,
                follow: true,
            },
        );
        let mut log = String::new();
        while log.matches(text).count() < times {
            match receive(&palmtree) {
                Some(Answer::Text { text, more: true }) => log.push_str(&text),
                other => panic!(
                    "no {text:?} in the log of {name}: {log}{other:?}\n{}",
                    self.journal()
                ),
            }
        }
        log
    }

    /// Ends the session, and returns how palmtree has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        process::kill_process(Pid::from_child(&self.palmtree), Signal::TERM).unwrap();
        self.palmtree.wait().unwrap()
    }

    /// A file of the session.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}

impl Drop for Session {
    /// No process is to be left behind by a test, also by one that fails.
    fn drop(&mut self) {
        let _ = process::kill_process(Pid::from_child(&self.palmtree), Signal::TERM);
        let _ = self.palmtree.wait();
    }
}

/// Starts a program with every signal blocked. The test harness runs its tests beside the main thread, and what one thread
/// blocks the other would get; so both have to from the start.
fn spawn_deaf(command: &mut Command) -> Child {
    std::thread::scope(|scope| {
        let spawned = scope.spawn(|| {
            signals::block_all().unwrap();
            command.spawn().unwrap()
        });
        spawned.join().unwrap()
    })
}

pub(crate) fn svc_at(paths: &Paths, line: &str) -> Outcome {
    let [out, err] = [Shared::default(), Shared::default()];
    let mut streams = Streams {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
    };
    let args = line.split_whitespace().map(OsString::from);
    let code = svc::run(args, paths, &mut streams);
    // An `ExitCode` can only be compared by its Debug.
    let code = (0..=255)
        .find(|number| {
            format!("{:?}", std::process::ExitCode::from(*number)) == format!("{code:?}")
        })
        .unwrap();
    let [out, err] = [out, err].map(|stream| String::from_utf8(stream.0.take()).unwrap());
    Outcome { code, out, err }
}

pub(crate) fn connect(path: &Path) -> OwnedFd {
    let fd = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE)).unwrap();
    net::connect(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    fd
}

pub(crate) fn send(fd: &OwnedFd, order: &Order) {
    net::send(fd, &order.to_packet(), SendFlags::empty()).unwrap();
}

/// The next answer, none when the connection has been closed.
pub(crate) fn receive(fd: &OwnedFd) -> Option<Answer> {
    let mut buffer = vec![0; MAX_MESSAGE];
    let (_, length) = net::recv(fd, &mut buffer[..], RecvFlags::empty()).unwrap();
    (length > 0).then(|| Answer::parse(&buffer[..length]).unwrap())
}

/// Waits until a process has ended, whoever's child it is.
pub(crate) fn wait_for_end(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    // Who is not there any more has ended.
    let Ok(fd) = process::pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    let mut ready = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(
        event::poll(&mut ready, Some(&patience)),
        Ok(1),
        "{pid:?} has not ended"
    );
}

/// Reads a child's standard output up to a line that contains the text.
fn wait_for_line(child: &mut Child, text: &str) -> BufReader<ChildStdout> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let said = output
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains(text));
    assert!(said, "the child says {text:?} before it ends");
    output
}

/// What is written into one of its clones.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
