//! The list of mounts of the kernel that runs the test, host or guest, read by the parser that PID 1 uses.

use std::fs;

use nodeos_init::mounts;

#[test]
fn every_line_of_the_kernels_own_list_is_read() {
    let text = fs::read("/proc/self/mounts").unwrap();
    let lines = String::from_utf8_lossy(&text).lines().count();
    let mounted = mounts::parse(&text);
    assert_eq!(mounted.len(), lines);
    assert!(
        mounted
            .iter()
            .any(|mounted| mounted.target.as_c_str() == c"/proc" && mounted.fstype == b"proc")
    );
}
