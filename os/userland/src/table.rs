//! The table of programs.

use std::ffi::OsStr;

use crate::applet::{Call, Stop};
use crate::{
    clear, dmesg, getty, help, ifconfig, ip, logon, man, mount, passwd, power, pstree, useradd,
    userdel, usermod, users, which,
};

/// One of the programs.
#[derive(Debug)]
pub(crate) struct Applet {
    pub(crate) name: &'static str,
    /// What it does, for a list.
    pub(crate) summary: &'static str,
    pub(crate) help: &'static str,
    pub(crate) run: fn(&mut Call<'_>) -> Result<u8, Stop>,
}

/// All programs, by name.
pub(crate) const APPLETS: &[Applet] = &[
    Applet {
        name: "clear",
        summary: "empty the terminal's screen",
        help: clear::HELP,
        run: clear::run,
    },
    Applet {
        name: "dmesg",
        summary: "show the kernel's log",
        help: dmesg::HELP,
        run: dmesg::run,
    },
    Applet {
        name: "getty",
        summary: "put a program on a terminal",
        help: getty::HELP,
        run: getty::run,
    },
    Applet {
        name: "halt",
        summary: "halt the machine",
        help: power::HALT,
        run: power::run,
    },
    Applet {
        name: "help",
        summary: "a first lesson about NodeOS",
        help: help::HELP,
        run: help::run,
    },
    Applet {
        name: "ifconfig",
        summary: "show and change the network, the old way",
        help: ifconfig::HELP,
        run: ifconfig::run,
    },
    Applet {
        name: "ip",
        summary: "show and change the network",
        help: ip::HELP,
        run: ip::run,
    },
    Applet {
        name: "logon",
        summary: "log in",
        help: logon::HELP,
        run: logon::run,
    },
    Applet {
        name: "man",
        summary: "read the manual of a command or package",
        help: man::HELP,
        run: man::run,
    },
    Applet {
        name: "mount",
        summary: "show what is mounted where",
        help: mount::HELP,
        run: mount::run,
    },
    Applet {
        name: "passwd",
        summary: "change a password",
        help: passwd::HELP,
        run: passwd::run,
    },
    Applet {
        name: "poweroff",
        summary: "power the machine off",
        help: power::POWEROFF,
        run: power::run,
    },
    Applet {
        name: "pstree",
        summary: "show the processes as a tree",
        help: pstree::HELP,
        run: pstree::run,
    },
    Applet {
        name: "reboot",
        summary: "restart the machine",
        help: power::REBOOT,
        run: power::run,
    },
    Applet {
        name: "useradd",
        summary: "add a user",
        help: useradd::HELP,
        run: useradd::run,
    },
    Applet {
        name: "userdel",
        summary: "remove a user",
        help: userdel::HELP,
        run: userdel::run,
    },
    Applet {
        name: "usermod",
        summary: "lock or unlock a user",
        help: usermod::HELP,
        run: usermod::run,
    },
    Applet {
        name: "users",
        summary: "list the users",
        help: users::HELP,
        run: users::run,
    },
    Applet {
        name: "which",
        summary: "where a command is",
        help: which::HELP,
        run: which::run,
    },
];

/// The program of a name.
pub(crate) fn find(name: &OsStr) -> Option<&'static Applet> {
    APPLETS.iter().find(|applet| name == applet.name)
}

/// The names of all programs.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    APPLETS.iter().map(|applet| applet.name)
}

/// What one of the programs says about itself.
pub(crate) fn help(name: &str) -> Option<&'static str> {
    find(name.as_ref()).map(|applet| applet.help)
}
