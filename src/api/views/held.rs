//! What holds messages back, as it is told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    notify::{self, Schedule, Scope},
    status::Status,
    tree::ProbeName,
};

/// Occurrences of a window that are told.
const MAX_NEXT: usize = 5;

/// An acknowledgement, or a silence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Suppression {
    pub id: u64,
    /// `ack` or `silence`.
    kind: &'static str,
    /// `host`, `group`, `labels` or `all`.
    scope: &'static str,
    /// The host, the group, or labels as `key=value,key=value`.
    target: String,
    /// Only this probe; empty: all, and the host itself.
    probe: String,
    reason: String,
    author: String,
    /// How bad it was when it was acknowledged; 0 for silences.
    status: u16,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds; null: until it is over.
    until: Option<i64>,
    /// Messages that it held back.
    held: u64,
}

/// A time in which work is done and nothing is said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Window {
    /// 0: it is not made yet.
    id: u64,
    name: String,
    /// `host`, `group`, `labels` or `all`.
    scope: &'static str,
    /// The host, the group, or labels as `key=value,key=value`.
    target: String,
    /// Only this probe; empty: all, and the host itself.
    probe: String,
    reason: String,
    author: String,
    /// Unix seconds.
    created_at: i64,
    /// `once`, `week` or `month`.
    every: &'static str,
    /// Unix seconds; null if it comes again and again.
    from: Option<i64>,
    /// Unix seconds; null if it comes again and again.
    to: Option<i64>,
    /// Of the week (1 Monday … 7 Sunday) or of the month (-1 the last).
    days: Vec<i8>,
    /// Time of the day, such as `02:00`; empty if it is only once.
    at: String,
    /// How long it is open each time.
    seconds: u64,
    /// The time zone of `At`; empty if it is only once.
    zone: String,
    /// Unix seconds: it does not come back after this; null: for ever.
    ends: Option<i64>,
    /// Messages that it held back, in all.
    held: u64,
    /// It is open now.
    open: bool,
    /// When it is open, now and next, at most five times.
    next: Vec<Occurrence>,
}

/// One time that a window is open.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Occurrence {
    /// Unix seconds.
    from: i64,
    /// Unix seconds.
    to: i64,
}

/// Word, target and probe of a scope.
fn parts(scope: &Scope) -> (&'static str, String, String) {
    let name =
        |probe: &Option<ProbeName>| probe.as_ref().map(ProbeName::to_string).unwrap_or_default();
    match scope {
        Scope::Subject(subject) => {
            let (host, probe) = super::incidents::names(subject);
            ("host", host, probe)
        }
        Scope::Group { group, probe } => ("group", group.clone(), name(probe)),
        Scope::Labels { labels, probe } => ("labels", joined(labels), name(probe)),
        Scope::All => ("all", String::new(), String::new()),
    }
}

/// Whom it covers, for people: `db1 / disk`, `group web`.
pub fn scope_in_words(scope: &Scope) -> String {
    match parts(scope) {
        ("all", ..) => "everything".to_owned(),
        (word, target, probe) => {
            let target = if word == "host" { target } else { format!("{word} {target}") };
            if probe.is_empty() { target } else { format!("{target} / {probe}") }
        }
    }
}

fn joined(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

impl Suppression {
    pub fn new(suppression: &notify::Suppression) -> Suppression {
        match suppression {
            notify::Suppression::Ack(ack) => Suppression::of_ack(ack),
            notify::Suppression::Silence(silence) => Suppression::of_silence(silence),
        }
    }

    fn of_ack(ack: &notify::suppression::Ack) -> Suppression {
        let (host, probe) = super::incidents::names(&ack.subject);
        Suppression {
            id: ack.id,
            kind: "ack",
            scope: "host",
            target: host,
            probe,
            reason: ack.reason.clone(),
            author: ack.author.clone(),
            status: ack.status.number(),
            created_at: ack.created.as_second(),
            until: ack.until.map(Timestamp::as_second),
            held: ack.held,
        }
    }

    fn of_silence(silence: &notify::suppression::Silence) -> Suppression {
        let (scope, target, probe) = parts(&silence.scope);
        Suppression {
            id: silence.id,
            kind: "silence",
            scope,
            target,
            probe,
            reason: silence.reason.clone(),
            author: silence.author.clone(),
            status: 0,
            created_at: silence.created.as_second(),
            until: Some(silence.until.as_second()),
            held: silence.held,
        }
    }

    /// What it is and whom it covers, for people.
    pub fn in_words(&self) -> String {
        let probe = if self.probe.is_empty() { "" } else { " / " };
        format!("{} {} of {}{probe}{}", self.kind, self.id, self.target, self.probe)
    }

    /// Worst first, then the one that ends first.
    pub fn order(&self) -> (std::cmp::Reverse<u16>, i64, u64) {
        (std::cmp::Reverse(self.status), self.until.unwrap_or(i64::MAX), self.id)
    }
}

impl Window {
    /// As it is at this time.
    pub fn new(window: &notify::Window, now: Timestamp) -> Window {
        let (scope, target, probe) = parts(&window.scope);
        let open = window.open_at(now);
        let next = open.into_iter().chain(window.next(now, MAX_NEXT)).take(MAX_NEXT);
        let occurrence = |(from, to): (Timestamp, Timestamp)| Occurrence {
            from: from.as_second(),
            to: to.as_second(),
        };
        let (every, times, days, at, seconds, zone) = match &window.schedule {
            Schedule::Once { from, to } => {
                let seconds = to.duration_since(*from).as_secs().unsigned_abs();
                ("once", Some((*from, *to)), vec![], String::new(), seconds, String::new())
            }
            Schedule::Week { days, at, seconds, zone } => {
                let seconds = u64::from(*seconds);
                ("week", None, days.clone(), clock(*at), seconds, zone.clone())
            }
            Schedule::Month { days, at, seconds, zone } => {
                let seconds = u64::from(*seconds);
                ("month", None, days.clone(), clock(*at), seconds, zone.clone())
            }
        };
        Window {
            id: window.id,
            name: window.name.clone(),
            scope,
            target,
            probe,
            reason: window.reason.clone(),
            author: window.author.clone(),
            created_at: window.created.as_second(),
            every,
            from: times.map(|(from, _)| from.as_second()),
            to: times.map(|(_, to)| to.as_second()),
            days,
            at,
            seconds,
            zone,
            ends: window.ends.map(Timestamp::as_second),
            held: window.held,
            open: open.is_some(),
            next: next.map(occurrence).collect(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What is open first, then what opens first.
    pub fn order(&self) -> (bool, i64, u64) {
        let next = self.next.first().map_or(i64::MAX, |next| next.from);
        (!self.open, next, self.id)
    }
}

fn clock(at: jiff::civil::Time) -> String {
    at.strftime("%H:%M").to_string()
}

/// How the messages about a host or a probe stand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Standing {
    /// How it is.
    pub status: Status,
    /// How it is as far as messages go: after enough runs.
    pub confirmed: Status,
    /// Unix seconds.
    pub since: i64,
    /// It changes all the time.
    pub flapping: bool,
    /// Who silences it, or which window, in words; null: nobody.
    pub silenced: Option<String>,
    /// Who looks after it, in words; null: nobody.
    pub acked: Option<String>,
    /// The host that is down and that it is behind; null: none.
    pub behind: Option<String>,
}
