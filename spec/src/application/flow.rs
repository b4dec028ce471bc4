//! How much of a stream may be under way, so that one whose reader is slow holds up nobody else on the port.

/// How many bytes of a stream may be sent before its receiver has passed any on: four frames of the longest kind.
pub const WINDOW: u32 = 256 << 10;

/// A credit is worth a frame of its own when it is this much. Smaller ones are put together.
const WORTH_SAYING: u32 = WINDOW / 4;

/// The sender's side of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendWindow {
    left: u32,
}

impl Default for SendWindow {
    fn default() -> SendWindow {
        SendWindow { left: WINDOW }
    }
}

impl SendWindow {
    /// How many bytes may be sent now.
    pub fn left(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    /// So many have been sent.
    pub fn sent(&mut self, bytes: usize) {
        self.left = self
            .left
            .saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// So many have been passed on by the receiver.
    pub fn credited(&mut self, bytes: u32) {
        self.left = self.left.saturating_add(bytes).min(WINDOW);
    }

    /// Whether the receiver has passed on all that was sent, as far as it has said so: it keeps quiet about the last few.
    pub fn is_whole(&self) -> bool {
        self.left == WINDOW
    }
}

/// The receiver's side of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveWindow {
    unsaid: u32,
}

impl ReceiveWindow {
    /// So many bytes have been passed on. Returns the credit to send, when it is worth one.
    pub fn passed_on(&mut self, bytes: usize) -> Option<u32> {
        self.unsaid = self
            .unsaid
            .saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let worth = self.unsaid >= WORTH_SAYING;
        worth.then(|| core::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_stops_when_its_receiver_does() {
        let mut sender = SendWindow::default();
        let mut receiver = ReceiveWindow::default();
        let all = sender.left();
        sender.sent(all);
        assert_eq!(sender.left(), 0);
        assert_eq!(receiver.passed_on(all / 4 - 1), None);
        let credit = receiver.passed_on(1).expect("it is a quarter");
        sender.credited(credit);
        assert_eq!(sender.left(), all / 4);
        assert!(!sender.is_whole());
    }

    #[test]
    fn nobody_is_given_more_than_there_is() {
        let mut sender = SendWindow::default();
        sender.credited(u32::MAX);
        assert_eq!(sender, SendWindow::default());
        assert!(sender.is_whole());
    }
}
