//! Where a boot's time went: from what was observed to the parts, as numbers. Drawing and measuring have their own files.

pub mod draw;
pub mod measure;

use std::time::Duration;

use serde::Serialize;

/// What was seen of one boot. Host times count from QEMU's start, guest times from the kernel's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When init's first mark reached the host.
    pub init_host: Duration,
    /// The guest's clock at that mark.
    pub init_guest: Duration,
    /// When init's mark before starting its program reached the host.
    pub program_host: Duration,
    /// The guest's clock at that mark.
    pub program_guest: Duration,
    /// When what it asks reached the host.
    pub prompt_host: Duration,
}

/// The parts of a boot, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// QEMU's own start, the firmware, and loading the kernel: until the kernel's clock begins.
    pub firmware_seconds: f64,
    /// From the kernel's first instruction to init's.
    pub kernel_seconds: f64,
    /// Init, until it starts its program.
    pub init_seconds: f64,
    /// What init starts, until it asks somebody something.
    pub program_seconds: f64,
    #[serde(skip)]
    pub goal: Goal,
}

/// What a machine does when it is up: it asks for an expression, or who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    NodePrompt,
    Login,
}

impl Goal {
    /// What then stands on the console.
    pub fn text(self) -> &'static str {
        match self {
            Goal::NodePrompt => "> ",
            Goal::Login => "username: ",
        }
    }

    /// What it is called where it does not come.
    pub fn name(self) -> &'static str {
        match self {
            Goal::NodePrompt => "the prompt of Node.js",
            Goal::Login => "the question for a name",
        }
    }

    /// What takes the time until then.
    fn part(self) -> &'static str {
        match self {
            Goal::NodePrompt => "Node.js",
            Goal::Login => "sessions and login",
        }
    }
}

impl Observed {
    /// Splits the time up. Two clocks are involved, so a part that would come out negative is nothing.
    pub fn parts(&self, goal: Goal) -> Parts {
        Parts {
            firmware_seconds: self.init_host.saturating_sub(self.init_guest).as_secs_f64(),
            kernel_seconds: self.init_guest.as_secs_f64(),
            init_seconds: self
                .program_guest
                .saturating_sub(self.init_guest)
                .as_secs_f64(),
            program_seconds: self
                .prompt_host
                .saturating_sub(self.program_host)
                .as_secs_f64(),
            goal,
        }
    }
}

impl Parts {
    /// The parts with their names, in the order of time.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("firmware and loader", self.firmware_seconds),
            ("kernel", self.kernel_seconds),
            ("init", self.init_seconds),
            (self.goal.part(), self.program_seconds),
        ]
    }

    /// All parts together.
    pub fn total_seconds(&self) -> f64 {
        self.named().iter().map(|(_, seconds)| seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(millis: [u64; 5]) -> Observed {
        let [
            init_host,
            init_guest,
            program_host,
            program_guest,
            prompt_host,
        ] = millis.map(Duration::from_millis);
        Observed {
            init_host,
            init_guest,
            program_host,
            program_guest,
            prompt_host,
        }
    }

    #[test]
    fn the_parts_are_differences_on_one_clock_each() {
        let check = |millis: [u64; 5], expected: [u64; 4]| {
            let parts = observed(millis)
                .parts(Goal::NodePrompt)
                .named()
                .map(|(_, seconds)| (seconds * 1000.0).round() as u64);
            assert_eq!(parts, expected, "{millis:?}");
        };
        check([900, 700, 950, 740, 1950], [200, 700, 40, 1000]);
        // The guest's clock is ahead of the host's.
        check([600, 700, 650, 690, 640], [0, 700, 0, 0]);
    }
}
