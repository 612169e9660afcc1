//! Text that stays text in Markdown and in the code it shows, whatever names hold.

use std::fmt::{self, Write};

use askama::filters::Escaper;

use crate::messages::{escaped, is_hidden};

/// Characters that mean something within a line: CommonMark, tables, strikethrough, mathematics, links that nobody marked.
const SPECIAL: &str = r"\`*_[]<>&|~$:#";

/// Escapes what is filled into a template of Markdown. It is for the middle of a line: what means something where a line
/// begins is left alone.
#[derive(Debug, Clone, Copy)]
pub struct Markdown;

impl Escaper for Markdown {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let text = escaped(text);
        for (at, c) in text.char_indices() {
            if SPECIAL.contains(c) || (c == '.' && text[..at].ends_with("www")) {
                dest.write_char('\\')?;
            }
            dest.write_char(c)?;
        }
        Ok(())
    }
}

/// `text` as a literal of JavaScript, within HTML as well.
pub fn javascript(text: &str) -> String {
    literal(text, |c| format!("\\u{:04x}", u32::from(c)))
}

/// `text` as a literal of C++, in UTF-8.
pub fn cpp(text: &str) -> String {
    literal(text, |c| {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).bytes();
        bytes.map(|byte| format!("\\{byte:03o}")).collect()
    })
}

/// `text` in quotes, with a `code` for what a terminal would obey or HTML read as a tag.
fn literal(text: &str, code: impl Fn(char) -> String) -> String {
    let shown = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        '<' => code(c),
        c if is_hidden(c) => code(c),
        c => c.to_string(),
    });
    format!("\"{}\"", shown.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_text_in_markdown_whatever_it_holds() {
        let names = [
            "plain",
            "a|b",
            "*a* _b_ ~~c~~ `d` $e$",
            "<script>alert(1)</script>",
            "[a](https://example.org) www.example.org",
            r"\ &lt; \n #",
        ];
        for name in names {
            let mut text = "| in a cell | ".to_owned();
            Markdown.write_escaped_str(&mut text, name).unwrap();
            let table = format!("| a | b |\n|---|---|\n{text} |\n");
            let options = pulldown_cmark::Options::all();
            let cells: Vec<String> = pulldown_cmark::Parser::new_ext(&table, options)
                .filter_map(|event| match event {
                    pulldown_cmark::Event::Text(text) => Some(text.into_string()),
                    pulldown_cmark::Event::Start(tag) => {
                        let tag = tag.to_end();
                        let table = format!("{tag:?}").starts_with("Table");
                        assert!(table, "{name}: {tag:?}");
                        None
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(cells[3..].concat(), name, "{table}");
        }
        let mut text = String::new();
        let hidden = "a\n\u{1b}[1m\u{202e}";
        Markdown.write_escaped_str(&mut text, hidden).unwrap();
        assert_eq!(text, r"a\\n\\u{1b}\[1m\\u{202e}");
    }

    #[test]
    fn a_name_is_one_literal_of_code_whatever_it_holds() {
        let name = "a\"\\</script>\n\u{202e}é";
        assert_eq!(javascript(name), r#""a\"\\\u003c/script>\u000a\u202eé""#);
        assert_eq!(cpp(name), r#""a\"\\\074/script>\012\342\200\256é""#);
        // What reads JSON reads such a literal.
        let read: String = serde_json::from_str(&javascript(name)).unwrap();
        assert_eq!(read, name);
    }
}
