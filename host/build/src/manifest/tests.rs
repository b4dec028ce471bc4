//! Manifests with one thing wrong.

use super::*;

const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A manifest with one input that has this provider.
fn with_provider(provider: &str) -> String {
    format!(
        "[[input]]\nname = \"x\"\nwhat = \"something\"\nversion = \"1\"\n[[input.provider]]\n{provider}\n"
    )
}

#[test]
fn every_kind_of_provider_is_read() {
    let check = |provider: &str, expected: Provider| {
        let manifest = Manifest::parse(&with_provider(provider)).unwrap();
        assert_eq!(manifest.inputs["x"].providers, [expected]);
    };
    let sum = || Sha256Sum::parse(SUM).unwrap();
    check(
        "apt = [\"libstdc++6\", \"musl\"]\narch = \"amd64\"\nat-least = \"1:1.2~rc1\"\nnewer = { debian = [\"trixie\"] }",
        Provider::Apt(AptPackages {
            packages: vec!["libstdc++6".to_owned(), "musl".to_owned()],
            arch: "amd64".to_owned(),
            at_least: Some("1:1.2~rc1".to_owned()),
            newer: BTreeMap::from([("debian".to_owned(), vec!["trixie".to_owned()])]),
        }),
    );
    check(
        &format!("pip = \"node\"\nplatform = \"any\"\nsha256 = \"{SUM}\"\nbytes = 3"),
        Provider::Pip(PipWheel {
            package: "node".to_owned(),
            platform: "any".to_owned(),
            sha256: sum(),
            bytes: 3,
        }),
    );
    check(
        &format!("npm = \"@types/node\"\nsha256 = \"{SUM}\"\nbytes = 3"),
        Provider::Npm(NpmPackage {
            package: "@types/node".to_owned(),
            sha256: sum(),
            bytes: 3,
        }),
    );
    check(
        &format!("url = \"https://host.test/x\"\nversion = \"1.1\"\nsha256 = \"{SUM}\""),
        Provider::Url(UrlFile {
            url: "https://host.test/x".to_owned(),
            version: "1.1".to_owned(),
            sha256: sum(),
        }),
    );
}

#[test]
fn a_wrong_provider_is_named_with_what_is_wrong() {
    let check = |provider: &str, expected: &str| {
        let error = Manifest::parse(&with_provider(provider)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("input x, provider 1: {expected}")
        );
    };
    check(
        "version = \"1\"",
        "exactly one of apt, pip, npm and url is needed",
    );
    check(
        "npm = \"a\"\npip = \"b\"",
        "exactly one of apt, pip, npm and url is needed",
    );
    check("npm = \"a\"\nbytes = 3", "npm needs sha256");
    check("apt = [\"a\"]", "apt needs arch");
    check(
        "apt = []\narch = \"amd64\"",
        "apt needs at least one package",
    );
    check(
        &format!("url = \"http://h.test/x\"\nsha256 = \"{SUM}\""),
        "url needs version",
    );
    check(
        &format!("apt = [\"a\"]\narch = \"amd64\"\nsha256 = \"{SUM}\""),
        "apt has no use for sha256",
    );
    check(
        "npm = \"a\"\nbytes = 3\nsha256 = \"BA78\"",
        "sha256 is not 64 hexadecimal digits in lower case: BA78",
    );
    check("apt = [\"-o\"]\narch = \"amd64\"", "apt is not a name: -o");
    check(
        "apt = [\"a b\"]\narch = \"amd64\"",
        "apt is not a name: a b",
    );
    check(
        &format!("npm = \"../../etc\"\nbytes = 3\nsha256 = \"{SUM}\""),
        "npm is not a name: ../../etc",
    );
    check(
        &format!("url = \"ftp://h.test/x\"\nversion = \"1\"\nsha256 = \"{SUM}\""),
        "url is not an http or https address: ftp://h.test/x",
    );
}

#[test]
fn a_wrong_input_is_named() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Manifest::parse(text).unwrap_err().to_string(), expected);
    };
    let good = with_provider("apt = [\"a\"]\narch = \"amd64\"");
    check(&format!("{good}{good}"), "input x stands there twice");
    check(
        "[[input]]\nname = \"x\"\nwhat = \"x\"\nversion = \"1\"",
        "input x has no provider",
    );
    check(&good.replace("something", ""), "input x: what is empty");
    check(
        &good.replace("\"x\"", "\"../x\""),
        "input name is not a name: ../x",
    );
    check(
        &good.replace("version = \"1\"", "version = \"--upgrade\""),
        "input x: version is not a name: --upgrade",
    );
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let error = Manifest::parse(&with_provider(
        "apt = [\"a\"]\narch = \"amd64\"\nsuite = \"sid\"",
    ))
    .unwrap_err();
    assert_eq!(error.to_string(), "not a manifest of inputs");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("unknown field `suite`"), "{source}");
}

#[test]
fn a_manifest_that_is_not_there_or_wrong_is_named_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(MANIFEST_FILE);
    let error = Manifest::load(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read the manifest {}", path.display())
    );
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "linux = 6").unwrap();
    let error = Manifest::load(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the manifest {} is wrong", path.display())
    );
}
