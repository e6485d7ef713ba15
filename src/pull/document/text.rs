//! Text of others made safe to keep and to show: bounded, and without control characters.

/// One line of at most `most` bytes.
pub fn line(text: &str, most: usize) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    cut(text.trim_matches(blank), most, |c| if c.is_control() { ' ' } else { c })
}

/// Lines of at most `most` bytes in all.
pub fn lines(text: &str, most: usize) -> String {
    let kept = |c: char| !c.is_control() || c == '\n' || c == '\t';
    cut(text.trim_end(), most, |c| if kept(c) { c } else { '\u{fffd}' })
}

/// At most `most` bytes; `…` at the end shows that there was more.
fn cut(text: &str, most: usize, clean: impl Fn(char) -> char) -> String {
    let mut kept = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let c = clean(c);
        if kept.len() + c.len_utf8() > most {
            while kept.len() + '…'.len_utf8() > most && kept.pop().is_some() {}
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_shows_that_it_was_cut() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abc…");
        assert_eq!(line("ééééé", 8), "éé…");
    }

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(line("\x1b[2J a\nb ", 99), "[2J a b");
        assert_eq!(lines("a\r\nb\tc\x07\n", 99), "a\u{fffd}\nb\tc\u{fffd}");
    }
}
