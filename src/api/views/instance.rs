//! An instance: `GET /api` and `GET /api/hosts/{host}`.
//!
//! What is below an instance stands in the middle of it. So that its own part can be kept while those
//! below it change, it is written in two pieces, and they are put in between.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema},
};
use uuid::Uuid;

use super::date;
use crate::{
    json::Json,
    status::Status,
    tree::{self, Instance, Presence, ProbeName},
};

/// The own part of an instance as JSON text.
#[derive(Debug)]
pub struct Wigo {
    /// Up to where those below it follow, as members of an object.
    pub head: Vec<u8>,
    /// What comes after them.
    pub tail: Vec<u8>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Head<'tree> {
    uuid: Uuid,
    version: &'tree str,
    is_alive: bool,
    global_status: Status,
    global_message: &'tree str,
    local_host: Host<'tree>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Tail<'tree> {
    hostname: &'tree str,
    /// Unix seconds; 0 for the answering instance itself.
    last_update: i64,
    /// `alive`, `unknown`, `stopped` or `down`.
    presence: &'static str,
    /// Unix seconds; 0 if it was never otherwise.
    presence_since: i64,
    /// The instance directly below the answering one through which it is heard; empty for that one.
    via: String,
    /// Others through which it could be heard as well.
    alternatives: &'tree [Uuid],
    /// How it is reached; null if it is not directly below the answering instance.
    contact: Option<Contact<'tree>>,
    /// What is wrong with the way to it; empty if nothing is.
    problem: &'tree str,
    /// What it lets others do: `unknown`, `read` or `control`.
    remote_control: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Contact<'tree> {
    /// `push`: it connects to us; `pull`: we ask it.
    kind: &'static str,
    /// Where it connects from, or where it is asked.
    address: &'tree str,
    encrypted: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Host<'tree> {
    name: &'tree str,
    group: &'tree str,
    status: Status,
    probes: BTreeMap<&'tree ProbeName, Probe<'tree>>,
    labels: &'tree BTreeMap<String, String>,
    /// Probes that somebody has switched off.
    disabled_probes: BTreeMap<&'tree ProbeName, Disabled<'tree>>,
}

/// That somebody has switched a probe off.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Disabled<'tree> {
    reason: &'tree str,
    author: &'tree str,
    /// How often it ran before, in seconds.
    interval: u32,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds; 0: until somebody switches it on.
    until: i64,
}

/// A probe and its last result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Probe<'tree> {
    name: &'tree ProbeName,
    version: &'tree str,
    value: &'tree Json,
    message: &'tree str,
    probe_date: String,
    /// Unix seconds.
    timestamp: i64,
    metrics: &'tree Json,
    detail: &'tree Json,
    status: Status,
    exit_code: i32,
    /// Seconds between runs.
    interval: u32,
    /// Unix seconds: when the present status began.
    since: i64,
    /// Known from before a restart or a loss of contact, and not confirmed since.
    stale: bool,
}

impl Wigo {
    /// Writes an instance whose presence, as it is seen from the top, is `presence`.
    pub fn new(instance: &Instance, presence: Presence) -> Wigo {
        let (host, stale) = (&instance.host, presence != Presence::Alive);
        let probes = host.probes.iter().map(|(name, probe)| (name, Probe::new(probe, stale)));
        let head = Head {
            uuid: instance.uuid,
            version: &instance.version,
            is_alive: presence == Presence::Alive,
            global_status: instance.global_status(),
            global_message: global_message(presence, instance),
            local_host: Host {
                name: &host.name,
                group: &host.group,
                status: instance.local_status(),
                probes: probes.collect(),
                labels: &host.labels,
                disabled_probes: host
                    .disabled
                    .iter()
                    .map(|(name, record)| (name, Disabled::new(record)))
                    .collect(),
            },
        };
        let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
        let tail = Tail {
            hostname: &host.name,
            last_update: seconds(instance.last_update),
            presence: presence.word(),
            presence_since: seconds(instance.presence_since),
            via: instance.parent.map(|_| instance.via.to_string()).unwrap_or_default(),
            alternatives: &instance.alternatives,
            contact: instance.contact.as_deref().map(Contact::new),
            problem: instance.problem.as_deref().unwrap_or_default(),
            remote_control: instance.remote_control.word(),
        };
        let (mut head, tail) = (json(&head), json(&tail));
        // One object out of two: without the brace that ends the first and the one that begins the second.
        head.pop();
        head.extend_from_slice(b",\"RemoteWigos\":{");
        Wigo { head, tail: [b"},", &tail[1..]].concat() }
    }
}

impl PartialSchema for Wigo {
    fn schema() -> RefOr<Schema> {
        let below = super::super::openapi::map_of(Ref::from_schema_name(Wigo::name()))
            .description(Some("those directly below it, by their uuids"));
        let middle = ObjectBuilder::new().property("RemoteWigos", below).required("RemoteWigos");
        let whole = AllOfBuilder::new().item(Head::schema()).item(middle).item(Tail::schema());
        whole.description(Some("An instance with everything below it")).into()
    }
}

impl ToSchema for Wigo {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Wigo::name().into(), Wigo::schema()));
        Head::schemas(schemas);
        Tail::schemas(schemas);
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("views have no map with keys that are no text")
}

/// The original's words, and two for what it does not know.
pub(super) fn global_message(presence: Presence, instance: &Instance) -> &'static str {
    match presence {
        Presence::Alive if instance.presence_since.is_some() => "UP",
        Presence::Alive => "OK",
        Presence::Unknown => "UNKNOWN",
        Presence::Stopped => "STOPPED",
        Presence::Down => "DOWN",
    }
}

impl Disabled<'_> {
    fn new(record: &tree::Disabled) -> Disabled<'_> {
        Disabled {
            reason: &record.reason,
            author: &record.author,
            interval: record.interval,
            created_at: record.created.as_second(),
            until: record.until.map_or(0, Timestamp::as_second),
        }
    }
}

impl Contact<'_> {
    fn new(contact: &tree::Contact) -> Contact<'_> {
        match contact {
            tree::Contact::Push { address, encrypted } => {
                Contact { kind: "push", address, encrypted: *encrypted }
            }
            tree::Contact::Pull { endpoint, encrypted } => {
                Contact { kind: "pull", address: endpoint, encrypted: *encrypted }
            }
        }
    }
}

impl<'tree> Probe<'tree> {
    /// `stale`: its instance does not report, so this is what was known before.
    pub fn new(probe: &'tree tree::Probe, stale: bool) -> Probe<'tree> {
        let result = &*probe.result;
        Probe {
            name: &result.name,
            version: &result.version,
            value: &result.value,
            message: &result.message,
            probe_date: date(result.date),
            timestamp: result.date.as_second(),
            metrics: &result.metrics,
            detail: &result.detail,
            status: result.status,
            exit_code: result.exit_code,
            interval: result.interval,
            since: probe.since.as_second(),
            stale: stale || probe.stale,
        }
    }
}
