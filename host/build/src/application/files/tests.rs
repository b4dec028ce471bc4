//! Projects, and which of their files go into the image.

use std::os::unix::fs::symlink;

use super::*;

/// What is listed of a project with these files (name and text).
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(listed(files).unwrap(), expected, "{files:?}");
}

fn listed(files: &[(&str, &str)]) -> Result<Vec<String>, PrepareApplicationError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    let project = Project::read(dir.path())?;
    let config = project.package.config()?;
    let listing = list(&project, &config)?;
    let names = listing
        .items
        .iter()
        .map(|item| item.path.display().to_string());
    Ok(names.collect())
}

#[test]
fn what_is_nobodys_business_stays_out() {
    check(
        &[
            ("package.json", "{}"),
            ("server.js", ""),
            ("lib/a.js", ""),
            ("node_modules/x/index.js", ""),
            ("lib/node_modules/x/index.js", ""),
            (".git/config", ""),
            (".env", ""),
            (".env.local", ""),
            (".npmrc", ""),
            ("debug.log", ""),
            ("package-lock.json", ""),
        ],
        &["lib/a.js", "package.json", "server.js"],
    );
}

#[test]
fn the_nearest_ignore_file_decides_and_npms_goes_before_gits() {
    check(
        &[
            ("package.json", "{}"),
            (".gitignore", "dist\n*.tmp\n"),
            ("a.tmp", ""),
            ("dist/a.js", ""),
            ("lib/.gitignore", "!b.tmp\nsecret\n"),
            ("lib/b.tmp", ""),
            ("lib/c.tmp", ""),
            ("lib/secret", ""),
            ("secret", ""),
        ],
        &["lib/b.tmp", "package.json", "secret"],
    );
    check(
        &[
            ("package.json", "{}"),
            (".gitignore", "dist\n"),
            (".npmignore", "src\n"),
            ("dist/a.js", ""),
            ("src/a.ts", ""),
        ],
        &["dist/a.js", "package.json"],
    );
}

#[test]
fn a_private_application_keeps_what_git_does_not() {
    check(
        &[
            ("package.json", r#"{"private": true}"#),
            (".gitignore", ".next\nnode_modules\n"),
            (".npmignore", "/docs\n"),
            (".next/server/app.js", ""),
            ("docs/a.md", ""),
            ("lib/docs/b.md", ""),
        ],
        &[".next/server/app.js", "lib/docs/b.md", "package.json"],
    );
}

#[test]
fn files_of_package_json_are_all_there_is() {
    check(
        &[
            (
                "package.json",
                r#"{"files": ["dist", "./bin/*.js", "!dist/*.map", "index.js"]}"#,
            ),
            (".gitignore", "dist\n"),
            ("dist/a.js", ""),
            ("dist/a.map", ""),
            ("dist/deep/b.js", ""),
            ("bin/x.js", ""),
            ("bin/x.txt", ""),
            ("index.js", ""),
            ("src/index.js", ""),
        ],
        &[
            "bin/x.js",
            "dist/a.js",
            "dist/deep/b.js",
            "index.js",
            "package.json",
        ],
    );
}

#[test]
fn our_own_patterns_go_over_all_others() {
    check(
        &[
            (
                "package.json",
                r#"{"nodeos": {"include": ["dist", ".env", ".next/standalone/node_modules"], "exclude": ["test", "*.map"]}}"#,
            ),
            (".gitignore", "dist\n.next\n"),
            ("dist/a.js", ""),
            ("dist/a.map", ""),
            (".env", ""),
            (".next/cache/x", ""),
            (".next/standalone/node_modules/x/index.js", ""),
            ("node_modules/x/index.js", ""),
            ("test/a.js", ""),
        ],
        &[
            ".env",
            ".next/standalone/node_modules/x/index.js",
            "dist/a.js",
            "package.json",
        ],
    );
}

#[test]
fn links_stay_links_and_stay_inside() {
    check(
        &[
            ("package.json", "{}"),
            ("a", ""),
            ("lib/b", "-> ../a"),
            ("lib/c", "-> gone"),
        ],
        &["a", "lib/b", "lib/c", "package.json"],
    );
    for target in ["-> ../../x", "-> /etc/passwd"] {
        let error = listed(&[("package.json", "{}"), ("lib/b", target)]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("which is outside of the project"),
            "{error}"
        );
    }
}

#[test]
fn an_entry_that_is_left_out_is_told_which_rule_did_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("dist")).unwrap();
    for (name, text) in [
        ("package.json", "{}"),
        (".gitignore", "dist/\n"),
        ("dist/a.js", ""),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let project = Project::read(dir.path()).unwrap();
    let listing = list(&project, &Package::default()).unwrap();
    assert!(listing.must_have("package.json").is_ok());
    let error = listing.must_have("dist/a.js").unwrap_err();
    assert_eq!(
        error.to_string(),
        "dist/a.js does not go into the image: .gitignore has dist/"
    );
    assert!(error.hint().unwrap().contains("nodeos.include"));
}
