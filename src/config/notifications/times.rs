//! Times of the day and days of the week.

use jiff::civil::Time;

use crate::{
    config::section::Section,
    notify::rules::{Hours, Quiet},
    status::Status,
};

/// The words for days, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn quiet_hours(section: &Section<'_>) -> Option<Quiet> {
    let from = section.parsed("QuietHoursFrom", time_of_day);
    let to = section.parsed("QuietHoursTo", time_of_day);
    let zone = section.zone("QuietHoursTimeZone");
    let least = section.level("QuietHoursMinLevelToSend", 0);
    let min_level = Status::new(least.into()).filter(|_| least > 0);
    match (from, to) {
        (Some(from), Some(to)) if from != to => return Some(Quiet { from, to, zone, min_level }),
        (Some(_), Some(_)) => {
            let message = "`QuietHoursFrom` and `QuietHoursTo` are the same".to_owned();
            section.warn("QuietHoursTo", message, "there are no quiet hours");
        }
        (Some(_), None) if section.is_blank("QuietHoursTo") => {
            let message = "`QuietHoursFrom` has no effect without `QuietHoursTo`".to_owned();
            section.warn("QuietHoursFrom", message, "set both, or neither");
        }
        (None, Some(_)) if section.is_blank("QuietHoursFrom") => {
            let message = "`QuietHoursTo` has no effect without `QuietHoursFrom`".to_owned();
            section.warn("QuietHoursTo", message, "set both, or neither");
        }
        _ => {}
    }
    None
}

/// `Hours`, `Days` and `TimeZone` of a channel; `None` if neither hours nor days are named.
pub(super) fn hours(entry: &Section<'_>) -> Option<Hours> {
    let span = entry.parsed("Hours", span);
    let mut days: Vec<i8> = entry.parsed_list("Days", days).concat();
    days.sort_unstable();
    days.dedup();
    let zone = entry.zone("TimeZone");
    if span.is_none() && days.is_empty() {
        return None;
    }
    let (from, to) = span.unwrap_or((Time::midnight(), Time::midnight()));
    Some(Hours { days, from, to, zone })
}

fn span(text: &str) -> Result<(Time, Time), String> {
    let bad = || format!("times of day such as \"08:00-18:00\", not \"{}\"", text.escape_debug());
    let (from, to) = text.split_once('-').ok_or_else(bad)?;
    let from = time_of_day(from).map_err(|_| bad())?;
    let to = match to.trim() {
        "24:00" => Time::midnight(),
        to => time_of_day(to).map_err(|_| bad())?,
    };
    Ok((from, to))
}

/// `mon`, `Monday`, or a span of days, `fri-mon`.
fn days(text: &str) -> Result<Vec<i8>, String> {
    let bad = || {
        format!(
            "a day such as \"mon\", or some such as \"mon-fri\", not \"{}\"",
            text.escape_debug()
        )
    };
    let day = |text: &str| {
        let word = text.trim().to_ascii_lowercase();
        let full = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let at = DAYS.iter().zip(full).position(|(short, full)| word == *short || word == full);
        at.ok_or_else(bad)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (day(text)?, day(text)?),
    };
    let count = (last + DAYS.len() - first) % DAYS.len() + 1;
    Ok((1_i8..=7).cycle().skip(first).take(count).collect())
}

fn time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim())
        .map_err(|_| format!("a time of day such as \"22:30\", not \"{}\"", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_words_and_spans() {
        for (text, expected) in [
            ("mon", vec![1]),
            ("Sunday", vec![7]),
            ("mon-fri", vec![1, 2, 3, 4, 5]),
            ("Sat - Mon", vec![6, 7, 1]),
            ("wed-wed", vec![3]),
        ] {
            assert_eq!(days(text), Ok(expected), "{text}");
        }
        for text in ["", "mo", "mon-", "1", "mon-fri-sun"] {
            assert!(days(text).unwrap_err().contains("mon-fri"), "{text}");
        }
    }

    #[test]
    fn hours_are_two_times() {
        let at = |hour, minute| Time::constant(hour, minute, 0, 0);
        assert_eq!(span("08:00-18:30"), Ok((at(8, 0), at(18, 30))));
        assert_eq!(span("22:00 - 06:00"), Ok((at(22, 0), at(6, 0))));
        assert_eq!(span("00:00-24:00"), Ok((at(0, 0), at(0, 0))));
        for text in ["08:00", "8-18", "24:00-08:00", "08:00-25:00", ""] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
