//! Errors as they are written into a log or an answer.

use std::error::Error;

/// An error and its causes, joined by colons.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&said(error));
        cause = error.source();
    }
    text
}

/// One error. Those of the system say their number behind their sentence, which tells nobody anything.
pub(crate) fn said(error: &(dyn Error + 'static)) -> String {
    let text = error.to_string();
    let number = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error);
    match number {
        Some(number) => text
            .strip_suffix(&format!(" (os error {number})"))
            .unwrap_or(&text)
            .to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open /log/a")]
    struct OpenError(#[source] io::Error);

    #[test]
    fn causes_follow_without_numbers() {
        let error = OpenError(io::Error::from_raw_os_error(2));
        assert_eq!(
            sentence(&error),
            "cannot open /log/a: No such file or directory"
        );
    }
}
