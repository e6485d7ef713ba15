//! Sentences and words.

use std::time::Duration;

use crate::{
    notify::{Incident, Subject},
    status::{Level, Status},
};

/// How much of an output a title holds, in bytes.
const TITLE_OUTPUT_BYTES: usize = 160;

/// What is said of something that is not there any more.
pub(super) const GONE: &str = "It is not there any more.";

/// The word for a status.
pub(super) fn word(status: Status) -> &'static str {
    status.level().word()
}

/// Where to cut a text that is to have at most so many bytes.
pub(super) fn boundary(text: &str, most: usize) -> usize {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The beginning of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    text[..boundary(text, most)].to_owned()
}

/// The first line that says something, in one line, and not too much of it.
pub(super) fn line(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let clean: String = first.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.len() > TITLE_OUTPUT_BYTES {
        true => format!("{}…", cut(&clean, TITLE_OUTPUT_BYTES)),
        false => clean,
    }
}

/// A text in one line.
pub(super) fn line_of(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `: what it said`, or nothing.
pub(super) fn said(output: &str) -> String {
    match line(output) {
        line if line.is_empty() => line,
        line => format!(": {line}"),
    }
}

pub(super) fn result(was: Status, now: Status, output: &str) -> String {
    format!("{} → {}{}", word(was), word(now), said(output))
}

pub(super) fn looked(status: Status, output: &str) -> String {
    format!("looked at again: {}{}", word(status), said(output))
}

pub(super) fn is(subject: &Subject, status: Status) -> String {
    match status.level() {
        Level::Down => format!("{subject} is down"),
        level => format!("{subject} is {}", level.word()),
    }
}

pub(super) fn broke(subject: &Subject, status: Status, output: &str) -> String {
    format!("{}{}", is(subject, status), said(output))
}

pub(super) fn changed(subject: &Subject, was: Status, now: Status) -> String {
    match now > Status::OK {
        // Where the word stays the same the number says what changed.
        true if now.level() == was.level() => format!("{} {now}, it was {was}", is(subject, now)),
        true => format!("{}, it was {}", is(subject, now), word(was)),
        false => format!("{subject} is OK again"),
    }
}

pub(super) fn flaps(subject: &Subject, changes: usize) -> String {
    format!("{subject} changes all the time: {changes} times lately")
}

pub(super) fn closed(incident: &Incident) -> String {
    let closed = incident.closed.unwrap_or(incident.opened);
    let lasted = closed.duration_since(incident.opened).unsigned_abs();
    format!("All is over, after {}", span(lasted))
}

/// A span of time as people say it: its largest unit, and the next where that is small.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {small_unit}"),
    };
    match () {
        () if days >= 7 => format!("{days} d"),
        () if days > 0 => two(days, "d", hours % 24, "h"),
        () if hours > 0 => two(hours, "h", minutes % 60, "min"),
        () if minutes > 0 => format!("{minutes} min"),
        () => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_do() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min"),
            (10_800, "3 h"),
            (11_400, "3 h 10 min"),
            (90_000, "1 d 1 h"),
            (700_000, "8 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_title_is_one_line_and_cut_between_characters() {
        assert_eq!(line("\n  95 %\tused\nmore"), "95 % used");
        assert_eq!(line(&"é".repeat(200)), format!("{}…", "é".repeat(80)));
    }
}
