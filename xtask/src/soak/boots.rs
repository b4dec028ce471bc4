//! `cargo xtask soak`: what `cargo xtask test` does once, many times over, to find what fails one time in a hundred.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::system::{self, BAREBONES};

use crate::narration;

/// Boot and stop machines many times, in every way there is
///
/// Each round boots one of the three kinds of root to the prompt, lets it answer, and ends it in one of five ways, the
/// last of which pulls the plug. Everything about a round that fails is kept in `target/boot-tests/soak`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many machines to boot
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub boots: u32,
}

/// How a round ends its machine.
#[derive(Debug, Clone, Copy)]
enum End {
    LeavePrompt,
    Term,
    Command,
    IgnoringTerm,
    PullThePlug,
}

const ROOTS: [RootKind; 3] = [RootKind::Pmem, RootKind::Disk, RootKind::Initramfs];
const ENDS: [End; 5] = [
    End::LeavePrompt,
    End::Term,
    End::Command,
    End::IgnoringTerm,
    End::PullThePlug,
];

/// Runs the rounds; the first that fails ends it.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    for number in 0..arguments.boots {
        let index = number as usize;
        let (root, end) = (ROOTS[index % ROOTS.len()], ENDS[index % ENDS.len()]);
        round(root, end)
            .with_context(|| format!("boot {} failed ({root}, {end:?})", number + 1))?;
        if (number + 1) % 10 == 0 {
            let seconds = begin.elapsed().as_secs();
            narration::line(format_args!(
                "{} of {} boots in {seconds} s",
                number + 1,
                arguments.boots
            ));
        }
    }
    narration::line(format_args!("{} boots, none failed", arguments.boots));
    Ok(ExitCode::SUCCESS)
}

fn round(root: RootKind, end: End) -> anyhow::Result<()> {
    let mut scratch = Scratch::new("soak")?;
    let recipe = Recipe { root, ..BAREBONES };
    let output = system::build(&recipe, &scratch.dir.join("out"))?;
    let mut vm = scratch.boot(&system::machine(&recipe, &output))?;
    let done = (|| {
        vm.prompt()?;
        let answer = vm.evaluate("6 * 7")?;
        ensure!(answer == "42", "the answer was {answer:?}");
        match end {
            End::LeavePrompt => vm.console.send(".exit\r")?,
            End::Term => vm.console.send("process.kill(1, 'SIGTERM')\r")?,
            End::Command => vm
                .console
                .send("child_process.execFileSync('/sbin/poweroff')\r")?,
            End::IgnoringTerm => {
                vm.evaluate("process.on('SIGTERM', () => {}) === process")?;
                vm.console.send("process.kill(1, 'SIGTERM')\r")?;
                vm.console.expect("KILL", ANSWER)?;
            }
            End::PullThePlug => {
                vm.kill();
                return Ok(());
            }
        }
        vm.powered_off().map(drop)
    })();
    if done.is_err() {
        scratch.keep();
        vm.keep();
    }
    done
}
