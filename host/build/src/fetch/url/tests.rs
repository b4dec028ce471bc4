//! Servers that break off or say nothing. How long they may be silent is set here, so that the tests do not wait.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};

use super::*;
use crate::cache::Cache;
use crate::manifest::{Manifest, Provider};
use crate::progress::Silent;

/// A server that answers one request with `answer` and then holds the connection until the sender is dropped.
fn serve(answer: &'static str) -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let (hold, held) = mpsc::channel::<()>();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).unwrap();
        let _ = held.recv();
    });
    (url, hold)
}

fn fetch_from(url: &str, silence: Duration) -> Result<Vec<UsedFile>, ProviderError> {
    let sum = "0".repeat(64);
    let text = format!(
        "[[input]]\nname = \"x\"\nwhat = \"x\"\nversion = \"1\"\n\
         [[input.provider]]\nurl = \"{url}\"\nversion = \"1\"\nsha256 = \"{sum}\"\n"
    );
    let manifest = Manifest::parse(&text).unwrap();
    let input = &manifest.inputs["x"];
    let [Provider::Url(file)] = input.providers.as_slice() else {
        unreachable!("written above")
    };
    let dir = tempfile::tempdir().unwrap();
    let ctx = Context {
        source: dir.path().to_owned(),
        cache: Cache::open(dir.path().to_owned()),
        progress: Arc::new(Silent),
        cancel: Arc::default(),
        jobs: 1,
    };
    let result = fetch_within(&ctx, input, file, dir.path(), silence);
    assert_eq!(
        dir.path().read_dir().unwrap().count(),
        0,
        "what came is not kept"
    );
    result
}

const SOON: Duration = Duration::from_millis(300);

#[test]
fn a_body_that_breaks_off_is_an_error_with_what_came() {
    let (url, hold) = serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    drop(hold);
    let error = fetch_from(&url, SILENCE).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot get {url}: ")), "{error}");
    assert!(
        error.ends_with(" after 5 of 10 bytes") || error.ends_with("only 5 of 10 bytes came"),
        "{error}"
    );
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let (url, _hold) = serve("");
    let error = fetch_from(&url, SOON).unwrap_err().to_string();
    let nothing = format!("cannot get {url}: nothing came for 0.3 s");
    assert!(error == nothing || error.contains("timeout"), "{error}");
}

#[test]
fn a_server_that_falls_silent_in_the_middle_is_given_up() {
    let (url, _hold) = serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let error = fetch_from(&url, SOON).unwrap_err().to_string();
    assert_eq!(error, format!("cannot get {url}: nothing came for 0.3 s"));
}

#[test]
fn an_answer_without_a_length_is_read_to_its_end() {
    let (url, hold) = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    drop(hold);
    let error = fetch_from(&url, SILENCE).unwrap_err().to_string();
    // `printf hello | sha256sum`
    let found = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(error.ends_with(&format!("found {found}")), "{error}");
}

#[test]
fn the_file_s_name_is_what_follows_the_last_slash() {
    let check = |url, expected: &str| assert_eq!(file_name(url), Path::new(expected), "{url}");
    check(
        "https://host.test/pub/linux-6.12.tar.xz",
        "linux-6.12.tar.xz",
    );
    check("https://host.test/pub/linux.tar.xz?a=b/c#d", "linux.tar.xz");
    check("https://host.test/pub/", "download");
    check("https://host.test", "download");
    check("https://host.test/..", "download");
}
