//! What the terminal of a person can show: how much of it, and in which characters.

/// Characters that curves and bars are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Blocks and braille.
    Unicode,
    /// No character beyond ASCII.
    Ascii,
}

impl Charset {
    /// That of the locale, in which LC_ALL counts before LC_CTYPE, and that before LANG.
    pub fn of_locale() -> Charset {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let name = locale.unwrap_or_default().to_lowercase();
        if name.contains("utf-8") || name.contains("utf8") {
            Charset::Unicode
        } else {
            Charset::Ascii
        }
    }
}

/// Columns of the terminal that standard output goes to; 80 where it goes elsewhere.
pub fn columns() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map_or(80, |(_, columns)| usize::from(columns))
}
