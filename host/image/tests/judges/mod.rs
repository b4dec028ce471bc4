//! Programs of others that judge what we wrote.

use std::ffi::OsStr;
use std::process::Command;

/// Runs `program` and returns what it prints, standard output first. A program that is missing or fails fails the test.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    try_run(program, arguments).unwrap_or_else(|text| panic!("{program} failed:\n{text}"))
}

/// As [`run`], but a failure is returned: what was printed then.
pub(crate) fn try_run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String, String> {
    let package = match program {
        "dump.erofs" | "fsck.erofs" => "erofs-utils",
        "fsck.fat" => "dosfstools",
        "mdir" | "mtype" => "mtools",
        "sfdisk" => "fdisk",
        "sgdisk" => "gdisk",
        "veritysetup" => "cryptsetup-bin",
        "debugfs" | "dumpe2fs" | "e2fsck" | "mkfs.ext4" | "resize2fs" | "tune2fs" => "e2fsprogs",
        other => other,
    };
    // Debian's users do not look where the programs of filesystems are.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; apt-get install {package}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    // `fsck.erofs` 1.5 reports a wrong checksum and then ends with 0.
    if output.status.success() && !text.contains("<E> erofs") {
        Ok(text)
    } else {
        Err(text)
    }
}
