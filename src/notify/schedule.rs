//! When windows of maintenance are open. Occurrences are computed, never stored.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan, civil, tz::TimeZone};

use super::{Schedule, Window};

/// The longest time that work done once may take, in seconds: a year.
pub const LONGEST_ONCE_S: i64 = 366 * 86_400;
/// The longest time that a window of each week is open, in seconds.
pub const LONGEST_WEEKLY_S: u32 = 7 * 86_400;
/// The longest time that a window of each month is open, in seconds.
pub const LONGEST_MONTHLY_S: u32 = 28 * 86_400;
/// The shortest window, in seconds.
pub const SHORTEST_S: u32 = 60;
/// The most occurrences that are computed at once.
pub const MAX_NEXT: usize = 100;
/// Days in which each day of a month comes at least once: the 31st skips one month.
const DAYS_TO_NEXT: usize = 64;
/// The last day of a month.
const LAST: i8 = -1;

impl Schedule {
    /// The occurrence that `at` is in: when it began and when it ends. Of several the one that ends last.
    pub fn open_at(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (zone, seconds) = match self {
            Schedule::Once { from, to } => {
                return (*from <= at && at < *to).then_some((*from, *to));
            }
            Schedule::Week { zone, seconds, .. } | Schedule::Month { zone, seconds, .. } => {
                (TimeZone::get(zone).ok()?, *seconds)
            }
        };
        let seconds = seconds.min(LONGEST_MONTHLY_S);
        // One day more: local days may be an hour longer than others.
        let back = i64::from(seconds / 86_400) + 2;
        let today = at.to_zoned(zone.clone()).date();
        let days = (0..=back).filter_map(|days| today.checked_sub(days.days()).ok());
        days.filter_map(|day| self.on(day, &zone))
            .filter(|(from, to)| *from <= at && at < *to)
            .max_by_key(|(_, to)| *to)
    }

    /// The next occurrences that begin after `after`, at most [`MAX_NEXT`].
    pub fn next(&self, after: Timestamp, count: usize) -> Vec<(Timestamp, Timestamp)> {
        let count = count.min(MAX_NEXT);
        let zone = match self {
            Schedule::Once { from, to } => {
                return (count > 0 && *from > after).then_some((*from, *to)).into_iter().collect();
            }
            Schedule::Week { zone, .. } | Schedule::Month { zone, .. } => zone,
        };
        let Ok(zone) = TimeZone::get(zone) else { return Vec::new() };
        // The day before: what begins in a gap at midnight begins on the next day.
        let today = after.to_zoned(zone.clone()).date().saturating_sub(1.day());
        // A schedule that never comes ends here too.
        let days = today.series(1.day()).take(DAYS_TO_NEXT * (count + 1));
        days.filter_map(|day| self.on(day, &zone))
            .filter(|(from, _)| *from > after)
            .take(count)
            .collect()
    }

    /// Whether it can be: a sentence if not.
    pub fn check(&self) -> Result<(), String> {
        let (days, least, most, seconds, longest, zone) = match self {
            Schedule::Once { from, to } if to <= from => {
                return Err("the window ends before it begins".to_owned());
            }
            Schedule::Once { from, to } => {
                return match to.duration_since(*from).as_secs() > LONGEST_ONCE_S {
                    true => Err("a window that happens once lasts at most a year".to_owned()),
                    false => Ok(()),
                };
            }
            Schedule::Week { days, seconds, zone, .. } => {
                (days, 1, 7, *seconds, LONGEST_WEEKLY_S, zone)
            }
            Schedule::Month { days, seconds, zone, .. } => {
                (days, 1, 31, *seconds, LONGEST_MONTHLY_S, zone)
            }
        };
        let monthly = matches!(self, Schedule::Month { .. });
        let fits = |day: &i8| (least..=most).contains(day) || monthly && *day == LAST;
        if days.is_empty() {
            return Err("the window needs at least one day on which it opens".to_owned());
        }
        if let Some(day) = days.iter().find(|day| !fits(day)) {
            return Err(format!("{day} is no day: {least} to {most} are"));
        }
        if !(SHORTEST_S..=longest).contains(&seconds) {
            let most = longest / 86_400;
            return Err(format!(
                "such a window is open for at least a minute, at most {most} days"
            ));
        }
        // Of a week or a shortest month.
        let all = if monthly { 28 } else { 7 } * 86_400;
        if i64::from(seconds).saturating_mul(days.len() as i64) >= all {
            return Err("such a window would never close: a silence with an end is meant for that"
                .to_owned());
        }
        TimeZone::get(zone).map(drop).map_err(|_| {
            format!("`{zone}` is no time zone that is known here: write one such as Europe/Paris")
        })
    }

    /// The occurrence that begins on this day, if one does.
    fn on(&self, day: civil::Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let (at, seconds) = match self {
            Schedule::Once { .. } => return None,
            Schedule::Week { days, at, seconds, .. } => {
                let weekday = day.weekday().to_monday_one_offset();
                (days.contains(&weekday).then_some(*at)?, *seconds)
            }
            Schedule::Month { days, at, seconds, .. } => {
                let is_last = day == day.last_of_month();
                let is_on = days.contains(&day.day()) || is_last && days.contains(&LAST);
                (is_on.then_some(*at)?, *seconds)
            }
        };
        let from = earliest(day.to_datetime(at), zone)?;
        let to = from.checked_add(SignedDuration::from_secs(seconds.into())).ok()?;
        Some((from, to))
    }
}

impl Window {
    /// The occurrence that `at` is in.
    pub fn open_at(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        self.schedule.open_at(at).filter(|(from, _)| self.ends.is_none_or(|ends| *from < ends))
    }

    /// The next occurrences.
    pub fn next(&self, after: Timestamp, count: usize) -> Vec<(Timestamp, Timestamp)> {
        let next = self.schedule.next(after, count).into_iter();
        next.filter(|(from, _)| self.ends.is_none_or(|ends| *from < ends)).collect()
    }
}

/// The first moment at which clocks there show this or, where they skip it, the one at which they skip it.
pub(super) fn earliest(time: civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let is_gap = matches!(ambiguous.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
    let earlier = ambiguous.earlier().ok()?;
    match is_gap {
        true => zone.following(earlier).next().map(|transition| transition.timestamp()),
        false => Some(earlier),
    }
}

/// The last moment at which clocks there show this or, where they skip it, the one at which they skip it.
pub(super) fn latest(time: civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Gap { .. } => earliest(time, zone),
        _ => ambiguous.later().ok(),
    }
}

/// `at` and so much later.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
