//! What an application has of the command that runs it: streams, arguments, variables, exit code, files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};

use nodeos_tests::boot::Scratch;
use nodeos_tests::nodeos_run::{nobody_is_left, nodeos, output_of_input, said, script};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

/// Where an application runs that may write into a folder of root's: as this user of this host.
const SOMEBODY: u32 = 1234;

#[test]
fn streams_arguments_variables_and_exit_code_are_as_if_it_ran_here() {
    let scratch = Scratch::new("run-streams").unwrap();
    let text = r#"
        const told = [process.argv.slice(2), process.env.GIVEN, process.env.FROM_FILE, process.env.BOTH];
        process.stderr.write(Buffer.from([...Array(256).keys()].reverse()));
        process.stderr.write(JSON.stringify(told));
        process.stdout.write(Buffer.from([...Array(256).keys()]));
        process.stdin.on('data', (bytes) => process.stdout.write(bytes));
        process.stdin.on('end', () => { process.stdout.write('the end'); process.exitCode = 7; });
    "#;
    let script = script(&scratch, "streams.mjs", text).unwrap();
    let variables = scratch.dir.join("variables.env");
    fs::write(&variables, "FROM_FILE='two words'\nBOTH=file\n").unwrap();
    // More than all buffers on the way hold together, of a length that no buffer has.
    let input: Vec<u8> = (0..1_500_001_u32).map(|n| (n % 253) as u8).collect();
    let mut command = nodeos(&scratch);
    // What is built the first time is not of interest here.
    command.args(["run", "--quiet", "--env", "GIVEN=1", "--env", "BOTH=flag"]);
    command.arg("--env-file").args([&variables, &script]);
    command.args(["--", "-p", "two words", "", "--", "grüße"]);
    let done = output_of_input(command, &input).unwrap();
    assert_eq!(done.status.code(), Some(7), "{done:?}");
    let expected: Vec<u8> = (0..=255).chain(input).chain(*b"the end").collect();
    assert!(
        done.stdout == expected,
        "{} bytes of {}",
        done.stdout.len(),
        expected.len()
    );
    let told = r#"[["-p","two words","","--","grüße"],"1","two words","flag"]"#;
    let expected: Vec<u8> = (0..=255).rev().chain(told.bytes()).collect();
    assert!(
        done.stderr == expected,
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_is_ended_by_a_signal_ends_with_128_and_its_number() {
    let scratch = Scratch::new("run-signal").unwrap();
    let text = "process.kill(process.pid, 'SIGUSR2'); setInterval(() => {}, 1000);";
    let script = script(&scratch, "signal.js", text).unwrap();
    let (code, stdout, stderr) = said(&scratch, ["run".as_ref(), script.as_os_str()]).unwrap();
    assert_eq!((code, stdout.as_str()), (128 + 12, ""), "{stderr}");
}

#[test]
fn an_application_that_fails_is_started_again_and_finds_its_volumes() {
    let scratch = Scratch::new("run-again").unwrap();
    let text = r#"
        import fs from 'node:fs';
        const attempt = (what) => { try { return what(); } catch (error) { return error.code; } };
        fs.appendFileSync('/named/lives', 'x');
        if (fs.statSync('/named/lives').size === 1) {
            process.exit(3);
        }
        fs.writeFileSync('/ours/written', 'by the application');
        console.log(JSON.stringify([
            process.getuid(),
            fs.readFileSync('/fixed/text', 'utf8'),
            attempt(() => fs.writeFileSync('/fixed/more', '')),
            attempt(() => fs.writeFileSync('/app/more', '')),
        ]));
    "#;
    let script = script(&scratch, "again.mjs", text).unwrap();
    let (ours, fixed) = (scratch.dir.join("ours"), scratch.dir.join("fixed"));
    fs::create_dir(&ours).unwrap();
    fs::create_dir(&fixed).unwrap();
    fs::write(fixed.join("text"), "of this host").unwrap();
    let owner = ours.metadata().unwrap().uid();
    let owner = match owner {
        0 => {
            chown(&ours, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            SOMEBODY
        }
        other => other,
    };
    let (ours_there, fixed_there) = (
        format!("{}:/ours", ours.display()),
        format!("{}:/fixed:ro", fixed.display()),
    );
    let mut words = vec!["run", "--restart", "on-failure", "--volume", "lives:/named"];
    words.extend(["--volume", &ours_there, "--volume", &fixed_there]);
    words.push(script.to_str().unwrap());
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(
        stdout,
        format!("[{owner},\"of this host\",\"EROFS\",\"EROFS\"]\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains(
            "note: the application ended with exit code 3, and is started again in 1000 ms\n"
        ),
        "{stderr}"
    );
    let written = ours.join("written");
    assert_eq!(fs::read_to_string(&written).unwrap(), "by the application");
    assert_eq!(written.metadata().unwrap().uid(), owner);
    assert!(!fixed.join("more").exists());
}

#[test]
fn every_root_runs_it_and_trusts_who_is_to_be_trusted() {
    let scratch = Scratch::new("run-roots").unwrap();
    let text = "console.log(require('node:tls').getCACertificates('extra').join())";
    let script = script(&scratch, "roots.js", text).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "An authority of these tests");
    let authority = authority
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap();
    let bundle = scratch.dir.join("authorities.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().concat();
    for root in ["disk", "initramfs"] {
        let mut words = vec!["run", "--root", root, "--ca-bundle"];
        words.extend([bundle.to_str().unwrap(), script.to_str().unwrap()]);
        let (code, stdout, stderr) = said(&scratch, words).unwrap();
        assert_eq!(code, 0, "{root}: {stdout}{stderr}");
        assert_eq!(plain(&stdout), plain(&authority.pem()), "{root}: {stderr}");
    }
}
