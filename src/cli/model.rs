//! The JSON of `/api` and `/api/logs` as wigocli reads it.
//!
//! Tolerant on purpose: an original Wigo answers without our extra fields, a newer one with fields we do
//! not know. What is missing is empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::tree::Presence;

/// One running wigo with everything below it.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Wigo {
    pub uuid: String,
    pub version: String,
    pub is_alive: bool,
    pub global_status: i64,
    pub global_message: String,
    pub local_host: Host,
    #[serde(deserialize_with = "null_is_empty")]
    pub remote_wigos: BTreeMap<String, Wigo>,
    pub hostname: String,
    /// `alive`, `unknown`, `stopped` or `down`; empty from agents that do not say.
    pub presence: String,
    /// When that began, in Unix seconds; 0 if it was never otherwise, or is not known.
    pub presence_since: i64,
    /// What is wrong with the way to it; empty if nothing is.
    pub problem: String,
}

/// A host and its probes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Host {
    pub name: String,
    pub group: String,
    pub status: i64,
    #[serde(deserialize_with = "null_is_empty")]
    pub probes: BTreeMap<String, Probe>,
}

/// What the last run of a probe said.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Probe {
    pub name: String,
    pub message: String,
    /// When the run ended, as the agent wrote it.
    pub probe_date: String,
    pub status: i64,
    /// Any JSON; `None` for `null`.
    pub detail: Option<Box<RawValue>>,
    /// Seconds between runs; 0 where it is not known.
    pub interval: i64,
    /// When the present status began, in Unix seconds; 0 where it is not known.
    pub since: i64,
    /// Known from before a restart, not confirmed since.
    pub stale: bool,
}

/// An entry of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogEntry {
    /// Grows with every entry of one agent; `None` from agents that do not number their log.
    pub id: Option<i64>,
    /// When it happened, as the agent wrote it.
    pub date: String,
    /// The same in Unix seconds; 0 where it is not known.
    pub timestamp: i64,
    /// 1 (debug) … 7 (emergency), see [`crate::cli::render`].
    pub level: i64,
    pub message: String,
    pub host: String,
    pub probe: String,
    /// When the agent got to know it, in Unix seconds; 0 where it is not known.
    pub learned: i64,
}

/// Who may push: `/api/authority/hosts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Clients {
    /// Host names by uuid.
    #[serde(deserialize_with = "null_is_empty")]
    pub allowed: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub waiting: BTreeMap<String, String>,
    /// The SHA-256 of the certificate authority; empty from an original Wigo.
    pub ca: String,
    pub details: ClientDetails,
}

/// What an original Wigo does not tell of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientDetails {
    pub allowed: Vec<ClientDetail>,
    pub waiting: Vec<ClientDetail>,
}

/// The particulars of a client that waits; of an allowed one only the first two.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ClientDetail {
    pub uuid: String,
    /// The SHA-256 of its key; `None` until an allowed client has enrolled.
    pub fingerprint: Option<String>,
    pub group: String,
    pub version: String,
    pub address: String,
    /// Unix seconds; 0 where it is not known.
    pub since: i64,
    pub connected: bool,
    pub note: String,
}

/// Something found in the tree: the instance, and the object keys that lead to it.
#[derive(Debug)]
pub struct Found<'tree> {
    pub instance: &'tree Wigo,
    pub path: Vec<&'tree str>,
}

impl Default for Wigo {
    fn default() -> Wigo {
        Wigo {
            uuid: String::new(),
            version: String::new(),
            is_alive: true,
            global_status: 0,
            global_message: String::new(),
            local_host: Host::default(),
            remote_wigos: BTreeMap::new(),
            hostname: String::new(),
            presence: String::new(),
            presence_since: 0,
            problem: String::new(),
        }
    }
}

impl Wigo {
    /// The name of its host.
    pub fn name(&self) -> &str {
        if self.hostname.is_empty() { &self.local_host.name } else { &self.hostname }
    }

    /// The worst of this instance and all below it. An original Wigo does not count those in its
    /// `GlobalStatus`.
    pub fn worst(&self) -> i64 {
        let below = self.remote_wigos.values().map(Wigo::worst);
        below.fold(self.global_status, i64::max)
    }

    /// Whether it reports; an original Wigo knows no more than yes and no.
    pub fn presence(&self) -> Presence {
        let otherwise = if self.is_alive { Presence::Alive } else { Presence::Down };
        Presence::parse(&self.presence).unwrap_or(otherwise)
    }

    /// Whether this instance and all below it report and are better than WARN.
    pub fn is_well(&self) -> bool {
        self.global_status < 200
            && self.presence() == Presence::Alive
            && self.remote_wigos.values().all(Wigo::is_well)
    }

    /// The instance with this host name or uuid, at any depth; `localhost` is this one. Of several with
    /// one name the first, depth-first in the order of uuids.
    pub fn find<'tree>(&'tree self, name_or_uuid: &str) -> Option<Found<'tree>> {
        if name_or_uuid == "localhost" || self.is(name_or_uuid) {
            return Some(Found { instance: self, path: Vec::new() });
        }
        self.remote_wigos.iter().find_map(|(key, remote)| {
            let mut found = remote.find(name_or_uuid)?;
            found.path.splice(0..0, ["RemoteWigos", key]);
            Some(found)
        })
    }

    fn is(&self, name_or_uuid: &str) -> bool {
        [&self.hostname, &self.local_host.name].into_iter().any(|name| name == name_or_uuid)
            || self.uuid.eq_ignore_ascii_case(name_or_uuid)
    }
}

/// The part of `json` that the object keys of `path` lead to, as it is written there.
pub fn part_of<'json>(json: &'json str, path: &[&str]) -> Option<&'json str> {
    let Some((key, rest)) = path.split_first() else { return Some(json.trim()) };
    let mut object: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    part_of(object.remove(*key)?.get(), rest)
}

/// Go writes an empty map as `null` where nothing was ever put into it.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
