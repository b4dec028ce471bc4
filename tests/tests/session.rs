//! What is in a session: its devices, its environment, the language of its shell, and the commands of a person.

use nodeos_tests::boot::ANSWER;
use nodeos_tests::people::{Person, Site};

/// Lines for the shell, and what each prints. Section 5 of what is known of the first NodeOS says what its shell could not do.
const LANGUAGE: [(&str, &str); 17] = [
    ("true && echo yes; false || echo no", "yes\nno"),
    ("for i in 1 2 3; do echo $i; done | tail -n 1", "3"),
    ("case abc in a*) echo match;; esac", "match"),
    ("greet() { echo \"hello $1\"; }; greet you", "hello you"),
    ("(cd /tmp; pwd); pwd", "/tmp\n/"),
    ("echo one > /tmp/a; echo two > /tmp/a; cat /tmp/a", "two"),
    ("false; echo after", "after"),
    (
        "a=1; echo a$a \"b${a}c\" ${x:-default} $((6*7))",
        "a1 b1c default 42",
    ),
    ("export MINE=yes; env | grep MINE", "MINE=yes"),
    ("nosuch; echo $?", "sh: command not found: nosuch\n127"),
    ("(exit 3); echo $?", "3"),
    ("echo a b | while read x y; do echo $y; done", "b"),
    ("alias say=echo; say hi", "hi"),
    ("set -- x y; echo $#", "2"),
    ("printf 'a\\nb\\n' | cat | wc -l", "2"),
    ("ls /etc/os-release", "/etc/os-release"),
    ("echo $(echo inner) `echo ticks`", "inner ticks"),
];

/// Lines that succeed, and something of what they print.
const COMMANDS: [(&str, &str); 28] = [
    (
        "help",
        "This machine is a Linux kernel, Node.js, and very little else.",
    ),
    ("man npm | head -n 1", "npm - a JavaScript package manager"),
    ("ip link show lo", "<LOOPBACK,UP,LOWER_UP>"),
    ("ip -4 addr show eth0", "inet 10.0.2.15/24"),
    ("ip -6 addr show lo", "inet6 ::1/128"),
    ("ip route", "default via 10.0.2.2 dev eth0"),
    ("ip -6 route", "fe80::/64 dev eth0"),
    ("ifconfig eth0", "inet 10.0.2.15  netmask 255.255.255.0"),
    ("cat /etc/resolv.conf", "nameserver 10.0.2.3"),
    ("hostname", "nodeos"),
    ("which node", "/bin/node"),
    ("mount", "overlay on / type overlay"),
    ("ps", " sh"),
    ("pstree", "palmtree"),
    ("kill -l", "SIGTERM"),
    (
        "tar cf /tmp/x.tar /etc/logon.json; tar tf /tmp/x.tar",
        "etc/logon.json",
    ),
    ("seq 3 | tr '\\n' ,", "1,2,3,"),
    (
        "find /lib/node_modules/npm -maxdepth 1 -name README.md",
        "/npm/README.md",
    ),
    ("echo abc | sed s/b/x/ | grep axc", "axc"),
    (
        "echo a > /tmp/1; echo b > /tmp/2; diff /tmp/1 /tmp/2 || true",
        "> b",
    ),
    (
        "seq 9 | head -n 2 | sort -r | uniq | cut -c 1 | paste -s -d +",
        "2+1",
    ),
    ("sleep 1000 & kill %1; wait; echo gone", "gone"),
    ("node -p process.env.HOME", "/"),
    ("npm --version", "."),
    ("curl -s http://127.0.0.1:1/; echo $?", "7"),
    ("df /tmp", "tmpfs"),
    ("sleep 0 & wait; echo done", "done"),
    ("free", "Mem"),
];

#[test]
fn a_session_has_its_devices_its_environment_and_the_commands_of_a_person() {
    let site = Site::new("in-a-session").unwrap();
    let mut person = site.boot().unwrap();
    let console = person.boot.console.transcript();
    // The issue of the image is an empty line before the greeting.
    assert!(console.contains("\n\r\nWelcome to NodeOS!"), "{console}");
    // Nor does anything fail: what is the image's own in a home without an `init` is not run.
    assert!(!console.contains("error"), "{console}");
    person.log_in("nodeos", "nodeos").unwrap();
    surroundings(&mut person);
    for (line, expected) in LANGUAGE {
        assert_eq!(person.run(line).unwrap(), expected, "{line}");
    }
    person
        .boot
        .console
        .send("cat <<END; echo =$?'=end'\r$((1+1)) lines\rof $USER\rEND\r")
        .unwrap();
    let said = person.boot.console.expect("=end\r\n", ANSWER).unwrap();
    assert!(said.contains("2 lines\r\nof nodeos\r\n"), "{said:?}");
    person.boot.console.expect(" > ", ANSWER).unwrap();
    let mut wrong = Vec::new();
    let mut check = |person: &mut Person, line: &str, succeeds: bool, expected: &str| {
        let (code, said) = person.run_for(line, ANSWER).unwrap();
        if (code == 0) != succeeds || !said.contains(expected) {
            wrong.push(format!("{line}: code {code}, {said}"));
        }
    };
    for (line, expected) in COMMANDS {
        check(&mut person, line, true, expected);
    }
    // What only root's session may, or nobody.
    for (line, reason) in [
        ("dmesg", "only root's session has the kernel's log"),
        ("mount -t tmpfs x /tmp", "nothing can be mounted"),
        ("ip link set eth0 down", "Operation not permitted"),
        (
            "ip addr add 10.1.1.1/24 dev eth0",
            "Operation not permitted",
        ),
        (
            "ip route add 10.1.0.0/16 via 10.0.2.2",
            "Operation not permitted",
        ),
        ("ifconfig eth0 10.1.1.1", "Operation not permitted"),
        (
            "useradd eve --no-password",
            "only root may, in administrator mode",
        ),
        ("useradd eve", "only root may, in administrator mode"),
        ("userdel nodeos", "error: "),
        ("passwd root", "error: "),
        (
            "echo x > /proc/sys/kernel/hostname",
            "Read-only file system",
        ),
    ] {
        check(&mut person, line, false, reason);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    an_editor_and_a_pager(&mut person);
    person.power_off().unwrap();
}

fn surroundings(person: &mut Person) {
    let environment = person.run("env | sort").unwrap();
    for variable in [
        "HOME=/",
        "USER=nodeos",
        "LOGNAME=nodeos",
        "SHELL=/bin/sh",
        "PATH=/bin:/sbin:/usr/bin",
        "TERM=dumb",
        "LANG=C.UTF-8",
        "LIBC=musl",
    ] {
        assert!(
            environment.lines().any(|line| line == variable),
            "{variable} in {environment}"
        );
    }
    // The user's own bin lies over the system's, so what is there comes first.
    let program = "printf '#!/bin/sh\\necho mine\\n' > /bin/cal; chmod 755 /bin/cal; cal";
    assert_eq!(person.run(program).unwrap(), "mine");
    let taken = person.run("mv -f /bin/cal /bin/uptime; uptime").unwrap();
    assert_eq!(taken, "mine");
    let devices =
        "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero";
    assert_eq!(person.run("ls -A1 /dev").unwrap(), devices);
    assert_eq!(
        person.run("ls -A1 /dev/pts /dev/shm").unwrap(),
        "/dev/pts:\nptmx\n\n/dev/shm:"
    );
    person.fail("echo x > /dev/full").unwrap();
    assert_eq!(
        person
            .run("head -c 3 /dev/zero | wc -c; head -c 9 /dev/urandom | wc -c; cat /dev/null")
            .unwrap(),
        "3\n9"
    );
    // Every process that is seen is one's own, and there are few.
    let owners = person
        .run("stat -c %U /proc/[0-9]* 2> /dev/null | sort -u")
        .unwrap();
    assert_eq!(owners, "nodeos");
    assert_eq!(person.run("cat /proc/1/comm").unwrap(), "palmtree");
    // A quarter of the memory for each of these, and no more.
    for folder in ["/tmp", "/run", "/dev/shm"] {
        let said = person
            .fail(&format!("head -c 200M /dev/zero > {folder}/big"))
            .unwrap();
        assert!(said.contains("No space left on device"), "{folder}: {said}");
        person.run(&format!("rm {folder}/big")).unwrap();
    }
    let limits = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.weight; test $(cat /sys/fs/cgroup/memory.max) -gt 0";
    assert_eq!(person.run(limits).unwrap(), "512\n100");
    assert_eq!(
        person.run("hostname; cat /proc/self/cgroup").unwrap(),
        "nodeos\n0::/"
    );
    let mounts = person.run("cat /proc/self/mounts").unwrap();
    let groups = mounts.lines().find(|line| line.starts_with("cgroup2 "));
    assert!(groups.unwrap().contains(",nsdelegate"), "{mounts}");
}

fn an_editor_and_a_pager(person: &mut Person) {
    let console = &mut person.boot.console;
    console.send("edit /tmp/text\r").unwrap();
    // Keys that come before the editor would be the terminal's own.
    console.expect("^Q quit", ANSWER).unwrap();
    console.send("grüße\x13").unwrap();
    console.expect(" written to ", ANSWER).unwrap();
    console.send("\x11").unwrap();
    console.expect(" > ", ANSWER).unwrap();
    assert_eq!(person.run("cat /tmp/text").unwrap(), "grüße");
    let console = &mut person.boot.console;
    console
        .send("seq 1000 > /tmp/long; less /tmp/long\r")
        .unwrap();
    console.expect("20", ANSWER).unwrap();
    console.send("q").unwrap();
    console.expect(" > ", ANSWER).unwrap();
}
