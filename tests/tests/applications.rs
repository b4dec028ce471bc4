//! Real applications as machines, each asked from this host by a real client.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};

use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::http::{ask, fetch, fetch_bytes, free_port};
use nodeos_tests::nodeos_run::{Running, folder, npm, output};
use nodeos_tests::people::copy;
use tungstenite::{Message, WebSocket};

/// Starts an application of its folder, and has it answer.
fn check(name: &str, file: &str, expected: &str) {
    let scratch = Scratch::new(&format!("application-{name}")).unwrap();
    let running = Running::ready(&scratch, &folder(name).join(file), &[]).unwrap();
    let answer = fetch(running.port).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(expected),
        "{answer}"
    );
    let (code, said) = running.stop().unwrap();
    assert_eq!(code, 143, "{said}");
    assert!(said.contains("on 3000"), "{said}");
}

#[test]
fn express_says_hello() {
    check("express", "", "\r\n\r\nHello from express");
}

#[test]
fn fastify_is_started_by_its_start_script() {
    check("fastify", "", "\r\n\r\n{\"hello\":\"fastify\"}");
}

#[test]
fn a_file_of_typescript_is_an_application() {
    check(
        "typescript",
        "server.ts",
        "\r\n\r\n{\"hello\":\"TypeScript\"}",
    );
}

#[test]
fn worker_threads_compute() {
    check("workers", "", "\r\n\r\n55 6765 832040");
}

#[test]
fn an_application_with_hundreds_of_packages_starts() {
    let scratch = Scratch::new("application-many").unwrap();
    let more = ["--memory", "512M"];
    let running = Running::ready(&scratch, &folder("many"), &more).unwrap();
    let answer = fetch(running.port).unwrap();
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let (packages, rest) = text.split_once(' ').unwrap();
    assert!(packages.parse::<u32>().unwrap() >= 500, "{answer}");
    assert_eq!(rest, "packages, eslint 9.36.0, webpack 5.101.3");
}

#[test]
fn processes_of_a_cluster_share_a_port() {
    let scratch = Scratch::new("application-cluster").unwrap();
    let more = ["--memory", "256M", "--cpus", "2"];
    let running = Running::ready(&scratch, &folder("cluster"), &more).unwrap();
    let mut answered = BTreeSet::new();
    // They take turns (cluster of Node.js, round robin), once both listen.
    for _ in 0..200 {
        let answer = fetch(running.port).unwrap();
        let (_, who) = answer.split_once("\r\n\r\n").unwrap();
        answered.insert(who.to_owned());
        if answered.len() == 2 {
            break;
        }
    }
    assert_eq!(
        answered.into_iter().collect::<Vec<_>>(),
        ["process 1", "process 2"],
        "{}",
        running.heard()
    );
}

#[test]
fn an_add_on_writes_to_a_volume_that_lasts() {
    let scratch = Scratch::new("application-leveldb").unwrap();
    for visit in 1..=2 {
        let running = Running::ready(&scratch, &folder("leveldb"), &[]).unwrap();
        let answer = fetch(running.port).unwrap();
        assert!(
            answer.ends_with(&format!("\r\n\r\nvisit {visit}")),
            "{answer}"
        );
        // It closes its store, and ends by itself.
        assert_eq!(running.stop().unwrap().0, 0);
    }
}

#[test]
fn an_add_on_with_libraries_of_its_own_makes_pictures() {
    let scratch = Scratch::new("application-images").unwrap();
    let more = ["--memory", "256M"];
    let running = Running::ready(&scratch, &folder("images"), &more).unwrap();
    let answer = fetch_bytes(running.port).unwrap();
    let begin = answer
        .windows(8)
        .position(|window| window == b"\x89PNG\r\n\x1a\n")
        .expect("it is a picture");
    // The header's width and height (PNG specification, 11.2.2).
    assert_eq!(answer[begin + 16..begin + 24], [0, 0, 0, 32, 0, 0, 0, 24]);
}

#[test]
fn a_debugger_attaches_as_to_a_process_of_this_host() {
    let scratch = Scratch::new("application-inspected").unwrap();
    let port = free_port().unwrap();
    let inspect = format!("--inspect={port}");
    let running = Running::ready(&scratch, &folder("workers"), &[&inspect]).unwrap();
    let answer = ask(port, "/json/version").unwrap();
    assert!(answer.contains("\"Browser\": \"node.js/v24."), "{answer}");
    assert!(
        fetch(running.port)
            .unwrap()
            .ends_with("\r\n\r\n55 6765 832040")
    );
}

#[test]
fn pages_that_were_built_for_production_are_rendered() {
    let scratch = Scratch::new("application-rendered").unwrap();
    let project = scratch.dir.join("rendered");
    copy(&folder("rendered"), &project).unwrap();
    // npm takes the C library for that of this host, which Node.js does not have.
    npm(&project, &["ci", "--libc=musl"]).unwrap();
    npm(&project, &["run", "build"]).unwrap();
    let running = Running::ready(&scratch, &project, &[]).unwrap();
    let answer = fetch(running.port).unwrap();
    assert!(answer.contains("<h1>The answer is 42</h1>"), "{answer}");
}

#[test]
fn people_chat_through_a_websocket() {
    let scratch = Scratch::new("application-chat").unwrap();
    let running = Running::ready(&scratch, &folder("chat"), &[]).unwrap();
    let connect = || -> WebSocket<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        let url = format!("ws://127.0.0.1:{}/", running.port);
        tungstenite::client(url, stream).unwrap().0
    };
    let (mut ada, mut bob) = (connect(), connect());
    ada.send(Message::text("grüße")).unwrap();
    for listener in [&mut ada, &mut bob] {
        let heard = listener.read().unwrap();
        assert_eq!(heard.to_text().unwrap(), "somebody says: grüße");
    }
}

#[test]
fn a_package_with_a_command_is_an_application() {
    let scratch = Scratch::new("application-cowsay").unwrap();
    let done = output(&scratch, ["run", "cowsay@1.6.0", "--", "moo"]).unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(
        done.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("< moo >") && said.contains("^__^"), "{said}");
}
