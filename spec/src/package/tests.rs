//! What a section may say, and what is said about one that it may not.

use std::net::Ipv4Addr;

use serde_json::json;

use super::volume::VolumeSource;
use super::*;

fn parse(value: Value) -> Package {
    Package::parse(&value).expect("the section is good")
}

fn refused(value: Value) -> String {
    Package::parse(&value)
        .expect_err("the section should be refused")
        .to_string()
}

#[test]
fn everything_can_be_said() {
    let package = parse(json!({
        "entry": "./dist/server.js",
        "args": ["--verbose"],
        "nodeArgs": ["--enable-source-maps"],
        "env": {"PORT": 3000, "MODE": "fast", "TRACE": true},
        "memory": "1G",
        "cpus": 2,
        "ports": ["8080:3000", 9229, "0.0.0.0:80:80"],
        "volumes": ["./data:/data", "db:/db:ro"],
        "libc": "glibc",
        "nodeVersion": ">=22",
        "restart": "on-failure",
        "include": ["dist"],
        "exclude": ["test"],
        "compileCache": false,
        "optimize": true,
    }));
    assert_eq!(package.entry.as_deref(), Some("dist/server.js"));
    assert_eq!(package.args, ["--verbose"]);
    assert_eq!(package.node_args, ["--enable-source-maps"]);
    let env: Vec<_> = package
        .env
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(env, ["MODE=fast", "PORT=3000", "TRACE=true"]);
    assert_eq!((package.memory_mib, package.cpus), (Some(1024), Some(2)));
    let ports: Vec<_> = package.ports.iter().map(ToString::to_string).collect();
    assert_eq!(
        ports,
        [
            "127.0.0.1:8080:3000",
            "127.0.0.1:9229:9229",
            "0.0.0.0:80:80"
        ]
    );
    assert_eq!(package.ports[0].address, Ipv4Addr::LOCALHOST);
    assert_eq!(
        package.volumes[1].source,
        VolumeSource::Named("db".to_owned())
    );
    assert_eq!(package.libc, LibcChoice::Glibc);
    assert_eq!(package.node_version.as_deref(), Some(">=22"));
    assert_eq!(package.restart, Restart::OnFailure);
    assert_eq!(
        (package.include, package.exclude),
        (vec!["dist".to_owned()], vec!["test".to_owned()])
    );
    assert_eq!(package.compile_cache, CompileCache::Off);
    assert_eq!(package.optimize, Optimize::On);
}

#[test]
fn nothing_need_be_said() {
    assert_eq!(parse(json!({})), Package::default());
    assert_eq!(Package::of(&Map::new()), Ok(Package::default()));
    let package = Package::default();
    assert_eq!(
        (package.libc, package.restart),
        (LibcChoice::Auto, Restart::Never)
    );
}

#[test]
fn memory_is_mib_unless_a_letter_says_otherwise() {
    let check = |value: Value, expected: u32| {
        let package = parse(json!({ "memory": value }));
        assert_eq!(package.memory_mib, Some(expected));
    };
    check(json!(64), 64);
    check(json!("64"), 64);
    check(json!("64M"), 64);
    check(json!("2G"), 2048);
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_one() {
    let error = Package::parse(&json!({"prots": []})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "package.json: \"nodeos\" has an unknown key \"prots\": did you mean \"ports\"?"
    );
    assert!(error.hint().unwrap().starts_with("it knows entry, args,"));
    assert_eq!(
        refused(json!({"database": 1})),
        "package.json: \"nodeos\" has an unknown key \"database\""
    );
}

#[test]
fn a_wrong_value_is_named_with_its_key() {
    let check = |value: Value, expected: &str| {
        let said = refused(value.clone());
        assert_eq!(said, format!("package.json: \"nodeos{expected}"), "{value}");
    };
    check(json!(3), "\" is a number instead of an object");
    check(
        json!({"entry": "/srv/a.js"}),
        ".entry\" is \"/srv/a.js\", which is no file below the project's folder",
    );
    check(
        json!({"entry": "../a.js"}),
        ".entry\" is \"../a.js\", which is no file below the project's folder",
    );
    check(
        json!({"args": "-v"}),
        ".args\" is a text instead of an array",
    );
    check(
        json!({"args": [1]}),
        ".args\" has a number instead of a text",
    );
    check(
        json!({"args": ["a\u{0}"]}),
        ".args\" has \"a\\0\", which contains a NUL character",
    );
    check(
        json!({"env": {"A": []}}),
        ".env\" has an array for A instead of a text",
    );
    check(
        json!({"env": {"A=B": "c"}}),
        ".env\" cannot be an environment: \"A=B\" cannot be the name of an environment variable",
    );
    check(
        json!({"memory": "lots"}),
        ".memory\" is \"lots\": expected a number of MiB, or a text such as \"256M\" or \"1G\"",
    );
    check(
        json!({"memory": 8}),
        ".memory\" is 8, which is too little: the kernel needs at least 36 MiB",
    );
    check(
        json!({"memory": "9999G"}),
        ".memory\" is \"9999G\", which is more than 1024 GiB",
    );
    check(
        json!({"cpus": 0}),
        ".cpus\" is 0: expected a number from 1 to 255",
    );
    check(
        json!({"ports": ["80:http"]}),
        ".ports\" has \"80:http\": \"http\" is not a port between 1 and 65535",
    );
    check(
        json!({"volumes": ["db:x"]}),
        ".volumes\" has \"db:x\": \"x\" is not a folder in the machine: it has to begin with /, without .. in it",
    );
    check(
        json!({"libc": "uclibc"}),
        ".libc\" is \"uclibc\": expected auto, musl or glibc",
    );
    check(
        json!({"restart": "sometimes"}),
        ".restart\" is \"sometimes\": expected always, on-failure or never",
    );
    check(
        json!({"compileCache": "no"}),
        ".compileCache\" is \"no\": expected true or false",
    );
    check(
        json!({"optimize": 1}),
        ".optimize\" is 1: expected true or false",
    );
}

#[test]
fn the_schema_for_editors_knows_the_same_keys() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/nodeos.schema.json");
    let text = std::fs::read_to_string(file).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let section = &schema["properties"][SECTION];
    let mut names: Vec<&str> = section["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut known = KEYS.to_vec();
    names.sort();
    known.sort();
    assert_eq!(names, known);
    assert_eq!(section["additionalProperties"], false);
    for (name, property) in section["properties"].as_object().unwrap() {
        assert!(
            property["description"].is_string(),
            "{name} has a description"
        );
        // The examples of the schema are what the parser takes.
        for example in property["examples"].as_array().unwrap_or(&Vec::new()) {
            parse(Value::Object(Map::from_iter([(
                name.clone(),
                example.clone(),
            )])));
        }
    }
}
