//! What a mail says: headers by which it is threaded and recognised, plain text, and HTML.

use std::fmt::Write as _;

use lettre::{
    Address,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use ring::digest;

use super::Settings;
use crate::notify::{
    Priority,
    channel::{Delivery, Failed, Retry, look, text},
};

/// The longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 250;
/// The longest text, in bytes: mail servers take much more, people read less.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The domain of identifications when the sender's own cannot be used.
const NO_DOMAIN: &str = "wigo.invalid";
/// How many bytes of a hash are the identification of a mail.
const ID_BYTES: usize = 16;

/// The whole mail as it is handed over. The same message gives the same mail, but for its text.
pub(super) fn write(
    settings: &Settings,
    from: &Address,
    to: &[Address],
    delivery: &Delivery,
) -> Result<Vec<u8>, Failed> {
    let message = &delivery.message;
    let domain = if from.domain().is_ascii() { from.domain() } else { NO_DOMAIN };
    let thread = id(&message.thread, domain);
    let name = text::one_line(&settings.from_name);
    let sender = Mailbox::new(Some(name).filter(|name| !name.is_empty()), from.clone());
    let subject = text::cut(&text::title(delivery), MAX_SUBJECT_CHARS, text::Unit::Chars);
    let mut letter = lettre::Message::builder()
        .from(sender)
        .subject(subject)
        .date(message.at.into())
        .message_id(Some(match message.is_first {
            true => thread.clone(),
            false => id(&message.key, domain),
        }));
    for address in to {
        letter = letter.to(Mailbox::new(None, address.clone()));
    }
    if !message.is_first {
        letter = letter.in_reply_to(thread.clone()).references(thread);
    }
    let mut own = vec![
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Wigo-Key", word(&message.key)),
        ("List-Id", format!("<{}.{}.wigo>", label(&message.channel), label(&message.sender))),
    ];
    if message.priority == Priority::High {
        own.extend([("Importance", "high".to_owned()), ("X-Priority", "1".to_owned())]);
    }
    for (name, value) in own {
        letter = letter.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    let plain = text::cut(&text::body_or_title(delivery), MAX_TEXT_BYTES, text::Unit::Bytes);
    let parts = MultiPart::alternative_plain_html(signed(&plain, delivery), html(&plain, delivery));
    let letter = letter.multipart(parts).map_err(|error| Failed {
        why: format!("the mail cannot be written: {error}"),
        retry: Retry::Never,
    })?;
    Ok(letter.formatted())
}

/// The identification of a mail, or of a thread.
fn id(key: &str, domain: &str) -> String {
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    let mut id = String::from("<");
    for byte in &hash.as_ref()[..ID_BYTES] {
        let _ = write!(id, "{byte:02x}");
    }
    format!("{id}@{domain}>")
}

/// A text of visible ASCII: all else is replaced.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

/// A text that can be part of a `List-Id`.
fn label(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "wigo".to_owned() } else { label.to_owned() }
}

fn signed(plain: &str, delivery: &Delivery) -> String {
    format!("{plain}\r\n\r\n-- \r\nWigo on {}\r\n", text::one_line(&delivery.message.sender))
        .replace("\r\n", "\n")
        .replace('\n', "\r\n")
}

/// The same for those who read HTML. Only the mark of the level has colours of its own, so that it can be
/// read in the dark too.
fn html(plain: &str, delivery: &Delivery) -> String {
    let message = &delivery.message;
    let level = message.status.level();
    let color = look::color(level);
    let mut rows = String::new();
    let probe = message.subject.probe.as_ref().map(|probe| probe.as_str().to_owned());
    let facts = [
        ("Host", Some(message.subject.host.clone())),
        ("Probe", probe),
        ("Group", Some(message.group.clone()).filter(|group| !group.is_empty())),
    ];
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let _ = write!(
            rows,
            "<tr><td style=\"padding:2px 16px 2px 0;opacity:.7\">{name}</td>\
             <td style=\"padding:2px 0\">{}</td></tr>",
            escaped(&text::one_line(&value))
        );
    }
    let title = escaped(&text::title(delivery));
    let body = linked(plain);
    let sender = escaped(&text::one_line(&message.sender));
    format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"supported-color-schemes\" content=\"light dark\"></head>\
         <body style=\"font-family:sans-serif;font-size:15px;line-height:1.4\">\
         <p style=\"font-size:17px\"><span style=\"background:#{color:06x};color:#fff;padding:2px 8px;\
         border-radius:4px;font-weight:bold\">{level}</span> <b>{title}</b></p>\
         <table style=\"border-collapse:collapse;font-size:15px\">{rows}</table>\
         <p style=\"white-space:pre-wrap;overflow-wrap:anywhere\">{body}</p>\
         <p style=\"opacity:.7;font-size:13px\">Wigo on {sender}</p></body></html>\r\n",
        level = level.word(),
    )
}

fn escaped(text: &str) -> String {
    text::escaped(text, usize::MAX, text::Unit::Bytes, text::html)
}

/// Escaped, with addresses of the web as links.
fn linked(plain: &str) -> String {
    let mut html = String::new();
    for word in plain.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let is_web = bare.starts_with("https://") || bare.starts_with("http://");
        match text::link(bare).filter(|_| is_web) {
            Some(link) => {
                let rest = &word[bare.len()..];
                let _ = write!(html, "<a href=\"{}\">{}</a>{rest}", escaped(&link), escaped(bare));
            }
            None => html.push_str(&escaped(word)),
        }
    }
    html
}
