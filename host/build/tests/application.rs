//! Real projects, installed by real package managers from the registry, as images. What was installed once is in the
//! user's own cache, so that the second run takes seconds.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Recorder, chain};
use nodeos_build::application::{Application, Order, PrepareApplicationError, Source, prepare};
use nodeos_build::cache::Cache;
use nodeos_build::context::Context;
use nodeos_build::recipe::{Arch, Libc};
use nodeos_spec::application::ApplicationSpec;
use nodeos_spec::package::LibcChoice;
use tempfile::TempDir;

/// A context with the cache of whoever runs the tests: Node.js and what was installed before are there.
fn context() -> (Context, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let context = Context {
        source: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        cache: Cache::open(Cache::default_root().unwrap()),
        progress: recorder.clone(),
        cancel: Arc::default(),
        jobs: 1,
    };
    (context, recorder)
}

fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn order(source: Source) -> Order {
    Order {
        source,
        args: Vec::new(),
        libc: None,
        arch: Arch::X86_64,
    }
}

fn made(folder: &Path) -> Application {
    let order = order(Source::Folder(folder.to_owned()));
    prepare(&context().0, &order).unwrap_or_else(|error| panic!("{:?}", chain(&error)))
}

fn refused(order: &Order) -> (PrepareApplicationError, String) {
    let error = prepare(&context().0, order).unwrap_err();
    let text = chain(&error).join(": ");
    (error, text)
}

/// What is in an image, as `fsck.erofs` unpacks it: paths, and the contents of files.
fn unpacked(image: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("tree");
    let output = Command::new("fsck.erofs")
        .arg(format!("--extract={}", to.display()))
        .arg("--no-preserve")
        .arg(image)
        .output()
        .expect("fsck.erofs is there: apt-get install erofs-utils");
    assert!(output.status.success(), "{output:?}");
    let mut found = BTreeMap::new();
    walk(&to, &to, &mut found);
    found
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(root, &path, found);
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(name, format!("-> {}", target.display()).into_bytes());
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
}

fn dependencies(application: &Application) -> BTreeMap<String, Vec<u8>> {
    unpacked(
        &application
            .dependencies
            .as_ref()
            .expect("it has dependencies")
            .path,
    )
}

const EXPRESS: &str = r#"{"name": "@acme/shop", "private": true, "scripts": {"start": "node --trace-warnings server.js"},
    "dependencies": {"express": "4.21.2"}, "devDependencies": {"no-such-package-of-acme": "5.0.0"}, "nodeos": {"ports": ["8080:3000"]}}"#;

#[test]
fn a_project_becomes_two_images_and_stays_as_it_is() {
    let dir = project(&[
        ("package.json", EXPRESS),
        ("server.js", "require('express')().listen(3000)\n"),
        ("node_modules/express/index.js", "not this one"),
    ]);
    let application = made(dir.path());
    assert_eq!(
        (application.name.as_str(), application.libc),
        ("shop", Libc::Musl)
    );
    let found = dependencies(&application);
    let express = &found["files/node_modules/express/index.js"];
    assert!(
        express.starts_with(b"/*!"),
        "the project's own node_modules is not used"
    );
    assert!(found.contains_key("files/node_modules/send/index.js"));
    assert!(
        !found.keys().any(|path| path.contains("acme")),
        "it is for developing"
    );

    let own = unpacked(&application.application.path);
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["application.json", "files/package.json", "files/server.js"]
    );
    let spec = String::from_utf8(own["application.json"].clone()).unwrap();
    assert_eq!(ApplicationSpec::parse(&spec).unwrap(), application.spec);
    assert_eq!(
        application.spec.argv,
        ["/bin/node", "--trace-warnings", "/app/server.js"]
    );
    assert_eq!(application.spec.env["NODE_ENV"], "production");
    assert_eq!(application.spec.ports, [3000]);
    assert!(
        application
            .notes
            .iter()
            .any(|note| note.contains("no lock file")),
        "{:?}",
        application.notes
    );

    assert!(!dir.path().join("package-lock.json").exists());
    assert_eq!(
        fs::read_dir(dir.path().join("node_modules"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn one_changed_line_rewrites_only_the_application() {
    let dir = project(&[("package.json", EXPRESS), ("server.js", "// 1\n")]);
    let first = made(dir.path());
    let (ctx, recorder) = context();
    let order = order(Source::Folder(dir.path().to_owned()));
    let again = prepare(&ctx, &order).unwrap();
    assert_eq!(again.application, first.application);
    assert_eq!(
        recorder.lines(),
        [""; 0],
        "nothing is done where nothing has changed"
    );

    // A line that no earlier run of this test has left in the cache.
    let line = format!("// {:?}\n", std::time::SystemTime::now());
    fs::write(dir.path().join("server.js"), line).unwrap();
    let changed = prepare(&ctx, &order).unwrap();
    assert_ne!(changed.application, first.application);
    assert_eq!(changed.dependencies, first.dependencies);
    let steps = recorder.lines().split_off(lines.len());
    assert_eq!(steps[0], "begin write application shop");
    let is_check = steps[1].starts_with("run ") && steps[1].ends_with("/node");
    assert!(is_check && steps.len() == 2, "{steps:?}");
    let written = fs::metadata(&changed.application.path).unwrap().blocks() * 512;
    assert!(written <= 64 << 10, "{written} bytes for a line");
}

#[test]
fn a_lock_file_is_followed() {
    let lock = r#"{"name": "a", "lockfileVersion": 3, "requires": true, "packages": {
        "": {"dependencies": {"ms": "^2.0.0"}},
        "node_modules/ms": {"version": "2.1.1",
            "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.1.tgz",
            "integrity": "sha512-tgp+dl5cGk28utYktBsrFqA7HKgrhgPsg6Z/EfhWI4gl1Hwq8B/GmY/0oXZ6nF8hDVesS/FpnYaD/kOWhYQvyg=="}}}"#;
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "a", "main": "a.js", "dependencies": {"ms": "^2.0.0"}}"#,
        ),
        ("package-lock.json", lock),
        ("a.js", ""),
    ]);
    let application = made(dir.path());
    let package = &dependencies(&application)["files/node_modules/ms/package.json"];
    assert!(String::from_utf8_lossy(package).contains(r#""version": "2.1.1""#));
    assert_eq!(application.notes, [""; 0]);

    let package = r#"{"name": "a", "main": "a.js", "dependencies": {"ms": "^1.0.0"}}"#;
    fs::write(dir.path().join("package.json"), package).unwrap();
    let (error, text) = refused(&order(Source::Folder(dir.path().to_owned())));
    assert!(
        text.starts_with("cannot install the dependencies: "),
        "{text}"
    );
    assert!(
        error.hint().unwrap().contains("npm install"),
        "{:?}",
        error.hint()
    );
}

#[test]
fn workspaces_are_links_within_the_tree() {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "root", "private": true, "workspaces": ["packages/*"]}"#,
        ),
        (
            "packages/api/package.json",
            r#"{"name": "@acme/api", "version": "1.0.0", "main": "api.js", "dependencies": {"@acme/lib": "*", "ms": "2.1.3"}}"#,
        ),
        ("packages/api/api.js", "require('@acme/lib')"),
        (
            "packages/lib/package.json",
            r#"{"name": "@acme/lib", "version": "1.0.0", "main": "lib.js"}"#,
        ),
        ("packages/lib/lib.js", ""),
    ]);
    let application = made(&dir.path().join("packages/api"));
    assert_eq!(application.name, "api");
    assert_eq!(
        application.spec.argv,
        ["/bin/node", "/app/packages/api/api.js"]
    );
    assert_eq!(application.spec.cwd, "/app/packages/api");
    let found = dependencies(&application);
    assert_eq!(
        found["files/node_modules/@acme/lib"],
        b"-> ../../packages/lib"
    );
    assert!(found.contains_key("files/node_modules/ms/index.js"));
    assert!(
        !found.keys().any(|path| path.ends_with("lib.js")),
        "it is the application's"
    );
    assert!(unpacked(&application.application.path).contains_key("files/packages/lib/lib.js"));
}

#[test]
fn native_add_ons_with_a_build_for_musl_run_with_musl() {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "native", "main": "a.js",
                "dependencies": {"better-sqlite3": "*", "sharp": "*", "bufferutil": "*", "ws": "*", "esbuild": "*"}}"#,
        ),
        ("a.js", ""),
    ]);
    let application = made(dir.path());
    assert_eq!(application.libc, Libc::Musl, "{:?}", application.notes);
    let found = dependencies(&application);
    assert!(
        found
            .keys()
            .any(|path| path.contains("sharp-linuxmusl-x64"))
    );
    assert!(!found.keys().any(|path| path.contains("sharp-linux-x64")));
    // Its install script has put the program for this processor there.
    let esbuild = &found["files/node_modules/esbuild/bin/esbuild"];
    assert!(esbuild.starts_with(b"\x7fELF"));

    let mut glibc = order(Source::Folder(dir.path().to_owned()));
    glibc.libc = Some(LibcChoice::Glibc);
    let application = prepare(&context().0, &glibc).unwrap();
    assert_eq!(application.libc, Libc::Glibc);
    assert!(
        dependencies(&application)
            .keys()
            .any(|path| path.contains("sharp-linux-x64"))
    );
}

/// A project with a dependency whose add-on wants what only glibc has.
fn with_glibc_addon() -> TempDir {
    let dir = project(&[
        (
            "package.json",
            r#"{"name": "old", "main": "a.js", "files": ["a.js"], "dependencies": {"only-glibc": "file:only-glibc.tgz"}}"#,
        ),
        ("a.js", ""),
        (
            "package/package.json",
            r#"{"name": "only-glibc", "version": "1.0.0"}"#,
        ),
        (
            "package/addon.c",
            "#include <gnu/libc-version.h>\nconst char *v(void) { return gnu_get_libc_version(); }\n",
        ),
    ]);
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program)
            .args(args)
            .current_dir(dir.path())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{program} has to be installed"
        );
    };
    run(
        "cc",
        &[
            "-shared",
            "-fPIC",
            "-o",
            "package/addon.node",
            "package/addon.c",
        ],
    );
    run("tar", &["-czf", "only-glibc.tgz", "package"]);
    dir
}

#[test]
fn an_add_on_for_glibc_only_decides_for_glibc_and_that_is_said_once() {
    let dir = with_glibc_addon();
    let application = made(dir.path());
    assert_eq!(application.libc, Libc::Glibc);
    let notes = application
        .notes
        .iter()
        .filter(|note| note.contains("glibc"));
    assert_eq!(
        notes.collect::<Vec<_>>(),
        ["the machine has glibc instead of musl, because only-glibc has no build for musl"]
    );

    let mut musl = order(Source::Folder(dir.path().to_owned()));
    musl.libc = Some(LibcChoice::Musl);
    let (error, text) = refused(&musl);
    assert_eq!(
        text,
        "native add-ons have no build that runs here with musl:\n    only-glibc: addon.node needs gnu_get_libc_version, which the machine's musl does not have"
    );
    assert_eq!(
        error.hint().unwrap(),
        "use the other C library: --libc glibc"
    );
}

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
fn a_start_script_may_be_a_program_of_a_dependency() {
    let dir = project(&[(
        "package.json",
        r#"{"name": "moo", "scripts": {"start": "cowsay -f tux hi"}, "dependencies": {"cowsay": "1.6.0"}}"#,
    )]);
    let application = made(dir.path());
    let argv = application.spec.argv.join(" ");
    assert_eq!(argv, "/bin/node /app/node_modules/cowsay/cli.js -f tux hi");
}

#[test]
fn a_file_alone_is_an_application_of_one_file() {
    let dir = project(&[
        ("hello.ts", "const a: string = 'hi'\nconsole.log(a)\n"),
        ("secret", "x"),
    ]);
    let application = prepare(
        &context().0,
        &order(Source::File(dir.path().join("hello.ts"))),
    )
    .unwrap();
    assert_eq!(application.spec.argv, ["/bin/node", "/app/hello.ts"]);
    assert_eq!(application.dependencies, None);
    let own = unpacked(&application.application.path);
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    assert_eq!(names, ["application.json", "files/hello.ts"]);
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

/// Says to a test that it is the program that the test has started, with pnpm and Yarn in its `PATH`.
const WITH_MANAGERS: &str = "NODEOS_TEST_WITH_MANAGERS";

#[test]
fn projects_of_pnpm_and_yarn_are_installed_by_their_own_tools() {
    if std::env::var_os(WITH_MANAGERS).is_some() {
        return check_managers();
    }
    let tools = project(&[(
        "package.json",
        r#"{"dependencies": {"pnpm": "9.15.9", "yarn": "1.22.22"}}"#,
    )]);
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(tools.path())
        .output()
        .expect("npm is there: apt-get install npm");
    assert!(installed.status.success(), "{installed:?}");
    let path = std::env::var("PATH").unwrap();
    let bin = tools.path().join("node_modules/.bin");
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "projects_of_pnpm_and_yarn_are_installed_by_their_own_tools",
            "--nocapture",
        ])
        .env("PATH", format!("{}:{path}", bin.display()))
        .env(WITH_MANAGERS, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

fn check_managers() {
    let package = r#"{"name": "managed", "scripts": {"start": "cowsay hi"},
        "dependencies": {"cowsay": "1.6.0", "sharp": "0.34.5"}, "devDependencies": {"ms": "2.1.3"}}"#;
    for (lock, args) in [
        ("pnpm-lock.yaml", ["pnpm", "install", "--lockfile-only"]),
        ("yarn.lock", ["yarn", "install", "--ignore-scripts"]),
    ] {
        let dir = project(&[("package.json", package)]);
        let made_lock = Command::new(args[0])
            .args(&args[1..])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(
            made_lock.status.success() && dir.path().join(lock).exists(),
            "{made_lock:?}"
        );
        let application = made(dir.path());
        assert_eq!(
            (application.libc, &application.notes),
            (Libc::Musl, &Vec::new()),
            "{lock}"
        );
        assert!(
            application
                .start
                .entry
                .ends_with("/node_modules/cowsay/cli.js")
                || application.start.entry == "node_modules/cowsay/cli.js"
        );
        let found = dependencies(&application);
        assert!(
            found.contains_key(&format!("files/{}", application.start.entry)),
            "{lock}"
        );
        assert!(
            found
                .keys()
                .any(|path| path.contains("sharp-linuxmusl-x64")),
            "{lock}"
        );
        assert!(
            !found.keys().any(|path| path.contains("node_modules/ms/")),
            "{lock}: it is for developing"
        );
    }
}

#[test]
fn a_manager_that_is_not_there_is_named_with_its_lock_file() {
    if ["pnpm"]
        .iter()
        .any(|name| nodeos_build::tool::find_program(name).is_some())
    {
        // Where it is there, the project is installed with it: another test's matter.
        return;
    }
    let dir = project(&[
        (
            "package.json",
            r#"{"main": "a.js", "dependencies": {"ms": "2"}}"#,
        ),
        ("a.js", ""),
        ("pnpm-lock.yaml", ""),
    ]);
    let (error, text) = refused(&order(Source::Folder(dir.path().to_owned())));
    assert_eq!(text, "pnpm-lock.yaml asks for pnpm, which is not installed");
    assert!(
        error.is_missing_machinery() && error.hint().unwrap().contains("npm install --global pnpm")
    );
}
