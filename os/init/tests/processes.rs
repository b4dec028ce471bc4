//! The processes of the kernel that runs the test, host or guest, read by the parser that PID 1 uses.

use std::fs;

use nodeos_init::processes;

#[test]
fn this_very_process_is_read_as_what_it_is() {
    let text = fs::read("/proc/self/stat").unwrap();
    let this = processes::parse_stat(&text).unwrap();
    assert_eq!(this.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(
        this.parent,
        i32::try_from(std::os::unix::process::parent_id()).unwrap()
    );
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(this.name, name.trim_end());
}
