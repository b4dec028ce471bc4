//! npm in a session, with packages as the registry has them.
//!
//! The registry is the one that npm knows; a host that has to trust more than the usual certificate authorities for it says
//! so in `NODE_EXTRA_CA_CERTS`, and the machine trusts them, too.

use std::fs;
use std::time::Duration;

use nodeos_tests::boot::ANSWER;
use nodeos_tests::http::{fetch, free_port};
use nodeos_tests::people::{Person, Site, add_user, check_filesystem};
use nodeos_tests::registry;
use nodeos_vm::machine::PortForward;

/// An installation under emulation, with the network's share: eight times what was seen on an idle host.
const INSTALL: Duration = Duration::from_secs(600);
/// A command that begins with npm's own start, which takes five seconds under emulation.
const NPM: Duration = Duration::from_secs(120);

/// What the project installs. Versions never change in a registry, so these are what was tried: a server; a compiler and a bundler
/// whose programs come in packages for each platform, the latter put into place by its postinstall script; a package whose
/// postinstall script leaves something behind; an add-on with a build for musl in a package of its own, and one with builds for
/// several C libraries in the same package.
const PACKAGES: [&str; 6] = [
    "express@5.1.0",
    "typescript@7.0.2",
    "esbuild@0.28.2",
    "core-js-bundle@3.50.0",
    "@node-rs/crc32@1.10.8",
    "classic-level@3.0.0",
];

const MANIFEST: &str = r#"{
  "name": "project", "version": "1.0.0", "private": true,
  "scripts": {
    "prebuild": "echo before >> order",
    "build": "tsc --ignoreConfig --outDir . src/answer.ts && echo build >> order",
    "postbuild": "esbuild --minify --outfile=answer.min.js answer.js && echo after >> order",
    "broken": "exit 3"
  }
}
"#;
const ANSWER_SOURCE: &str =
    "const answer: number = 6 * 7;\nconsole.log(`the answer is ${answer}`);\n";
const SERVER: &str = "require('express')().get('/', (_, answer) => answer.send('express at your service'))\n\
     .listen(8080, () => console.log('it listens'));\n";

/// A line that is to succeed, however long it takes.
fn run(person: &mut Person, line: &str, deadline: Duration) -> String {
    let (code, said) = person.run_for(line, deadline).unwrap();
    assert_eq!(code, 0, "{line}: {said}");
    said
}

fn project(homes: &std::path::Path) -> anyhow::Result<()> {
    let project = homes.join("nodeos/project");
    fs::create_dir_all(project.join("src"))?;
    fs::write(project.join("package.json"), MANIFEST)?;
    fs::write(project.join("src/answer.ts"), ANSWER_SOURCE)?;
    fs::write(project.join("server.js"), SERVER)?;
    Ok(())
}

#[test]
fn a_project_installs_its_packages_builds_with_them_and_serves() {
    let mut site = registry::site("npm-project", project).unwrap();
    let port = free_port().unwrap();
    site.machine.ports = vec![PortForward::local(port, 8080)];
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("cd /project").unwrap();
    let install = format!("npm install {}", PACKAGES.join(" "));
    run(&mut person, &install, INSTALL);

    // Scripts that npm runs after an installation: one put a program in the place of a script, one has left a file.
    assert_eq!(
        person
            .run("head -c 4 node_modules/esbuild/bin/esbuild | tail -c 3")
            .unwrap(),
        "ELF"
    );
    person.run("test -f /tmp/core-js-banners").unwrap();

    let add_on = "node -p \"require('@node-rs/crc32').crc32('hello').toString(16)\"";
    assert_eq!(run(&mut person, add_on, NPM), "3610a686");
    let store = "node -e \"const s = new (require('classic-level').ClassicLevel)('/tmp/store'); \
                 s.put('a', 'kept').then(() => s.get('a')).then(console.log)\"";
    assert_eq!(run(&mut person, store, NPM), "kept");
    let libraries = "ls node_modules/@node-rs";
    assert_eq!(
        person.run(libraries).unwrap(),
        "crc32  crc32-linux-x64-musl"
    );

    // The scripts of a project, with those before and after them, and with the programs of its packages.
    run(&mut person, "npm run build", NPM);
    assert_eq!(person.run("cat order").unwrap(), "before\nbuild\nafter");
    assert_eq!(
        run(&mut person, "node answer.min.js", NPM),
        "the answer is 42"
    );
    assert_eq!(person.run_for("npm run broken", NPM).unwrap().0, 3);

    assert_eq!(run(&mut person, "npx tsc --version", NPM), "Version 7.0.2");
    let fetched = "npx --yes semver@7.8.6 1.2.3 -i minor";
    assert_eq!(run(&mut person, fetched, INSTALL), "1.3.0");

    person.boot.console.send("node server.js\r").unwrap();
    person.boot.console.expect("it listens", NPM).unwrap();
    let answer = fetch(port).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n")
            && answer.ends_with("\r\n\r\nexpress at your service"),
        "{answer}"
    );
    person.boot.console.send("\x03").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

#[test]
fn a_program_from_the_registry_is_its_users_at_once_and_after_a_restart() {
    let site = registry::site("npm-global", |homes| add_user(homes, "ada")).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.fail("cowsay moo").unwrap();
    run(&mut person, "npm install -g cowsay@1.6.0", INSTALL);
    cow_says_moo(&mut person);
    // npm is the system's: it does not advise to install another one, which would fail.
    assert_eq!(
        run(&mut person, "npm config get update-notifier", NPM),
        "false"
    );
    assert_eq!(person.run("command -v cowsay").unwrap(), "/bin/cowsay");
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("ada", "ada").unwrap();
    person.fail("cowsay moo").unwrap();
    person.power_off().unwrap();
    after_a_restart(&site);
}

fn after_a_restart(site: &Site) {
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    cow_says_moo(&mut person);
    run(&mut person, "npm uninstall -g cowsay", NPM);
    person.fail("cowsay moo").unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

fn cow_says_moo(person: &mut Person) {
    let said = run(person, "cowsay moo", NPM);
    assert!(said.contains("< moo >") && said.contains("^__^"), "{said}");
}
