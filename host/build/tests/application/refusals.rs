//! What the registry has and does not have, and what cannot be run.

use nodeos_build::application::{Source, prepare};

use crate::{context, dependencies, order, project, refused};

#[test]
fn a_package_of_the_registry_is_an_application() {
    let mut cowsay = order(Source::Package("cowsay@1.6.0".to_owned()));
    cowsay.args = vec!["moo".to_owned()];
    let application = prepare(&context().0, &cowsay).unwrap();
    assert_eq!(application.name, "cowsay");
    assert_eq!(
        application.spec.argv,
        ["/bin/node", "/app/node_modules/cowsay/cli.js", "moo"]
    );
    assert!(dependencies(&application).contains_key("files/node_modules/cowsay/cli.js"));
}

#[test]
fn what_the_registry_does_not_have_is_said() {
    let check = |package: &str, expected: &str| {
        let (error, text) = refused(&order(Source::Package(package.to_owned())));
        assert_eq!(text, expected);
        assert!(error.hint().is_some());
    };
    check("cowsay@99", "the registry has no package cowsay@99");
    check("ms@2.1.3", "ms has no program to run");
}

#[test]
fn a_syntax_error_is_shown_before_a_machine_is_made() {
    let check = |name: &str, text: &str, expected: &str| {
        let dir = project(&[(name, text)]);
        let (_, said) = refused(&order(Source::File(dir.path().join(name))));
        assert!(
            said.starts_with(&format!("{name} has a syntax error\n")),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("node:internal"), "{said}");
    };
    check("a.js", "const a = ;\n", "Unexpected token ';'");
    check("a.mjs", "import x fro 'y'\n", "Unexpected identifier");
    check("a.ts", "const a: number = ;\n", "Expression expected");
}

#[test]
fn a_version_that_is_not_shipped_is_named_with_the_one_that_is() {
    let dir = project(&[
        (
            "package.json",
            r#"{"main": "a.js", "nodeos": {"nodeVersion": "^18"}}"#,
        ),
        ("a.js", ""),
    ]);
    let (_, text) = refused(&order(Source::Folder(dir.path().to_owned())));
    assert!(
        text.starts_with(
            "package.json: \"nodeos.nodeVersion\" is \"^18\", and this NodeOS has Node.js 24."
        ),
        "{text}"
    );
}
