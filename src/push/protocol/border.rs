//! Where messages of others become our own types. What is only too long or too deep is cut. What makes no
//! sense is left out or replaced, and the first such flaw is kept to be told: one bad probe of one
//! instance far below must not cost the connection of all that report through the same one.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::{
    Pool,
    greeting::printable,
    hello::{MAX_WORD_BYTES, word_flaw},
    wire::{Account, Disabled, Entry, Header, Probe, Report},
};
use crate::{
    hub::Told,
    json::{Json, nesting},
    status::Status,
    tree::{self, Kind, Presence, ProbeName, ProbeResult, RemoteControl, Transition},
};

/// Longest message that is taken, in bytes; also the longest problem.
const MAX_MESSAGE_BYTES: usize = 4 << 10;
/// Longest reason for which somebody switched a probe off, and longest name of who did, in bytes.
const MAX_REASON_BYTES: usize = 500;
/// Longest value or detail that is taken, in bytes of JSON.
const MAX_DETAIL_BYTES: usize = 64 << 10;
/// Longest list of metrics that is taken, in bytes of JSON.
const MAX_METRICS_BYTES: usize = 64 << 10;
/// Deepest nesting of JSON.
const MAX_NESTING: usize = 32;
/// A time further ahead is the mistake of another clock.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// How much of a text an error quotes, in characters.
const QUOTED_CHARS: usize = 100;

/// Something in a message that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} {why}")]
pub struct Flaw {
    what: String,
    why: String,
}

impl Flaw {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Flaw {
        Flaw { what: what.into(), why: why.into() }
    }

    /// The same, found inside of `place`.
    fn within(self, place: &str) -> Flaw {
        Flaw { what: format!("{} of {place}", self.what), why: self.why }
    }
}

/// What made no sense in messages: the first of it, since whoever sends one may send a million.
#[derive(Debug, Default)]
pub struct Flaws(Option<Flaw>);

impl Flaws {
    /// The first one, once.
    pub fn take(&mut self) -> Option<Flaw> {
        self.0.take()
    }

    fn add(&mut self, flaw: Flaw) {
        self.0.get_or_insert(flaw);
    }

    /// What is there; a flaw is noted instead.
    fn good<T>(&mut self, outcome: Result<T, Flaw>) -> Option<T> {
        outcome.map_err(|flaw| self.add(flaw)).ok()
    }
}

/// What is needed to take something in.
struct Border<'a> {
    /// Equal texts come from here.
    pool: &'a Pool,
    /// The time by this instance's clock.
    now: Timestamp,
    flaws: &'a mut Flaws,
}

impl Report {
    /// The report, checked. Equal texts come from `pool`; `now` is the time by this instance's clock.
    pub fn checked(self, pool: &Pool, now: Timestamp, flaws: &mut Flaws) -> tree::Report {
        let mut border = Border { pool, now, flaws };
        let accounts = self.accounts.into_iter().map(|account| border.account(account));
        tree::Report {
            begins: self.begins,
            ends: self.ends,
            accounts: accounts.collect(),
            gone: self.gone,
        }
    }
}

impl Border<'_> {
    fn account(&mut self, account: Account) -> tree::Account {
        let Account { uuid, header, probes, complete, ran, gone } = account;
        let place = format!("instance {uuid}");
        let header = header.map(|header| self.header(*header, &place));
        let probes = probes.into_iter().filter_map(|probe| self.probe(probe, &place)).collect();
        let ran = ran.into_iter().filter_map(|(name, at)| {
            Some((self.name(&name, &place)?, self.time("the time of a run", at, &place)))
        });
        let ran = ran.collect();
        let gone = gone.iter().filter_map(|name| self.name(name, &place)).collect();
        tree::Account { uuid, header, probes, complete, ran, gone }
    }

    fn header(&mut self, header: Header, place: &str) -> tree::Header {
        let labels = header.labels.into_iter().map(|(name, value)| {
            let name = self.word("the name of a label", name, place);
            (name, self.word("the value of a label", value, place))
        });
        let labels = labels.collect();
        let since = header.since.map(|at| self.time("the beginning of its presence", at, place));
        let update = header.last_update.map(|at| self.time("its last update", at, place));
        let disabled = self.disabled(header.disabled, place);
        tree::Header {
            parent: header.parent,
            version: self.word("the version", header.version, place),
            name: self.word("the host name", header.name, place),
            group: self.word("the group", header.group, place),
            labels,
            // A newer instance may know more kinds of presence.
            presence: Presence::parse(&header.presence).unwrap_or(Presence::Unknown),
            since,
            last_update: update,
            problem: header.problem.map(message),
            disabled,
            remote_control: RemoteControl::parse(&header.remote_control),
        }
    }

    fn disabled(
        &mut self,
        disabled: Vec<Disabled>,
        place: &str,
    ) -> BTreeMap<ProbeName, tree::Disabled> {
        let records = disabled.into_iter().filter_map(|one| {
            let created = self.time("when a probe was switched off", one.created, place);
            // This one lies ahead.
            let until = one.until.map(|at| time("when a probe is switched on again", at));
            let until = self.flaws.good(until.transpose().map_err(|flaw| flaw.within(place)))?;
            let record = tree::Disabled {
                reason: cut(printable(&one.reason), MAX_REASON_BYTES),
                author: cut(printable(&one.author), MAX_REASON_BYTES),
                interval: one.interval,
                created,
                until,
            };
            Some((self.name(&one.probe, place)?, record))
        });
        records.collect()
    }

    /// The probe; one that says so if it makes no sense; `None` if not even its name does.
    fn probe(&mut self, probe: Probe, place: &str) -> Option<tree::Probe> {
        let name = self.name(&probe.name, place)?;
        let (since, stale, interval) = (probe.since, probe.stale, probe.interval);
        let since = self.time("the beginning of the status", since, place);
        let result = probe.result(name.clone(), self.pool, self.now).unwrap_or_else(|flaw| {
            let told = broken(name.clone(), &flaw, interval, self.now);
            self.flaws.add(flaw.within(&format!("probe `{name}` of {place}")));
            told
        });
        Some(tree::Probe { result: Arc::new(result), since, stale })
    }

    fn name(&mut self, name: &str, place: &str) -> Option<ProbeName> {
        self.flaws.good(name_of(self.pool, name).map_err(|flaw| flaw.within(place)))
    }

    /// A time; now if it is none.
    fn time(&mut self, what: &str, at_ms: i64, place: &str) -> Timestamp {
        let at = past(what, at_ms, self.now).map_err(|flaw| flaw.within(place));
        self.flaws.good(at).unwrap_or(self.now)
    }

    /// A word; what can be shown of it if it is none.
    fn word(&mut self, what: &str, text: String, place: &str) -> String {
        match word_flaw(&text) {
            None => text,
            Some(_) => {
                let shown = cut(printable(&text), MAX_WORD_BYTES);
                self.flaws
                    .good(word(what, text).map_err(|flaw| flaw.within(place)))
                    .unwrap_or(shown)
            }
        }
    }
}

impl Probe {
    fn result(self, name: ProbeName, pool: &Pool, now: Timestamp) -> Result<ProbeResult, Flaw> {
        Ok(ProbeResult {
            name,
            version: word("the version", self.version)?,
            value: json("the value", pool, &self.value, detail)?,
            message: message(self.message),
            date: past("the date", self.date, now)?,
            metrics: json("the list of metrics", pool, &self.metrics, metrics)?,
            detail: json("the detail", pool, &self.detail, detail)?,
            // No probe can say DOWN.
            status: status("the status", self.status)?.min(Status::WORST_OF_PROBE),
            exit_code: self.exit_code,
            interval: self.interval,
        })
    }
}

/// Takes the place of a result that makes no sense, so that it is seen where the probe is.
fn broken(name: ProbeName, flaw: &Flaw, interval: u32, now: Timestamp) -> ProbeResult {
    ProbeResult {
        name,
        version: String::new(),
        value: Json::null(),
        message: format!("what was reported of this probe makes no sense: {flaw}"),
        date: now,
        metrics: Json::null(),
        detail: Json::null(),
        status: Status::ERROR,
        exit_code: 0,
        interval,
    }
}

/// The entries that make sense, checked, without those of kinds that only newer instances know.
pub fn checked_entries(entries: Vec<Entry>, pool: &Pool, flaws: &mut Flaws) -> Vec<Told> {
    let told = entries.into_iter().filter_map(|entry| flaws.good(entry.checked(pool))?);
    told.collect()
}

impl Entry {
    /// The entry, checked; `None` if it is of a kind that only newer instances know.
    fn checked(self, pool: &Pool) -> Result<Option<Told>, Flaw> {
        let Some(kind) = Kind::parse(&self.kind) else { return Ok(None) };
        let place = format!("entry {} of the journal of {}", self.origin_id, self.origin);
        let (origin, origin_id) = (self.origin, self.origin_id);
        let transition = self.transition(kind, pool).map_err(|flaw| flaw.within(&place))?;
        Ok(Some(Told { origin, origin_id, transition }))
    }

    fn transition(self, kind: Kind, pool: &Pool) -> Result<Transition, Flaw> {
        let was = self.was.map(|number| status("the status before", number));
        let is = self.now.map(|number| status("the status after", number));
        Ok(Transition {
            kind,
            // What lies ahead is for the hub, which says what was claimed.
            at: time("the time", self.at_ms)?,
            group: word("the group", self.group)?,
            host: word("the host name", self.host)?,
            probe: self.probe.map(|name| name_of(pool, &name)).transpose()?,
            was: was.transpose()?,
            now: is.transpose()?,
            message: message(self.message),
        })
    }
}

fn name_of(pool: &Pool, name: &str) -> Result<ProbeName, Flaw> {
    let bad = |why: tree::BadName| {
        Flaw::new(format!("the name `{}` of a probe", quoted(name)), format!("is none: {why}"))
    };
    pool.name(name).map_err(bad)
}

fn word(what: &str, word: String) -> Result<String, Flaw> {
    match word_flaw(&word) {
        Some(flaw) => Err(Flaw::new(what, format!("{flaw}: `{}`", quoted(&word)))),
        None => Ok(word),
    }
}

fn status(what: &str, number: u16) -> Result<Status, Flaw> {
    Status::new(number.into())
        .ok_or_else(|| Flaw::new(what, format!("is {number}, not a number from 100 to 999")))
}

fn time(what: &str, at_ms: i64) -> Result<Timestamp, Flaw> {
    Timestamp::from_millisecond(at_ms)
        .map_err(|_| Flaw::new(what, format!("is {at_ms} ms, which is no time")))
}

/// A time by the clock of another, which may be wrong: what lies ahead is taken as now.
fn past(what: &str, at_ms: i64, now: Timestamp) -> Result<Timestamp, Flaw> {
    let at = time(what, at_ms)?;
    Ok(if at.duration_since(now) > MAX_AHEAD { now } else { at })
}

fn message(text: String) -> String {
    cut(text, MAX_MESSAGE_BYTES)
}

/// The beginning of a text, at most this many bytes.
fn cut(mut text: String, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// JSON from `pool` or checked and then held within bounds by `bound`.
fn json(
    what: &str,
    pool: &Pool,
    text: &str,
    bound: impl FnOnce(Json) -> Json,
) -> Result<Json, Flaw> {
    // Depth first: parsing goes down as deep as the text does.
    let check = |text: &str| match nesting(text) > MAX_NESTING {
        true => Some(Json::string(&format!("nested deeper than {MAX_NESTING}: left out"))),
        false => Json::parse(text).map(bound),
    };
    pool.json(text, check)
        .ok_or_else(|| Flaw::new(what, format!("is not JSON: `{}`", quoted(text))))
}

/// JSON that is not too big; else its beginning as text.
fn detail(json: Json) -> Json {
    let size = json.as_str().len();
    if size <= MAX_DETAIL_BYTES {
        return json;
    }
    // Written as JSON again, a character takes up to four bytes.
    let start: String = json.as_str().chars().take(MAX_DETAIL_BYTES / 8).collect();
    Json::string(&format!("too big ({size} bytes, at most {MAX_DETAIL_BYTES}); it began: {start}"))
}

/// The first metrics, as many as fit; none if it is no list.
fn metrics(json: Json) -> Json {
    if json.as_str().len() <= MAX_METRICS_BYTES {
        return json;
    }
    let serde_json::Value::Array(list) = json.to_value() else { return Json::null() };
    let mut size = "[]".len();
    let fits = |item: &serde_json::Value| {
        size += item.to_string().len() + ",".len();
        size <= MAX_METRICS_BYTES
    };
    Json::from_value(&list.into_iter().take_while(fits).collect())
}

/// The beginning of a text of others, for an error text.
fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(QUOTED_CHARS).collect();
    printable(&beginning)
}

#[cfg(test)]
mod tests;
