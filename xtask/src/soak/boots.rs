//! Machines of the smallest system, from every kind of root, booted and ended in every way there is.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::system::{self, BAREBONES};

use crate::narration;

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
pub(super) fn run(boots: u32) -> anyhow::Result<()> {
    let begin = Instant::now();
    for number in 0..boots {
        let index = number as usize;
        let (root, end) = (ROOTS[index % ROOTS.len()], ENDS[index % ENDS.len()]);
        round(root, end)
            .with_context(|| format!("boot {} failed ({root}, {end:?})", number + 1))?;
        if (number + 1) % 10 == 0 {
            let seconds = begin.elapsed().as_secs();
            narration::line(format_args!(
                "{} of {boots} boots in {seconds} s",
                number + 1
            ));
        }
    }
    narration::line(format_args!("{boots} boots, none failed"));
    Ok(())
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
