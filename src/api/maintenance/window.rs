//! A maintenance window, as a query says it.

use std::time::Duration;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{
    api::{
        covered::{NotCovered, SPANS, after, scope, span},
        order::QueryPairs,
    },
    notify::{Schedule, Window},
    orders::{MAX_REASON, plain},
    tree::View,
};

/// The longest name of a window, in characters.
pub const MAX_NAME: usize = 100;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The window that is asked for, which has no number yet.
pub fn read(
    tree: &View,
    query: &QueryPairs,
    author: String,
    now: Timestamp,
) -> Result<Window, NotCovered> {
    let name = plain(query.get("name").unwrap_or_default(), MAX_NAME);
    if name.is_empty() {
        return Err("`name` is missing: say what is done then".to_owned().into());
    }
    let scope = scope(tree, query)?;
    let (schedule, ends) = schedule(query, now)?;
    let reason = plain(query.get("reason").unwrap_or_default(), MAX_REASON);
    Ok(Window { id: 0, name, scope, schedule, author, reason, created: now, ends, held: 0 })
}

/// When it is open, and when it comes for the last time.
fn schedule(query: &QueryPairs, now: Timestamp) -> Result<(Schedule, Option<Timestamp>), String> {
    let (zone_name, zone) = zone(query)?;
    let ends = query.get("ends").map(|text| moment("ends", text, &zone)).transpose()?;
    let schedule = match query.get("every").unwrap_or("once") {
        "once" => once(query, &zone, now)?,
        every @ ("week" | "month") => repeated(query, every, zone_name)?,
        _ => return Err("`every` is `once`, `week` or `month`".into()),
    };
    let is_once = matches!(schedule, Schedule::Once { .. });
    if is_once && ends.is_some() {
        return Err("`ends` is for what comes again: write `to` or `for`".into());
    }
    if ends.is_some_and(|ends| ends <= now) {
        return Err("`ends` is over already".into());
    }
    schedule.check()?;
    if schedule.open_at(now).is_none() && schedule.next(now, 1).is_empty() {
        return Err("this never comes: look at the days".into());
    }
    Ok((schedule, ends))
}

fn once(query: &QueryPairs, zone: &TimeZone, now: Timestamp) -> Result<Schedule, String> {
    for name in ["days", "at"] {
        if query.get(name).is_some() {
            return Err(format!("`{name}` is for what comes again: write `every=week` too"));
        }
    }
    let from = query.get("from").map(|text| moment("from", text, zone)).transpose()?;
    let from = from.unwrap_or_else(|| after(now, Duration::ZERO));
    let to = query.get("to").map(|text| moment("to", text, zone)).transpose()?;
    let to = match (to, span(query, "for")?) {
        (Some(to), None) => to,
        (None, Some(span)) => after(from, span),
        (Some(_), Some(_)) => return Err("`to` and `for` say the same: write one of them".into()),
        (None, None) => return Err("`to` is missing, or `for`: when is it over?".into()),
    };
    let length = Duration::try_from(to.duration_since(from)).unwrap_or_default();
    if !(SPANS.0..=SPANS.1).contains(&length) {
        return Err("it is open from 1 minute to 366 days: look at `from` and `to`".into());
    }
    if to <= now {
        return Err("it is over already: look at `to`".into());
    }
    Ok(Schedule::Once { from, to })
}

fn repeated(query: &QueryPairs, every: &str, zone: String) -> Result<Schedule, String> {
    if query.get("from").or(query.get("to")).is_some() {
        return Err("`from` and `to` are for what happens once: write `at` and `for`".into());
    }
    let at = query.get("at").ok_or("`at` is missing: when does it begin, such as 02:00?")?;
    let at = civil::Time::strptime("%H:%M", at)
        .map_err(|_| format!("`at` is no time of the day: `{}`: write 02:00", plain(at, 20)))?;
    let length = span(query, "for")?.ok_or("`for` is missing: how long is it open?")?;
    let seconds = u32::try_from(length.as_secs()).unwrap_or(u32::MAX);
    let days = query.get("days").ok_or("`days` is missing: on which days?")?;
    let read = if every == "week" { weekday } else { day_of_month };
    let mut days = days.split(',').map(|day| read(day.trim())).collect::<Result<Vec<_>, _>>()?;
    days.sort_unstable();
    days.dedup();
    Ok(match every {
        "week" => Schedule::Week { days, at, seconds, zone },
        _ => Schedule::Month { days, at, seconds, zone },
    })
}

fn weekday(word: &str) -> Result<i8, String> {
    let lower = word.to_ascii_lowercase();
    let named = WEEKDAYS.iter().zip(1..).find(|(day, _)| lower == **day).map(|(_, number)| number);
    let number = named.or_else(|| lower.parse().ok().filter(|number| (1..=7).contains(number)));
    number.ok_or_else(|| format!("`{}` is no day of the week: write mon,sun", plain(word, 20)))
}

fn day_of_month(word: &str) -> Result<i8, String> {
    let number = match word.to_ascii_lowercase().as_str() {
        "last" => Some(-1),
        number => number.parse().ok().filter(|number| (1..=31).contains(number) || *number == -1),
    };
    number.ok_or_else(|| format!("`{}` is no day of a month: write 1,15,last", plain(word, 20)))
}

/// The time zone that is asked for, else that of this machine.
fn zone(query: &QueryPairs) -> Result<(String, TimeZone), String> {
    let Some(name) = query.get("zone") else {
        let zone = TimeZone::system();
        let name = zone.iana_name().map(str::to_owned);
        return Ok(name.map_or_else(|| ("UTC".into(), TimeZone::UTC), |name| (name, zone)));
    };
    let unknown =
        || format!("there is no time zone `{}`: write it as Europe/Paris", plain(name, 40));
    TimeZone::get(name).map(|zone| (name.to_owned(), zone)).map_err(|_| unknown())
}

/// Unix seconds, a time with its offset, or a time of the time zone.
fn moment(name: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let seconds = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let civil = || {
        let civil: civil::DateTime = text.parse().ok()?;
        civil.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
    };
    seconds.or_else(|| text.parse().ok()).or_else(civil).ok_or_else(|| {
        format!(
            "`{name}` is no time: `{}`: write 2025-03-04T09:15 (of the time zone), \
             2025-03-04T09:15:02Z or Unix seconds",
            plain(text, 40)
        )
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        notify::{Scope, Subject},
        tree::{Host, Instance, Tree},
    };

    fn now() -> Timestamp {
        "2025-03-04T09:15:00Z".parse().unwrap()
    }

    fn window(query: &str) -> Result<Window, NotCovered> {
        let top = Host::new("top", "db");
        let tree = Tree::new(Instance::new(Uuid::from_u128(1), "Wigo v1", top));
        read(&tree.view(), &QueryPairs::of(query), "alice".into(), now())
    }

    #[test]
    fn a_window_is_once_or_comes_again() {
        let once = window("name=disk&host=top&for=2h").unwrap();
        let to = after(now(), Duration::from_secs(7_200));
        assert_eq!(once.schedule, Schedule::Once { from: now(), to });
        assert_eq!(once.scope, Scope::Subject(Subject::host("top")));
        assert_eq!((&*once.author, once.id), ("alice", 0));
        let local =
            window("name=x&all=true&zone=Europe/Paris&from=2025-07-01T02:00&to=2025-07-01T04:00");
        let from = "2025-07-01T00:00:00Z".parse().unwrap();
        let to = "2025-07-01T02:00:00Z".parse().unwrap();
        assert_eq!(local.unwrap().schedule, Schedule::Once { from, to });
        let week = window("name=x&group=db&every=week&days=sun,Mon,7&at=02:00&for=7200&zone=UTC");
        let (at, seconds, zone) = (civil::time(2, 0, 0, 0), 7_200, "UTC".to_owned());
        let expected = Schedule::Week { days: vec![1, 7], at, seconds, zone: zone.clone() };
        assert_eq!(week.unwrap().schedule, expected);
        let month = window(
            "name=x&labels=a=b&every=month&days=1,last&at=02:00&for=2h&zone=UTC\
             &ends=2025-12-01T00:00:00Z",
        );
        let month = month.unwrap();
        assert_eq!(month.schedule, Schedule::Month { days: vec![-1, 1], at, seconds, zone });
        assert_eq!(month.ends, "2025-12-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn what_makes_no_window_is_refused_with_what_to_write() {
        let check = |query: &str, why: &str| match window(query) {
            Err(NotCovered::Query(refusal)) => assert!(refusal.contains(why), "{query}: {refusal}"),
            other => panic!("{query}: {other:?}"),
        };
        check("all=true&for=2h", "`name` is missing");
        check("name=x&for=2h", "whom it is for");
        check("name=x&all=true", "`to` is missing");
        check("name=x&all=true&for=2h&to=1741080000", "one of them");
        check("name=x&all=true&from=2025-03-01T00:00:00Z&for=2h", "over already");
        check("name=x&all=true&from=2025-03-05T00:00:00Z&to=2025-03-04T20:00:00Z", "1 minute");
        check("name=x&all=true&for=5s", "from 1m to 366d");
        check("name=x&all=true&from=soon&for=2h", "`from` is no time");
        check("name=x&all=true&every=week&days=mon&for=2h", "`at` is missing");
        check("name=x&all=true&every=week&at=02:00&for=2h", "`days` is missing");
        check("name=x&all=true&every=week&days=mon&at=02:00", "`for` is missing");
        check("name=x&all=true&every=week&days=tomorrow&at=02:00&for=2h", "day of the week");
        check("name=x&all=true&every=month&days=32&at=02:00&for=2h", "day of a month");
        check("name=x&all=true&every=week&days=mon&at=25:00&for=2h", "no time of the day");
        check("name=x&all=true&every=week&days=mon&at=02:00&for=2h&from=1", "once");
        check("name=x&all=true&every=week&days=mon&at=02:00&for=2h&ends=1", "over already");
        check("name=x&all=true&every=week&days=mon&at=02:00&for=8d", "at most 7 days");
        check("name=x&all=true&every=day&at=02:00&for=2h", "`every` is");
        check("name=x&all=true&for=2h&zone=Mars/Olympus", "no time zone");
        check("name=x&all=true&for=2h&days=mon", "every=week");
        check("name=x&all=true&for=2h&ends=2025-12-01T00:00:00Z", "comes again");
        let unknown = window("name=x&host=nobody&for=2h");
        assert!(matches!(unknown, Err(NotCovered::Unknown(_))), "{unknown:?}");
    }
}
