//! Of what nothing is to be said, as a query says it.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::order::QueryPairs;
use crate::{
    duration,
    notify::{Scope, Subject},
    orders::{MAX_REASON, plain},
    tree::{ProbeName, View},
};

/// The shortest and the longest time for which something is held back at once.
pub const SPANS: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(366 * 86_400));
/// The most labels of a scope.
const MAX_LABELS: usize = 20;

/// Why there is nothing that could be covered.
#[derive(Debug, PartialEq)]
pub enum NotCovered {
    /// What was asked makes no sense.
    Query(String),
    /// There is no such host, group or probe.
    Unknown(String),
}

impl From<String> for NotCovered {
    fn from(why: String) -> NotCovered {
        NotCovered::Query(why)
    }
}

/// A time span: `30m`, `4h`, `7d`, or seconds.
pub fn span(query: &QueryPairs, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let seconds = text.parse().map(Duration::from_secs).ok();
    let span = seconds.or_else(|| duration::read(text));
    let span = span.filter(|span| (SPANS.0..=SPANS.1).contains(span));
    let bad = || format!("`{name}` is no time from 1m to 366d: write it as 30m, 4h or 7d");
    span.ok_or_else(bad).map(Some)
}

/// `span` after `now`, without a fraction of a second: it is said in words.
pub fn after(now: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let then = now.saturating_add(span).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(then.as_second()).unwrap_or(then)
}

/// The probe that is meant; `None`: all.
pub fn probe(query: &QueryPairs) -> Result<Option<ProbeName>, NotCovered> {
    let parsed = query.get("probe").map(|probe| {
        let why = || format!("there can be no probe `{}`", plain(probe, MAX_REASON));
        ProbeName::parse(probe).map_err(|_| NotCovered::Unknown(why()))
    });
    parsed.transpose()
}

/// Labels as `key=value,key=value`.
pub fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let parts = pair.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = parts.ok_or_else(|| {
            format!("`{}` is not a label: write key=value", plain(pair, MAX_REASON))
        })?;
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("the label `{}` is there twice", plain(key, MAX_REASON)));
        }
    }
    match labels.len() {
        0 => Err("`labels` names no label: write key=value,key=value".into()),
        1..=MAX_LABELS => Ok(labels),
        _ => Err(format!("`labels` names more than {MAX_LABELS}")),
    }
}

/// A host that is there, or a probe that it has.
pub fn subject(tree: &View, host: &str, probe: Option<ProbeName>) -> Result<Subject, NotCovered> {
    let Some(instance) = tree.find(host) else {
        return Err(NotCovered::Unknown(super::hosts::unknown_host(host)));
    };
    match &probe {
        Some(name) if !instance.host.probes.contains_key(name) => {
            let host = &instance.host.name;
            Err(NotCovered::Unknown(format!("Probe {name} not found in remote wigo {host}")))
        }
        _ => Ok(Subject { host: instance.host.name.clone(), probe }),
    }
}

/// A group that somebody is in, or one probe of it.
pub fn group(tree: &View, group: &str, probe: Option<ProbeName>) -> Result<Scope, NotCovered> {
    match tree.group(group) {
        Some(found) => Ok(Scope::Group { group: found.name.to_owned(), probe }),
        None => Err(NotCovered::Unknown(format!("Group {group} not found"))),
    }
}

/// Exactly one of `host`, `group`, `labels` and `all=true`.
pub fn scope(tree: &View, query: &QueryPairs) -> Result<Scope, NotCovered> {
    let probe = probe(query)?;
    let all = query.get("all").filter(|all| *all != "false");
    match (query.get("host"), query.get("group"), query.get("labels"), all) {
        (Some(host), None, None, None) => Ok(Scope::Subject(subject(tree, host, probe)?)),
        (None, Some(name), None, None) => group(tree, name, probe),
        (None, None, Some(text), None) => Ok(Scope::Labels { labels: labels(text)?, probe }),
        (None, None, None, Some("true" | "1")) if probe.is_none() => Ok(Scope::All),
        (None, None, None, Some("true" | "1")) => {
            Err("`all=true` covers every probe: leave out `probe`".to_owned().into())
        }
        (None, None, None, Some(_)) => Err("`all` is true, or left out".to_owned().into()),
        _ => {
            let why = "say whom it is for: one of `host=`, `group=`, `labels=` and `all=true`";
            Err(why.to_owned().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tree::{Host, Instance, Tree};

    fn read(query: &str) -> Result<Scope, NotCovered> {
        let top = Host::new("top", "web");
        let tree = Tree::new(Instance::new(Uuid::from_u128(1), "Wigo v1", top));
        scope(&tree.view(), &QueryPairs::of(query))
    }

    #[test]
    fn one_of_host_group_labels_and_all_is_covered() {
        let top = || Subject::host("top");
        assert_eq!(read("host=top"), Ok(Scope::Subject(top())));
        let by_uuid = format!("host={}", Uuid::from_u128(1));
        assert_eq!(read(&by_uuid), Ok(Scope::Subject(top())), "names are what is kept");
        let group = "web".to_owned();
        let probe = ProbeName::parse("disk").ok();
        assert_eq!(read("group=web&probe=disk"), Ok(Scope::Group { group, probe }));
        assert!(matches!(
            read("labels=env=prod,role=db"),
            Ok(Scope::Labels { labels, probe: None }) if labels["role"] == "db"
        ));
        assert_eq!(read("all=true"), Ok(Scope::All));
    }

    #[test]
    fn what_covers_nothing_is_refused_with_what_to_write() {
        let check = |query: &str, why: &str| match read(query) {
            Err(NotCovered::Query(refusal)) => assert!(refusal.contains(why), "{query}: {refusal}"),
            other => panic!("{query}: {other:?}"),
        };
        check("", "whom it is for");
        check("host=top&group=web", "whom it is for");
        check("labels=env", "key=value");
        check("labels=,", "names no label");
        check("labels=a=b,a=c", "twice");
        check("all=perhaps", "`all` is true");
        check("all=true&probe=p", "every probe");
        for query in ["host=nobody", "host=top&probe=none", "host=top&probe=%01", "group=none"] {
            assert!(matches!(read(query), Err(NotCovered::Unknown(_))), "{query}");
        }
    }

    #[test]
    fn a_span_is_in_a_unit_or_in_seconds() {
        let of = |query: &str| span(&QueryPairs::of(query), "for");
        assert_eq!(of("for=2h"), Ok(Some(Duration::from_secs(7_200))));
        assert_eq!(of("for=7200"), of("for=2h"));
        assert_eq!(of(""), Ok(None));
        for query in ["for=59s", "for=30", "for=367d", "for=soon", "for=-1"] {
            assert!(of(query).unwrap_err().contains("from 1m to 366d"), "{query}");
        }
    }
}
