//! The layer initramfs: sessions, and nothing for people yet.

use nodeos_build::recipe::{Layer, Recipe, RootKind};
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::system::{self, BAREBONES};

fn boots(root: RootKind) {
    let recipe = Recipe {
        layer: Layer::Initramfs,
        root,
        ..BAREBONES
    };
    let scratch = Scratch::new(&format!("sessions-{root}")).unwrap();
    let output = system::build(&recipe, &scratch.dir.join("out")).unwrap();
    assert!(output.users.is_none());
    let mut machine = system::machine(&recipe, &output);
    machine.memory_mib = 512;
    let mut vm = scratch.boot(&machine).unwrap();
    vm.console.expect("EVERYTHING IS LOST", BOOT).unwrap();
    vm.console
        .expect("Sessions of nodeos and root.", BOOT)
        .unwrap();
    vm.console.expect("root> ", BOOT).unwrap();
    let mut evaluate = |expression: &str| {
        vm.console.send(&format!("{expression}\r")).unwrap();
        let before = vm.console.expect("\nroot> ", BOOT).unwrap();
        before
            .trim()
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        evaluate("fs.readdirSync('/home').filter(name => name[0] != '.').join()"),
        "'nodeos,root'"
    );
    // Root is no administrator: what is closed to others is closed to it.
    assert_eq!(
        evaluate("try { fs.readdirSync('/home/nodeos') } catch (error) { error.code }"),
        "'EACCES'"
    );
    assert_eq!(
        evaluate("/CapEff:.*/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[0]"),
        "'CapEff:\\t0000000000000000'"
    );
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn a_mapped_image_boots_to_roots_session() {
    boots(RootKind::Pmem);
}

#[test]
fn an_archive_in_memory_boots_to_roots_session() {
    boots(RootKind::Initramfs);
}
