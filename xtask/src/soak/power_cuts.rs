//! Machines whose plug is pulled while npm installs packages with many files, again and again on the same users partition.
//!
//! After each cut the next boot has to mount it, people can log in, every file is there unchanged that had been complete and
//! synced, and after that boot `e2fsck` has nothing to say. What a cut loses here is what the machine had not given to its
//! disk yet: what a real disk would lose of its own cache is not tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use nodeos_tests::boot::ANSWER;
use nodeos_tests::people::{Person, Site, check_filesystem};
use nodeos_vm::console::ExpectError;

use crate::narration;

/// How long an installation may take, under emulation on a busy host: ten times what was seen.
const INSTALLATION: Duration = Duration::from_secs(600);
/// How long it may take to read everything and to sum it up.
const SUMS: Duration = Duration::from_secs(240);
/// What is installed: more than a thousand files, which is a usual project of npm's.
const PACKAGES: u64 = 8;
const FILES: u64 = 150;
/// Files are at most this long, in bytes: one to three blocks, as most sources are.
const LONGEST: u64 = 12_000;
/// The console says this when the writer's first files are synced.
const BEGUN: &str = "begun\r\n";
const INSTALL: &str = "npm install --offline --no-audit --no-fund --silent /packages/*.tgz";

/// Writes files and says `complete NAME SUM` of each that has to survive: at first some that are written plainly and synced
/// together, and then one after the other as careful programs do, by fsync, rename, and fsync of the folder.
const WRITER: &str = r#"
const fs = require('fs'), crypto = require('crypto');
const round = process.argv[2], folder = '/kept/';
const content = () => crypto.randomBytes(crypto.randomInt(1, 60000));
const complete = (name, bytes) =>
  console.log(`complete ${name} ${crypto.createHash('sha256').update(bytes).digest('hex')}`);
const sync = (path) => { const file = fs.openSync(path); fs.fsyncSync(file); fs.closeSync(file); };
fs.mkdirSync(folder, { recursive: true });
const first = [];
for (let n = 0; n < 10; n++) first.push([`${round}-synced-${n}`, content()]);
for (const [name, bytes] of first) fs.writeFileSync(folder + name, bytes);
require('child_process').execFileSync('sync');
for (const [name, bytes] of first) complete(name, bytes);
console.log('begun');
let n = 0;
setInterval(() => {
  const name = `${round}-renamed-${n++}`, bytes = content();
  fs.writeFileSync(folder + 'half', bytes);
  sync(folder + 'half');
  fs.renameSync(folder + 'half', folder + name);
  sync(folder);
  complete(name, bytes);
}, 250);
"#;

/// What has to be there: names of files in `/kept` with their sums, and the sum of a whole installation.
#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<String, String>,
    installation: String,
}

/// Runs the rounds, at moments by `seed`; the first that fails ends it.
pub(super) fn run(cuts: u32, seed: Option<u64>) -> anyhow::Result<()> {
    let seed = seed.unwrap_or_else(seed_by_the_clock);
    narration::line(format_args!("{cuts} power cuts with --seed {seed}"));
    let mut site = Site::with_homes("power-cuts", homes)?;
    let mut kept = Kept::default();
    let done = rounds(&site, &mut kept, cuts, &mut Numbers(seed));
    if done.is_err() {
        site.scratch.keep();
    }
    done.with_context(|| format!("the moments were those of --seed {seed}"))?;
    narration::line(format_args!(
        "{cuts} power cuts, none failed: {} files are as they were completed",
        kept.files.len()
    ));
    Ok(())
}

fn rounds(site: &Site, kept: &mut Kept, cuts: u32, numbers: &mut Numbers) -> anyhow::Result<()> {
    let whole = watched(site, |person| install_whole(person, kept))?;
    narration::line(format_args!("an installation takes {} s", whole.as_secs()));
    for round in 1..=cuts {
        let moment = whole.mul_f64(numbers.part());
        let name = format!("cut {round} of {cuts}, after {:.1} s", moment.as_secs_f64());
        let of_round = || format!("{name} failed");
        let is_over = watched(site, |person| cut(person, round, moment)).with_context(of_round)?;
        let Cut { complete, state } = is_over;
        kept.files.extend(complete);
        watched(site, |person| look(person, kept)).with_context(of_round)?;
        check_filesystem(&site.users).with_context(of_round)?;
        narration::line(format_args!("{name} ({state}), {} files", kept.files.len()));
    }
    watched(site, |person| {
        person.run("rm -rf /project/node_modules")?;
        install(person, "/project")?;
        power_off(person)
    })
    .context("an installation after all cuts failed")?;
    check_filesystem(&site.users)
}

/// Boots, logs in and acts; what the machine said is kept if that fails.
fn watched<T>(
    site: &Site,
    act: impl FnOnce(&mut Person) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut person = site.boot()?;
    let done = person
        .log_in("nodeos", "nodeos")
        .and_then(|()| act(&mut person));
    if done.is_err() {
        person.boot.keep();
    }
    done
}

/// Installs everything once, for later rounds to find as it is; how long that takes.
fn install_whole(person: &mut Person, kept: &mut Kept) -> anyhow::Result<Duration> {
    let time = install(person, "/whole")?;
    person.run("sync")?;
    kept.installation = sum_of_installation(person)?;
    power_off(person)?;
    Ok(time)
}

fn install(person: &mut Person, folder: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let (code, said) = person.run_for(&format!("(cd {folder} && {INSTALL})"), INSTALLATION)?;
    ensure!(code == 0, "npm install: code {code}, {said}");
    Ok(begin.elapsed())
}

/// What a cut leaves to be looked for.
struct Cut {
    complete: BTreeMap<String, String>,
    state: &'static str,
}

/// Pulls the plug `moment` after an installation has begun.
fn cut(person: &mut Person, round: u32, moment: Duration) -> anyhow::Result<Cut> {
    person.run("rm -rf /project/node_modules /project/package-lock.json")?;
    let console = &mut person.boot.console;
    console.send(&format!("node /writer.js {round} &\r"))?;
    console.expect(BEGUN, ANSWER)?;
    console.send(&format!("cd /project; {INSTALL}; echo in'stalled'\r"))?;
    // It is no failure that the installation is over before: then nothing but the writer is interrupted.
    let state = match console.expect("installed\r\n", moment) {
        Ok(_) => "just installed",
        Err(ExpectError::Deadline { .. }) => "installing",
        Err(error) => return Err(error.into()),
    };
    person.boot.kill();
    Ok(Cut {
        complete: complete(&person.boot.console.transcript()),
        state,
    })
}

/// What the writer has said to be complete, as far as it has been said.
fn complete(transcript: &str) -> BTreeMap<String, String> {
    let whole_lines = transcript.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let file = |line: &str| {
        let (_, words) = line.trim_end().rsplit_once("complete ")?;
        let (name, sum) = words.split_once(' ')?;
        Some((name.to_owned(), sum.to_owned()))
    };
    whole_lines.lines().filter_map(file).collect()
}

/// Compares everything that is there with what has to be.
fn look(person: &mut Person, kept: &Kept) -> anyhow::Result<()> {
    let (code, said) = person.run_for("(cd /kept && sha256sum *)", SUMS)?;
    ensure!(code == 0, "{said}");
    let found: BTreeMap<&str, &str> = said
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    let wrong: Vec<&String> = kept
        .files
        .iter()
        .filter(|(name, sum)| found.get(name.as_str()) != Some(&sum.as_str()))
        .map(|(name, _)| name)
        .collect();
    ensure!(wrong.is_empty(), "lost or changed: {wrong:?}");
    let installation = sum_of_installation(person)?;
    ensure!(
        installation == kept.installation,
        "the earlier installation has changed"
    );
    power_off(person)
}

fn sum_of_installation(person: &mut Person) -> anyhow::Result<String> {
    let line = "find /whole -type f | sort | xargs sha256sum | sha256sum";
    let (code, said) = person.run_for(line, SUMS)?;
    ensure!(code == 0 && said.len() > 64, "{said}");
    Ok(said)
}

fn power_off(person: &mut Person) -> anyhow::Result<()> {
    person.boot.console.send("poweroff\r")?;
    person.boot.powered_off().map(drop)
}

/// The demo homes with the packages, the folders to install them in, and the writer.
fn homes(homes: &Path) -> anyhow::Result<()> {
    let home = homes.join("nodeos");
    fs::write(home.join("writer.js"), WRITER)?;
    for folder in ["whole", "project"] {
        fs::create_dir(home.join(folder))?;
        fs::write(home.join(folder).join("package.json"), "{}")?;
    }
    fs::create_dir(home.join("packages"))?;
    let mut numbers = Numbers(0);
    for package in 0..PACKAGES {
        let name = format!("many-{package}");
        pack(&name, &home.join("packages"), &mut numbers)?;
    }
    Ok(())
}

/// A package as `npm pack` makes it, with files of all lengths.
fn pack(name: &str, folder: &Path, numbers: &mut Numbers) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let package = scratch.path().join("package");
    fs::create_dir(&package)?;
    let manifest = format!("{{\"name\": \"{name}\", \"version\": \"1.0.0\"}}");
    fs::write(package.join("package.json"), manifest)?;
    for file in 0..FILES {
        let words = numbers.next() % (LONGEST / 16);
        let text: String = (0..=words)
            .map(|_| format!("{:016x}", numbers.next()))
            .collect();
        let folder = package.join(format!("lib-{}", file % 10));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{file}.js")), format!("// {text}\n"))?;
    }
    let status = Command::new("tar")
        .arg("-czf")
        .arg(folder.join(format!("{name}.tgz")))
        .arg("-C")
        .arg(scratch.path())
        .arg("package")
        .status()
        .context("cannot run tar")?;
    ensure!(status.success(), "tar failed: {status}");
    Ok(())
}

/// Numbers that look random and are the same for the same seed: splitmix64, whose constants these are.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / f64::from(u32::MAX)
    }
}

fn seed_by_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_to_its_end_counts_as_complete() {
        let transcript =
            "$ node /writer.js 1 &\r\ncomplete 1-a 11\r\nnoise complete 1-b 22\r\ncomplete 1-c 3";
        assert_eq!(
            complete(transcript),
            BTreeMap::from(
                [("1-a", "11"), ("1-b", "22")].map(|(n, s)| (n.to_owned(), s.to_owned()))
            )
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_moments() {
        let moments = |seed| {
            let mut numbers = Numbers(seed);
            [(); 3].map(|()| numbers.part())
        };
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        assert!(moments(7).iter().all(|part| (0.0..=1.0).contains(part)));
    }
}
