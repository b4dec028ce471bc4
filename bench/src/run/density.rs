//! What the first machine of an application takes of the host's memory, and what each further one adds.

use std::path::Path;

use serde::Serialize;

use super::client;
use super::nodeos::Root;
use super::servers::Servers;
use crate::login::memory::HostMemory;

/// Sums over all processes of QEMU that run at the same time, in KiB, after each further machine.
#[derive(Debug, Serialize)]
pub struct Density {
    /// Proportional memory (Pss, proc_pid_smaps(5)): shared pages count once in such a sum.
    pub pss: Vec<u64>,
    /// The same without code that the emulator has translated, which a hypervisor has none of.
    pub pss_without_translated: Vec<u64>,
}

impl Density {
    /// What one more machine added, in the mean, in KiB.
    pub fn each_further(sums: &[u64]) -> Option<f64> {
        let (first, last) = (*sums.first()?, *sums.last()?);
        let further = sums.len() - 1;
        (further > 0).then(|| (last as f64 - first as f64) / further as f64)
    }
}

/// Starts so many machines, one after the other. All have been asked once.
pub(super) fn measure(servers: &Servers, root: Root, count: usize) -> anyhow::Result<Density> {
    let names: Vec<String> = (1..=count)
        .map(|number| format!("dense-{number}"))
        .collect();
    let measured = sums(servers, root, &names);
    for name in &names {
        // Those that were not started are not there.
        let _ = servers.nodeos.done(&["stop", name]);
    }
    measured
}

fn sums(servers: &Servers, root: Root, names: &[String]) -> anyhow::Result<Density> {
    let mut density = Density {
        pss: Vec::new(),
        pss_without_translated: Vec::new(),
    };
    let application = servers.application.to_string_lossy();
    for (index, name) in names.iter().enumerate() {
        let port = client::free_port()?;
        let forward = format!("{port}:3000");
        servers.nodeos.done(&[
            "run",
            "--detach",
            "--name",
            name,
            "--port",
            &forward,
            "--root",
            root.as_str(),
            &application,
        ])?;
        client::ask_once(port)?;
        let (mut pss, mut translated) = (0, 0);
        for name in &names[..=index] {
            let pid = servers.nodeos.qemu_of(name)?;
            let memory = HostMemory::of(pid, u32::MAX, None::<&Path>)?;
            pss += memory.pss;
            translated += memory.translated;
        }
        density.pss.push(pss);
        density.pss_without_translated.push(pss - translated);
    }
    Ok(density)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_more_adds_is_a_mean() {
        let check = |sums: &[u64], expected| assert_eq!(Density::each_further(sums), expected);
        check(&[100, 130, 170], Some(35.0));
        check(&[100], None);
        check(&[], None);
    }
}
