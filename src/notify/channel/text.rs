//! Text that fits a receiver: without what is not text, as long as it takes, its markup escaped.

use reqwest::Url;

use super::Delivery;

/// What a receiver counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Bytes,
    Chars,
    /// Code units of UTF-16: what most chats count.
    Utf16,
}

impl Unit {
    fn of(self, text: &str) -> usize {
        match self {
            Unit::Bytes => text.len(),
            Unit::Chars => text.chars().count(),
            Unit::Utf16 => text.encode_utf16().count(),
        }
    }
}

/// Ends what was cut.
const CUT: &str = "…";

/// As much of `text` as fits in `limit`, cut between characters.
pub(super) fn cut(text: &str, limit: usize, unit: Unit) -> String {
    escaped(text, limit, unit, |_| None)
}

/// As much of `text` as fits in `limit` after some characters were replaced. Never cuts a replacement.
pub(super) fn escaped(
    text: &str,
    limit: usize,
    unit: Unit,
    escape: impl Fn(char) -> Option<&'static str>,
) -> String {
    let room = limit.saturating_sub(unit.of(CUT));
    let mut fitting = String::new();
    // How much there is, and where to cut if there turns out to be too much.
    let (mut used, mut end) = (0, 0);
    for c in text.chars() {
        let mut own = [0; 4];
        let piece = escape(c).unwrap_or_else(|| c.encode_utf8(&mut own));
        used += unit.of(piece);
        if used > limit {
            fitting.truncate(end);
            fitting.push_str(CUT);
            return fitting;
        }
        fitting.push_str(piece);
        if used <= room {
            end = fitting.len();
        }
    }
    fitting
}

/// What the outside gave us as text: no control characters but line breaks and tabs, nothing that turns
/// the direction of what follows.
pub(super) fn plain(text: &str) -> String {
    let is_text = |c: &char| {
        !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}')
            && (!c.is_control() || matches!(c, '\n' | '\t'))
    };
    text.chars().filter(is_text).collect::<String>().trim_end().to_owned()
}

/// The same in one line.
pub(super) fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain(&text).trim_start().to_owned()
}

/// The title, one line.
pub(super) fn title(delivery: &Delivery) -> String {
    one_line(&delivery.title)
}

/// The body.
pub(super) fn body(delivery: &Delivery) -> String {
    plain(&delivery.body)
}

/// For receivers that refuse empty messages.
pub(super) fn body_or_title(delivery: &Delivery) -> String {
    Some(body(delivery)).filter(|body| !body.is_empty()).unwrap_or_else(|| title(delivery))
}

/// Both, for receivers that know no titles.
pub(super) fn whole(delivery: &Delivery) -> String {
    format!("{}\n{}", title(delivery), body(delivery)).trim_end().to_owned()
}

/// The same words, but nobody is called by them: a space without width behind each `@`. Addresses of mail
/// stay whole.
pub(super) fn without_mentions(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut parts = text.split('@').peekable();
    while let Some(part) = parts.next() {
        quiet.push_str(part);
        let Some(next) = parts.peek() else { break };
        quiet.push('@');
        let domain = next.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-').next();
        let is_domain = domain.is_some_and(|name| name.trim_matches('.').contains('.'));
        if !(is_domain && part.ends_with(char::is_alphanumeric)) {
            quiet.push('\u{200b}');
        }
    }
    quiet
}

/// For HTML, inside and outside of attributes.
pub(super) fn html(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        _ => None,
    }
}

/// A link that no markup takes apart; `None` for what is not an address of the web, or too long.
pub(super) fn link(text: &str) -> Option<String> {
    /// The longest link, in bytes. Receivers refuse messages with longer ones.
    const MAX_BYTES: usize = 2_000;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut link = String::new();
    for c in url.as_str().chars() {
        match c {
            '(' | ')' | '<' | '>' | '|' | '\'' | '"' | '`' | '*' | '[' | ']' | '\\' => {
                link.push_str(&format!("%{:02X}", u32::from(c)));
            }
            _ => link.push(c),
        }
    }
    (link.len() <= MAX_BYTES).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_fits_whatever_is_counted() {
        let text = "aé🔥".repeat(50);
        for unit in [Unit::Bytes, Unit::Chars, Unit::Utf16] {
            for limit in 3..120 {
                let short = cut(&text, limit, unit);
                assert!(unit.of(&short) <= limit, "{unit:?} {limit}");
                assert!(text.starts_with(short.trim_end_matches('…')));
                // At most one character that did not fit, and the sign of the cut, is lost.
                assert!(short == text || unit.of(&short) + 4 > limit, "{unit:?} {limit}");
            }
        }
        assert_eq!(cut("four", 4, Unit::Bytes), "four");
        assert_eq!(cut("fives", 4, Unit::Chars), "fiv…");
        assert_eq!(cut("", 0, Unit::Chars), "");
    }

    #[test]
    fn an_escape_is_never_cut() {
        for limit in 1..30 {
            let short = escaped("<<<<<<<<", limit, Unit::Bytes, html);
            assert!(short.len() <= limit.max(CUT.len()));
            assert_eq!(short.replace("&lt;", "").replace('…', ""), "");
        }
    }

    #[test]
    fn what_is_not_text_is_left_out() {
        assert_eq!(plain("a\u{1b}[31mb\r\n\u{202e}c\td\0\n\n"), "a[31mb\nc\td");
        assert_eq!(one_line("\na\r\nb\u{85}c"), "a  b c");
    }

    #[test]
    fn nobody_is_called_and_mail_addresses_stay() {
        assert_eq!(without_mentions("@all a@b.c (@x"), "@\u{200b}all a@b.c (@\u{200b}x");
        assert_eq!(without_mentions("@@here"), "@\u{200b}@\u{200b}here");
        assert_eq!(without_mentions("x@here. y@all"), "x@\u{200b}here. y@\u{200b}all");
    }

    #[test]
    fn links_are_of_the_web_and_hold_no_markup() {
        assert_eq!(link("https://h/a_b?c=(d)|<e>").unwrap(), "https://h/a_b?c=%28d%29%7C%3Ce%3E");
        for text in ["javascript:alert(1)", "see the wiki", "/x", "file:///etc/passwd"] {
            assert_eq!(link(text), None);
        }
        assert_eq!(link(&format!("https://h/{}", "x".repeat(2_000))), None);
    }
}
