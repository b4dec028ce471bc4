//! Names of the virtio-serial ports through which a machine talks to its host beside the console.

/// The port on which guest tests report their results, as JSON lines that end in [`TestReport::Done`].
pub const RESULTS: &str = "org.nodeos.results";

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// One line on the [`RESULTS`] port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TestReport {
    /// A line that the test program wrote, standard output and standard error together.
    Output { line: String },
    /// The test program has ended. A run without this line has failed, whatever else it said.
    Done {
        /// Its exit code, or 128 plus the number of the signal that ended it.
        code: i32,
    },
}
