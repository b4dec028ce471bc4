//! `nodeos init` with the real binary, in folders of a sealed home.

mod common;

use std::fs;

use common::{Said, Sealed};
use nodeos_spec::package::{KEYS, Package};
use serde_json::Value;

#[test]
fn a_section_is_added_and_every_key_is_explained() {
    let sealed = Sealed::new();
    let file = sealed.path().join("package.json");
    fs::write(
        &file,
        "{\n    \"name\": \"shop\",\n    \"main\": \"a.js\"\n}\n",
    )
    .unwrap();
    let said = sealed.run(&["init"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for key in KEYS {
        assert!(
            said.out.contains(&format!("\n{key}")),
            "{key}: {}",
            said.out
        );
    }
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with(
            "{\n    \"name\": \"shop\",\n    \"main\": \"a.js\",\n    \"nodeos\": {\n"
        ),
        "{text}"
    );
    let Value::Object(fields) = serde_json::from_str(&text).unwrap() else {
        panic!("{text}");
    };
    assert_eq!(Package::of(&fields).unwrap().memory_mib, Some(128));

    let again = sealed.run(&["init", "."]);
    assert_eq!(
        again,
        Said {
            code: Some(1),
            out: String::new(),
            err: "error: ./package.json has a section \"nodeos\" already\n\
                  hint: docs/nodeos.schema.json says what may stand in it\n"
                .to_owned(),
        }
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_folder_with_one_script_gets_a_package_json() {
    let sealed = Sealed::new();
    fs::create_dir(sealed.path().join("one")).unwrap();
    fs::write(sealed.path().join("one/hello.mjs"), "").unwrap();
    let said = sealed.run(&["init", "one"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let text = fs::read_to_string(sealed.path().join("one/package.json")).unwrap();
    assert!(
        text.starts_with("{\n  \"private\": true,\n  \"main\": \"hello.mjs\",\n  \"nodeos\": {\n"),
        "{text}"
    );
    assert!(serde_json::from_str::<Value>(&text).is_ok());
}

#[test]
fn nothing_is_guessed_where_there_is_no_script_or_several() {
    let sealed = Sealed::new();
    let check = |expected: &str| {
        let said = sealed.run(&["init", "."]);
        assert_eq!(said.code, Some(1));
        assert!(
            said.err.starts_with(&format!(
                "error: . has no package.json, and {expected} scripts to run\nhint: "
            )),
            "{}",
            said.err
        );
        assert!(!sealed.path().join("package.json").exists());
    };
    check("no");
    for name in ["a.js", "b.js"] {
        fs::write(sealed.path().join(name), "").unwrap();
    }
    check("2");
    fs::write(sealed.path().join("package.json"), "{").unwrap();
    let said = sealed.run(&["init"]);
    assert!(
        said.err
            .starts_with("error: ./package.json is not JSON\ncaused by: EOF"),
        "{}",
        said.err
    );
}
