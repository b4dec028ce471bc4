//! What the console says of the application's end, on a machine whose host does not hear it.

use nodeos_spec::application::message::{End, MachineMessage};

/// One sentence; none where it ended well and for good, which says nothing to anybody.
pub(crate) fn of_end(message: &MachineMessage) -> Option<String> {
    let MachineMessage::Ended {
        how,
        out_of_memory,
        memory_peak,
        memory_limit,
        again_in_ms,
    } = message
    else {
        return None;
    };
    let mut words = match how {
        End::Code(0) if again_in_ms.is_none() => return None,
        End::Code(code) => format!("the application has ended with exit code {code}"),
        End::Signal(signal) => format!("the application was ended by signal {signal}"),
    };
    if *out_of_memory {
        let [peak, limit] = [memory_peak, memory_limit].map(|bytes| bytes >> 20);
        words.push_str(&format!(
            ", because there was no memory left: it had up to {peak} of {limit} MiB"
        ));
    }
    if let Some(pause) = again_in_ms {
        words.push_str(&format!("; it is started again in {pause} ms"));
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_sentence() {
        let check = |how, out_of_memory, again_in_ms, expected: Option<&str>| {
            let message = MachineMessage::Ended {
                how,
                out_of_memory,
                memory_peak: 40 << 20,
                memory_limit: 64 << 20,
                again_in_ms,
            };
            assert_eq!(of_end(&message).as_deref(), expected);
        };
        check(End::Code(0), false, None, None);
        check(
            End::Code(3),
            false,
            None,
            Some("the application has ended with exit code 3"),
        );
        check(
            End::Code(0),
            false,
            Some(100),
            Some("the application has ended with exit code 0; it is started again in 100 ms"),
        );
        check(
            End::Signal(9),
            true,
            None,
            Some(
                "the application was ended by signal 9, because there was no memory left: it had up to 40 of 64 MiB",
            ),
        );
    }
}
