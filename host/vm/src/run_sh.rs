//! A shell script that boots a machine without the command line of NodeOS.

use std::ffi::OsStr;
use std::path::Path;

use crate::accel::{Accel, VARIABLE as ACCEL};
use crate::machine::{ConsoleTo, Machine, MappedImage, OnReboot, Root, Screen};
use crate::process::{PROGRAM, VARIABLE as QEMU};
use crate::tuning;

/// The script. It finds the machine's files by their names in its own folder, wherever that folder is moved; the
/// accelerator, QEMU and the memory come from the environment.
pub fn run_sh(machine: &Machine) -> String {
    let about =
        ["Boots this NodeOS in QEMU, on this terminal. Ctrl-A X ends the machine.".to_owned()];
    run_sh_about(machine, &about)
}

/// As [`run_sh`], with these lines at its head.
pub fn run_sh_about(machine: &Machine, about: &[String]) -> String {
    let about: Vec<String> = about
        .iter()
        .map(|line| format!("# {line}").trim_end().to_owned())
        .collect();
    let about = about.join("\n");
    let machine = beside_the_script(machine);
    let emulated = Machine {
        accel: Accel::Tcg,
        ..machine.clone()
    };
    let emulation = tuning::kernel_words(&emulated).join(" ");
    let default_memory = machine.memory_mib;
    let (tcg, hardware) = (tuning::cpu(Accel::Tcg), tuning::cpu(machine.accel));
    // A screen is a console of its own kind, whatever terminal the script was started from.
    let terminal = if machine.screen == Screen::None {
        TERMINAL
    } else {
        ""
    };
    let command = command(&machine);
    format!(
        r#"#!/bin/sh
{about}
#
# Arguments are passed on to QEMU; file names in them are relative to this folder.
#   NODEOS_MEMORY   memory: 256M, 1G or a number of MiB (now {default_memory}M)
#   {ACCEL}    tcg (emulation, works everywhere), kvm or hvf
#   {QEMU}     the QEMU to run
set -eu
cd -- "$(dirname -- "$0")"

fail() {{
    echo "error: $1" >&2
    exit "$2"
}}

qemu=${{{QEMU}:-{PROGRAM}}}
command -v "$qemu" >/dev/null ||
    fail "cannot find $qemu
hint: sudo apt-get install qemu-system-x86" 69

memory=${{NODEOS_MEMORY:-{default_memory}M}}
case $memory in
*[Gg]) unit=1024 memory=${{memory%?}} ;;
*[Mm]) unit=1 memory=${{memory%?}} ;;
*) unit=1 ;;
esac
case $memory in
'' | 0* | *[!0-9]*) fail "NODEOS_MEMORY is ${{NODEOS_MEMORY}}, which is not like 256M or 1G" 2 ;;
esac
memory=$((memory * unit))

accel=${{{ACCEL}:-tcg}}
case $accel in
tcg) cpu={tcg} words='{emulation} ' ;;
kvm | hvf) cpu={hardware} words= ;;
*) fail "{ACCEL} is $accel, which is not one of tcg, kvm and hvf" 2 ;;
esac

{terminal}exec "$qemu"{command} "$@"
"#
    )
}

/// Tells the machine which terminal shows its console, and how large that is.
const TERMINAL: &str = r#"case ${TERM:-} in
'' | *[!A-Za-z0-9._+-]*) ;;
*) words="${words}TERM=$TERM " ;;
esac
size=$(stty size 2>/dev/null) && [ "$size" != "0 0" ] &&
    words="${words}nodeos.console=${size#* }x${size% *} "

"#;

/// The same machine with its files in the current folder, for a person at a terminal. What helps only
/// under emulation is the script's affair.
fn beside_the_script(machine: &Machine) -> Machine {
    let name = |path: &Path| path.file_name().unwrap_or(OsStr::new(".")).into();
    let root = match &machine.root {
        Root::Pmem { image, size } => Root::Pmem {
            image: name(image),
            size: *size,
        },
        Root::Disk { image } => Root::Disk { image: name(image) },
        Root::Initramfs { archive } => Root::Initramfs {
            archive: name(archive),
        },
        Root::None => Root::None,
    };
    let layers = machine.layers.iter().map(|layer| MappedImage {
        image: name(&layer.image),
        size: layer.size,
    });
    Machine {
        layers: layers.collect(),
        accel: Accel::Kvm,
        kernel: name(&machine.kernel),
        disks: machine.disks.iter().map(|disk| name(disk)).collect(),
        root,
        console: ConsoleTo::Terminal,
        on_reboot: OnReboot::Restart,
        ..machine.clone()
    }
}

/// The arguments, one option on a line, with the script's variables where it has a choice.
fn command(machine: &Machine) -> String {
    let argv = machine.argv();
    let mut arguments = argv[1..]
        .iter()
        .map(|argument| argument.to_string_lossy())
        .peekable();
    let mut text = String::new();
    while let Some(option) = arguments.next() {
        text.push_str(&format!(" \\\n    {}", shell_word(&option)));
        let Some(value) = arguments.next_if(|next| !next.starts_with('-')) else {
            continue;
        };
        let value = match &*option {
            "-accel" => "\"$accel\"".to_owned(),
            "-cpu" => "\"$cpu\"".to_owned(),
            "-m" => memory(&value, machine.memory_mib),
            "-append" => format!("\"$words\"{}", shell_word(&value)),
            _ => shell_word(&value),
        };
        text.push_str(&format!(" {value}"));
    }
    text
}

/// `256M,slots=1,maxmem=4352M` with the script's memory in the place of 256, and 4096 more than that as the most.
fn memory(value: &str, memory_mib: u32) -> String {
    let rest = value
        .strip_prefix(&format!("{memory_mib}M"))
        .unwrap_or_default();
    let Some((slots, most)) = rest.split_once("maxmem=") else {
        return format!("\"${{memory}}M{rest}\"");
    };
    let most: u64 = most.trim_end_matches('M').parse().unwrap_or_default();
    let room = most.saturating_sub(u64::from(memory_mib));
    format!("\"${{memory}}M{slots}maxmem=$((memory + {room}))M\"")
}

/// Quotes one word for a POSIX shell, if it needs that.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A machine with a layer, whose files are in this folder.
    fn machine(folder: &Path) -> Machine {
        let root = Root::Pmem {
            image: folder.join("system.img"),
            size: 2 << 20,
        };
        let mut machine = Machine::new(folder.join("kernel"), root);
        machine.layers = vec![MappedImage {
            image: folder.join("application.img"),
            size: 4 << 20,
        }];
        machine
    }

    fn script() -> String {
        run_sh(&machine(Path::new("out")))
    }

    /// Runs the script with a QEMU that says its arguments, from another folder than its own.
    fn run(env: &[(&str, &str)]) -> (Option<i32>, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("run.sh");
        std::fs::write(&file, script()).unwrap();
        let mut command = Command::new("sh");
        command
            .arg(&file)
            .arg("an argument")
            .env("NODEOS_QEMU", "echo");
        command
            .env_remove("NODEOS_ACCEL")
            .env_remove("NODEOS_MEMORY")
            .env_remove("TERM");
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = output
            .stdout
            .iter()
            .chain(&output.stderr)
            .copied()
            .collect();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_script_says_what_the_machine_says() {
        let mut machine = machine(Path::new(""));
        machine.console = ConsoleTo::Terminal;
        machine.on_reboot = OnReboot::Restart;
        // The script puts the words of emulation first, which makes no difference to the kernel.
        let emulation = tuning::kernel_words(&machine).join(" ");
        let argv: Vec<String> = machine.argv()[1..]
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let expected = argv.join(" ").replace(&format!(" {emulation}"), "");
        let expected = expected.replace("-append ", &format!("-append {emulation} "));
        assert_eq!(
            run(&[]),
            (
                Some(0),
                format!(
                    "{expected} an argument
"
                )
            )
        );
    }

    #[test]
    fn memory_can_be_chosen_in_every_usual_way() {
        let check = |memory: &str, expected: &str| {
            let (code, said) = run(&[("NODEOS_MEMORY", memory)]);
            assert!(
                code == Some(0) && said.contains(expected),
                "{memory}: {said}"
            );
        };
        check("512", "-m 512M,slots=1,maxmem=4612M ");
        check("512M", "-m 512M,slots=1,maxmem=4612M ");
        check("8G", "-m 8192M,slots=1,maxmem=12292M ");
        check("8g", "-m 8192M,slots=1,maxmem=12292M ");
        for wrong in ["much", "0", "1T", "-5", "M", "08"] {
            let expected = format!(
                "error: NODEOS_MEMORY is {wrong}, which is not like 256M or 1G
"
            );
            assert_eq!(run(&[("NODEOS_MEMORY", wrong)]), (Some(2), expected));
        }
    }

    #[test]
    fn the_accelerator_can_be_chosen() {
        let (code, said) = run(&[("NODEOS_ACCEL", "kvm")]);
        assert!(
            code == Some(0) && said.contains("-accel kvm -cpu host "),
            "{said}"
        );
        assert!(said.contains("-append console=ttyS0 "), "{said}");
        let error = "error: NODEOS_ACCEL is fast, which is not one of tcg, kvm and hvf
";
        assert_eq!(
            run(&[("NODEOS_ACCEL", "fast")]),
            (Some(2), error.to_owned())
        );
    }

    #[test]
    fn the_terminal_is_named_if_its_name_is_a_word() {
        let check = |term: &str, expected: &str| {
            let (_, said) = run(&[("TERM", term)]);
            assert!(
                said.contains(&format!("noreplace-smp {expected}console=ttyS0 ")),
                "{term}: {said}"
            );
        };
        check("xterm-256color", "TERM=xterm-256color ");
        check("two words", "");
    }

    #[test]
    fn a_missing_qemu_is_named_with_what_to_do() {
        let expected = "error: cannot find no-such-qemu
hint: sudo apt-get install qemu-system-x86
";
        assert_eq!(
            run(&[("NODEOS_QEMU", "no-such-qemu")]),
            (Some(69), expected.to_owned())
        );
    }
}
