//! What an ordinary user of a session tries in order to get out of it or to become more. Each attempt is made, and what the
//! kernel answered is printed as `ATTEMPT: ANSWER`; one that succeeds is printed as `ATTEMPT: DONE`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nodeos_sys::calls::{PRIVILEGED, try_with_zeros};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, fsopen, mount, mount_bind, mount_remount, unmount};
use rustix::net::{AddressFamily, SocketType, eth, socket, socket_with};
use rustix::process::{Pid, Signal, chroot, kill_process, pivot_root};
use rustix::system::{RebootCommand, reboot, sethostname};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustix::time::{ClockId, Timespec, clock_settime};

/// An attempt: its name and what it does.
type Attempt = (&'static str, fn() -> io::Result<()>);

const ATTEMPTS: &[Attempt] = &[
    ("mount a filesystem", || {
        Ok(mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None)?)
    }),
    ("open a filesystem to be mounted", || {
        fsopen("tmpfs", rustix::mount::FsOpenFlags::empty())?;
        Ok(())
    }),
    ("mount a folder elsewhere", || Ok(mount_bind("/", "/tmp")?)),
    ("make /sys writable", || {
        Ok(mount_remount("/sys", MountFlags::empty(), c"")?)
    }),
    ("unmount /proc", || {
        Ok(unmount("/proc", UnmountFlags::DETACH)?)
    }),
    ("unmount what hides /proc/sys", || {
        Ok(unmount("/proc/sys", UnmountFlags::DETACH)?)
    }),
    ("change the root", || Ok(chroot("/tmp")?)),
    ("pivot the root", || Ok(pivot_root("/tmp", "/tmp")?)),
    ("enter the mounts of PID 1", || {
        let namespace = File::open("/proc/1/ns/mnt")?;
        let kind = Some(LinkNameSpaceType::Mount);
        Ok(move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            kind,
        )?)
    }),
    ("make a disk's node", || {
        let device = makedev(254, 0);
        let (kind, mode) = (FileType::BlockDevice, Mode::from_raw_mode(0o666));
        Ok(mknodat(CWD, "/tmp/disk", kind, mode, device)?)
    }),
    ("make a node of the memory", || {
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        Ok(mknodat(CWD, "/tmp/mem", kind, mode, makedev(1, 1))?)
    }),
    ("write into /dev", || File::create("/dev/new").map(drop)),
    ("give a file to root", || {
        let path = "/tmp/gift";
        File::create(path)?;
        chown(path, Some(0), Some(0))
    }),
    ("write the kernel's switches", || {
        write("/proc/sys/kernel/hostname", "x")
    }),
    ("write the kernel's core pattern", || {
        write("/proc/sys/kernel/core_pattern", "|/bin/sh")
    }),
    ("write into /sys", || write("/sys/power/state", "mem")),
    ("raise its own limits", || {
        write("/sys/fs/cgroup/memory.max", "max")
    }),
    ("leave its control group", || {
        write("/sys/fs/cgroup/cgroup.procs", "0")
    }),
    ("change the host name", || Ok(sethostname(b"mine")?)),
    ("set the clock", || {
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        Ok(clock_settime(ClockId::Realtime, time)?)
    }),
    ("restart the machine", || {
        Ok(reboot(RebootCommand::Restart)?)
    }),
    ("read every packet", || {
        let kind = SocketType::DGRAM;
        socket_with(
            AddressFamily::PACKET,
            kind,
            rustix::net::SocketFlags::empty(),
            Some(eth::ALL),
        )?;
        Ok(())
    }),
    ("send forged packets", || {
        socket(
            AddressFamily::INET,
            SocketType::RAW,
            Some(rustix::net::ipproto::ICMP),
        )?;
        Ok(())
    }),
    ("read the kernel's log", || {
        File::open("/dev/kmsg").map(drop)
    }),
    ("look through the eyes of PID 1", || {
        fs::read_dir("/proc/1/root/users").map(drop)
    }),
    ("read the users partition", || {
        fs::read_dir("/users").map(drop)
    }),
    ("see other homes", || {
        let seen = fs::read_dir("/home")?.count();
        if seen == 0 {
            Err(io::Error::other("there is nothing to see"))
        } else {
            Ok(())
        }
    }),
    ("open the console of the machine", || {
        File::open("/dev/ttyS0").map(drop)
    }),
    ("open the disk of the machine", || {
        File::open("/dev/vda").map(drop)
    }),
    ("write what all sessions read", || {
        write("/run/system/passwd", "me:x:0:0::/:/bin/sh")
    }),
    ("replace what all sessions read", || {
        fs::rename("/run/system/passwd", "/tmp/passwd")
    }),
    ("change a file of the system for all", || {
        OpenOptions::new()
            .write(true)
            .open("/etc/os-release")
            .map(drop)
    }),
    ("signal a process outside", || {
        // Its own first process has the number 1, and nobody outside has a number at all.
        let outside = Pid::from_raw(300_000).expect("it is no zero");
        Ok(kill_process(outside, Signal::KILL)?)
    }),
    ("run a program as root", || {
        let own = std::env::current_exe()?;
        let copy = Path::new("/tmp/setuid");
        fs::copy(own, copy)?;
        fs::set_permissions(copy, fs::Permissions::from_mode(0o6755))?;
        let ids = std::process::Command::new(copy).arg("ids").output()?;
        let said = String::from_utf8_lossy(&ids.stdout).into_owned();
        if said.contains("uid 0 ") {
            Ok(())
        } else {
            Err(io::Error::other("it is still itself"))
        }
    }),
    ("write the memory of the first process", || {
        OpenOptions::new().write(true).open("/proc/1/mem").map(drop)
    }),
    ("read the memory of the machine", || {
        File::open("/dev/mem").map(drop)
    }),
    ("read the kernel's messages in /proc", || {
        File::open("/proc/kmsg").map(drop)
    }),
    ("press a magic key", || write("/proc/sysrq-trigger", "b")),
    ("be spared when memory is short", || {
        write("/proc/self/oom_score_adj", "-1000")
    }),
    ("make a control group", || {
        fs::create_dir("/sys/fs/cgroup/mine")
    }),
    ("come before all others", || {
        Ok(rustix::process::nice(-5).map(drop)?)
    }),
    ("open more files than allowed", || {
        let resource = rustix::process::Resource::Nofile;
        let most = rustix::process::getrlimit(resource).maximum;
        let more = Some(most.unwrap_or(u64::MAX / 2) + 1);
        let limit = rustix::process::Rlimit {
            current: more,
            maximum: more,
        };
        Ok(rustix::process::setrlimit(resource, limit)?)
    }),
    ("become another user", || {
        let other = rustix::process::Uid::from_raw(2);
        Ok(rustix::thread::set_thread_res_uid(other, other, other)?)
    }),
    ("join a group", || {
        let group = rustix::process::Gid::from_raw(5);
        Ok(rustix::thread::set_thread_groups(&[group])?)
    }),
    ("take the broker's socket away", || {
        fs::remove_file("/run/broker.sock")
    }),
    ("put something in the place of the broker's socket", || {
        fs::rename("/run/palmtree.sock", "/run/broker.sock")
    }),
    (
        "push characters into a terminal",
        || match fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti")?.trim() {
            "0" => Err(io::Error::other("the kernel lets nobody")),
            _ => Ok(()),
        },
    ),
    ("follow a link out of its root", || {
        symlink("../../../../../../users", "/tmp/out")?;
        fs::read_dir("/tmp/out").map(drop)
    }),
];

/// Makes every attempt.
pub fn all(out: &mut dyn Write) -> io::Result<()> {
    let mut report = |name: &str, result: io::Result<()>| match result {
        Ok(()) => writeln!(out, "{name}: DONE"),
        Err(error) => writeln!(out, "{name}: {error}"),
    };
    for (name, attempt) in ATTEMPTS {
        report(name, attempt())?;
    }
    for (place, (name, _)) in PRIVILEGED.iter().enumerate() {
        let result = match try_with_zeros(place) {
            Err(errno @ (Errno::PERM | Errno::NOSYS)) => Err(errno.into()),
            // What complains about the arguments would have done something with others.
            Ok(()) | Err(_) => Ok(()),
        };
        report(&format!("call {name}"), result)?;
    }
    writeln!(out, "attempts: {}", ATTEMPTS.len() + PRIVILEGED.len())
}

/// Real and effective ids, and all capability sets: what a process is.
pub fn ids(out: &mut dyn Write) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or("?").trim().replace('\t', " ")
    };
    writeln!(
        out,
        "uid {} gid {} groups [{}] cap {} {} {} {} {} nnp {} seccomp {}",
        line("Uid:"),
        line("Gid:"),
        line("Groups:"),
        line("CapInh:"),
        line("CapPrm:"),
        line("CapEff:"),
        line("CapBnd:"),
        line("CapAmb:"),
        line("NoNewPrivs:"),
        line("Seccomp:"),
    )
}

fn write(path: &str, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}
