//! What a terminal is set to: lines and echo for programs, single keys while something is asked.

use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::termios::{
    self, ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex,
    Termios, Winsize,
};

/// What a terminal has that tells no size, such as a serial line: what every terminal ever had.
const USUAL_SIZE: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// The keys with a meaning, as stty(1) has them after `stty sane`.
const KEYS: [(SpecialCodeIndex, u8); 15] = [
    (SpecialCodeIndex::VINTR, control(b'C')),
    (SpecialCodeIndex::VQUIT, control(b'\\')),
    (SpecialCodeIndex::VERASE, 0x7f),
    (SpecialCodeIndex::VKILL, control(b'U')),
    (SpecialCodeIndex::VEOF, control(b'D')),
    (SpecialCodeIndex::VEOL, 0),
    (SpecialCodeIndex::VEOL2, 0),
    (SpecialCodeIndex::VSTART, control(b'Q')),
    (SpecialCodeIndex::VSTOP, control(b'S')),
    (SpecialCodeIndex::VSUSP, control(b'Z')),
    (SpecialCodeIndex::VREPRINT, control(b'R')),
    (SpecialCodeIndex::VWERASE, control(b'W')),
    (SpecialCodeIndex::VLNEXT, control(b'V')),
    (SpecialCodeIndex::VMIN, 1),
    (SpecialCodeIndex::VTIME, 0),
];

/// Sets a terminal to what programs expect of one that was just switched on: lines, echo, signals, UTF-8. The speed stays,
/// unless one is given.
pub(crate) fn make_sane(terminal: BorrowedFd<'_>, baud: Option<u32>) -> io::Result<()> {
    let mut settings = termios::tcgetattr(terminal)?;
    sane(&mut settings);
    if let Some(baud) = baud {
        settings.set_speed(baud)?;
    }
    termios::tcsetattr(terminal, OptionalActions::Drain, &settings)
}

fn sane(settings: &mut Termios) {
    settings.input_modes = InputModes::BRKINT
        | InputModes::ICRNL
        | InputModes::IMAXBEL
        | InputModes::IUTF8
        | InputModes::IXON;
    settings.output_modes = OutputModes::OPOST | OutputModes::ONLCR;
    // The rest of these is the speed.
    settings.control_modes &= !(ControlModes::CSIZE
        | ControlModes::CSTOPB
        | ControlModes::PARENB
        | ControlModes::PARODD
        | ControlModes::CRTSCTS);
    // Without CLOCAL a serial line with three wires would wait for a modem.
    settings.control_modes |=
        ControlModes::CS8 | ControlModes::CREAD | ControlModes::HUPCL | ControlModes::CLOCAL;
    settings.local_modes = LocalModes::ISIG
        | LocalModes::ICANON
        | LocalModes::IEXTEN
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ECHOK
        | LocalModes::ECHOCTL
        | LocalModes::ECHOKE;
    for (index, key) in KEYS {
        settings.special_codes[index] = key;
    }
}

/// Gives a terminal that has no size the usual one: programs that draw divide by it.
pub(crate) fn make_sized(terminal: BorrowedFd<'_>) -> io::Result<()> {
    let size = termios::tcgetwinsize(terminal)?;
    if size.ws_row == 0 || size.ws_col == 0 {
        termios::tcsetwinsize(terminal, USUAL_SIZE)?;
    }
    Ok(())
}

/// A terminal that gives every key as it is typed, shows none of them and makes no signals, until this is dropped.
pub(crate) struct SingleKeys<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> SingleKeys<'a> {
    /// What was typed before is forgotten.
    pub(crate) fn new(terminal: BorrowedFd<'a>) -> io::Result<SingleKeys<'a>> {
        let before = termios::tcgetattr(terminal)?;
        let mut settings = before.clone();
        settings.input_modes |= InputModes::ICRNL;
        settings.input_modes &= !(InputModes::ISTRIP | InputModes::INLCR | InputModes::IGNCR);
        settings.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        settings.local_modes &= !(LocalModes::ICANON
            | LocalModes::ECHO
            | LocalModes::ECHONL
            | LocalModes::ISIG
            | LocalModes::IEXTEN);
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(terminal, OptionalActions::Flush, &settings)?;
        Ok(SingleKeys { terminal, before })
    }
}

impl Drop for SingleKeys<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// The code that a key gives together with Ctrl.
const fn control(key: u8) -> u8 {
    key & 0x1f
}
