//! Conversations with `logon` on a terminal, where this test is both the person and the broker.

mod common;

use std::os::unix::fs::FileTypeExt;
use std::thread::{self, JoinHandle};

use common::{Listener, Peer, Screen};
use nodeos_spec::broker::Reply;
use nodeos_userland::logon::{self, End, LogonError};
use rustix::fd::AsFd;
use rustix::fs;
use rustix::termios::{self, LocalModes};
use tempfile::TempDir;

/// A logon that has begun, and both ends of it.
struct Conversation {
    screen: Screen,
    listener: Listener,
    peer: Peer,
    logon: JoinHandle<Result<End, LogonError>>,
    _folder: TempDir,
}

fn begin() -> Conversation {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("broker.sock");
    let listener = Listener::new(&socket);
    let screen = Screen::new();
    let terminal = screen.terminal();
    let logon = thread::spawn(move || logon::converse(terminal.as_fd(), &socket));
    let peer = listener.accept();
    Conversation {
        screen,
        listener,
        peer,
        logon,
        _folder: folder,
    }
}

impl Conversation {
    fn answer(&mut self, name: &str, password: &str) {
        self.screen.expect("username: ");
        self.screen.type_keys(name);
        self.screen.expect("password: ");
        self.screen.type_keys(password);
    }

    fn end(self) -> Result<End, LogonError> {
        self.logon.join().unwrap()
    }
}

#[test]
fn the_right_password_gives_the_terminal_to_the_broker_until_the_session_ends() {
    let mut conversation = begin();
    conversation.answer("ada\n", "geheim ß\n");
    let (user, password, terminal) = conversation.peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("ada", "geheim ß"));
    // What comes with the request is the terminal itself, as a shell wants to find it.
    assert!(
        std::fs::metadata(&conversation.screen.path)
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let expected = fs::stat(&conversation.screen.path).unwrap();
    assert_eq!(fs::fstat(&terminal).unwrap().st_rdev, expected.st_rdev);
    let modes = termios::tcgetattr(&terminal).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));

    conversation.peer.send(&Reply::Accepted);
    conversation.peer.send(&Reply::Ended { code: 3 });
    assert_eq!(conversation.end().unwrap(), End::Session { code: 3 });
}

#[test]
fn the_name_is_shown_and_the_password_is_not() {
    let mut conversation = begin();
    let welcome = conversation.screen.expect("username: ");
    assert!(welcome.starts_with("Welcome to NodeOS!"), "{welcome}");
    conversation.screen.type_keys("adb\x7fa\n");
    let name = conversation.screen.expect("password: ");
    assert_eq!(name, "adb\x08 \x08a\r\n");
    conversation.screen.type_keys("secrex\x7ft\n");
    let (user, password, _) = conversation.peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("ada", "secret"));
    conversation.peer.send(&Reply::Refused { wait_ms: 0 });
    let password = conversation.screen.expect("wrong username or password");
    assert_eq!(password, "\r\n");
}

#[test]
fn any_number_of_wrong_passwords_is_only_refused() {
    let mut conversation = begin();
    for attempt in 0..50 {
        conversation.answer("ada\n", "wrong\n");
        conversation.peer.receive_logon();
        let wait_ms = attempt % 3;
        conversation.peer.send(&Reply::Refused { wait_ms });
        conversation.screen.expect("wrong username or password");
    }
    conversation.answer("ada\n", "right\n");
    conversation.peer.receive_logon();
    conversation.peer.send(&Reply::Accepted);
    conversation.peer.send(&Reply::Ended { code: 0 });
    assert_eq!(conversation.end().unwrap(), End::Session { code: 0 });
}

#[test]
fn what_is_typed_while_it_waits_answers_nothing() {
    let mut conversation = begin();
    conversation.answer("ada\n", "wrong\n");
    conversation.peer.receive_logon();
    conversation.peer.send(&Reply::Refused { wait_ms: 300 });
    conversation.screen.expect("wrong username or password");
    conversation.screen.type_keys("eve\nguess\n");
    conversation.answer("bob\n", "\n");
    let (user, password, _) = conversation.peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("bob", ""));
}

#[test]
fn ctrl_c_and_an_empty_name_start_over() {
    let mut conversation = begin();
    conversation.screen.expect("username: ");
    conversation.screen.type_keys("\n");
    conversation.screen.expect("username: ");
    conversation.screen.type_keys("eve\x03");
    conversation.screen.expect("username: ");
    conversation.screen.type_keys("\x04");
    conversation.answer("eve\n", "oops\x03");
    conversation.answer("ada\n", "right\n");
    let (user, password, _) = conversation.peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("ada", "right"));
}

#[test]
fn names_that_could_be_paths_reach_the_broker_as_they_are() {
    let mut conversation = begin();
    conversation.answer("../../root\n", "\"\\\n");
    let (user, password, _) = conversation.peer.receive_logon();
    assert_eq!((user.as_str(), password.as_str()), ("../../root", "\"\\"));
}

#[test]
fn a_failure_of_the_broker_is_a_sentence_and_then_it_asks_again() {
    let mut conversation = begin();
    conversation.answer("ada\n", "right\n");
    conversation.peer.receive_logon();
    let message = "the session of ada\x1b[2J does not run".to_owned();
    conversation.peer.send(&Reply::Failed { message });
    conversation
        .screen
        .expect("error: the session of ada [2J does not run");
    conversation.screen.expect("username: ");
}

#[test]
fn a_broker_that_was_started_again_is_reached_again() {
    let mut conversation = begin();
    conversation.screen.expect("username: ");
    conversation.screen.type_keys("ada\n");
    conversation.screen.expect("password: ");
    let Conversation {
        screen,
        listener,
        peer,
        logon,
        _folder,
    } = conversation;
    drop(peer);
    screen.type_keys("right\n");
    let peer = listener.accept();
    peer.receive_logon();
    peer.send(&Reply::Accepted);
    peer.send(&Reply::Ended { code: 0 });
    assert_eq!(logon.join().unwrap().unwrap(), End::Session { code: 0 });
}

#[test]
fn a_terminal_that_is_switched_off_ends_it_quietly() {
    let mut conversation = begin();
    conversation.screen.expect("username: ");
    conversation.screen.hang_up();
    assert_eq!(
        conversation.logon.join().unwrap().unwrap(),
        End::TerminalGone
    );
}

#[test]
fn without_a_terminal_or_a_broker_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("broker.sock");
    let null = std::fs::File::open("/dev/null").unwrap();
    let error = logon::converse(null.as_fd(), &socket).unwrap_err();
    assert_eq!(error.to_string(), "standard input is not a terminal");
    let terminal = Screen::new();
    let error = logon::converse(terminal.terminal().as_fd(), &socket).unwrap_err();
    let expected = format!("cannot reach the session broker at {}", socket.display());
    assert_eq!(error.to_string(), expected);
}
