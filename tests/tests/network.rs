//! What `--port` promises: a server in the machine answers on the host. And what the multi-user system does by itself.

use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::http::{fetch, free_port};
use nodeos_tests::people::Site;
use nodeos_tests::system::{self, BAREBONES};
use nodeos_vm::machine::{Network, PortForward};

/// Everything by hand, and a time server that is not there.
const STATIC: &str = r#"{
  "hostname": "box",
  "interfaces": { "eth0": { "address": "10.0.2.77/24", "gateway": "10.0.2.2", "address6": "fd00::77/64" } },
  "nameservers": ["10.0.2.3"],
  "ntp": ["10.0.2.99"]
}"#;

#[test]
fn a_server_in_the_machine_answers_on_the_port_of_the_host() {
    let scratch = Scratch::new("port").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    let host = free_port().unwrap();
    machine.ports = vec![PortForward::local(host, 8080)];
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
fn the_kernel_asks_for_an_address_where_its_command_line_says_so() {
    let scratch = Scratch::new("ip-dhcp").unwrap();
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    let mut machine = system::machine(&BAREBONES, &output);
    machine.network = Network::ByTheSystem;
    machine.append = vec!["ip=dhcp".to_owned()];
    let mut vm = scratch.boot(&machine).unwrap();
    vm.prompt().unwrap();
    assert_eq!(
        vm.evaluate("os.networkInterfaces().eth0[0].cidr").unwrap(),
        "'10.0.2.15/24'"
    );
    assert_eq!(
        vm.evaluate("dns.getServers().join()").unwrap(),
        "'10.0.2.3'"
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

/// Waits for an address that a router announces, which comes when it comes.
const ANNOUNCED: &str = "node -e \"const t = setInterval(() => { \
     const all = Object.values(os.networkInterfaces()).flat(); \
     const found = all.find(a => a.address.startsWith('fec0:')); \
     if (found) { console.log('announced ' + found.family); clearInterval(t); } }, 50)\"";

#[test]
fn roots_network_json_names_the_machine_and_its_addresses() {
    let site = Site::with_homes("static", |homes| {
        let file = homes.join("root/etc/network.json");
        Ok(std::fs::write(file, STATIC)?)
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(
        person.run("hostname; cat /etc/hostname").unwrap(),
        "box\nbox"
    );
    let addresses = person.run("ip addr show eth0").unwrap();
    assert!(addresses.contains("inet 10.0.2.77/24"), "{addresses}");
    assert!(addresses.contains("inet6 fd00::77/64"), "{addresses}");
    assert!(!addresses.contains("10.0.2.15"), "{addresses}");
    let routes = person.run("ip route").unwrap();
    assert!(routes.contains("default via 10.0.2.2 dev eth0"), "{routes}");
    assert_eq!(
        person.run("cat /etc/resolv.conf").unwrap(),
        "nameserver 10.0.2.3"
    );
    // A time server that nobody answers for is no news for whoever sits at the console.
    let console = person.boot.console.transcript();
    assert!(!console.contains("network"), "{console}");
    person.power_off().unwrap();
}

#[test]
fn routers_and_leases_are_heard_and_a_machine_without_a_network_works() {
    let mut site = Site::new("announced").unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run(ANNOUNCED).unwrap(), "announced IPv6");
    let routes = person.run("ip -6 route").unwrap();
    assert!(
        routes.contains("default via fe80::2 dev eth0 proto ra"),
        "{routes}"
    );
    let lease = person.run("ip -4 addr show eth0").unwrap();
    assert!(lease.contains("dynamic eth0"), "{lease}");
    person.power_off().unwrap();

    site.machine.network = Network::ForPorts;
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("node -p 6*7").unwrap(), "42");
    person
        .run("ip addr; ifconfig; cat /etc/resolv.conf")
        .unwrap();
    let console = person.boot.console.transcript();
    assert!(!console.contains("network"), "{console}");
    person.power_off().unwrap();

    // The kernel's own `ip=dhcp`, which the service takes over.
    site.machine.network = Network::ByTheKernel;
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let address = person.run("ip -4 addr show eth0").unwrap();
    assert!(address.contains("inet 10.0.2.15/24"), "{address}");
    assert_eq!(
        person.run("cat /etc/resolv.conf").unwrap(),
        "nameserver 10.0.2.3"
    );
    person.power_off().unwrap();
}
