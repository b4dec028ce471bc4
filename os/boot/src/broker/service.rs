//! Services of root that have capabilities. Root's first process has none, so it asks for them here.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nodeos_sandbox::filter::Filter;
use nodeos_sandbox::log::sentence;
use nodeos_sandbox::process::{Program, Running, Streams};
use nodeos_spec::broker::{Reply, Request};
use nodeos_spec::capability::Capability;
use nodeos_sys::error::OsError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use rustix::thread::CapabilitySet;

use super::Broker;
use crate::paths;
use crate::session::process;
use crate::sessions::{self, State, as_os};

/// A running service.
#[derive(Debug)]
pub(super) struct ServiceProcess {
    /// Who asked for it, and hears of its end.
    client: u64,
    name: String,
    running: Running,
}

/// What no service is given: each of them is as good as all of them.
const NEVER: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SYS_CHROOT);

impl Broker {
    pub(super) fn start_service(&mut self, id: u64, request: Request, descriptors: Vec<OwnedFd>) {
        match self.try_start_service(id, request, descriptors) {
            Ok(pid) => self.reply(id, &Reply::Started { pid }),
            Err(message) => self.fail(id, message),
        }
    }

    fn try_start_service(
        &mut self,
        id: u64,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<i32, String> {
        let Request::StartService {
            name,
            command,
            args,
            env,
            cwd,
            capabilities,
            stdout,
            stderr,
        } = request
        else {
            return Err("this is no service".to_owned());
        };
        let client = self.client(id).ok_or("the asker is gone")?;
        let session = &self.sessions[client.session];
        if !session.user.is_root() {
            return Err("only services of root have capabilities".to_owned());
        }
        if stdout.is_some() || stderr.is_some() {
            return Err("the files of a service are to be sent as descriptors".to_owned());
        }
        let State::Running { first, .. } = &session.state else {
            return Err("the session is not running".to_owned());
        };
        let capabilities = set(&capabilities)?;
        let filter = Filter::for_capabilities(capabilities).map_err(|error| sentence(&error))?;
        let mut variables: Vec<(OsString, OsString)> = as_os(sessions::environment(
            &session.user,
            &self.common,
            paths::SHELL,
        ));
        variables.extend(
            env.into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        let program = Program {
            path: command.into(),
            name: None,
            args: args.into_iter().map(OsString::from).collect(),
            env: variables,
            dir: cwd.unwrap_or_else(|| "/".to_owned()).into(),
            otherwise: None,
        };
        let output = descriptors.first().unwrap_or(&self.common.null);
        let running = process::start_in_session(
            first.pidfd.as_fd(),
            session.cgroup.as_fd(),
            &sessions::credentials(&session.user, capabilities, filter),
            &program,
            &Streams::Output {
                output: output.as_fd(),
                error: descriptors.get(1).unwrap_or(output).as_fd(),
            },
        )
        .map_err(|error| sentence(&error))?;
        let pid = inner_pid(running.pid).unwrap_or_else(|| running.pid.as_raw_nonzero().get());
        self.services.push(ServiceProcess {
            client: id,
            name,
            running,
        });
        Ok(pid)
    }

    pub(super) fn stop_service(&mut self, id: u64, name: &str, signal: i32) {
        let service = self
            .services
            .iter()
            .find(|service| service.client == id && service.name == name);
        let result = match (service, Signal::from_named_raw(signal)) {
            (None, _) => Err(format!("no service {name} runs")),
            (_, None) => Err(format!("there is no signal {signal}")),
            (Some(service), Some(signal)) => pidfd_send_signal(&service.running.pidfd, signal)
                .map_err(|errno| format!("cannot send a signal to {name}: {}", OsError(errno))),
        };
        match result {
            Ok(()) => self.reply(id, &Reply::Done),
            Err(message) => self.fail(id, message),
        }
    }

    pub(super) fn service_ended(&mut self, pid: Pid, status: ExitStatus) {
        let Some(at) = self
            .services
            .iter()
            .position(|service| service.running.pid == pid)
        else {
            return;
        };
        let service = self.services.swap_remove(at);
        let reply = Reply::Exited {
            name: service.name,
            code: status.code(),
            signal: status.signal(),
        };
        self.reply(service.client, &reply);
    }
}

fn set(capabilities: &[Capability]) -> Result<CapabilitySet, String> {
    let mut set = CapabilitySet::empty();
    for capability in capabilities {
        let one = CapabilitySet::from_bits_retain(1 << capability.number());
        if NEVER.contains(one) {
            return Err(format!(
                "no service may have {}: it is as good as every other capability",
                capability.name()
            ));
        }
        set |= one;
    }
    Ok(set)
}

/// The process's number in its own namespace, the last of the line `NSpid:` (proc_pid_status(5)).
fn inner_pid(pid: Pid) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: Result<CapabilitySet, &str>) {
        let capabilities: Vec<Capability> =
            names.iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(
            set(&capabilities),
            expected.map_err(str::to_owned),
            "{names:?}"
        );
    }

    #[test]
    fn services_get_what_they_name_but_no_capability_that_is_as_good_as_all() {
        check(
            &["net_admin", "net_raw"],
            Ok(CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW),
        );
        check(&[], Ok(CapabilitySet::empty()));
        check(
            &["sys_time", "sys_admin"],
            Err("no service may have sys_admin: it is as good as every other capability"),
        );
    }
}
