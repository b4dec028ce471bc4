//! Errors where there is room for one line only: in notes, and in what is kept about a machine.

use std::error::Error;

/// An error and its causes as one sentence.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
