//! Standard input that one machine after another reads: who has given it up reads no more of it.

use std::io::{self, PipeReader, PipeWriter, Read};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Reads standard input until it is given up, which is its end then.
#[derive(Debug)]
pub(super) struct Input {
    given_up: PipeReader,
}

/// Gives it up when it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    _open: PipeWriter,
}

/// Standard input, for as long as the other value lives.
pub(super) fn take() -> io::Result<(Input, Hold)> {
    let (given_up, open) = io::pipe()?;
    Ok((Input { given_up }, Hold { _open: open }))
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Not by the library, which reads ahead for whoever reads next.
        let stdin = rustix::stdio::stdin();
        let mut fds = [
            PollFd::new(&self.given_up, PollFlags::IN),
            PollFd::new(&stdin, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !fds[0].revents().is_empty() {
            return Ok(0);
        }
        if fds[1].revents().is_empty() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(rustix::io::read(stdin, into)?)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_is_given_up_has_ended_also_for_who_waits() {
        let (mut input, hold) = take().unwrap();
        drop(hold);
        assert_eq!(input.read(&mut [0; 8]).unwrap(), 0);
        let (mut input, hold) = take().unwrap();
        let reading = thread::spawn(move || while input.read(&mut [0; 8]).is_ok_and(|n| n > 0) {});
        drop(hold);
        reading.join().unwrap();
    }
}
