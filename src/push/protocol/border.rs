//! Where messages of others become our own types. What is only too long is cut, what makes no sense is
//! refused with its name.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::{
    Pool,
    greeting::printable,
    hello::word_flaw,
    wire::{Account, Entry, Header, Probe, Report},
};
use crate::{
    hub::Told,
    json::Json,
    status::Status,
    tree::{self, Kind, Presence, ProbeName, ProbeResult, Transition},
};

/// Longest message that is taken, in bytes; also the longest problem.
const MAX_MESSAGE_BYTES: usize = 4 << 10;
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
#[error("news that make no sense: {what} {why}; update the instance that sent it")]
pub struct BadNews {
    what: String,
    why: String,
}

impl BadNews {
    fn new(what: impl Into<String>, why: impl Into<String>) -> BadNews {
        BadNews { what: what.into(), why: why.into() }
    }

    /// The same, found inside of `place`.
    fn within(self, place: &str) -> BadNews {
        BadNews { what: format!("{} of {place}", self.what), why: self.why }
    }
}

impl Report {
    /// The report, checked. Equal texts come from `pool`; `now` is the time by this instance's clock.
    pub fn checked(self, pool: &Pool, now: Timestamp) -> Result<tree::Report, BadNews> {
        let accounts = self.accounts.into_iter().map(|account| account.checked(pool, now));
        Ok(tree::Report {
            begins: self.begins,
            ends: self.ends,
            accounts: accounts.collect::<Result<_, _>>()?,
            gone: self.gone,
        })
    }
}

impl Account {
    fn checked(self, pool: &Pool, now: Timestamp) -> Result<tree::Account, BadNews> {
        let uuid = self.uuid;
        let account = move || -> Result<tree::Account, BadNews> {
            let probes = self.probes.into_iter().map(|probe| probe.checked(pool, now));
            let ran = self
                .ran
                .iter()
                .map(|(name, at)| Ok((name_of(pool, name)?, time("the time of a run", *at, now)?)));
            let gone = self.gone.iter().map(|name| name_of(pool, name));
            Ok(tree::Account {
                uuid,
                header: self.header.map(|header| header.checked(now)).transpose()?,
                probes: probes.collect::<Result<_, _>>()?,
                complete: self.complete,
                ran: ran.collect::<Result<_, _>>()?,
                gone: gone.collect::<Result<_, _>>()?,
            })
        };
        account().map_err(|bad| bad.within(&format!("instance {uuid}")))
    }
}

impl Header {
    fn checked(self, now: Timestamp) -> Result<tree::Header, BadNews> {
        let since = self.since.map(|at| time("the beginning of its presence", at, now));
        let last_update = self.last_update.map(|at| time("the time of its last update", at, now));
        let mut labels = std::collections::BTreeMap::new();
        for (name, value) in self.labels {
            labels.insert(word("the name of a label", name)?, word("the value of a label", value)?);
        }
        Ok(tree::Header {
            parent: self.parent,
            version: word("the version", self.version)?,
            name: word("the host name", self.name)?,
            group: word("the group", self.group)?,
            labels,
            // A newer instance may know more kinds of presence.
            presence: Presence::parse(&self.presence).unwrap_or(Presence::Unknown),
            since: since.transpose()?,
            last_update: last_update.transpose()?,
            problem: self.problem.map(message),
        })
    }
}

impl Probe {
    fn checked(self, pool: &Pool, now: Timestamp) -> Result<tree::Probe, BadNews> {
        let name = name_of(pool, &self.name)?;
        let place = format!("probe `{name}`");
        self.checked_as(name, pool, now).map_err(|bad| bad.within(&place))
    }

    fn checked_as(
        self,
        name: ProbeName,
        pool: &Pool,
        now: Timestamp,
    ) -> Result<tree::Probe, BadNews> {
        let result = ProbeResult {
            name,
            version: word("the version", self.version)?,
            value: json("the value", pool, &self.value, detail)?,
            message: message(self.message),
            date: time("the date", self.date, now)?,
            metrics: json("the list of metrics", pool, &self.metrics, metrics)?,
            detail: json("the detail", pool, &self.detail, detail)?,
            // No probe can say DOWN.
            status: status("the status", self.status)?.min(Status::WORST_OF_PROBE),
            exit_code: self.exit_code,
            interval: self.interval,
        };
        let since = time("the beginning of the status", self.since, now)?;
        Ok(tree::Probe { result: Arc::new(result), since, stale: self.stale })
    }
}

impl Entry {
    /// The entry, checked; `None` if it is of a kind that only newer instances know.
    pub fn checked(self, pool: &Pool, now: Timestamp) -> Result<Option<Told>, BadNews> {
        let Some(kind) = Kind::parse(&self.kind) else { return Ok(None) };
        let place = format!("entry {} of the journal of {}", self.origin_id, self.origin);
        let (origin, origin_id) = (self.origin, self.origin_id);
        let transition = self.transition(kind, pool, now).map_err(|bad| bad.within(&place))?;
        Ok(Some(Told { origin, origin_id, transition }))
    }

    fn transition(self, kind: Kind, pool: &Pool, now: Timestamp) -> Result<Transition, BadNews> {
        let was = self.was.map(|number| status("the status before", number));
        let is = self.now.map(|number| status("the status after", number));
        Ok(Transition {
            kind,
            at: time("the time", self.at_ms, now)?,
            group: word("the group", self.group)?,
            host: word("the host name", self.host)?,
            probe: self.probe.map(|name| name_of(pool, &name)).transpose()?,
            was: was.transpose()?,
            now: is.transpose()?,
            message: message(self.message),
        })
    }
}

fn name_of(pool: &Pool, name: &str) -> Result<ProbeName, BadNews> {
    let bad = |why: tree::BadName| {
        BadNews::new(format!("the name `{}` of a probe", quoted(name)), format!("is none: {why}"))
    };
    pool.name(name).map_err(bad)
}

fn word(what: &str, word: String) -> Result<String, BadNews> {
    match word_flaw(&word) {
        Some(flaw) => Err(BadNews::new(what, format!("{flaw}: `{}`", quoted(&word)))),
        None => Ok(word),
    }
}

fn status(what: &str, number: u16) -> Result<Status, BadNews> {
    Status::new(number.into())
        .ok_or_else(|| BadNews::new(what, format!("is {number}, not a number from 100 to 999")))
}

/// A time by the clock of another, which may be wrong: what lies ahead is taken as now.
fn time(what: &str, at_ms: i64, now: Timestamp) -> Result<Timestamp, BadNews> {
    let at = Timestamp::from_millisecond(at_ms)
        .map_err(|_| BadNews::new(what, format!("is {at_ms} ms, which is no time")))?;
    Ok(if at.duration_since(now) > MAX_AHEAD { now } else { at })
}

fn message(mut text: String) -> String {
    let mut end = MAX_MESSAGE_BYTES.min(text.len());
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
) -> Result<Json, BadNews> {
    let check = |text: &str| Json::parse(text).filter(|_| nesting(text) <= MAX_NESTING).map(bound);
    pool.json(text, check).ok_or_else(|| {
        let why = format!("is not JSON, or nested deeper than {MAX_NESTING}: `{}`", quoted(text));
        BadNews::new(what, why)
    })
}

/// How deep lists and objects are nested in a text that is JSON.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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
