//! What `--port` promises: a server in the machine answers on the host.

use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::http::{fetch, free_port};
use nodeos_tests::system::{self, BAREBONES};
use nodeos_vm::machine::PortForward;

#[test]
fn a_server_in_the_machine_answers_on_the_port_of_the_host() {
    let scratch = Scratch::new("port").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    let host = free_port().unwrap();
    machine.ports = vec![PortForward { host, guest: 8080 }];
    let mut vm = scratch.boot(&machine).unwrap();
    vm.prompt().unwrap();
    // The way out: who translates names is known, and the gateway is there.
    assert_eq!(
        vm.evaluate("dns.getServers().join()").unwrap(),
        "'10.0.2.3'"
    );
    assert_eq!(
        vm.evaluate("os.networkInterfaces().eth0[0].cidr").unwrap(),
        "'10.0.2.15/24'"
    );
    vm.console
        .send("http.createServer((_, r) => r.end('from ' + os.hostname())).listen(8080, () => console.log('li' + 'stens'))\r")
        .unwrap();
    vm.console.expect("listens", ANSWER).unwrap();
    let answer = fetch(host).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nfrom nodeos"),
        "{answer}"
    );
}

#[test]
fn without_a_port_there_is_the_loopback_interface_and_no_other() {
    let scratch = Scratch::new("loopback").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut vm = scratch.boot(&system::machine(&BAREBONES, &output)).unwrap();
    vm.prompt().unwrap();
    assert_eq!(
        vm.evaluate("Object.keys(os.networkInterfaces()).join()")
            .unwrap(),
        "'lo'"
    );
    vm.console
        .send("net.createServer(c => c.end('to ' + 'itself')).listen(1, 'localhost', () => net.connect(1, 'localhost').on('data', d => console.log(d + '')))\r")
        .unwrap();
    vm.console.expect("to itself", ANSWER).unwrap();
}
