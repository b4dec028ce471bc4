//! Sources of the host as they are found in the field, and what becomes of them.

use super::*;

/// What apt is told for the host's release and, if wanted, for a newer one.
fn check(
    sources: &[AptSource],
    distribution: &str,
    codename: &str,
    newer: Option<&str>,
    expected: &str,
) {
    let own = of_release(sources, distribution, codename);
    let sources = newer.map_or(own.clone(), |newer| moved_to(&own, codename, newer));
    assert_eq!(to_deb822(&sources, "amd64"), expected);
}

const DEBIAN: &str = "\
Types: deb
# http://mirror.test/archive/20250520T000000Z
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";

#[test]
fn debian_deb822_is_taken_over() {
    check(
        &from_deb822(DEBIAN),
        "debian",
        "bookworm",
        None,
        "\
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian
Suites: bookworm-updates
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

",
    );
}

#[test]
fn a_newer_release_comes_from_the_same_mirrors() {
    check(
        &from_deb822(DEBIAN)[1..],
        "debian",
        "bookworm",
        Some("trixie"),
        "\
Types: deb
URIs: http://mirror.test/debian
Suites: trixie-updates
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: trixie-security
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

",
    );
}

#[test]
fn one_line_sources_are_taken_over_with_their_options() {
    let text = "\
# deb cdrom:[Debian]/ bookworm main
deb cdrom:[Debian]/ bookworm main
deb-src http://mirror.test/debian bookworm main
debian http://mirror.test/debian bookworm main
deb http://mirror.test/debian/ bookworm main contrib # the usual
deb [arch=amd64,arm64 signed-by=/k/debian-archive-keyring.gpg check-valid-until=no] http://mirror.test/debian bookworm-backports main
deb
";
    let sources = from_one_line(text);
    check(
        &sources,
        "debian",
        "bookworm",
        None,
        "\
Types: deb
URIs: http://mirror.test/debian/
Suites: bookworm
Components: main contrib
Architectures: amd64

Types: deb
URIs: http://mirror.test/debian
Suites: bookworm-backports
Components: main
Architectures: amd64
Signed-By: /k/debian-archive-keyring.gpg
Check-Valid-Until: no

",
    );
    // Nobody has backports for the release after.
    check(
        &sources,
        "debian",
        "bookworm",
        Some("trixie"),
        "\
Types: deb
URIs: http://mirror.test/debian/
Suites: trixie
Components: main contrib
Architectures: amd64

",
    );
}

#[test]
fn ubuntu_keeps_universe_and_leaves_what_is_only_proposed() {
    let text = "\
Types: deb deb-src
URIs: http://archive.test/ubuntu/
Suites: jammy jammy-updates jammy-proposed
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
";
    check(
        &from_deb822(text),
        "ubuntu",
        "jammy",
        Some("noble"),
        "\
Types: deb
URIs: http://archive.test/ubuntu/
Suites: noble
Components: main universe restricted multiverse
Architectures: amd64
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://archive.test/ubuntu/
Suites: noble-updates
Components: main universe restricted multiverse
Architectures: amd64
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

",
    );
}

#[test]
fn sources_of_others_and_disabled_ones_are_left_out() {
    let others = "\
Types: deb
URIs: https://others.test/node
Suites: nodistro
Components: main

Types: deb
URIs: https://others.test/sql
Suites: bookworm-pgdg
Components: main

Types: deb
URIs: https://others.test/tools
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/others.gpg

Enabled: no
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://mirror.test/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://others.test/next
Suites: bookworms
Components: main
";
    let mut sources = from_deb822(others);
    sources.extend(from_deb822(DEBIAN));
    assert_eq!(
        of_release(&sources, "debian", "bookworm"),
        from_deb822(DEBIAN)
    );
}

#[test]
fn where_everything_is_signed_by_the_owner_of_the_mirror_all_is_taken() {
    let text =
        "deb [signed-by=/etc/apt/keyrings/company.gpg] http://mirror.test/debian bookworm main\n";
    let sources = from_one_line(text);
    assert_eq!(of_release(&sources, "debian", "bookworm"), sources);
}

#[test]
fn a_key_in_the_file_itself_keeps_its_lines() {
    let text = "\
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----
";
    let written = to_deb822(&from_deb822(text), "amd64");
    let key = text.split_once("Signed-By:").unwrap().1;
    assert!(written.contains(key.trim()), "{written}");
    assert!(written.contains("Signed-By: \n -----BEGIN"), "{written}");
    assert_eq!(from_deb822(&written), from_deb822(text));
}
