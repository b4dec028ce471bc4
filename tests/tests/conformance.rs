//! A home as a filesystem: it differs from plain ext4 in what `docs/multi-user.md` lists, and in nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use nodeos_build::assemble::{self, image::erofs_options};
use nodeos_image::erofs;
use nodeos_image::tree::Entry;
use nodeos_tests::people::{Site, USERSFS};
use nodeos_tests::{pjdfstest, system};
use nodeos_vm::machine::Root;

/// All questions together, under emulation on a busy host.
const QUESTIONS: Duration = Duration::from_secs(120);
/// The user id of the demo user.
const NODEOS: u32 = 1;
/// Each question about files that were there before has a folder of this name, in `given`.
const GIVEN: std::ops::RangeInclusive<char> = 'a'..='s';
/// Where plain ext4 is, as the administrator sees it: what is written there passes no overlay.
const PLAIN: &str = "/home/nodeos/plain";
/// Where the programs are, likewise.
const BIN: &str = "/home/nodeos/bin";

/// What was answered, by question.
type Answers = BTreeMap<String, String>;

/// A site whose system has the folder `/given`, and whose home `nodeos` has the same in a folder that no system lies below.
fn site(name: &str) -> anyhow::Result<Site> {
    let mut site = Site::with_homes(name, |homes| {
        let home = homes.join("nodeos");
        fs::copy(system::scenario()?.path, home.join("bin/scenario"))?;
        fs::copy(pjdfstest::program()?, home.join("bin/pjdfstest"))?;
        fs::write(home.join("pjdfstest.toml"), pjdfstest::CONFIGURATION)?;
        for name in GIVEN {
            let folder = home.join(format!("plain/given/{name}"));
            fs::create_dir_all(folder.join("folder"))?;
            fs::write(folder.join("file"), "given")?;
            fs::write(folder.join("folder/inner"), "given")?;
        }
        Ok(())
    })?;
    let mut tree = assemble::tree(&system::context()?, &USERSFS)?;
    let folder = || Entry::directory(0o755).owned_by(NODEOS, NODEOS);
    let file = || Entry::file(0o644, *b"given").owned_by(NODEOS, NODEOS);
    tree.insert("/given", folder())?;
    for name in GIVEN {
        tree.insert(format!("/given/{name}"), folder())?;
        tree.insert(format!("/given/{name}/file"), file())?;
        tree.insert(format!("/given/{name}/folder"), folder())?;
        tree.insert(format!("/given/{name}/folder/inner"), file())?;
    }
    let image = site.scratch.dir.join("with-given.img");
    let size = erofs::write(&tree, &erofs_options([0; 16]), &File::create(&image)?)?;
    site.machine.root = Root::Pmem { image, size };
    Ok(site)
}

/// What a program prints in a home, and what it prints on plain ext4 as the same user.
fn in_home_and_on_ext4(site: &Site, home: &str, ext4: &str) -> (String, String) {
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let (_, home) = person.run_for(home, QUESTIONS).unwrap();
    person.power_off().unwrap();

    let mut person = site.administrator().unwrap();
    // Whoever is not root is to find the way to that folder.
    person.run("chmod 711 /home").unwrap();
    let line = format!("{BIN}/scenario as {NODEOS} {ext4}");
    let (_, ext4) = person.run_for(&line, QUESTIONS).unwrap();
    (home, ext4)
}

fn answers(said: &str) -> Answers {
    let mut answers: Answers = said
        .lines()
        .filter_map(|line| line.trim_end().rsplit_once(": "))
        .map(|(question, answer)| (question.to_owned(), answer.to_owned()))
        .collect();
    let count = answers.remove("questions");
    assert_eq!(count, Some(answers.len().to_string()), "{said}");
    answers
}

/// What of the documentation's table is about a question, or about a test of pjdfstest: its names have colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Questions,
    Tests,
}

/// The table of the documentation: each question or test, with what comes of it in a home and on ext4.
fn documented(wanted: Rows) -> BTreeMap<String, (String, String)> {
    let path = Path::new("docs/multi-user.md");
    let text = fs::read_to_string(system::source().join(path)).unwrap();
    let (_, section) = text
        .split_once("## What a home is not\n")
        .expect("the document has that section");
    let rows = section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    // The first one is the table's head.
    rows.skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [question, home, ext4] = cells[..] else {
                panic!("{row} has not three cells");
            };
            (question.to_owned(), (home.to_owned(), ext4.to_owned()))
        })
        .filter(|(name, _)| name.contains("::") == (wanted == Rows::Tests))
        .collect()
}

/// What is not the same in both places. What is asked has to be.
fn differences(home: &Answers, ext4: &Answers) -> BTreeMap<String, (String, String)> {
    assert!(home.keys().eq(ext4.keys()), "{home:#?} {ext4:#?}");
    home.iter()
        .map(|(name, home)| (name.clone(), (home.clone(), ext4[name].clone())))
        .filter(|(_, (home, ext4))| home != ext4)
        .collect()
}

#[test]
fn a_home_differs_from_ext4_in_what_the_documentation_lists() {
    let site = site("filesystem").unwrap();
    let (home, ext4) = in_home_and_on_ext4(
        &site,
        "scenario filesystem /",
        &format!("{BIN}/scenario filesystem {PLAIN}"),
    );
    let (home, ext4) = (answers(&home), answers(&ext4));
    let usual = ["yes", "flock taken, record lock taken"];
    let odd = |(_, answer): &(&String, &String)| !usual.contains(&answer.as_str());
    assert_eq!(ext4.iter().find(odd), None, "on ext4 everything works");
    assert_eq!(
        differences(&home, &ext4),
        documented(Rows::Questions),
        "what is, and what docs/multi-user.md says"
    );
}

#[test]
fn pjdfstest_finds_in_a_home_what_it_finds_on_ext4_but_for_what_is_documented() {
    let site = site("pjdfstest").unwrap();
    let (home, ext4) = in_home_and_on_ext4(
        &site,
        "mkdir /pjd && NO_COLOR=1 pjdfstest -c /pjdfstest.toml -p /pjd",
        &format!("/bin/env NO_COLOR=1 {BIN}/pjdfstest -c {BIN}/../pjdfstest.toml -p {PLAIN}"),
    );
    let results = pjdfstest::results(&home);
    assert_eq!(
        differences(&results, &pjdfstest::results(&ext4)),
        documented(Rows::Tests),
        "what is, and what docs/multi-user.md says"
    );
    let of = |word: &str| -> Vec<&str> {
        let found = results.iter().filter(|(_, result)| *result == word);
        found.map(|(name, _)| name.as_str()).collect()
    };
    assert!(of("FAILED").is_empty(), "{home}");
    assert!(of("ok").len() > 200, "{home}");
}
