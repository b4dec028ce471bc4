//! `ip` and `ifconfig` on the loopback device of the machine, with addresses that are for documentation only (RFC 5737).

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

fn run(line: &str) -> Output {
    let words = line.split_whitespace();
    let program = env!("CARGO_BIN_EXE_userland");
    Command::new(program).args(words).output().unwrap()
}

/// What it prints, of a call that succeeds.
fn printed(line: &str) -> String {
    let output = run(line);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(0), ""),
        "{line}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn refused(line: &str, expected: &str) {
    let output = run(line);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(said.starts_with(expected), "{line}: {said}");
}

#[test]
fn what_is_changed_is_shown_and_can_be_taken_back() {
    printed("ip link set lo up");
    assert!(printed("ip link show lo").starts_with("1: lo: <LOOPBACK,UP,LOWER_UP> mtu "));

    printed("ip addr add 203.0.113.7/32 dev lo");
    let line =
        "    inet 203.0.113.7/32 scope global lo\n       valid_lft forever preferred_lft forever\n";
    assert!(printed("ip addr show dev lo").contains(line));
    assert!(printed("ip -4 a").contains(line));
    assert!(!printed("ip -6 a").contains("203.0.113.7"));
    let list: serde_json::Value = serde_json::from_str(&printed("ip -j addr show lo")).unwrap();
    let addresses = list[0]["addr_info"].as_array().unwrap();
    assert!(
        addresses
            .iter()
            .any(|address| address["local"] == "203.0.113.7")
    );
    assert!(printed("ifconfig lo").contains("        inet 203.0.113.7  netmask 255.255.255.255\n"));
    refused(
        "ip addr add 203.0.113.7/32 dev lo",
        "error: cannot add the address 203.0.113.7/32 to lo\ncaused by: File exists\n",
    );

    printed("ip route add 198.51.100.9/24 dev lo metric 7");
    let route = "198.51.100.0/24 dev lo proto boot scope link metric 7\n";
    assert!(printed("ip route").contains(route));
    let list: serde_json::Value = serde_json::from_str(&printed("ip -j route")).unwrap();
    let routes = list.as_array().unwrap();
    assert!(
        routes
            .iter()
            .any(|route| route["dst"] == "198.51.100.0/24" && route["dev"] == "lo")
    );
    printed("ip route del 198.51.100.0/24");
    assert!(!printed("ip route").contains("198.51.100"));
    refused(
        "ip route del 198.51.100.0/24",
        "error: cannot delete the route\ncaused by: No such process\n",
    );

    printed("ip addr del 203.0.113.7/32 dev lo");
    assert!(!printed("ip addr").contains("203.0.113.7"));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let expected =
        "error: there is no device \"eth9\"\nhint: ip link shows the devices that there are\n";
    refused("ip addr show eth9", expected);
    refused("ip link set eth9 up", expected);
    refused("ifconfig eth9", expected);
    refused("ifconfig eth9 203.0.113.8", expected);
}

#[test]
fn who_may_change_nothing_is_told_who_may() {
    let check = |line: &str, deed: &str| {
        // A user of a session has no capability.
        let output = Command::new(env!("CARGO_BIN_EXE_userland"))
            .args(line.split_whitespace())
            .uid(1000)
            .output()
            .unwrap();
        let expected = format!(
            "error: cannot {deed}\ncaused by: Operation not permitted\n\
             hint: only root's network service may: /etc/network.json of root says what it does\n"
        );
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            expected,
            "{line}"
        );
    };
    check("ip link set lo down", "change the device lo");
    check(
        "ip addr add 203.0.113.9/32 dev lo",
        "add the address 203.0.113.9/32 to lo",
    );
    check("ip route add default dev lo", "add the route");
    check("ifconfig lo down", "change the device lo");
}
