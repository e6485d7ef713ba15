//! The JSON we promise: field names and their order are those of the original; what it does not have
//! comes after them.

mod decisions;
mod held;
mod incidents;
mod instance;

use std::{collections::BTreeMap, net::IpAddr};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use decisions::{Decision, Notification, TriedNotification, WholeNotification};
pub use held::{Standing, Suppression, Window, scope_in_words};
pub use incidents::{Incident, IncidentChange, WholeIncident};
pub use instance::{Probe, Wigo};

use crate::{
    hub::Entry,
    push::authority,
    status::{Level, Status},
    tree::{self, Instance, Kind, Presence, ProbeName, View},
};

/// The hosts of a group: `GET /api/groups/{group}`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Group<'tree> {
    hosts: Vec<GroupHost<'tree>>,
    name: &'tree str,
    status: Status,
}

/// A host of a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct GroupHost<'tree> {
    name: &'tree str,
    message: &'tree str,
    status: Status,
    is_alive: bool,
    probes: Vec<GroupProbe<'tree>>,
    /// `alive`, `unknown`, `stopped` or `down`.
    presence: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct GroupProbe<'tree> {
    message: &'tree str,
    name: &'tree ProbeName,
    status: Status,
}

impl<'tree> Group<'tree> {
    pub fn new(tree: &'tree View, group: &tree::Group<'tree>) -> Group<'tree> {
        let probe = |probe: &'tree tree::Probe| GroupProbe {
            message: &probe.result.message,
            name: &probe.result.name,
            status: probe.result.status,
        };
        let host = |instance: &&'tree Instance| {
            let presence = tree.presence(instance);
            GroupHost {
                name: &instance.host.name,
                message: instance::global_message(presence, instance),
                status: instance.global_status(),
                is_alive: presence == Presence::Alive,
                probes: instance.host.probes.values().map(probe).collect(),
                presence: presence.word(),
            }
        };
        Group {
            hosts: group.hosts.iter().map(host).collect(),
            name: group.name,
            status: group.status(),
        }
    }
}

/// An entry of the log: `GET /api/logs`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LogEntry<'entry> {
    date: String,
    /// Unix seconds: when it happened.
    timestamp: i64,
    /// The original's numbers, see [`log_level`].
    level: u8,
    message: String,
    host: &'entry str,
    probe: &'entry str,
    group: &'entry str,
    id: u64,
    kind: &'static str,
    was: Option<Status>,
    now: Option<Status>,
    /// Unix seconds: when this instance knew.
    learned: i64,
    /// The instance where it happened.
    origin: Uuid,
    /// Its number in the log of that instance.
    origin_id: u64,
}

impl<'entry> LogEntry<'entry> {
    pub fn new(entry: &'entry Entry) -> LogEntry<'entry> {
        let transition = &entry.transition;
        LogEntry {
            date: date(transition.at),
            timestamp: transition.at.as_second(),
            level: log_level(transition),
            message: log_message(transition),
            host: &transition.host,
            probe: transition.probe.as_ref().map_or("", ProbeName::as_str),
            group: &transition.group,
            id: entry.id,
            kind: transition.kind.word(),
            was: transition.was,
            now: transition.now,
            learned: entry.learned.as_second(),
            origin: entry.origin,
            origin_id: entry.origin_id,
        }
    }
}

/// The sentence of a transition, worded as in the original's log where it has one.
fn log_message(transition: &tree::Transition) -> String {
    let (message, host, probe) = (&transition.message, &transition.host, transition.probe.as_ref());
    match (transition.kind, probe, transition.was, transition.now) {
        (Kind::ProbeChanged, Some(probe), Some(was), Some(now)) => {
            format!("Probe {probe} switched from {was} to {now} : {message}")
        }
        (Kind::ProbeSeen, Some(probe), _, Some(now)) => {
            format!("Probe {probe} reported for the first time with {now} : {message}")
        }
        (Kind::ProbeGone, Some(probe), Some(was), _) => {
            format!("Probe {probe} does not run any more (was {was}) : {message}")
        }
        (Kind::InstanceDown, ..) => format!("Wigo {host} DOWN : {message}"),
        (Kind::InstanceUp, ..) => format!("Wigo {host} UP"),
        (Kind::InstanceSeen, ..) => format!("Wigo {host} reported for the first time"),
        (Kind::InstanceGone, ..) => format!("Wigo {host} is not watched any more : {message}"),
        (Kind::InstanceMoved, ..) => format!("Wigo {host} is heard by another way : {message}"),
        _ => message.clone(),
    }
}

/// The original's log levels: 2 NOTICE, 3 INFO, 5 WARNING, 6 CRITICAL, 4 ERROR.
fn log_level(transition: &tree::Transition) -> u8 {
    let down = (transition.kind == Kind::InstanceDown).then_some(Status::DOWN);
    match down.or(transition.now).map(Status::level) {
        None | Some(Level::Ok) => 2,
        Some(Level::Info) => 3,
        Some(Level::Warn) => 5,
        Some(Level::Crit) => 6,
        Some(Level::Error | Level::Down) => 4,
    }
}

/// The original's way to write a date: `2025-03-04T09:15:02.3182 (CET)`, local time.
pub fn date(at: Timestamp) -> String {
    date_in(at, TimeZone::system())
}

fn date_in(at: Timestamp, zone: TimeZone) -> String {
    // Microseconds are what the original shows at most.
    let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.f (%Z)").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, now: Option<Status>) -> tree::Transition {
        tree::Transition {
            kind,
            at: Timestamp::UNIX_EPOCH,
            group: "g".into(),
            host: "web".into(),
            probe: None,
            was: None,
            now,
            message: "why".into(),
        }
    }

    #[test]
    fn instances_are_worded_as_in_the_log_of_the_original() {
        let check = |kind, now, sentence: &str, level| {
            let transition = told(kind, now);
            assert_eq!(log_message(&transition), sentence);
            assert_eq!(log_level(&transition), level, "{sentence}");
        };
        check(Kind::InstanceDown, Some(Status::DOWN), "Wigo web DOWN : why", 4);
        check(Kind::InstanceDown, None, "Wigo web DOWN : why", 4);
        check(Kind::InstanceUp, Some(Status::CRIT), "Wigo web UP", 6);
        check(Kind::InstanceSeen, None, "Wigo web reported for the first time", 2);
        check(Kind::InstanceGone, None, "Wigo web is not watched any more : why", 2);
        check(Kind::InstanceMoved, None, "Wigo web is heard by another way : why", 2);
        check(Kind::ClientWaiting, None, "why", 2);
    }

    #[test]
    fn dates_are_written_as_the_original_does() {
        let zone = TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC);
        let at = |microsecond| Timestamp::from_microsecond(microsecond).unwrap();
        let wanted = |text: &str| match zone.iana_name() {
            Some("Europe/Paris") => format!("2025-03-04T09:15:02{text} (CET)"),
            _ => format!("2025-03-04T08:15:02{text} (UTC)"),
        };
        assert_eq!(date_in(at(1_741_076_102_318_200), zone.clone()), wanted(".3182"));
        assert_eq!(date_in(at(1_741_076_102_000_000), zone.clone()), wanted(""));
    }
}

/// `/api/authority/hosts`: the two maps of the original, and the particulars.
#[derive(Serialize, ToSchema)]
pub struct Clients {
    allowed: BTreeMap<Uuid, String>,
    waiting: BTreeMap<Uuid, String>,
    /// SHA-256 of the authority's certificate.
    ca: String,
    details: ClientDetails,
}

#[derive(Serialize, ToSchema)]
struct ClientDetails {
    allowed: Vec<AllowedClient>,
    waiting: Vec<WaitingClient>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AllowedClient {
    uuid: Uuid,
    hostname: String,
    /// SHA-256 of its key, null until it has enrolled.
    fingerprint: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct WaitingClient {
    uuid: Uuid,
    hostname: String,
    group: String,
    version: String,
    #[schema(value_type = String)]
    address: IpAddr,
    fingerprint: String,
    /// Unix seconds.
    since: i64,
    connected: bool,
    /// What else an operator should know.
    note: String,
}

impl Clients {
    pub fn new(listing: &authority::Listing) -> Clients {
        let waiting = |client: &authority::WaitingClient| WaitingClient {
            uuid: client.uuid,
            hostname: client.name.clone(),
            group: client.group.clone(),
            version: client.version.clone(),
            address: client.address.to_canonical(),
            fingerprint: client.key.to_string(),
            since: client.since.as_second(),
            connected: client.connected,
            note: client.note.clone().unwrap_or_default(),
        };
        let allowed = |client: &authority::Allowed| AllowedClient {
            uuid: client.uuid,
            hostname: client.name.clone(),
            fingerprint: client.key.map(|key| key.to_string()),
        };
        let named = |uuid: Uuid, name: &str| (uuid, name.to_owned());
        Clients {
            allowed: listing.allowed.iter().map(|one| named(one.uuid, &one.name)).collect(),
            waiting: listing.waiting.iter().map(|one| named(one.uuid, &one.name)).collect(),
            ca: listing.ca.to_string(),
            details: ClientDetails {
                allowed: listing.allowed.iter().map(allowed).collect(),
                waiting: listing.waiting.iter().map(waiting).collect(),
            },
        }
    }
}
