//! Text of probes made safe to keep and to show: bounded, and without control characters.

use super::{MAX_MESSAGE, QUOTED_CHARS};

/// A message: no control characters but line breaks and tabs, at most [`MAX_MESSAGE`] bytes.
pub fn message(text: &str) -> String {
    start(clean(text.trim_end()), MAX_MESSAGE)
}

/// At most `most` bytes of `text`; `…` at the end shows that there was more.
pub fn start(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The beginning of what was printed, in backquotes, on one line.
pub fn quote(printed: &[u8]) -> String {
    let printed = String::from_utf8_lossy(printed);
    let line: String = printed.trim().chars().take(QUOTED_CHARS).collect();
    let more = if printed.trim().chars().count() > QUOTED_CHARS { "…" } else { "" };
    format!("`{}{more}`", clean(&line).replace(['\n', '\t'], " "))
}

/// Whole text for a detail, cleaned.
pub fn clean(text: &str) -> String {
    let kept = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.replace("\r\n", "\n").chars().map(|c| if kept(c) { c } else { '\u{fffd}' }).collect()
}

/// The beginning of what was printed on a stream, for a detail: cleaned, at most `most` bytes.
pub fn stream(printed: &[u8], most: usize) -> String {
    start(clean(&String::from_utf8_lossy(&printed[..printed.len().min(most)])), most)
}
