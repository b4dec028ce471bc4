//! What the prompt shows. brush expands it; this module owns the default and how the home is shortened.

use brush_core::{ShellValue, ShellVariable};

use crate::start::Nsh;

/// The original's prompt: the folder, and a sign.
pub(crate) const PS1: &str = r"\w > ";
pub(crate) const PS2: &str = "> ";

/// The three prompts of one line.
pub(crate) async fn compose(
    shell: &mut Nsh,
) -> Result<brush_interactive::InteractivePrompt, brush_core::Error> {
    let saved = shell.env_str("PS1").map(|text| text.into_owned());
    if let Some(text) = &saved {
        let folder = shell.working_dir().to_string_lossy().into_owned();
        let home = shell.env_str("HOME").unwrap_or_default().into_owned();
        shell.set_env_global("PS1", variable(with_folder(text, &shorten(&folder, &home))))?;
    }
    let prompt = shell.compose_prompt().await;
    if let Some(text) = saved {
        shell.set_env_global("PS1", variable(text))?;
    }
    Ok(brush_interactive::InteractivePrompt {
        prompt: prompt?,
        alt_side_prompt: shell.compose_alt_side_prompt().await?,
        continuation_prompt: shell.compose_continuation_prompt().await?,
    })
}

fn variable(text: String) -> ShellVariable {
    ShellVariable::new(ShellValue::from(text))
}

/// The folder as people read it: the home is `~`, and what is below it begins with `~/`, also where the home is `/`.
fn shorten(folder: &str, home: &str) -> String {
    let home = home.strip_suffix('/').unwrap_or(home);
    match folder.strip_prefix(home) {
        Some("" | "/") => "~".to_owned(),
        Some(below) if below.starts_with('/') => format!("~{below}"),
        _ => folder.to_owned(),
    }
}

/// The prompt's text with `\w` replaced. brush would show `/bin` as `~bin` where the home is `/`.
fn with_folder(text: &str, folder: &str) -> String {
    let mut result = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match rest.next() {
            // A backslash, a dollar or a backquote in a folder's name is only a name.
            Some('w') => {
                for c in folder.chars() {
                    if matches!(c, '\\' | '$' | '`') {
                        result.push_str("\\\\");
                    }
                    if c == '\\' {
                        result.push('\\');
                    }
                    result.push(c);
                }
            }
            Some(next) => {
                result.push('\\');
                result.push(next);
            }
            None => result.push('\\'),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_a_tilde_wherever_it_lies() {
        let check = |folder: &str, home: &str, expected: &str| {
            assert_eq!(shorten(folder, home), expected, "{folder} in {home}");
        };
        check("/", "/", "~");
        check("/bin", "/", "~/bin");
        check("/home/a", "/home/a", "~");
        check("/home/a/b", "/home/a/", "~/b");
        check("/home/ab", "/home/a", "/home/ab");
        check("/tmp", "/root", "/tmp");
    }

    #[test]
    fn only_an_unescaped_w_is_the_folder() {
        assert_eq!(with_folder(r"\w > ", "~/x"), "~/x > ");
        assert_eq!(with_folder(r"\\w \u\", "~"), r"\\w \u\");
    }
}
