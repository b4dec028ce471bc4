//! `run.sh`: a script that boots a machine without any program of ours.

use std::ffi::OsStr;

use crate::accel::Accel;
use crate::machine::{ConsoleTo, Machine, OnReboot};

/// The text of a POSIX shell script that boots `machine`, whose paths are relative to the script's folder.
///
/// The memory can be changed with `NODEOS_MEMORY` (in MiB), the accelerator with `NODEOS_ACCEL`; arguments of the script
/// are passed on to QEMU.
pub fn run_sh(machine: &Machine) -> String {
    let mut machine = machine.clone();
    machine.console = ConsoleTo::Terminal;
    machine.on_reboot = OnReboot::Restart;
    let memory = machine.memory_mib;
    let argv_of = |accel: Accel| {
        let mut machine = machine.clone();
        machine.accel = accel;
        let memory_word = format!("{memory}M");
        let argv = machine.argv();
        let word = |word: &OsStr| {
            let text = word.to_string_lossy();
            // The memory is the one thing that the script's caller may want to be otherwise.
            match text.strip_prefix(&memory_word) {
                Some(rest) => format!("\"${{NODEOS_MEMORY:-{memory}}}M\"{}", quote(rest)),
                None => quote(&text),
            }
        };
        argv[1..].iter().map(|argument| word(argument)).collect::<Vec<_>>().join(" ")
    };
    format!(
        "#!/bin/sh\n\
         # Boots this system in QEMU. Ctrl-A X ends the machine.\n\
         #   NODEOS_MEMORY  its memory in MiB ({memory})\n\
         #   NODEOS_ACCEL   kvm or tcg (tcg, which works everywhere)\n\
         # Arguments are passed on to QEMU.\n\
         cd \"$(dirname \"$0\")\" || exit 1\n\
         qemu=${{NODEOS_QEMU:-qemu-system-x86_64}}\n\
         if ! command -v \"$qemu\" >/dev/null; then\n\
         \x20   echo \"run.sh: $qemu is not installed (sudo apt-get install qemu-system-x86)\" >&2\n\
         \x20   exit 69\n\
         fi\n\
         case ${{NODEOS_ACCEL:-tcg}} in\n\
         tcg) exec \"$qemu\" {tcg} \"$@\" ;;\n\
         kvm) exec \"$qemu\" {kvm} \"$@\" ;;\n\
         *) echo \"run.sh: NODEOS_ACCEL is $NODEOS_ACCEL, which is not tcg or kvm\" >&2; exit 2 ;;\n\
         esac\n",
        tcg = argv_of(Accel::Tcg),
        kvm = argv_of(Accel::Kvm),
    )
}

/// A word as the shell reads it back.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+%".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::machine::Root;

    fn script() -> String {
        let root = Root::Pmem { image: PathBuf::from("system.img"), size: 2 << 20 };
        run_sh(&Machine::new(PathBuf::from("kernel"), root))
    }

    /// Runs the script with a QEMU that says its arguments.
    fn run(env: &[(&str, &str)]) -> (Option<i32>, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("run.sh");
        std::fs::write(&file, script()).unwrap();
        let mut command = Command::new("sh");
        command.arg(&file).arg("an argument").env("NODEOS_QEMU", "echo").env_remove("NODEOS_ACCEL");
        command.envs(env.iter().copied());
        let output = command.output().unwrap();
        let text = output.stdout.iter().chain(&output.stderr).copied().collect();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_shell_reads_the_machine_back() {
        let (code, said) = run(&[]);
        assert_eq!(code, Some(0));
        assert!(said.starts_with("-accel tcg "), "{said}");
        assert!(said.contains("-m 256M,slots=1,maxmem=4352M"), "{said}");
        assert!(said.contains("-append console=ttyS0 quiet"), "{said}");
        assert!(said.ends_with("an argument\n"), "{said}");
    }

    #[test]
    fn memory_and_accelerator_can_be_chosen() {
        let (_, said) = run(&[("NODEOS_MEMORY", "512"), ("NODEOS_ACCEL", "kvm")]);
        assert!(said.starts_with("-accel kvm ") && said.contains("-m 512M,"), "{said}");
        let (code, said) = run(&[("NODEOS_ACCEL", "fast")]);
        assert_eq!((code, said.as_str()), (Some(2), "run.sh: NODEOS_ACCEL is fast, which is not tcg or kvm\n"));
        let (code, said) = run(&[("NODEOS_QEMU", "no-such-qemu")]);
        assert_eq!(code, Some(69), "{said}");
    }
}
