//! Text of probes made safe to keep and to show: bounded, and without control characters.

use super::{MAX_MESSAGE, QUOTED_CHARS};

/// A message: no control characters but line breaks and tabs, at most [`MAX_MESSAGE`] bytes.
pub fn message(text: &str) -> String {
    let mut message = clean(text.trim_end());
    if message.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
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
