//! What an instance answers to `GET /api` → a report to the tree.
//!
//! The document is that of our own instances and of an original Wigo, old or new; it may as well come
//! from a broken or hostile one. So everything in it is optional, what does not make sense costs no more
//! than itself, and everything is bounded. What is inside of an instance or a probe is parsed only when
//! its turn comes, so that a limit that is reached ends the work too.

mod date;
mod result;
mod text;
mod wire;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    str,
};

use jiff::Timestamp;
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    json,
    tree::{Account, Disabled, Header, Presence, Probe, ProbeName, RemoteControl, Report},
};

pub use date::{not_in_the_future, when};
pub use text::{line, lines};
pub use wire::{Object, Scalar};

/// Deepest nesting of a document's JSON.
pub const MAX_NESTING: usize = 64;
/// Most instances of one document.
pub const MAX_INSTANCES: usize = 20_000;
/// Most probes of one host.
pub const MAX_PROBES: usize = 1_000;
/// Most probes of all hosts of one document.
pub const MAX_PROBES_IN_ALL: usize = 400_000;
/// Most labels of one host.
const MAX_LABELS: usize = 64;
/// Longest key or value of a label, in bytes.
const MAX_LABEL_BYTES: usize = 128;
/// Longest name of a host, group or version, in bytes.
const MAX_NAME: usize = 255;
/// Most probes of one host that are told to be switched off.
const MAX_DISABLED: usize = 1_000;
/// Longest reason for which somebody switched a probe off, and longest name of who did, in bytes.
const MAX_REASON: usize = 500;
/// Longest problem that is passed on, in bytes.
const MAX_PROBLEM: usize = 1 << 10;

/// What was asked for, and by whom.
#[derive(Clone, Debug)]
pub struct Question {
    /// The instance that asks. Wherever it is mentioned, there is a cycle.
    pub me: Uuid,
    /// `host:port` that was asked, which stands in for a uuid that is missing.
    pub endpoint: String,
    /// How many levels are kept (1: the host alone); `None`: all.
    pub depth: Option<u32>,
    /// Received at.
    pub now: Timestamp,
}

/// A document that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// A full account.
    pub report: Report,
    pub source: Source,
    /// What is wrong with the document although it can be used, for people.
    pub remarks: Vec<String>,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub uuid: Uuid,
    pub name: String,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: String,
    /// It is one of ours and so has a journal that can be read on from a position.
    pub has_journal: bool,
}

/// Why an answer is no document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("its JSON is nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    #[error("its answer cannot be read as JSON: {0}")]
    NotJson(String),
    #[error(
        "it answers with JSON that is not of a Wigo (there is no `LocalHost` in it): is this the right port?"
    )]
    NotWigo,
    #[error("it says that nothing has changed, without having been asked")]
    Unasked,
    #[error("we failed over it, which is a mistake of ours: please report it")]
    Confusing,
}

/// Reads one probe, the answer to a request to run it; `None` for what can have no name.
pub fn result_of(name: &str, raw: &str, now: Timestamp) -> Option<Probe> {
    result::read(name, raw, now).map(|(probe, _)| probe)
}

/// The uuid that stands for whoever answers at `endpoint` (`host:port`), as long as no better is known.
pub fn placeholder(endpoint: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("wigo://{endpoint}/").as_bytes())
}

/// Reads the answer to `GET /api`.
pub fn read(body: &[u8], question: &Question) -> Result<Document, Unreadable> {
    let body = String::from_utf8_lossy(body);
    if json::nesting(&body) > MAX_NESTING {
        return Err(Unreadable::TooDeep);
    }
    let top: Object<wire::Wigo<'_>> =
        serde_json::from_str(&body).map_err(|error| Unreadable::NotJson(error.to_string()))?;
    if !top.found || !top.value.local_host.found {
        return Err(Unreadable::NotWigo);
    }
    let top = top.value;
    let uuid = uuid_of(&top.uuid).unwrap_or_else(|| placeholder(&question.endpoint));
    let mut reader = Reader::new(question, uuid);
    let presence_is_told = top.presence.text().is_some();
    let Header { name, version, .. } = reader.take(Waiting { uuid, parent: None, level: 1 }, top);
    while let Some((waiting, raw)) = reader.waiting.pop_front() {
        // The JSON was parsed before; what is left are texts that are none, and keys that are there twice.
        match serde_json::from_str::<Object<wire::Wigo<'_>>>(raw.get()) {
            Ok(wigo) if wigo.found => drop(reader.take(waiting, wigo.value)),
            _ => reader.left_off.unreadable += 1,
        }
    }
    Ok(Document {
        source: Source { uuid, name, version, has_journal: presence_is_told || reader.tells_since },
        remarks: reader.left_off.remarks(),
        report: Report { begins: true, ends: true, accounts: reader.accounts, gone: Vec::new() },
    })
}

/// An instance whose place is known and whose turn has not come.
struct Waiting {
    uuid: Uuid,
    parent: Option<Uuid>,
    /// 1 for the instance that was asked.
    level: u32,
}

struct Reader<'a> {
    question: &'a Question,
    accounts: Vec<Account>,
    /// Instances that have an account or wait for one.
    seen: HashSet<Uuid>,
    /// Level by level, so that a parent comes before those below it, and of two ways to an instance the
    /// shorter one counts.
    waiting: VecDeque<(Waiting, &'a RawValue)>,
    /// Probes so far.
    probes: usize,
    /// A probe said when its status began, which only our own do.
    tells_since: bool,
    left_off: LeftOff,
}

/// What did not fit, or made no sense.
#[derive(Default)]
struct LeftOff {
    instances: usize,
    probes: usize,
    unreadable: usize,
}

impl LeftOff {
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.instances > 0 {
            remarks.push(format!(
                "{} instances below it are left out: at most {MAX_INSTANCES} are taken",
                self.instances
            ));
        }
        if self.probes > 0 {
            remarks.push(format!(
                "{} probes are left out: at most {MAX_PROBES} of a host and {MAX_PROBES_IN_ALL} in all \
                 are taken",
                self.probes
            ));
        }
        if self.unreadable > 0 {
            remarks.push(format!(
                "{} instances below it are left out: what it says of them makes no sense",
                self.unreadable
            ));
        }
        remarks
    }
}

impl<'a> Reader<'a> {
    /// `top` is the instance that was asked.
    fn new(question: &'a Question, top: Uuid) -> Reader<'a> {
        Reader {
            question,
            accounts: Vec::new(),
            seen: HashSet::from([top]),
            waiting: VecDeque::new(),
            probes: 0,
            tells_since: false,
            left_off: LeftOff::default(),
        }
    }

    /// Gives an instance its account, whose header is returned, and lets those below it wait for theirs.
    fn take(&mut self, place: Waiting, wigo: wire::Wigo<'a>) -> Header {
        let Waiting { uuid, parent, level } = place;
        let (probes, left_off) = self.probes(&wigo.local_host.value);
        self.left_off.probes += left_off;
        if self.question.depth.is_none_or(|depth| level < depth) {
            self.enqueue(uuid, level + 1, &wigo.remote_wigos);
        }
        let header = header(&wigo, uuid, parent, self.question);
        self.accounts.push(Account {
            uuid,
            header: Some(header.clone()),
            probes,
            complete: true,
            ran: Vec::new(),
            gone: Vec::new(),
        });
        header
    }

    /// The probes of a host, and how many did not fit.
    fn probes(&mut self, host: &wire::Host<'_>) -> (Vec<Probe>, usize) {
        let room = MAX_PROBES.min(MAX_PROBES_IN_ALL - self.probes);
        let mut left_off = host.probes.left_off;
        // By name, since one name is one probe whatever the document says.
        let mut probes: BTreeMap<ProbeName, Probe> = BTreeMap::new();
        for (key, raw) in &host.probes.entries {
            if probes.len() >= room {
                left_off += 1;
                continue;
            }
            let Some((probe, tells_since)) = result::read(key, raw.get(), self.question.now) else {
                left_off += 1;
                continue;
            };
            self.tells_since |= tells_since;
            probes.insert(probe.result.name.clone(), probe);
        }
        self.probes += probes.len();
        (probes.into_values().collect(), left_off)
    }

    fn enqueue(&mut self, parent: Uuid, level: u32, remotes: &wire::Entries<'a>) {
        self.left_off.instances += remotes.left_off;
        for (key, raw) in &remotes.entries {
            let uuid = serde_json::from_str::<Object<wire::OnlyUuid>>(raw.get())
                .ok()
                .and_then(|found| uuid_of(&found.value.uuid))
                .or_else(|| parse_uuid(key))
                .unwrap_or_else(|| Uuid::new_v5(&parent, key.as_bytes()));
            if uuid == self.question.me {
                // It watches us as well. What is below us, we know better.
                continue;
            }
            if self.accounts.len() + 1 + self.waiting.len() >= MAX_INSTANCES {
                self.left_off.instances += 1;
            } else if self.seen.insert(uuid) {
                self.waiting.push_back((Waiting { uuid, parent: Some(parent), level }, raw));
            }
        }
    }
}

fn uuid_of(value: &Scalar) -> Option<Uuid> {
    parse_uuid(value.text()?)
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok().filter(|uuid| !uuid.is_nil())
}

fn header(wigo: &wire::Wigo<'_>, uuid: Uuid, parent: Option<Uuid>, question: &Question) -> Header {
    let now = question.now;
    let host = &wigo.local_host.value;
    let named = |value: &Scalar| value.text().map(|text| line(text, MAX_NAME)).unwrap_or_default();
    let name = [named(&wigo.hostname), named(&host.name)].into_iter().find(|name| !name.is_empty());
    let stand_in = || match parent {
        None => question.endpoint.clone(),
        Some(_) => uuid.to_string(),
    };
    let time = |value: &Scalar| {
        let second = value.number().filter(|second| *second > 0)?;
        Some(not_in_the_future(Timestamp::from_second(second).ok()?, now))
    };
    Header {
        parent,
        version: named(&wigo.version),
        name: name.unwrap_or_else(stand_in),
        group: named(&host.group),
        labels: labels(&host.labels),
        presence: if parent.is_none() { Presence::Alive } else { presence(wigo) },
        since: time(&wigo.presence_since),
        last_update: parent.and_then(|_| time(&wigo.last_update)),
        problem: match wigo.problem.text().map(|text| line(text, MAX_PROBLEM)) {
            Some(problem) if parent.is_some() && !problem.is_empty() => Some(problem),
            _ => None,
        },
        disabled: disabled(&host.disabled_probes, now),
        remote_control: wigo.remote_control.text().map(RemoteControl::parse).unwrap_or_default(),
    }
}

fn disabled(entries: &wire::Entries<'_>, now: Timestamp) -> BTreeMap<ProbeName, Disabled> {
    let records = entries.entries.iter().filter_map(|(key, raw)| {
        let name = ProbeName::new(key).ok()?;
        let told = serde_json::from_str::<Object<wire::Disabled>>(raw.get()).ok()?.value;
        let text = |value: &Scalar| line(value.text().unwrap_or_default(), MAX_REASON);
        let time = |value: &Scalar| {
            Timestamp::from_second(value.number().filter(|second| *second > 0)?).ok()
        };
        let record = Disabled {
            reason: text(&told.reason),
            author: text(&told.author),
            interval: told.interval.number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            created: time(&told.created_at).map_or(now, |at| not_in_the_future(at, now)),
            until: time(&told.until),
        };
        Some((name, record))
    });
    records.take(MAX_DISABLED).collect()
}

/// The presence in our words, or what the original says.
fn presence(wigo: &wire::Wigo<'_>) -> Presence {
    let told = wigo.presence.text().and_then(Presence::parse);
    told.unwrap_or(match (wigo.is_alive.truth(), wigo.global_message.text()) {
        (Some(false), Some("UNKNOWN")) => Presence::Unknown,
        (Some(false), Some("STOPPED")) => Presence::Stopped,
        (Some(false), _) => Presence::Down,
        _ => Presence::Alive,
    })
}

/// The labels that are such as a configuration may set.
fn labels(entries: &wire::Entries<'_>) -> BTreeMap<String, String> {
    let good = |text: &str| {
        text.len() <= MAX_LABEL_BYTES
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let labels = entries.entries.iter().filter_map(|(key, raw)| {
        let value: Scalar = serde_json::from_str(raw.get()).ok()?;
        let value = value.text().filter(|value| good(value))?;
        good(key).then(|| (key.clone(), value.to_owned()))
    });
    labels.take(MAX_LABELS).collect()
}

#[cfg(test)]
mod tests;
