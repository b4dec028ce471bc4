//! The loopback interface, which every program that talks to itself takes for granted and which the kernel leaves down.

use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The number of `lo`: the first interface of every network namespace (`LOOPBACK_IFINDEX` of the kernel's
/// include/net/flow.h).
const LOOPBACK: i32 = 1;

/// `RTM_NEWLINK`, `NLMSG_ERROR`, `NLM_F_REQUEST | NLM_F_ACK` and `IFF_UP`, of the kernel's rtnetlink.h, netlink.h and if.h.
const NEW_LINK: u16 = 16;
const ERROR: u16 = 2;
const REQUEST_WITH_ANSWER: u16 = 1 | 4;
const UP: u32 = 1;

/// Bytes of `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 16;

/// Asks the kernel to bring it up: [`rtnetlink(7)`](https://man7.org/linux/man-pages/man7/rtnetlink.7.html).
pub(crate) fn bring_up() -> io::Result<()> {
    let socket = net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // Protocol 0 of this family is NETLINK_ROUTE.
        None,
    )?;
    io::retry_on_intr(|| net::send(&socket, &request(), SendFlags::empty()))?;
    let mut answer = [0; 256];
    let (_, length) = io::retry_on_intr(|| net::recv(&socket, &mut answer, RecvFlags::empty()))?;
    verdict(answer.get(..length).unwrap_or_default())
}

/// A header, then: any family, interface `lo`, its flag UP set, and no other flag changed.
fn request() -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    // The sequence number, at 8, and the port, at 12, may stay zero: there is one request and one answer.
    put(0, &u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    put(4, &NEW_LINK.to_ne_bytes());
    put(6, &REQUEST_WITH_ANSWER.to_ne_bytes());
    put(HEADER + 4, &LOOPBACK.to_ne_bytes());
    put(HEADER + 8, &UP.to_ne_bytes());
    put(HEADER + 12, &UP.to_ne_bytes());
    bytes
}

/// The answer is a `struct nlmsgerr`: a negative error number, or zero.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let error = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    match (kind.map(u16::from_ne_bytes), error.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(error)) => Err(Errno::from_raw_os_error(-error)),
        _ => Err(Errno::BADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_rtnetlink_describes() {
        let mut expected = Vec::new();
        for field in [32_u32, 16 | 5 << 16, 0, 0, 0, 1, 1, 1] {
            expected.extend(field.to_le_bytes());
        }
        assert_eq!(request().as_slice(), expected);
    }

    #[test]
    fn the_answer_is_an_error_number_or_none() {
        let check = |kind: u16, error: i32, expected: io::Result<()>| {
            let mut answer = [0; 36];
            answer[4..6].copy_from_slice(&kind.to_ne_bytes());
            answer[16..20].copy_from_slice(&error.to_ne_bytes());
            assert_eq!(verdict(&answer), expected, "{kind} {error}");
        };
        check(ERROR, 0, Ok(()));
        check(ERROR, -1, Err(Errno::PERM));
        check(NEW_LINK, 0, Err(Errno::BADMSG));
        assert_eq!(verdict(&[0; 8]), Err(Errno::BADMSG));
    }
}
