//! A palmtree with services, and `svc` that talks to it. Palmtree and its services are this test binary again, told by
//! its arguments to run [`role`] alone, and by [`ROLE`](harness::ROLE) in its environment what to do there.

mod broker;
mod ending;
mod harness;
mod logs;
mod roles;
mod services;
mod svc;

/// What this program does as palmtree or as a service. Without a role this makes sure that a mistyped one is not taken for
/// played.
#[test]
fn role() {
    let role = roles::assigned().unwrap_or_else(|| "none".to_owned());
    assert_eq!(roles::play(&role), role != "none", "{role}");
}
