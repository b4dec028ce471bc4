//! What was found out about this host's QEMU, kept in the cache so that it is asked once after each boot.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::probe::{self, Outcome};
use crate::process::{Identity, Qemu};

/// The file's name in the cache's folder.
const FILE: &str = "probe.json";

/// Linux gives each boot another one. See random(4).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
pub(crate) const KVM: &str = "/dev/kvm";

/// The answers, and what they depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Findings {
    key: Key,
    pub(crate) hardware: Option<Outcome>,
    pub(crate) virtio_pmem: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    boot: String,
    qemu: Identity,
    kvm: Option<u64>,
    /// Which program was tried.
    program: u32,
}

impl Findings {
    /// The kept answer to one question, else a fresh one, which is then kept. A cache that cannot be read or written
    /// costs only the time to ask again, so it is no error.
    pub(crate) fn look_up<T: Clone, E>(
        cache: Option<&Path>,
        qemu: &Qemu,
        field: impl Fn(&mut Findings) -> &mut Option<T>,
        ask: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let key = Key::here(qemu);
        let Some((cache, key)) = cache.zip(key) else {
            return ask();
        };
        let mut findings = load(cache, &key);
        if let Some(known) = field(&mut findings) {
            return Ok(known.clone());
        }
        let answer = ask()?;
        // Another process may have kept something while we asked.
        let mut findings = load(cache, &key);
        *field(&mut findings) = Some(answer.clone());
        let _ = save(cache, &findings);
        Ok(answer)
    }
}

impl Key {
    /// Nothing where the host does not tell one boot from the next: then nothing is kept.
    fn here(qemu: &Qemu) -> Option<Key> {
        use std::os::unix::fs::MetadataExt;
        Some(Key {
            boot: std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned(),
            qemu: qemu.file.clone(),
            kvm: std::fs::metadata(KVM).ok().map(|data| data.rdev()),
            program: probe::VERSION,
        })
    }
}

/// The kept findings if they are about `key`, else none.
fn load(cache: &Path, key: &Key) -> Findings {
    let text = std::fs::read_to_string(cache.join(FILE)).unwrap_or_default();
    serde_json::from_str(&text)
        .ok()
        .filter(|findings: &Findings| findings.key == *key)
        .unwrap_or_else(|| Findings {
            key: key.clone(),
            ..Findings::default()
        })
}

/// Written beside and renamed, so that a reader never sees half of it.
fn save(cache: &Path, findings: &Findings) -> std::io::Result<()> {
    std::fs::create_dir_all(cache)?;
    let mut file = tempfile::NamedTempFile::new_in(cache)?;
    serde_json::to_writer_pretty(&mut file, findings)?;
    file.persist(cache.join(FILE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// One that was installed at this time.
    fn qemu(modified: i64) -> Qemu {
        Qemu {
            program: "qemu".into(),
            file: Identity {
                path: "/usr/bin/qemu".into(),
                bytes: 1 << 20,
                modified: (modified, 0),
            },
        }
    }

    /// Asks whether there is virtio-pmem, and says what came out and whether it was really asked.
    fn ask(cache: Option<&Path>, modified: i64, answer: bool) -> (bool, bool) {
        let mut asked = false;
        let found = Findings::look_up::<_, Infallible>(
            cache,
            &qemu(modified),
            |findings| &mut findings.virtio_pmem,
            || {
                asked = true;
                Ok(answer)
            },
        );
        (found.unwrap(), asked)
    }

    #[test]
    fn a_question_is_asked_once_for_each_qemu() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("nodeos");
        assert_eq!(ask(Some(&cache), 72, true), (true, true));
        assert_eq!(ask(Some(&cache), 72, false), (true, false));
        assert_eq!(ask(Some(&cache), 90, false), (false, true));
    }

    #[test]
    fn answers_to_different_questions_are_kept_together() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Some(folder.path());
        ask(cache, 72, true);
        let refused = Outcome::Refused {
            message: "no".to_owned(),
        };
        let hardware = |outcome: Outcome| {
            Findings::look_up::<_, Infallible>(
                cache,
                &qemu(72),
                |findings| &mut findings.hardware,
                || Ok(outcome),
            )
        };
        hardware(refused.clone()).unwrap();
        assert_eq!(ask(cache, 72, false), (true, false));
        assert_eq!(hardware(Outcome::Passed).unwrap(), refused);
    }

    #[test]
    fn a_broken_or_impossible_cache_only_costs_the_asking() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(ask(Some(folder.path()), 72, true), (true, true));
        assert_eq!(ask(Some(folder.path()), 72, false), (true, false));
        assert_eq!(
            ask(Some(&folder.path().join(FILE).join("below")), 72, false),
            (false, true)
        );
        assert_eq!(ask(None, 72, true), (true, true));
    }
}
