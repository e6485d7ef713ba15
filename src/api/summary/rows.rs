//! The JSON of lists and events: hosts, probes and problems in short. Its size does not depend on what
//! probes say, since long messages are cut.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fleet::{Fleet, Row};
use crate::{
    status::{Level, Status},
    tree::{self, Instance, Presence, View},
};

/// Characters of a message that a list shows.
const MAX_MESSAGE: usize = 500;

/// How many hosts, or probes, are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Counts {
    pub total: u32,
    pub ok: u32,
    pub info: u32,
    pub warn: u32,
    pub crit: u32,
    pub error: u32,
    /// Hosts that do not report, and should.
    pub down: u32,
    /// Hosts that nothing is known of now.
    pub unknown: u32,
    /// Hosts whose agent was stopped on purpose.
    pub stopped: u32,
    /// Probes of which the last result is what was known before.
    pub stale: u32,
}

impl Counts {
    /// One more of this level.
    pub fn add(&mut self, level: Level) {
        self.total += 1;
        *match level {
            Level::Ok => &mut self.ok,
            Level::Info => &mut self.info,
            Level::Warn => &mut self.warn,
            Level::Crit => &mut self.crit,
            Level::Error => &mut self.error,
            Level::Down => &mut self.down,
        } += 1;
    }

    /// One more host: by its presence, or by the level of its probes if it reports.
    pub fn add_host(&mut self, presence: Presence, level: Level) {
        match presence {
            Presence::Alive => self.add(level),
            Presence::Down => self.add(Level::Down),
            Presence::Unknown => (self.total, self.unknown) = (self.total + 1, self.unknown + 1),
            Presence::Stopped => (self.total, self.stopped) = (self.total + 1, self.stopped + 1),
        }
    }

    /// All of these as well.
    pub fn add_all(&mut self, more: &Counts) {
        self.total += more.total;
        self.ok += more.ok;
        self.info += more.info;
        self.warn += more.warn;
        self.crit += more.crit;
        self.error += more.error;
        self.down += more.down;
        self.unknown += more.unknown;
        self.stopped += more.stopped;
        self.stale += more.stale;
    }
}

/// A host in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct HostRow {
    pub uuid: Uuid,
    /// What to put in a URL for it: its name if that leads to it, else its uuid.
    pub key: String,
    pub name: String,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// The worst of its probes; 999 if it is down.
    pub status: u16,
    /// The worst of it and all below it.
    pub global_status: u16,
    /// `alive`, `unknown`, `stopped` or `down`.
    pub presence: &'static str,
    /// Unix seconds: when its status or presence began; 0 if that is not known.
    pub since: i64,
    /// Why it does not report, or the message of its worst probe.
    pub message: String,
    /// The name of its worst probe; empty if all are well.
    pub worst_probe: String,
    pub probes: Counts,
    /// Unix seconds: when it was last heard; 0 for the answering instance itself.
    pub last_update: i64,
    pub version: String,
    /// Instances below it, at all levels.
    pub below: u32,
    /// The worst status of those; 0 if there are none.
    pub below_status: u16,
    /// The uuid of the instance above it; empty for the answering one.
    pub parent: String,
    /// What is wrong with the way to it; empty if nothing is.
    pub problem: String,
}

/// A probe in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ProbeRow {
    /// The key of its host.
    pub host: String,
    pub host_name: String,
    pub group: String,
    pub name: String,
    pub status: u16,
    pub message: String,
    /// Unix seconds: when its status began.
    pub since: i64,
    /// Unix seconds: the end of its last run.
    pub timestamp: i64,
    /// Seconds between runs.
    pub interval: u32,
    /// Known from before a restart or a loss of contact, and not confirmed since.
    pub stale: bool,
}

/// A host that does not report, or a probe that is not OK on one that does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ProblemRow {
    /// `host` or `probe`.
    pub kind: &'static str,
    /// The key of its host.
    pub host: String,
    pub host_name: String,
    pub group: String,
    /// Empty for a host.
    pub probe: String,
    pub status: u16,
    pub message: String,
    /// Unix seconds; 0 if that is not known.
    pub since: i64,
    /// Of the host: `alive`, `unknown`, `stopped` or `down`.
    pub presence: &'static str,
    pub stale: bool,
}

/// A group and how its hosts are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct GroupRow {
    pub name: String,
    /// The worst of its hosts.
    pub status: u16,
    pub hosts: Counts,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: usize,
    /// What to ask for as `after` to get what follows; empty at the end.
    pub next: String,
}

impl HostRow {
    /// `row` is that of `instance`, both of the same moment.
    pub fn new(tree: &View, row: &Row, instance: &Instance) -> HostRow {
        let host = &instance.host;
        let worst = row.digest.worst.as_ref().and_then(|name| host.probes.get(name));
        let message = match presence_message(tree, row, instance) {
            Some(message) => message,
            None => worst.map(|probe| shortened(&probe.result.message)).unwrap_or_default(),
        };
        HostRow {
            uuid: instance.uuid,
            key: key(tree, instance),
            name: host.name.clone(),
            group: host.group.clone(),
            labels: host.labels.clone(),
            status: row.status.number(),
            global_status: row.global.number(),
            presence: row.presence.word(),
            since: since(tree, row, instance),
            message,
            worst_probe: worst.map(|probe| probe.result.name.to_string()).unwrap_or_default(),
            probes: row.probes(),
            last_update: seconds(instance.last_update),
            version: instance.version.clone(),
            below: row.below,
            below_status: row.below_status.map_or(0, Status::number),
            parent: instance.parent.map(|uuid| uuid.to_string()).unwrap_or_default(),
            problem: instance.problem.clone().unwrap_or_default(),
        }
    }
}

impl ProbeRow {
    /// A probe of `instance`.
    pub fn new(tree: &View, instance: &Instance, probe: &tree::Probe) -> ProbeRow {
        let (host, result) = (&instance.host, &*probe.result);
        ProbeRow {
            host: key(tree, instance),
            host_name: host.name.clone(),
            group: host.group.clone(),
            name: result.name.to_string(),
            status: result.status.number(),
            message: shortened(&result.message),
            since: probe.since.as_second(),
            timestamp: result.date.as_second(),
            interval: result.interval,
            stale: probe.stale || tree.is_stale(instance),
        }
    }
}

impl ProblemRow {
    /// A host that does not report.
    pub fn of_host(tree: &View, row: &Row, instance: &Instance) -> ProblemRow {
        let host = &instance.host;
        ProblemRow {
            kind: "host",
            host: key(tree, instance),
            host_name: host.name.clone(),
            group: host.group.clone(),
            probe: String::new(),
            status: row.status.number(),
            message: presence_message(tree, row, instance).unwrap_or_default(),
            since: since(tree, row, instance),
            presence: row.presence.word(),
            stale: true,
        }
    }

    /// A probe that is not OK.
    pub fn of_probe(tree: &View, instance: &Instance, probe: &tree::Probe) -> ProblemRow {
        let row = ProbeRow::new(tree, instance, probe);
        ProblemRow {
            kind: "probe",
            host: row.host,
            host_name: row.host_name,
            group: row.group,
            probe: row.name,
            status: row.status,
            message: row.message,
            since: row.since,
            presence: tree.presence(instance).word(),
            stale: row.stale,
        }
    }
}

impl<T> Page<T> {
    /// The first `limit` of `items`, which has one more if there is more; `cursor` says where one stands.
    pub fn cut(mut items: Vec<(T, String)>, limit: usize, total: usize) -> Page<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|(_, cursor)| cursor.clone());
        let items = items.into_iter().map(|(item, _)| item).collect();
        Page { items, total, next: next.unwrap_or_default() }
    }
}

/// What to put in a URL for an instance.
pub fn key(tree: &View, instance: &Instance) -> String {
    let name = &instance.host.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    match is_plain && tree.named(name).eq([instance.uuid]) {
        true => name.clone(),
        false => instance.uuid.to_string(),
    }
}

/// Why a host does not report, for people; nothing if it does.
fn presence_message(tree: &View, row: &Row, instance: &Instance) -> Option<String> {
    let why = instance.problem.as_deref().filter(|why| !why.is_empty());
    Some(match row.presence {
        Presence::Alive => return None,
        Presence::Down => why.map_or("it does not report any more".into(), shortened),
        Presence::Stopped => "its agent was stopped on purpose".into(),
        Presence::Unknown => match silent_above(tree, instance) {
            Some(above) => format!("not known: {} above it does not report", above.host.name),
            None => why.map_or("not heard of since this instance was started".into(), shortened),
        },
    })
}

/// When the status or the presence of a host began, in Unix seconds; 0 if that is not known.
fn since(tree: &View, row: &Row, instance: &Instance) -> i64 {
    match row.presence {
        Presence::Alive => row.digest.since,
        Presence::Unknown => {
            seconds(silent_above(tree, instance).unwrap_or(instance).presence_since)
        }
        Presence::Down | Presence::Stopped => seconds(instance.presence_since),
    }
}

/// The nearest instance above one that does not report.
fn silent_above<'tree>(tree: &'tree View, instance: &Instance) -> Option<&'tree Instance> {
    tree.above(instance).find(|above| !above.is_alive())
}

/// Unix seconds; 0 for none.
pub fn seconds(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_second)
}

/// Unix seconds with fraction.
pub fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1e3
}

/// A text of others, cut where it is longer than a list can show.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

impl Fleet {
    /// The row of an instance, for people and programs.
    pub fn host_row(&self, tree: &View, instance: &Instance) -> Option<HostRow> {
        self.row(instance.uuid).map(|row| HostRow::new(tree, row, instance))
    }
}
