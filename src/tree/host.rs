//! A host and what its probes said.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Disabled, ProbeName};
use crate::{json::Json, status::Status};

/// What one run of a probe said, or what is said about it when the run failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeResult {
    pub name: ProbeName,
    /// The probe's own version, as it printed it.
    pub version: String,
    /// Any JSON; by convention a word or a number that sums up the result.
    pub value: Json,
    /// One sentence for people.
    pub message: String,
    /// When the run ended.
    pub date: Timestamp,
    /// Any JSON; by convention a list of `{"Tags": {…}, "Value": number}`.
    pub metrics: Json,
    /// Any JSON.
    pub detail: Json,
    pub status: Status,
    /// The exit code; −1 where there was none (killed, timed out, not started).
    pub exit_code: i32,
    /// Seconds between runs; 0 for a result that no schedule brings about.
    pub interval: u32,
}

/// A probe of a host: its last result, and since when it has been that way.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub result: Arc<ProbeResult>,
    /// When the present status began.
    pub since: Timestamp,
    /// The result is what was known before a restart or a loss of contact: shown, and not confirmed since.
    pub stale: bool,
}

/// A host: what it is called, where it belongs, and its probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub name: String,
    pub group: String,
    /// More dimensions than the group, from `[Labels]`.
    pub labels: BTreeMap<String, String>,
    pub probes: BTreeMap<ProbeName, Probe>,
    /// Probes that somebody has switched off.
    pub disabled: BTreeMap<ProbeName, Disabled>,
}

impl Host {
    /// A host of which nothing is known yet.
    pub fn new(name: impl Into<String>, group: impl Into<String>) -> Host {
        Host {
            name: name.into(),
            group: group.into(),
            labels: BTreeMap::new(),
            probes: BTreeMap::new(),
            disabled: BTreeMap::new(),
        }
    }

    /// The worst of its probes.
    pub fn status(&self) -> Status {
        Status::worst(self.probes.values().map(|probe| probe.result.status))
    }
}
