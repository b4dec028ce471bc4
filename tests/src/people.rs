//! The multi-user system, and a person at its console.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodeos_build::assemble::{self, UsersOrder};
use nodeos_build::recipe::{Layer, Recipe};
use nodeos_spec::cmdline::SINGLE;
use nodeos_vm::machine::{Machine, Network};

use crate::boot::{ANSWER, BOOT, Boot, Scratch, without_escapes};
use crate::system;

/// What a plain `nodeos start` boots.
pub const USERSFS: Recipe = Recipe {
    layer: Layer::Usersfs,
    ..Recipe::BAREBONES
};

/// What the shell asks with, at home.
pub const HOME_PROMPT: &str = "~ > ";

/// The machine's memory, as `nodeos start` has it.
const MEMORY_MIB: u32 = 512;

/// A built multi-user system, with a users partition of its own.
#[derive(Debug)]
pub struct Site {
    pub scratch: Scratch,
    pub machine: Machine,
    /// The users partition.
    pub users: PathBuf,
}

impl Site {
    /// With the demo homes.
    pub fn new(name: &str) -> anyhow::Result<Site> {
        Site::with(name, &UsersOrder::default())
    }

    pub fn with(name: &str, order: &UsersOrder) -> anyhow::Result<Site> {
        Site::of(name, &USERSFS, order)
    }

    /// Of a recipe with users.
    pub fn of(name: &str, recipe: &Recipe, order: &UsersOrder) -> anyhow::Result<Site> {
        let scratch = Scratch::new(name)?;
        let out = scratch.dir.join("out");
        let output = assemble::build(&system::context()?, recipe, order, &out)?;
        let mut machine = system::machine(recipe, &output);
        let users = output.users.context("the layer has users")?.path;
        machine.disks = vec![users.clone()];
        machine.append = vec![assemble::users_word()];
        machine.network = Network::ByTheSystem;
        machine.memory_mib = MEMORY_MIB;
        Ok(Site {
            scratch,
            machine,
            users,
        })
    }

    /// With the demo homes as `change` leaves them, in a folder of its own.
    pub fn with_homes(
        name: &str,
        change: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Site> {
        let homes = tempfile::tempdir()?;
        copy(&system::source().join("layers/usersfs/users"), homes.path())?;
        change(homes.path())?;
        let order = UsersOrder {
            folder: Some(homes.path().to_owned()),
            ..UsersOrder::default()
        };
        Site::with(name, &order)
    }

    /// Boots it up to the question for a name.
    pub fn boot(&self) -> anyhow::Result<Person> {
        let mut boot = self.scratch.boot(&self.machine)?;
        boot.console
            .expect("username: ", BOOT)
            .context("nobody is asked for a name")?;
        Ok(Person { boot })
    }
}

impl Site {
    /// Boots it in administrator mode, up to root's shell.
    pub fn administrator(&self) -> anyhow::Result<Person> {
        let mut machine = self.machine.clone();
        machine.append.push(SINGLE.to_owned());
        let mut boot = self.scratch.boot(&machine)?;
        boot.console.expect("Administrator mode", BOOT)?;
        boot.console.expect(" > ", BOOT)?;
        Ok(Person { boot })
    }
}

/// Somebody at the console.
#[derive(Debug)]
pub struct Person {
    pub boot: Boot,
}

impl Person {
    /// Answers the questions, up to the shell's prompt.
    pub fn log_in(&mut self, name: &str, password: &str) -> anyhow::Result<()> {
        self.boot.console.send(&format!("{name}\r"))?;
        self.boot.console.expect("password: ", ANSWER)?;
        self.boot.console.send(&format!("{password}\r"))?;
        self.boot
            .console
            .expect(HOME_PROMPT, ANSWER)
            .context("there is no shell")?;
        Ok(())
    }

    /// Has the shell run a line that is to succeed, and returns what it printed. The prompt must be on the screen.
    pub fn run(&mut self, line: &str) -> anyhow::Result<String> {
        let (code, output) = self.run_for(line, ANSWER)?;
        ensure!(code == 0, "{line}: code {code}, {output}");
        Ok(output)
    }

    /// As [`Person::run`], for a line that is to fail: what it printed.
    pub fn fail(&mut self, line: &str) -> anyhow::Result<String> {
        let (code, output) = self.run_for(line, ANSWER)?;
        ensure!(
            code != 0,
            "{line} should have failed, and printed: {output}"
        );
        Ok(output)
    }

    /// Has the shell run a line: its exit code and what it printed.
    pub fn run_for(&mut self, line: &str, deadline: Duration) -> anyhow::Result<(i32, String)> {
        // The echo of what is typed has a quote in the middle of this, and no program says it.
        self.boot
            .console
            .send(&format!("{line}; echo =$?'=end'\r"))?;
        let before = self.boot.console.expect("=end\r\n", deadline)?;
        let plain = without_escapes(&before);
        let (text, code) = plain.rsplit_once('=').context("there is a code")?;
        let output = text
            .split_once("'=end'\n")
            .map_or(text, |(_, output)| output);
        self.boot.console.expect(" > ", ANSWER)?;
        Ok((code.trim().parse()?, output.trim_end().to_owned()))
    }

    /// Leaves the shell, up to the next question for a name.
    pub fn log_out(&mut self) -> anyhow::Result<()> {
        self.boot.console.send("exit\r")?;
        self.boot.console.expect("username: ", ANSWER)?;
        Ok(())
    }

    /// Switches the machine off from its shell.
    pub fn power_off(mut self) -> anyhow::Result<()> {
        self.boot.console.send("poweroff\r")?;
        self.boot.powered_off()?;
        Ok(())
    }
}

/// Makes a user like the demo one, with the same password as its name.
pub fn add_user(homes: &Path, name: &str) -> anyhow::Result<()> {
    let home = homes.join(name);
    copy(&homes.join("nodeos"), &home)?;
    // The original's form, which is rewritten at the first login.
    let hash = sha1_hex(name)?;
    fs::write(
        home.join("etc/logon.json"),
        format!("{{\"password\": \"{hash}\"}}"),
    )?;
    Ok(())
}

fn sha1_hex(text: &str) -> anyhow::Result<String> {
    let mut child = Command::new("sha1sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("it is piped")?
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8(output.stdout)?;
    Ok(said
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// A folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// What `e2fsck` says of an image that no machine uses, which must be nothing.
pub fn check_filesystem(image: &Path) -> anyhow::Result<()> {
    let paths = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("e2fsck")
        .env("PATH", format!("{paths}:/usr/sbin:/sbin"))
        .args(["-f", "-n"])
        .arg(image)
        .output()
        .context("e2fsck: apt-get install e2fsprogs")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}");
    Ok(())
}
