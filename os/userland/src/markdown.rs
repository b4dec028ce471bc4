//! Markdown for a terminal: paragraphs filled to a width, headings, lists, code, quotes and tables.
//!
//! Texts come from packages that anybody may have written, so nothing in them reaches the terminal as a control character.

mod fill;
mod table;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use fill::{Line, Piece, Prefix, Style};

/// Whether letters may have a look of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Styled,
}

/// Wider lines are hard to read, however wide the terminal is.
const WIDEST: usize = 96;
/// With less, words and not lines decide.
const NARROWEST: usize = 20;

/// Lays a text out for a terminal with this many columns.
pub(crate) fn render(text: &str, columns: usize, look: Look) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut page = Page {
        width: columns.clamp(NARROWEST, WIDEST),
        look,
        lines: Vec::new(),
        pieces: Vec::new(),
        style: Style::default(),
        prefixes: Vec::new(),
        lists: Vec::new(),
        link: Vec::new(),
        code: None,
        rows: Vec::new(),
        cell: None,
        tight: false,
    };
    for event in Parser::new_ext(text, options) {
        page.take(event);
    }
    page.end_paragraph();
    page.text()
}

/// What has been laid out, and where in the text we are.
struct Page {
    width: usize,
    look: Look,
    lines: Vec<Line>,
    /// The paragraph so far.
    pieces: Vec<Piece>,
    style: Style,
    /// What stands before each line: bars of quotes, indents and bullets of lists.
    prefixes: Vec<Prefix>,
    /// The next number of each list that we are in; none for bullets.
    lists: Vec<Option<u64>>,
    /// Where the links that we are in lead, and where in the pieces their texts begin.
    link: Vec<(String, usize)>,
    /// The block of code so far.
    code: Option<String>,
    rows: Vec<Vec<String>>,
    /// The cell of a table so far.
    cell: Option<String>,
    /// In a list without empty lines between its items.
    tight: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.add(&text, self.style),
            Event::Code(text) => self.add(&text, self.style.with_code()),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.add(&text, self.style),
            Event::Html(text) | Event::InlineHtml(text) => {
                let text = without_tags(&text);
                self.add(&text, self.style);
            }
            Event::FootnoteReference(name) => self.add(&format!("[{name}]"), self.style),
            Event::SoftBreak => self.add(" ", self.style),
            Event::HardBreak => self.pieces.push(Piece::Break),
            Event::Rule => {
                self.gap();
                let width = self.width;
                self.lines.push(Line::plain("─".repeat(width)));
            }
            Event::TaskListMarker(done) => self.add(if done { "[x] " } else { "[ ] " }, self.style),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.end_paragraph(),
            Tag::Heading { level, .. } => {
                self.end_paragraph();
                self.style = self.style.with_bold();
                self.style.underlined = level == HeadingLevel::H1;
            }
            Tag::BlockQuote(_) => {
                self.end_paragraph();
                self.gap();
                self.prefixes.push(Prefix::every("│ "));
            }
            Tag::CodeBlock(kind) => {
                self.end_paragraph();
                // Kept apart from the text, whatever language it is.
                let (CodeBlockKind::Indented | CodeBlockKind::Fenced(_)) = kind;
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                self.end_paragraph();
                self.lists.push(first);
            }
            Tag::Item => {
                self.end_paragraph();
                let bullet = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                if self.lists.len() == 1 && !self.tight {
                    self.gap();
                }
                self.tight = true;
                self.prefixes.push(Prefix::once(&format!("  {bullet}")));
            }
            Tag::Emphasis => self.style.italic = true,
            Tag::Strong => self.style = self.style.with_bold(),
            Tag::Link { dest_url, .. } => {
                self.link.push((dest_url.into_string(), self.pieces.len()));
            }
            Tag::Image { .. } => self.add("[image: ", self.style),
            Tag::Table(_) => {
                self.end_paragraph();
                self.rows.clear();
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            Tag::TableCell => self.cell = Some(String::new()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.end_paragraph(),
            TagEnd::Heading(_) => {
                self.tight = false;
                self.end_paragraph();
                self.style = Style::default();
            }
            TagEnd::BlockQuote(_) => {
                self.end_paragraph();
                self.prefixes.pop();
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.end_paragraph();
                self.lists.pop();
                self.tight = !self.lists.is_empty();
            }
            TagEnd::Item => {
                self.end_paragraph();
                self.prefixes.pop();
            }
            TagEnd::Emphasis => self.style.italic = false,
            TagEnd::Strong => self.style.bold = false,
            TagEnd::Link => self.end_link(),
            TagEnd::Image => self.add("]", self.style),
            TagEnd::TableCell => {
                let cell = self.cell.take().unwrap_or_default();
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                self.gap();
                let rows = std::mem::take(&mut self.rows);
                let lines = table::lay_out(&rows, self.width);
                self.lines.extend(lines.into_iter().map(Line::plain));
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str, style: Style) {
        let text: String = text.chars().map(harmless).collect();
        if let Some(code) = &mut self.code {
            code.push_str(&text);
        } else if let Some(cell) = &mut self.cell {
            cell.push_str(&text.replace('\n', " "));
        } else {
            self.pieces.push(Piece::Text(text, style));
        }
    }

    /// Says where a link leads, unless its text does already or it leads within the page.
    fn end_link(&mut self) {
        let Some((target, from)) = self.link.pop() else {
            return;
        };
        let text: String = self.pieces.iter().skip(from).map(Piece::text).collect();
        if target.contains("://") && target != text && self.cell.is_none() {
            self.add(&format!(" <{target}>"), Style::default());
        }
    }

    fn end_paragraph(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        if pieces.iter().all(|piece| piece.text().trim().is_empty()) {
            return;
        }
        if !self.tight {
            self.gap();
        }
        let lines = fill::fill(&pieces, self.width, &mut self.prefixes);
        self.lines.extend(lines);
    }

    fn end_code(&mut self) {
        let code = self.code.take().unwrap_or_default();
        self.gap();
        let style = Style::default().with_code();
        for line in code.lines() {
            let prefix = fill::next_prefix(&mut self.prefixes);
            let text = line.replace('\t', "    ");
            self.lines.push(Line::code(prefix, text, style));
        }
        self.tight = false;
    }

    /// An empty line between two blocks, but not at the beginning.
    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(Line::plain(String::new()));
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            line.write(self.look, &mut text);
            text.push('\n');
        }
        text
    }
}

/// What a terminal shows as it is. Everything else could move the cursor, or worse.
fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // Marks that turn the order of letters around could make a command look like another one.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// What is left of HTML is its text.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            '\n' => text.push(' '),
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = render(text, 40, Look::Plain);
        assert_eq!(found, expected, "{text:?} became\n{found}");
    }

    #[test]
    fn paragraphs_are_filled_and_kept_apart() {
        check(
            "One two three four five six seven\neight nine.\n\nAnother.",
            "One two three four five six seven eight\nnine.\n\nAnother.\n",
        );
        check("a  \nb", "a\nb\n");
        check("", "");
    }

    #[test]
    fn headings_stand_alone() {
        check("# A\ntext\n## B\n\nmore", "A\n\ntext\n\nB\n\nmore\n");
    }

    #[test]
    fn lists_have_bullets_and_hanging_lines() {
        check(
            "Before\n\n- one two three four five six seven eight nine\n- b\n  - c\n\nAfter",
            "Before\n\n  • one two three four five six seven\n    eight nine\n  • b\n      • c\n\nAfter\n",
        );
        check("3. a\n4. b", "  3. a\n  4. b\n");
        check("- [x] done\n- [ ] open", "  • [x] done\n  • [ ] open\n");
    }

    #[test]
    fn code_is_left_as_it_is() {
        check(
            "Run\n\n```sh\nnpm install  a-very-long-name-that-does-not-fit\n\n  b\n```\n\nand `c  d`.",
            "Run\n\n    npm install  a-very-long-name-that-does-not-fit\n\n      b\n\nand c d.\n",
        );
    }

    #[test]
    fn quotes_have_a_bar() {
        check("> a\n>\n> b", "│ a\n\n│ b\n");
    }

    #[test]
    fn links_say_where_they_lead() {
        check("[a](https://b.example)", "a <https://b.example>\n");
        check("<https://b.example>", "https://b.example\n");
        check("[a](#b) ![c](d.png)", "a [image: c]\n");
    }

    #[test]
    fn tables_are_columns() {
        check(
            "| a | b |\n|---|---|\n| one | `two` |\n| x | |",
            "a    b\n───  ───\none  two\nx\n",
        );
    }

    #[test]
    fn of_html_the_text_is_left() {
        check(
            "<h1 align=\"center\">Express</h1>\n\nA <b>fast</b> one",
            "Express\n\nA fast one\n",
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command_to_it() {
        let found = render("a \x1b[31mred\x07 `\x1b]0;x` \u{202e}b", 80, Look::Plain);
        assert_eq!(found, "a \u{fffd}[31mred\u{fffd} \u{fffd}]0;x \u{fffd}b\n");
    }

    #[test]
    fn letters_have_a_look_only_where_it_is_wanted() {
        let styled = render("a **b** *c* `d`", 40, Look::Styled);
        assert_eq!(
            styled,
            "a \x1b[1mb\x1b[0m \x1b[3mc\x1b[0m \x1b[36md\x1b[0m\n"
        );
        assert_eq!(render("a **b** *c* `d`", 40, Look::Plain), "a b c d\n");
    }
}
