//! A few dozen applets, run as people run them, and what is shared by all of them: names, links, closed pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_utilities");

fn command(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg0(name)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn finish(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Some applets do not read their input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// An applet with its arguments, its input, what it has to say, and its exit code.
type Case = (&'static str, &'static str, &'static str, i32);

const CASES: &[Case] = &[
    ("echo a b", "", "a b\n", 0),
    ("cat", "x\n", "x\n", 0),
    ("cat f", "", "one\ntwo\nthree\n", 0),
    ("head -n 1 f", "", "one\n", 0),
    ("tail -n 1 f", "", "three\n", 0),
    ("sort f", "", "one\nthree\ntwo\n", 0),
    ("uniq", "a\na\nb\n", "a\nb\n", 0),
    ("wc -l f", "", "3 f\n", 0),
    ("cut -d: -f2", "a:b:c\n", "b\n", 0),
    ("tr a-z A-Z", "abc\n", "ABC\n", 0),
    ("tee g", "x\n", "x\n", 0),
    ("tac f", "", "three\ntwo\none\n", 0),
    ("nl f", "", "     1\tone\n     2\ttwo\n     3\tthree\n", 0),
    ("fold -w 2", "abcd\n", "ab\ncd\n", 0),
    ("paste -s -d, f", "", "one,two,three\n", 0),
    ("od -An -tx1", "ab", " 61 62\n", 0),
    ("seq 1 3", "", "1\n2\n3\n", 0),
    ("expr 2 + 3", "", "5\n", 0),
    ("factor 12", "", "12: 2 2 3\n", 0),
    ("printf %s-%d a 3", "", "a-3", 0),
    ("basename /a/b.c .c", "", "b\n", 0),
    ("dirname /a/b", "", "/a\n", 0),
    ("test 1 -lt 2", "", "", 0),
    ("[ a = b ]", "", "", 1),
    ("true", "", "", 0),
    ("false", "", "", 1),
    ("md5sum", "abc", "900150983cd24fb0d6963f7d28e17f72  -\n", 0),
    (
        "sha256sum",
        "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -\n",
        0,
    ),
    ("base64", "abc", "YWJj\n", 0),
    ("env A=b printenv A", "", "b\n", 0),
    ("printenv LC_ALL", "", "C.UTF-8\n", 0),
    ("date -u -d @0 +%Y", "", "1970\n", 0),
    ("stat -c %s f", "", "14\n", 0),
    ("ls", "", "d\nf\ng\n", 0),
    ("readlink -f d/..", "", "", 0),
    ("cp f h", "", "", 0),
    ("mv h d/h", "", "", 0),
    ("ls d", "", "h\n", 0),
    ("ln -s f l", "", "", 0),
    ("readlink l", "", "f\n", 0),
    ("mkdir -p x/y", "", "", 0),
    ("rmdir x/y", "", "", 0),
    ("rm -r x l g d/h", "", "", 0),
    ("chmod 600 f", "", "", 0),
    ("stat -c %a f", "", "600\n", 0),
    ("truncate -s 3 n", "", "", 0),
    ("du -b n", "", "3\tn\n", 0),
    ("unlink n", "", "", 0),
    ("timeout 5 true", "", "", 0),
    ("find . -name f", "", "./f\n", 0),
    ("find . -type d", "", ".\n./d\n", 0),
    ("grep t f", "", "two\nthree\n", 0),
    ("grep -c -E o|h f", "", "3\n", 0),
    ("grep nothing f", "", "", 1),
    ("egrep ^(one|two)$ f", "", "one\ntwo\n", 0),
    ("fgrep . f", "", "", 1),
    ("sed s/o/0/ f", "", "0ne\ntw0\nthree\n", 0),
    ("sed -n 2p f", "", "two\n", 0),
    ("diff f f", "", "", 0),
    ("diff -q f -", "one\n", "Files f and - differ\n", 1),
    ("cmp f f", "", "", 0),
    ("cmp f missing", "", "", 2),
    ("less f", "", "one\ntwo\nthree\n", 0),
    ("cat missing", "", "", 1),
    ("ps -p 1 -o pid", "", "PID\n  1\n", 0),
    ("pgrep -f no-process-is-called-this-way", "", "", 1),
    ("edit f", "", "", 1),
];

#[test]
fn applets_do_what_their_names_say() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "one\ntwo\nthree\n").unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    let real = folder.path().canonicalize().unwrap();
    let mut failures = Vec::new();
    for (line, input, expected, code) in CASES {
        let mut words = line.split(' ');
        let mut command = command(words.next().unwrap(), &real);
        command.args(words);
        let output = finish(command, input);
        let text = String::from_utf8_lossy(&output.stdout);
        let expected = match *line {
            "readlink -f d/.." => format!("{}\n", real.display()),
            _ => (*expected).to_owned(),
        };
        if text != expected || output.status.code() != Some(*code) {
            let errors = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{line}: {text:?} {} {errors}", output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_applet_is_a_name_or_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, args: &[&str]| {
        let mut command = command(name, folder.path());
        command.args(args);
        finish(command, "")
    };
    assert_eq!(run("/bin/echo", &["a"]).stdout, b"a\n");
    assert_eq!(run("utilities", &["echo", "a"]).stdout, b"a\n");
    let unknown = run("utilities", &["nothing"]);
    assert_eq!(unknown.status.code(), Some(127));
    assert_eq!(
        String::from_utf8_lossy(&unknown.stderr),
        "utilities: there is no applet nothing; --list names them\n"
    );
    assert_eq!(run("nothing", &[]).status.code(), Some(127));
    assert_eq!(run("utilities", &[]).status.code(), Some(2));
}

#[test]
fn every_applet_of_the_list_says_how_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut list = command("utilities", folder.path());
    list.arg("--list");
    let list = String::from_utf8(finish(list, "").stdout).unwrap();
    assert!(list.lines().count() > 100, "{list}");
    // These take every word for what it is; POSIX wants it so.
    let silent = [
        "[", "test", "echo", "true", "false", "expr", "printf", "cmp", "diff", "dmesg",
    ];
    for name in list.lines().filter(|name| !silent.contains(name)) {
        let mut help = command(name, folder.path());
        help.arg("--help");
        let output = finish(help, "");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("sage"), "{name}: {text} {errors}");
        // A key in the place of a text: the texts are not in the program.
        assert!(
            !text.contains("-about") && !text.contains("-help-"),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_closed_pipe_ends_an_applet_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    for (name, args) in [
        ("yes", &[][..]),
        ("seq", &["1", "1000000"]),
        ("cat", &["/dev/zero"]),
    ] {
        let mut command = command(name, folder.path());
        let mut child = command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
    }
}

#[test]
fn tar_packs_lists_and_unpacks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("a/b")).unwrap();
    std::fs::write(at("a/b/f"), "text").unwrap();
    std::os::unix::fs::symlink("f", at("a/b/l")).unwrap();
    let run = |args: &[&str]| {
        let mut command = command("tar", folder.path());
        command.args(args);
        let output = finish(command, "");
        assert!(output.status.success(), "{args:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (make, read) in [("czf", "xzf"), ("cf", "xf")] {
        run(&[make, "a.tar", "a"]);
        assert_eq!(run(&["tf", "a.tar"]), "a/\na/b/\na/b/f\na/b/l\n");
        std::fs::create_dir(at("out")).unwrap();
        run(&[read, "a.tar", "-C", "out"]);
        assert_eq!(std::fs::read_to_string(at("out/a/b/l")).unwrap(), "text");
        run(&["-xf", "a.tar", "--strip-components=2", "-C", "out", "a/b/f"]);
        assert_eq!(std::fs::read_to_string(at("out/f")).unwrap(), "text");
        std::fs::remove_dir_all(at("out")).unwrap();
    }
}

#[test]
fn tar_writes_nothing_outside_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut builder = tar::Builder::new(std::fs::File::create(at("evil.tar")).unwrap());
    let mut add = |name: &str, link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(if link.is_some() { 0 } else { 1 });
        if let Some(link) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        let content: &[u8] = if link.is_some() { b"" } else { b"x" };
        builder.append(&header, content).unwrap();
    };
    add("../above", None);
    add("link", Some(".."));
    add("link/beside", None);
    add("fine", None);
    builder.finish().unwrap();
    std::fs::create_dir(at("out")).unwrap();
    let mut command = command("tar", folder.path());
    command.args(["xf", "evil.tar", "-C", "out"]);
    let output = finish(command, "");
    assert!(!output.status.success());
    assert!(at("out/fine").exists());
    assert!(!at("above").exists() && !at("beside").exists());
}

/// Answers one request, and returns it.
fn serve(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://localhost:{}/a/file.txt",
        listener.local_addr().unwrap().port()
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        let mut length = 0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            request.push_str(&line);
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (url, server)
}

const FOUND: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\nConnection: close\r\n\r\nabc";
const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";

#[test]
fn curl_and_wget_fetch_send_and_say_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, args: &[&str], answer: &'static str| {
        let (url, server) = serve(answer);
        let mut command = command(name, folder.path());
        command.args(args).arg(url);
        (finish(command, ""), server.join().unwrap())
    };
    let (output, request) = run("curl", &["-H", "X-C: d"], FOUND);
    assert_eq!(output.stdout, b"abc", "{output:?}");
    assert!(
        request.starts_with("GET /a/file.txt HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.to_lowercase().contains("x-c: d\r\n"), "{request}");
    let (_, request) = run("curl", &["-d", "x=1", "-X", "PUT"], FOUND);
    assert!(
        request.starts_with("PUT ") && request.ends_with("\r\n\r\nx=1"),
        "{request}"
    );
    let (output, _) = run("curl", &["-i"], FOUND);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nabc"),
        "{text}"
    );
    let (output, _) = run("curl", &["-f"], MISSING);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(22), 0));
    let (output, _) = run("curl", &[], MISSING);
    assert_eq!(
        (output.status.code(), output.stdout),
        (Some(0), b"no".to_vec())
    );
    let (output, _) = run("wget", &["-q"], FOUND);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        std::fs::read_to_string(folder.path().join("file.txt")).unwrap(),
        "abc"
    );
}
