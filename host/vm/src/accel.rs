//! Which accelerator works here, found by trying it.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boot_sector;
use crate::process::{self, Qemu};

/// Overrides the choice: `tcg`, `kvm` or `hvf`.
pub const VARIABLE: &str = "NODEOS_ACCEL";
/// The test program takes a tenth of this on a processor; where it takes longer, emulation is the better choice.
const DEADLINE: Duration = Duration::from_secs(3);
/// What the host offers for KVM.
const KVM_DEVICE: &str = "/dev/kvm";
/// Changes with every boot of the host.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The file of the cache that keeps the result.
const PROBE_FILE: &str = "probe.json";

/// How QEMU runs the machine's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// Emulation, by translating it: works everywhere.
    Tcg,
    /// Linux's own hypervisor.
    Kvm,
    /// macOS's.
    Hvf,
}

/// What was chosen and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub accel: Accel,
    /// A sentence for people.
    pub why: String,
}

/// No accelerator could be chosen.
#[derive(Debug, Error)]
#[error("{VARIABLE} is {value:?}, which is not tcg, kvm or hvf")]
pub struct ChooseAccelError {
    /// What the variable says.
    pub value: String,
}

impl ChooseAccelError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(format!("unset {VARIABLE}, or set it to one of the three"))
    }
}

/// `probe.json`: a result, and what it holds for.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Probed {
    boot_id: String,
    qemu: String,
    choice: Choice,
}

impl Accel {
    /// As `-accel` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Accel::Tcg => "tcg",
            Accel::Kvm => "kvm",
            Accel::Hvf => "hvf",
        }
    }

    /// The fastest accelerator that works: what `NODEOS_ACCEL` says, else KVM if a test program ends in time under
    /// it, else emulation. The result is kept in the folder `cache` until the host's next boot.
    ///
    /// # Errors
    /// [`ChooseAccelError`].
    pub fn choose(cache: Option<&Path>) -> Result<Choice, ChooseAccelError> {
        if let Some(value) = std::env::var_os(VARIABLE) {
            return overridden(&value.to_string_lossy());
        }
        if cfg!(target_os = "macos") {
            return Ok(Choice { accel: Accel::Hvf, why: "this is macOS".to_owned() });
        }
        if let Err(error) = fs::OpenOptions::new().read(true).write(true).open(KVM_DEVICE) {
            return Ok(emulation(refusal(&error)));
        }
        let boot_id = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let qemu = Qemu::find().map(|qemu| qemu.version).unwrap_or_default();
        let file = cache.map(|cache| cache.join(PROBE_FILE));
        let known = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let known: Option<Probed> = known.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(known) = known.filter(|known| known.boot_id == boot_id && known.qemu == qemu) {
            return Ok(known.choice);
        }
        let choice = judge(&probe(Accel::Kvm));
        let probed = Probed { boot_id, qemu, choice };
        if let (Some(cache), Some(file)) = (cache, file) {
            // Where the cache cannot be written the probe is made again the next time.
            let _ = keep(cache, &file, &probed);
        }
        Ok(probed.choice)
    }
}

fn overridden(value: &str) -> Result<Choice, ChooseAccelError> {
    let accel = [Accel::Tcg, Accel::Kvm, Accel::Hvf].into_iter().find(|accel| accel.as_str() == value);
    let accel = accel.ok_or_else(|| ChooseAccelError { value: value.to_owned() })?;
    Ok(Choice { accel, why: format!("{VARIABLE} says so") })
}

fn emulation(why: String) -> Choice {
    Choice { accel: Accel::Tcg, why }
}

fn refusal(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {KVM_DEVICE}"),
        io::ErrorKind::PermissionDenied => format!("{KVM_DEVICE} is not yours to use (the group kvm has it)"),
        _ => format!("{KVM_DEVICE} cannot be opened: {error}"),
    }
}

/// How a try of the test program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trial {
    /// With this exit code, if it had one.
    Ended(Option<i32>),
    /// Not at all within [`DEADLINE`].
    TimedOut,
    /// It could not be started.
    Failed(String),
}

fn judge(trial: &Trial) -> Choice {
    let seconds = DEADLINE.as_secs();
    match trial {
        Trial::Ended(Some(boot_sector::EXIT_CODE)) => {
            Choice { accel: Accel::Kvm, why: "a test program ran under it".to_owned() }
        }
        Trial::Ended(_) => emulation(format!("{KVM_DEVICE} is there, but QEMU cannot use it")),
        Trial::TimedOut => emulation(format!(
            "{KVM_DEVICE} is there, but a test program of 512 bytes did not end within {seconds} s"
        )),
        Trial::Failed(why) => emulation(format!("{KVM_DEVICE} could not be tried: {why}")),
    }
}

/// Starts the boot sector under `accel` and waits for its end.
fn probe(accel: Accel) -> Trial {
    let failed = |error: io::Error| Trial::Failed(error.to_string());
    let scratch = match tempfile::NamedTempFile::new() {
        Ok(scratch) => scratch,
        Err(error) => return failed(error),
    };
    if let Err(error) = fs::write(scratch.path(), boot_sector::sector()) {
        return failed(error);
    }
    let mut command = Command::new(process::program());
    command.args(["-accel", accel.as_str()]).args(boot_sector::qemu_options(scratch.path()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => wait(child, DEADLINE),
        Err(error) => failed(error),
    }
}

/// Waits for the end of `child`, whose output is a pipe that closes then; kills it when the time is over.
fn wait(mut child: Child, deadline: Duration) -> Trial {
    let (sender, receiver) = mpsc::channel::<()>();
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let _ = output.map(|mut output| output.read_to_end(&mut Vec::new()));
        drop(sender);
    });
    let timed_out = receiver.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout);
    if timed_out {
        // An error means that it has ended at this moment.
        let _ = child.kill();
    }
    let status = child.wait();
    let _ = reader.join();
    match (timed_out, status) {
        (true, _) => Trial::TimedOut,
        (false, Ok(status)) => Trial::Ended(status.code()),
        (false, Err(error)) => Trial::Failed(error.to_string()),
    }
}

fn keep(cache: &Path, file: &Path, probed: &Probed) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let temporary = tempfile::NamedTempFile::new_in(cache)?;
    serde_json::to_writer_pretty(&temporary, probed)?;
    temporary.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_ends_as_it_should_under_emulation() {
        assert_eq!(probe(Accel::Tcg), Trial::Ended(Some(boot_sector::EXIT_CODE)));
    }

    #[test]
    fn only_the_right_code_in_time_is_kvm() {
        assert_eq!(judge(&Trial::Ended(Some(boot_sector::EXIT_CODE))).accel, Accel::Kvm);
        for trial in [Trial::Ended(Some(0)), Trial::Ended(Some(1)), Trial::Ended(None), Trial::Failed("x".into())] {
            assert_eq!(judge(&trial).accel, Accel::Tcg, "{trial:?}");
        }
        assert_eq!(
            judge(&Trial::TimedOut).why,
            "/dev/kvm is there, but a test program of 512 bytes did not end within 3 s"
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(wait(child, Duration::from_millis(50)), Trial::TimedOut);
    }

    #[test]
    fn the_variable_names_one_of_three() {
        assert_eq!(overridden("tcg").unwrap().accel, Accel::Tcg);
        assert_eq!(overridden("hvf").unwrap().accel, Accel::Hvf);
        let error = overridden("fast").unwrap_err();
        assert_eq!(error.to_string(), "NODEOS_ACCEL is \"fast\", which is not tcg, kvm or hvf");
    }

    #[test]
    fn a_result_is_read_as_it_was_kept() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join(PROBE_FILE);
        let probed =
            Probed { boot_id: "b".into(), qemu: "q".into(), choice: emulation("there is no /dev/kvm".into()) };
        keep(cache.path(), &file, &probed).unwrap();
        assert_eq!(serde_json::from_str::<Probed>(&fs::read_to_string(file).unwrap()).unwrap(), probed);
    }
}
