//! Applications in one file: what is in it, what stays outside and is told, and what is refused.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use nodeos_build::application::{Application, Order, Source, prepare};
use nodeos_spec::package::Optimize;

use crate::{context, dependencies, order, project, refused, unpacked};

fn optimized(folder: &Path) -> Order {
    Order {
        optimize: Some(Optimize::On),
        ..order(Source::Folder(folder.to_owned()))
    }
}

fn bundled(folder: &Path) -> Application {
    prepare(&context().0, &optimized(folder)).unwrap()
}

fn file(application: &Application, name: &str) -> String {
    let image = unpacked(&application.application.path);
    String::from_utf8(image[&format!("files/{name}")].clone()).unwrap()
}

#[test]
fn what_is_in_the_bundle_is_not_in_the_image_beside_it() {
    let files = [
        (
            "package.json",
            r#"{"name": "same", "dependencies": {"ms": "2.1.3"}, "main": "src/a.js"}"#,
        ),
        (
            "src/a.js",
            "console.log(require('./lib/b')('2 days'), __dirname)",
        ),
        (
            "src/lib/b.js",
            "module.exports = require('ms'); console.log(__dirname)",
        ),
        ("views/a.html", "<p>"),
    ];
    let dir = project(&files);
    let application = bundled(dir.path());
    assert_eq!(application.start.entry, "src/a.js");
    assert!(application.dependencies.is_none());
    let text = file(&application, "src/a.js");
    assert!(text.contains("// node_modules/ms/index.js"), "{text}");
    assert!(text.contains(r#"console.log("/app/src/lib")"#), "{text}");
    assert_eq!(file(&application, "src/lib/b.js"), files[2].1);
    assert_eq!(file(&application, "views/a.html"), "<p>");
    assert_eq!(
        fs::read_to_string(dir.path().join("src/a.js")).unwrap(),
        files[1].1
    );

    // Another folder, and a bundle that is not in the cache.
    let again = project(&files);
    let unique = format!("--title={:?}", SystemTime::now());
    let section = format!(r#""nodeos": {{"nodeArgs": [{unique:?}]}}, "main""#);
    let package = files[0].1.replace(r#""main""#, &section);
    fs::write(again.path().join("package.json"), package).unwrap();
    let again = bundled(again.path());
    assert_ne!(again.start, application.start);
    assert!(
        file(&again, "src/a.js") == text,
        "the same files give the same bytes"
    );
    let plain = prepare(&context().0, &order(Source::Folder(dir.path().to_owned()))).unwrap();
    assert_eq!(file(&plain, "src/a.js"), files[1].1);
}

#[test]
fn a_package_that_reads_beside_its_modules_stays_outside_and_is_named() {
    let dir = project(&[
        (
            "package.json",
            r#"{"type": "module", "dependencies": {"cowsay": "1.6.0", "ms": "2.1.3"},
                "nodeos": {"entry": "a.js", "optimize": true}}"#,
        ),
        (
            "a.js",
            "import { say } from 'cowsay'; import ms from 'ms'; console.log(say({ text: ms(1000) }))",
        ),
    ]);
    let application = prepare(&context().0, &order(Source::Folder(dir.path().to_owned()))).unwrap();
    let note = application
        .notes
        .iter()
        .find(|note| note.starts_with("outside the bundle: "));
    let note = note.unwrap_or_else(|| panic!("{:?}", application.notes));
    assert!(
        note.contains("cowsay (uses files beside its modules)"),
        "{note}"
    );
    let image = dependencies(&application);
    assert!(image.contains_key("files/node_modules/cowsay/cows/default.cow"));
    assert!(!image.contains_key("files/node_modules/ms/index.js"));
    let text = file(&application, "a.js");
    assert!(text.contains("./node_modules/cowsay/"), "{text}");
    assert!(text.contains("// node_modules/ms/index.js"), "{text}");
}

#[test]
fn what_cannot_be_bundled_of_the_application_is_named_with_its_line() {
    let package = ("package.json", r#"{"main": "a.js"}"#);
    let check = |text: &str, expected: &str| {
        let files = [package, ("a.js", "require('./b');"), ("b.js", text)];
        let dir = project(&files);
        let (error, said) = refused(&optimized(dir.path()));
        let expected = format!("cannot bundle the application:\n    {expected}");
        assert_eq!(said, expected);
        assert!(error.hint().unwrap().contains("without --optimize"));
    };
    check("let a = 1;\nlet b = ;", r#"b.js:2:8: Unexpected ";""#);
    check(
        "const b = 1;\n\nrequire('./c');",
        r#"b.js:3:8: Could not resolve "./c""#,
    );
}

#[test]
fn typescript_becomes_javascript_beside_it() {
    let dir = project(&[
        (
            "package.json",
            r#"{"type": "module", "nodeos": {"entry": "a.ts"}}"#,
        ),
        (
            "a.ts",
            "import { b } from './b.ts'; const c: number = b; console.log(c)",
        ),
        ("b.ts", "export const b: number = 1"),
    ]);
    let application = bundled(dir.path());
    assert_eq!(application.start.entry, "a.mjs");
    assert_eq!(application.spec.argv.last().unwrap(), "/app/a.mjs");
    assert!(!file(&application, "a.mjs").contains("number"));
    assert!(file(&application, "a.ts").contains("number"));
}

#[test]
fn a_package_of_the_registry_is_a_bundle_that_finds_its_files() {
    let cowsay = Order {
        source: Source::Package("cowsay@1.6.0".to_owned()),
        ..optimized(Path::new("."))
    };
    let application = prepare(&context().0, &cowsay).unwrap();
    let entry = &application.start.entry;
    assert!(entry.starts_with("node_modules/cowsay/"), "{entry}");
    let text = file(&application, entry);
    assert!(text.starts_with("#!"), "{text}");
    assert!(text.contains("\"/app/node_modules/cowsay/"), "{text}");
    assert!(dependencies(&application).contains_key("files/node_modules/cowsay/cows/default.cow"));
}
