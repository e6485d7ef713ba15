//! When something happened, as other instances write it.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// How far ahead another clock may be before what it says is not believed.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Bytes of `2025-03-04T09:15:02`.
const WHOLE_SECONDS: usize = 19;
/// Digits of a fraction of a second that are read: nanoseconds.
const FRACTION_DIGITS: usize = 9;

/// A time that another clock gave; our own if it lies in the future.
pub fn not_in_the_future(at: Timestamp, now: Timestamp) -> Timestamp {
    if at.duration_since(now) > MAX_AHEAD { now } else { at }
}

/// The time that Unix seconds and a date such as `2025-03-04T09:15:02.3182 (CET)` give together; `now`
/// if they give none.
///
/// The seconds tell the moment, the date adds its fraction. A date alone has only the abbreviation of a
/// zone, which stands for many, so it is taken as UTC if it says so, else as a time of our own zone.
pub fn when(second: Option<i64>, date: &str, now: Timestamp) -> Timestamp {
    let told = second.filter(|second| *second > 0);
    let whole = match told {
        Some(second) => Timestamp::from_second(second).ok(),
        None => local(date),
    };
    let at = whole.and_then(|whole| whole.checked_add(fraction(date)).ok());
    not_in_the_future(at.unwrap_or(now), now)
}

fn local(date: &str) -> Option<Timestamp> {
    let civil: DateTime = date.get(..WHOLE_SECONDS)?.parse().ok()?;
    let is_utc = ["(UTC)", "(GMT)", "(Z)"].iter().any(|zone| date.ends_with(zone));
    let zone = if is_utc { TimeZone::UTC } else { TimeZone::system() };
    Some(zone.to_zoned(civil).ok()?.timestamp())
}

/// The fraction of a second of a date.
fn fraction(date: &str) -> SignedDuration {
    let digits = date.get(WHOLE_SECONDS..).and_then(|rest| rest.strip_prefix('.')).unwrap_or("");
    let digits = digits.bytes().take_while(u8::is_ascii_digit).take(FRACTION_DIGITS);
    let (nanos, _) = digits.fold((0, 100_000_000), |(nanos, unit), digit| {
        (nanos + i64::from(digit - b'0') * unit, unit / 10)
    });
    SignedDuration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn seconds_tell_the_moment_and_the_date_its_fraction() {
        let now = at("2025-03-04T09:00:00Z");
        let date = "2025-03-04T09:15:02.3182 (CET)";
        assert_eq!(when(Some(1_741_076_102), date, now), at("2025-03-04T08:15:02.3182Z"));
        assert_eq!(when(Some(1_741_076_102), "", now), at("2025-03-04T08:15:02Z"));
        assert_eq!(when(None, "2025-03-04T08:15:02.5 (UTC)", now), at("2025-03-04T08:15:02.5Z"));
    }

    #[test]
    fn what_makes_no_sense_is_now() {
        let now = at("2025-03-04T09:00:00Z");
        for (second, date) in [
            (None, ""),
            (Some(0), "yesterday"),
            (Some(i64::MAX), ""),
            (Some(1_741_080_000), ""),
            (None, "9999-99-99T99:99:99"),
            (None, "2025-03-04T10:00:00 (UTC)"),
            (None, "日本日本日本日本日本日本"),
        ] {
            assert_eq!(when(second, date, now), now, "{second:?} {date}");
        }
        let ahead = at("2025-03-04T09:04:00Z");
        assert_eq!(not_in_the_future(ahead, now), ahead);
    }
}
