//! Makes the program link statically: two symbols that `stty` needs have other names in a static C library.

use std::path::PathBuf;

/// libc (the crate) asks for these with the version that the shared library gives them; the static one has no versions.
const SYMBOLS: [&str; 2] = ["cfsetispeed", "cfsetospeed"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |variable: &str, word: &str| {
        std::env::var(variable).is_ok_and(|value| value.split(',').any(|part| part == word))
    };
    if !has("CARGO_CFG_TARGET_FEATURE", "crt-static") || !has("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // The version is that of the architecture's first shared library.
    let version = if has("CARGO_CFG_TARGET_ARCH", "x86_64") {
        "GLIBC_2.2.5"
    } else {
        "GLIBC_2.17"
    };
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("Cargo names the folder"));
    let script = folder.join("unversioned.ld");
    let lines = SYMBOLS.map(|symbol| format!("\"{symbol}@{version}\" = {symbol};\n"));
    std::fs::write(&script, lines.concat()).expect("Cargo's folder can be written to");
    // The linker takes a file that is no object for such a script.
    println!("cargo::rustc-link-arg-bins={}", script.display());
}
