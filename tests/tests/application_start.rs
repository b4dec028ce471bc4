//! An application that starts: who waits for it meanwhile.

use nodeos_spec::application::message::{End, MachineMessage};
use nodeos_tests::application::{APPLICATION, Plan};

/// What the script has to wait with: the nice values of V8's own threads (proc_pid_stat(5), the 19th field), and until they are
/// all as they are to be.
const NICE: &str = r"
    const fs = require('node:fs');
    const { setTimeout: pause } = require('node:timers/promises');
    const nice = () => fs.readdirSync('/proc/self/task')
        .map((thread) => fs.readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').match(/^\d+ \((.*)\) (.*)$/s))
        .filter(([, name]) => name === 'V8Worker')
        .map(([, , fields]) => Number(fields.split(' ')[16]));
    const become = async (value) => {
        for (let tries = 0; tries < 600; tries++) {
            if (nice().length > 0 && nice().every((found) => found === value)) return;
            await pause(20);
        }
        throw new Error(`${nice()} instead of ${value}`);
    };
";

/// Runs it on so many processors, and returns what it has written when it has ended well.
fn written(name: &str, cpus: u32, script: &str) -> String {
    let script = format!("{NICE} (async () => {{ {script}; process.exit(0); }})();");
    let mut plan = Plan::new(name, &APPLICATION, &script, r#", "ports": [3000]"#).unwrap();
    plan.machine.cpus = cpus;
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    let answer = machine.answer().unwrap();
    let written = machine.written(0);
    let is_well = matches!(
        answer,
        MachineMessage::Ended {
            how: End::Code(0),
            ..
        }
    );
    assert!(is_well, "{answer:?}, and {written:?}");
    machine.end().unwrap();
    written.stdout
}

#[test]
fn the_compilers_wait_until_it_listens() {
    let script = "
        await become(19);
        const server = require('node:net').createServer();
        await new Promise((heard) => server.listen(3000, heard));
        await become(0);
        console.log(require('node:os').getPriority())";
    assert_eq!(written("compilers-listen", 1, script), "0\n");
}

#[test]
fn the_compilers_do_not_wait_for_ever() {
    let script = "
        await become(19);
        await become(0);
        console.log('not at all')";
    assert_eq!(written("compilers-limit", 1, script), "not at all\n");
}

#[test]
fn the_compilers_do_not_wait_where_there_are_two_processors() {
    let script = "
        await pause(1000);
        console.log([...new Set(nice())].join())";
    assert_eq!(written("compilers-two", 2, script), "0\n");
}
