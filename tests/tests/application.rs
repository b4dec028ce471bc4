//! A machine that is there for one application: its streams, its end, and what it can do to the machine.

use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_spec::application::frame::STREAMS;
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};
use nodeos_tests::application::{APPLICATION, Plan, Running};
use nodeos_tests::boot::{BOOT, Scratch};
use nodeos_tests::system;

/// The end of the application, after which it is not started again.
fn check_end(machine: &mut Running, expected: End) {
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how,
            out_of_memory: false,
            again_in_ms: None,
            ..
        } => assert_eq!(how, expected, "{:?}", machine.written(0)),
        other => panic!("{other:?}, and {:?}", machine.written(0)),
    }
}

#[test]
fn output_is_the_applications_bytes_and_so_is_the_exit_code() {
    let script = "
        const piece = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
        let left = 20;
        const write = () => {
            if (left-- > 0) return process.stdout.write(piece, write);
            console.error('all of it');
            process.exitCode = 7;
        };
        write();";
    let plan = Plan::new("application-output", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    check_end(&mut machine, End::Code(7));
    assert!(machine.has_ended(STREAMS.stdout) && machine.has_ended(STREAMS.stderr));
    let piece: Vec<u8> = (0..=250_u8).cycle().take(1 << 20).collect();
    let stdout = machine.bytes(STREAMS.stdout);
    assert_eq!(stdout.len(), 20 << 20);
    assert!(stdout.chunks(1 << 20).all(|found| found == piece));
    assert_eq!(machine.written(0).stderr, "all of it\n");
    machine.end().unwrap();
    let console = machine.vm.console.transcript();
    assert!(
        console.starts_with("init: power off"),
        "nobody but PID 1 said something: {console}"
    );
}

#[test]
fn input_is_passed_on_with_its_end() {
    let script = "
        let bytes = 0;
        process.stdin.on('data', (data) => { bytes += data.length; });
        process.stdin.on('end', () => console.log(`${bytes} bytes`));";
    let plan = Plan::new("application-input", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    machine.feed(0, &vec![7; 3 << 20]).unwrap();
    machine.feed_no_more(0).unwrap();
    check_end(&mut machine, End::Code(0));
    assert_eq!(machine.written(0).stdout, "3145728 bytes\n");
    machine.end().unwrap();
}

#[test]
fn the_application_is_an_unprivileged_user_who_can_write_nothing_that_lasts() {
    let script = r"
        const fs = require('node:fs'), os = require('node:os');
        const status = fs.readFileSync('/proc/self/status', 'utf8');
        const field = (name) => status.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))[1];
        for (const name of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Uid'])
            console.log(name, field(name).replaceAll('\t', ' ').trim());
        console.log('groups', process.getgroups().join());
        const folders = ['/', '/app', '/bin', '/etc', '/lib', '/dev', '/proc/sys/kernel', '/sys/fs/cgroup'];
        for (const folder of [...folders, '/tmp', '/run', os.homedir()]) {
            try { fs.writeFileSync(folder + '/new', 'x'); console.log(folder, 'written'); }
            catch (error) { console.log(folder, 'refused'); }
        }
        console.log(os.hostname(), os.userInfo().username, os.userInfo().homedir, process.cwd(), process.env.PATH);
        console.log(fs.readdirSync('/bin').join(), fs.existsSync('/init'), fs.existsSync('/dev/pmem1'));
        fs.writeFileSync('/dev/stdout', 'by its name\n');";
    let plan = Plan::new("application-confined", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    check_end(&mut machine, End::Code(0));
    let nothing = "0000000000000000";
    let expected = format!(
        "CapEff {nothing}\nCapPrm {nothing}\nCapBnd {nothing}\nCapAmb {nothing}\nNoNewPrivs 1\nSeccomp 2\n\
         Uid 1000 1000 1000 1000\n\
         groups 1000\n/ refused\n/app refused\n/bin refused\n/etc refused\n/lib refused\n/dev refused\n/proc/sys/kernel refused\n\
         /sys/fs/cgroup refused\n/tmp written\n/run written\n/tmp written\n\
         test app /tmp /app /app/node_modules/.bin:/bin\nnode false false\nby its name\n"
    );
    assert_eq!(machine.written(0).stdout, expected);
    machine.end().unwrap();
}

#[test]
fn signals_arrive_and_one_that_ignores_term_is_killed() {
    let script = "
        process.on('SIGINT', () => console.log('interrupted'));
        process.on('SIGTERM', () => console.log('deaf'));
        setInterval(() => {}, 1000);
        console.log('runs');";
    let plan = Plan::new("application-signals", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    machine.expect(0, "runs\n").unwrap();
    let interrupt = HostMessage::Signal {
        command: 0,
        signal: 2,
    };
    machine.tell(&interrupt).unwrap();
    machine.expect(0, "interrupted\n").unwrap();
    let stop = HostMessage::Stop {
        grace_ms: Some(300),
    };
    machine.tell(&stop).unwrap();
    check_end(&mut machine, End::Signal(9));
    assert!(machine.written(0).stdout.ends_with("deaf\n"));
    machine.end().unwrap();
}

#[test]
fn memory_that_runs_out_ends_the_application_and_not_the_machine() {
    let script = "
        const all = [];
        setInterval(() => all.push(Buffer.alloc(1 << 20, 1)), 1);";
    let plan = Plan::new("application-memory", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Signal(9),
            out_of_memory: true,
            memory_peak,
            memory_limit,
            again_in_ms: None,
        } => assert!(
            memory_limit > 40 << 20 && memory_peak > memory_limit / 2,
            "{memory_peak} of {memory_limit}"
        ),
        other => panic!("{other:?}"),
    }
    machine.end().unwrap();
}

#[test]
fn a_full_tmp_is_an_error_and_ten_thousand_processes_are_none_of_the_machines() {
    let script = "
        const fs = require('node:fs'), { spawn } = require('node:child_process');
        const file = fs.openSync('/tmp/full', 'w');
        try { for (;;) fs.writeSync(file, Buffer.alloc(1 << 20)); }
        catch (error) { console.log(error.code); }
        fs.unlinkSync('/tmp/full');
        let count = 0;
        const more = () => {
            const child = spawn('/bin/node', ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
            child.on('error', () => {});
            if (++count < 10000) setTimeout(more, 5);
            if (count == 10) console.log('ten');
        };
        more();";
    let plan = Plan::new("application-bomb", &APPLICATION, script, "").unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    machine.expect(0, "ENOSPC\n").unwrap();
    machine.expect(0, "ten\n").unwrap();
    machine.tell(&HostMessage::Stats).unwrap();
    let stop = HostMessage::Stop {
        grace_ms: Some(100),
    };
    machine.tell(&stop).unwrap();
    let (mut has_stats, mut has_ended) = (false, false);
    while !has_ended {
        match machine.answer().unwrap() {
            MachineMessage::Stats(stats) => has_stats = stats.processes > 0,
            MachineMessage::Ended { .. } => has_ended = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(has_stats);
    machine.end().unwrap();
}

#[test]
fn one_that_fails_is_started_again_if_it_is_to_be() {
    let script = "
        const fs = require('node:fs');
        const before = fs.existsSync('/tmp/before');
        fs.writeFileSync('/tmp/before', '');
        console.log(before ? 'second' : 'first');
        process.exitCode = before ? 0 : 3;";
    let more = r#", "restart": "on-failure""#;
    let plan = Plan::new("application-restart", &APPLICATION, script, more).unwrap();
    let mut machine = plan.boot().unwrap();
    machine.started().unwrap();
    match machine.answer().unwrap() {
        MachineMessage::Ended {
            how: End::Code(3),
            again_in_ms: Some(1000),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    assert!(!machine.has_ended(STREAMS.stdout));
    check_end(&mut machine, End::Code(0));
    assert_eq!(machine.written(0).stdout, "first\nsecond\n");
    machine.end().unwrap();
}

#[test]
fn a_program_that_is_not_there_is_a_sentence_for_the_host() {
    let more = r#", "cwd": "/app/nowhere""#;
    let plan = Plan::new("application-missing", &APPLICATION, "", more).unwrap();
    let mut machine = plan.boot().unwrap();
    let reason = "cannot start in the folder /app/nowhere: No such file or directory".to_owned();
    assert_eq!(
        machine.hear().unwrap(),
        MachineMessage::NotStarted {
            reason: reason.clone()
        }
    );
    machine.end().unwrap();
    let console = machine.vm.console.transcript();
    assert!(
        console.contains(&format!("application: {reason}")),
        "{console}"
    );
}

#[test]
fn a_machine_without_an_application_says_so() {
    let scratch = Scratch::new("application-none").unwrap();
    let output = system::build(&APPLICATION, &scratch.dir.join("out")).unwrap();
    let mut vm = scratch
        .boot(&system::machine(&APPLICATION, &output))
        .unwrap();
    for line in [
        "application: this machine has no application",
        "application: hint: nodeos run gives a machine an application",
        "/sbin/init has ended with code 1",
    ] {
        vm.console.expect(line, BOOT).unwrap();
    }
    vm.powered_off().unwrap();
}

#[test]
fn without_a_port_to_the_host_the_console_has_the_output_and_disks_do_as_well() {
    let recipe = Recipe {
        root: RootKind::Disk,
        ..APPLICATION
    };
    let script = "console.log('to the console');";
    let plan = Plan::new("application-console", &recipe, script, "").unwrap();
    let mut vm = plan.scratch.boot(&plan.machine).unwrap();
    vm.console.expect("to the console", BOOT).unwrap();
    vm.powered_off().unwrap();
}
