//! `help`: a first lesson for somebody who has never seen NodeOS.

use lexopt::Arg;

use crate::applet::{Call, DONE, Stop};
use crate::pager;

pub(crate) const HELP: &str = "\
Usage: help [TOPIC]

Explains NodeOS to somebody who has never seen it. Topics: files, network, node, npm, services, users.

Options:
  --help  Show this
";

/// What there is to explain.
const TOPICS: &[(&str, &str)] = &[
    ("files", include_str!("../help/files.md")),
    ("network", include_str!("../help/network.md")),
    ("node", include_str!("../help/node.md")),
    ("npm", include_str!("../help/npm.md")),
    ("services", include_str!("../help/services.md")),
    ("users", include_str!("../help/users.md")),
];

/// What stands before all topics.
const FIRST: &str = include_str!("../help/help.md");

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut topic = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Value(value) if topic.is_none() => topic = Some(value),
            Arg::Value(extra) => return Err(Stop::extra(extra)),
            option => return Err(option.unexpected().into()),
        }
    }
    let text = match topic {
        None => FIRST,
        Some(topic) => match TOPICS.iter().find(|(name, _)| topic == *name) {
            Some((_, text)) => text,
            None => return Err(Stop::word("topic of help", topic)),
        },
    };
    pager::print(call, text)?;
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lesson_and_the_usage_name_every_topic() {
        for (topic, text) in TOPICS {
            assert!(FIRST.contains(&format!("help {topic}")), "{topic}");
            assert!(HELP.contains(topic), "{topic}");
            assert!(text.starts_with("# "), "{topic}");
        }
    }
}
