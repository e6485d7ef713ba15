//! What an instance of ours answers to `GET /api/logs` → entries for our own journal.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::document::{MAX_NESTING, Object, Scalar, Unreadable, line, lines, when};
use crate::{
    hub::Told,
    json,
    status::Status,
    tree::{Kind, ProbeName, Transition},
};

/// Entries that are asked for at once.
pub const BATCH: usize = 500;
/// Entries that are taken over of an instance that is new.
pub const FIRST_BATCH: usize = 1_000;
/// Most entries of one answer, whatever was asked for.
const MAX_ENTRIES: usize = 10_000;
/// Longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 4 << 10;
/// Longest name of a host or group, in bytes.
const MAX_NAME: usize = 255;

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Oldest first.
    pub told: Vec<Told>,
    /// The highest number in the journal of the instance that answered; `None` if there was no entry.
    pub last: Option<u64>,
    /// How many entries there were, those included that cannot be used.
    pub count: usize,
    /// There are entries, and they have no numbers: this is no journal of ours.
    pub unnumbered: bool,
}

/// The path that asks for what comes after `position`; for the newest entries if there is none.
pub fn path(position: Option<u64>) -> String {
    match position {
        Some(position) => format!("/api/logs?after={position}&limit={BATCH}"),
        None => format!("/api/logs?limit={FIRST_BATCH}"),
    }
}

/// The path that asks for the newest entry alone.
pub const NEWEST: &str = "/api/logs?limit=1";

/// Reads an answer.
pub fn read(body: &[u8], now: Timestamp) -> Result<Page, Unreadable> {
    let body = String::from_utf8_lossy(body);
    if json::nesting(&body) > MAX_NESTING {
        return Err(Unreadable::TooDeep);
    }
    let list: List<'_> =
        serde_json::from_str(&body).map_err(|error| Unreadable::NotJson(error.to_string()))?;
    let mut page = Page { count: list.count, ..Page::default() };
    let mut numbered = Vec::new();
    for raw in list.entries {
        let Ok(Object { value: entry, .. }) = serde_json::from_str::<Object<Entry>>(raw.get())
        else {
            continue;
        };
        let Some(id) = number(&entry.id) else { continue };
        page.last = page.last.max(Some(id));
        // One of a kind that only newer instances know is passed over.
        numbered.extend(told(&entry, now).map(|told| (id, told)));
    }
    page.unnumbered = page.count > 0 && page.last.is_none();
    numbered.sort_by_key(|(id, _)| *id);
    page.told = numbered.into_iter().map(|(_, told)| told).collect();
    Ok(page)
}

/// The list, each entry to be parsed when its turn comes.
struct List<'a> {
    entries: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<'a>, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of log entries")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<List<'de>, S::Error> {
                let mut entries = Vec::new();
                while entries.len() < MAX_ENTRIES {
                    let Some(entry) = list.next_element()? else { break };
                    entries.push(entry);
                }
                let mut count = entries.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(List { entries, count })
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Entry {
    id: Scalar,
    origin: Scalar,
    origin_id: Scalar,
    kind: Scalar,
    timestamp: Scalar,
    date: Scalar,
    group: Scalar,
    host: Scalar,
    probe: Scalar,
    was: Scalar,
    now: Scalar,
    message: Scalar,
}

fn told(entry: &Entry, now: Timestamp) -> Option<Told> {
    let name = |value: &Scalar| line(value.text().unwrap_or_default(), MAX_NAME);
    let status = |value: &Scalar| value.number().and_then(Status::new);
    let probe = match entry.probe.text().filter(|probe| !probe.is_empty()) {
        Some(probe) => Some(ProbeName::parse(probe).ok()?),
        None => None,
    };
    let kind = Kind::parse(entry.kind.text()?)?;
    let subject = match (kind, &probe) {
        (Kind::InstanceDown | Kind::InstanceGone | Kind::InstanceMoved, _) => {
            format!("Wigo {} ", entry.host.text().unwrap_or_default())
        }
        (_, Some(probe)) => format!("Probe {probe} "),
        _ => String::new(),
    };
    let message = entry.message.text().unwrap_or_default();
    let message = lines(bare(message, &subject), MAX_MESSAGE);
    Some(Told {
        origin: Uuid::try_parse(entry.origin.text()?).ok()?,
        origin_id: number(&entry.origin_id)?,
        transition: Transition {
            kind,
            at: when(entry.timestamp.number(), entry.date.text().unwrap_or_default(), now),
            group: name(&entry.group),
            host: name(&entry.host),
            probe,
            was: status(&entry.was),
            now: status(&entry.now),
            message,
        },
    })
}

/// What was said, without the words in front of it by which the log tells of whom and what changed, such
/// as `Probe p switched from 100 to 300 : `.
fn bare<'text>(message: &'text str, subject: &str) -> &'text str {
    let said = message.strip_prefix(subject).filter(|_| !subject.is_empty());
    said.and_then(|rest| Some(rest.split_once(" : ")?.1)).unwrap_or(message)
}

/// A number of an entry, as a database holds it.
fn number(value: &Scalar) -> Option<u64> {
    value.number().and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests;
