//! What the tests of this crate share: a context that writes down what it is told, and a server on the loopback.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nodeos_build::cache::{Cache, Entry, Key, KeyHasher, Kind};
use nodeos_build::context::Context;
use nodeos_build::progress::{Progress, Task, Unit};

/// How long anything may take that is waited for: far longer than it does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Writes down what it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Recorder {
    /// What was told so far: `begin ...`, `run ...`, `warn ...`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line begins so.
    pub(crate) fn wait_for(&self, beginning: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.starts_with(beginning)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "nothing begins with {beginning}: {lines:?}"
            );
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn add(&self, line: String) {
        self.lines.lock().unwrap().push(line);
        self.changed.notify_all();
    }
}

struct NoTask;

impl Progress for Recorder {
    fn begin(&self, title: &str, _total: Option<(u64, Unit)>) -> Box<dyn Task> {
        self.add(format!("begin {title}"));
        Box::new(NoTask)
    }

    fn command(&self, command: &Command) {
        self.add(format!("run {}", command.get_program().to_string_lossy()));
    }

    fn warn(&self, message: &str) {
        self.add(format!("warn {message}"));
    }
}

impl Task for NoTask {
    fn advance(&mut self, _done: u64, _total: Option<u64>) {}

    fn finish(self: Box<Self>, _note: &str) {}
}

/// A context with its cache at `root`, and what it tells.
pub(crate) fn context(root: &Path) -> (Context, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let context = Context {
        source: root.to_owned(),
        cache: Cache::open(root.to_owned()),
        progress: recorder.clone(),
        cancel: Arc::default(),
        jobs: 1,
    };
    (context, recorder)
}

/// Answers every request on the loopback with what `answer` returns for its path, and returns its address.
pub(crate) fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            respond(stream, &answer);
        }
    });
    address
}

fn respond(mut stream: TcpStream, answer: &impl Fn(&str) -> Vec<u8>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    // The rest of the head is read so that closing does not reset the connection.
    for line in lines.map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    // A client that has heard enough may hang up.
    let _ = stream.write_all(&answer(path));
}

/// A complete answer with these contents.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The answer of a server that has no such file.
pub(crate) fn not_found() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
}

/// An address of the loopback where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An error and its causes, as the command line prints them.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

/// What the entries of the tests are.
pub(crate) const KIND: Kind = Kind::Programs;

/// The key of the entry with that name.
pub(crate) fn key(name: &str) -> Key {
    KeyHasher::new("test").text("name", name).finish()
}

/// Makes an entry with one file, unless it is there.
pub(crate) fn make(ctx: &Context, name: &str) -> Entry {
    let write = |dir: &Path| fs::write(dir.join("file"), name);
    ctx.cache
        .get_or_make(ctx, KIND, &key(name), name, write)
        .unwrap()
}

/// The names of everything below a folder of the cache.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).map(|entries| entries.map(|e| e.unwrap().file_name()));
    let mut names: Vec<_> = entries
        .into_iter()
        .flatten()
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Says to a test that it is the program that the test has started, and where the cache is.
pub(crate) const ROOT: &str = "NODEOS_TEST_CACHE_ROOT";

/// The cache's folder, in the program that a test has started.
pub(crate) fn root_from_parent() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}
