//! What others wrote, made safe for a terminal.
//!
//! A host name or a message can hold escape sequences that recolour the screen, set its title or type
//! for the user, and direction marks that make a line read as another one. None of that reaches the
//! screen: such characters are shown as their number.

use std::{borrow::Cow, fmt::Write as _};

/// `text` as one line that a terminal only shows: `\u{1b}` stands for an escape character.
/// Tabs become spaces.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if is_active(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown.into()
}

/// A JSON document with the characters that a terminal would obey written as `\u001b`: the same data.
/// Well-formed JSON holds such characters only inside strings, line breaks and tabs between tokens apart.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let escape = |c: char| is_active(c) && !matches!(c, '\n' | '\r' | '\t');
    if !json.contains(escape) {
        return json.into();
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}"); // a String takes everything
            }
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Whether a terminal may do something at `c` other than draw it in its place.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' // direction marks
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction overrides
            | '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{200b}' | '\u{2060}' | '\u{feff}' // nothing to see
            | '\u{e0000}'..='\u{e007f}') // invisible tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_number() {
        let check = |text, shown| assert_eq!(printable(text), shown, "{text:?}");
        check("disk / is 91% full", "disk / is 91% full");
        check("größer, 大きい, 🔥", "größer, 大きい, 🔥");
        check("\x1b[2Jgone", "\\u{1b}[2Jgone");
        check("\u{9b}31m", "\\u{9b}31m");
        check("a\nb\rc\td\x7f", "a\\u{a}b\\u{d}c d\\u{7f}");
        check("\u{202e}KO", "\\u{202e}KO");
        check("a\u{2028}b\u{200b}", "a\\u{2028}b\\u{200b}");
    }

    #[test]
    fn json_stays_the_same_data() {
        let json = "{\n\t\"a\u{9b}\": \"b\u{202e}\u{e0041}\x7f\"}";
        let shown = printable_json(json);
        assert_eq!(shown, "{\n\t\"a\\u009b\": \"b\\u202e\\udb40\\udc41\\u007f\"}");
        let data = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(data(&shown), data(json));
    }
}
