//! Who the application is to those who ask the system: files in /etc, its host's name, its environment.

use nodeos_sandbox::authorities::Authorities;
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::boot::LIBC;
use nodeos_spec::cmdline;

/// What its user is called.
const USER: &str = "app";
/// Of the user and of its programs. Much of what npm has keeps caches and settings in the home (`os.homedir()`), and stops
/// where it cannot, so it is a folder that can be written; /app cannot.
const HOME: &str = "/tmp";
/// Where programs are looked for: the commands of the application's packages, as npm has it, and Node.js.
const PATH: &str = "/app/node_modules/.bin:/bin";
/// The longest name of a host, by gethostname(2) and RFC 1123.
const MAX_HOST_NAME: usize = 63;
/// Of an application whose name has nothing that a host's may have.
const DEFAULT_HOST_NAME: &str = "application";
/// Where the authorities are that came with the machine.
pub(crate) const AUTHORITIES: &str = "/etc/ca-bundle.pem";

/// What of a name a host can be called: lower-case letters, digits, and hyphens between them.
pub(crate) fn host_name(name: &str) -> String {
    let mut host = String::new();
    for character in name.chars().take(MAX_HOST_NAME) {
        match character.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => host.push(c),
            _ if host.ends_with('-') || host.is_empty() => {}
            _ => host.push('-'),
        }
    }
    match host.trim_end_matches('-') {
        "" => DEFAULT_HOST_NAME.to_owned(),
        host => host.to_owned(),
    }
}

/// Names and texts of the files in /etc. Whom nobody knows by number some programs refuse to run for.
pub(crate) fn files(spec: &ApplicationSpec) -> Vec<(&'static str, String)> {
    let ApplicationSpec { name, uid, gid, .. } = spec;
    let host = host_name(name);
    vec![
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/bin/false\n{USER}:x:{uid}:{gid}:{USER}:{HOME}:/bin/false\n"
            ),
        ),
        ("group", format!("root:x:0:\n{USER}:x:{gid}:\n")),
        (
            "hosts",
            format!("127.0.0.1 localhost {host}\n::1 localhost {host}\n"),
        ),
        ("hostname", format!("{host}\n")),
    ]
}

/// What its programs find in their environment: the machine's own, and what the spec says over it.
pub(crate) fn environment(
    spec: &ApplicationSpec,
    authorities: Authorities,
) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = [
        ("HOME", HOME),
        ("USER", USER),
        ("LOGNAME", USER),
        ("PATH", PATH),
        ("PWD", spec.cwd.as_str()),
        ("LANG", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.extend(std::env::var(LIBC).map(|libc| (LIBC.to_owned(), libc)));
    if authorities == Authorities::Added {
        variables.push((cmdline::AUTHORITIES.to_owned(), AUTHORITIES.to_owned()));
    }
    over(&mut variables, &spec.env);
    variables
}

/// Sets variables, whether they are there or not.
pub(crate) fn over<'a>(
    variables: &mut Vec<(String, String)>,
    more: impl IntoIterator<Item = (&'a String, &'a String)>,
) {
    for (name, value) in more {
        variables.retain(|(known, _)| known != name);
        variables.push((name.clone(), value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &str) -> ApplicationSpec {
        let text = format!(r#"{{"name": "@Acme/Web Shop", "argv": ["/bin/node"]{more}}}"#);
        ApplicationSpec::parse(&text).unwrap()
    }

    #[test]
    fn hosts_are_called_what_hosts_can_be_called() {
        let check = |name: &str, expected: &str| assert_eq!(host_name(name), expected, "{name}");
        check("shop", "shop");
        check("@Acme/Web Shop", "acme-web-shop");
        check("_.", DEFAULT_HOST_NAME);
        check("a--", "a");
        check("käse", "k-se");
        check(&"x".repeat(100), &"x".repeat(63));
    }

    #[test]
    fn the_user_has_a_name_and_a_home() {
        let files = files(&spec(r#", "uid": 1234, "gid": 99"#));
        let text = |name: &str| {
            let found = files.iter().find(|(found, _)| *found == name);
            found.unwrap().1.clone()
        };
        assert!(text("passwd").contains("\napp:x:1234:99:app:/tmp:"));
        assert!(text("group").contains("\napp:x:99:\n"));
        assert_eq!(text("hostname"), "acme-web-shop\n");
        assert!(text("hosts").starts_with("127.0.0.1 localhost acme-web-shop\n"));
    }

    #[test]
    fn the_spec_has_the_last_word_about_the_environment() {
        let spec = spec(r#", "env": {"HOME": "/data", "PORT": "1"}"#);
        let found = environment(&spec, Authorities::Added);
        let value = |name: &str| {
            let of_name: Vec<_> = found.iter().filter(|(known, _)| known == name).collect();
            assert_eq!(of_name.len(), 1, "{name}");
            of_name[0].1.clone()
        };
        assert_eq!(value("HOME"), "/data");
        assert_eq!(value("PORT"), "1");
        assert_eq!(value("PATH"), PATH);
        assert_eq!(value(cmdline::AUTHORITIES), AUTHORITIES);
    }
}
