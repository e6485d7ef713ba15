//! Which subjects are meant: by rules, channels, silences.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};

use crate::notify::{
    Scope, Subject,
    rules::{Dependency, GroupBy, Hours, Matcher, Quiet},
    schedule::{earliest, latest},
};

/// What is known of where a subject is.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub subject: &'a Subject,
    pub group: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

impl Matcher {
    pub(super) fn matches(&self, whose: Whose<'_>) -> bool {
        let probe = whose.subject.probe.as_ref().map_or("", |probe| probe.as_str());
        let is_named = |patterns: &[String], name: &str| {
            let name = name.to_lowercase();
            patterns.iter().any(|pattern| is_like(&pattern.to_lowercase(), &name))
        };
        let is_anywhere = self.groups.is_empty() && self.hosts.is_empty();
        (is_anywhere
            || is_named(&self.groups, whose.group)
            || is_named(&self.hosts, &whose.subject.host))
            && (self.probes.is_empty() || self.probes.iter().any(|like| is_like(like, probe)))
            && has(whose.labels, &self.labels)
    }

    /// It is for everything.
    pub(super) fn is_open(&self) -> bool {
        *self == Matcher::default()
    }
}

impl Scope {
    pub(super) fn covers(&self, whose: Whose<'_>) -> bool {
        let is_probe = |probe: &Option<_>| probe.is_none() || *probe == whose.subject.probe;
        match self {
            Scope::Subject(subject) => {
                subject.host == whose.subject.host && is_probe(&subject.probe)
            }
            Scope::Group { group, probe } => group == whose.group && is_probe(probe),
            Scope::Labels { labels, probe } => has(whose.labels, labels) && is_probe(probe),
            Scope::All => true,
        }
    }
}

impl Dependency {
    /// Whether what it says is about this one.
    pub(super) fn is_about(&self, whose: Whose<'_>) -> bool {
        let is = |pattern: &Option<String>, name: &str| {
            pattern.as_ref().is_some_and(|like| is_like(&like.to_lowercase(), &name.to_lowercase()))
        };
        is(&self.group, whose.group) || is(&self.host, &whose.subject.host)
    }
}

impl GroupBy {
    /// What all that becomes one incident has in common.
    pub(super) fn key(&self, whose: Whose<'_>) -> String {
        let host = || format!("host {}", whose.subject.host);
        match self {
            GroupBy::Host => host(),
            GroupBy::Group => format!("group {}", whose.group),
            GroupBy::Label(label) => {
                whose.labels.get(label).map_or_else(host, |value| format!("label {value}"))
            }
        }
    }
}

impl Hours {
    /// Whether it is told at this time. A time that holds midnight belongs to the day on which it begins.
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.around(at).any(|(from, to)| from <= at && at < to)
    }

    /// When they begin next.
    pub(super) fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        self.around(after).map(|(from, _)| from).filter(|from| *from > after).min()
    }

    fn around(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let today = at.to_zoned(self.zone.clone()).date();
        (-1..=8_i64).filter_map(move |days| {
            let day = today.checked_add(days.days()).ok()?;
            let weekday = day.weekday().to_monday_one_offset();
            let is_on = self.days.is_empty() || self.days.contains(&weekday);
            let from = earliest(day.to_datetime(self.from), &self.zone)?;
            let end = if self.from < self.to { day } else { day.tomorrow().ok()? };
            let to = latest(end.to_datetime(self.to), &self.zone)?;
            is_on.then_some((from, to))
        })
    }
}

impl Quiet {
    /// The end of the quiet hours that this time is in. Local times hold, also across changes of the clock:
    /// hours that begin while clocks are set forward begin with that.
    pub(super) fn until(&self, at: Timestamp) -> Option<Timestamp> {
        if self.from == self.to {
            return None;
        }
        let today = at.to_zoned(self.zone.clone()).date();
        let hours = |day: Date| {
            let end = if self.from < self.to { day } else { day.tomorrow().ok()? };
            let from = earliest(day.to_datetime(self.from), &self.zone)?;
            let to = latest(end.to_datetime(self.to), &self.zone)?;
            (from <= at && at < to).then_some(to)
        };
        [today.yesterday().ok(), Some(today)].into_iter().flatten().filter_map(hours).max()
    }
}

/// All labels that are wanted are there.
fn has(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// `*` stands for any text. In time linear in both for each star, whatever the pattern.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else { return rest.is_empty() };
    let between = pattern.matches('*').count().saturating_sub(1);
    for part in parts.take(between) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, like) in [
            ("db*", "db1", true),
            ("db*", "adb1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*1", "web1", true),
            ("web", "web1", false),
            ("**é*", "caféx", true),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}
