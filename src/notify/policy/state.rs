//! What the policy remembers: plain data, stored in pieces.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::matching::Whose;
use crate::{
    notify::{Incident, Reason, Subject, Window, message::Line},
    status::Status,
};

/// The most incidents that are open; what breaks beyond joins one that holds all the rest.
pub(super) const MAX_OPEN: usize = 10_000;
/// The most hosts of which something is remembered; of others it is forgotten while all of them is well.
pub(super) const MAX_HOSTS: usize = 100_000;
/// The most silences, acknowledgements and windows, of each.
pub(super) const MAX_SUPPRESSIONS: usize = 10_000;
/// The most incidents that a channel remembers for the end of quiet hours by name; others are counted.
pub(super) const MAX_NOTES: usize = 1_000;

/// A subject that is not simply well. Those that are well have none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    pub subject: Subject,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// How it is, as far as we have heard.
    pub shown: Status,
    /// How it is, as far as messages are concerned.
    pub confirmed: Status,
    /// When what led to the confirmed status began.
    pub since: Timestamp,
    /// When `shown` left `confirmed`.
    pub left: Timestamp,
    pub output: String,
    /// The id of the incident that it opens, if it opens one, and how many it opened with that.
    pub cause: Uuid,
    pub opened: u32,
    /// Its last runs, the newest last, and when the newest was.
    pub runs: Vec<Status>,
    pub counted: Timestamp,
    /// When it changed between OK and not.
    pub changes: Vec<Timestamp>,
    pub is_flapping: bool,
    pub wait: Option<Wait>,
    /// The open incident that it is in, and its place among the members that are listed.
    pub incident: Option<Uuid>,
    pub slot: Option<u32>,
    /// What channels were told of it in this incident.
    pub heard: BTreeMap<String, Status>,
    /// It got worse than was acknowledged: to be told, however bad the rest of the incident is.
    pub insists: bool,
}

impl Track {
    pub(super) fn whose(&self) -> Whose<'_> {
        Whose { subject: &self.subject, group: &self.group, labels: &self.labels }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.confirmed > Status::OK
    }

    /// Nothing is to be remembered of it.
    pub(super) fn is_well(&self) -> bool {
        !self.is_bad()
            && self.shown == Status::OK
            && self.runs.iter().all(|run| *run == Status::OK)
            && !self.is_flapping
            && self.changes.is_empty()
            && self.wait.is_none()
            && self.incident.is_none()
    }
}

/// Why nothing is judged of a subject for now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wait {
    /// Something about it changed while this was so.
    Blocked(Block),
    /// It is looked at again: by a run after `after`, at `limit` at the latest.
    Look { why: Reason, after: Timestamp, limit: Option<Timestamp> },
}

/// What is in the way of knowing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Block {
    /// We are cut off.
    Blind,
    /// This host is down, itself or in front of it.
    Behind(String),
}

/// What is remembered of a host, so that two masters name its next outage alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HostNote {
    /// The highest number that its own instance gave to something.
    pub told: u64,
    /// How often it went down since.
    pub downs: u32,
    /// When it came back last.
    pub returned: Option<Timestamp>,
}

/// An incident, and what is not shown of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    pub incident: Incident,
    /// When we learned of it.
    pub begun: Timestamp,
    /// When those who joined are told.
    pub join_due: Option<Timestamp>,
    pub escalated: Option<Timestamp>,
    /// The worst of the members that are not listed.
    pub unlisted_worst: Status,
    /// Nobody was told yet that it is over, for the sake of quiet hours.
    pub is_owed: bool,
}

/// A window, and the occurrence of it that lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub window: Window,
    pub open: Option<(Timestamp, Timestamp)>,
}

/// What is remembered of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mouth {
    /// What may still be sent, a message being `pace::TOKEN`, and when that was so.
    pub tokens: i64,
    pub at: Timestamp,
    pub digest: Option<Digest>,
    /// What waits for the end of quiet hours, by incident.
    pub notes: BTreeMap<Uuid, Note>,
    /// How many more there were than notes are kept.
    pub unnoted: u32,
}

/// Messages that became one because there were too many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Digest {
    pub since: Timestamp,
    /// The newest state of each incident, not of all.
    pub lines: BTreeMap<Uuid, Line>,
    /// How many messages it stands for.
    pub count: u32,
    pub worst: Status,
}

/// Something that was not told in quiet hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub subject: Subject,
    pub status: Status,
    pub since: Timestamp,
    /// When it was over, if it is.
    pub over: Option<Timestamp>,
    pub output: String,
}

/// Silences and windows that ended: what they covered is looked at again before anything is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub at: Timestamp,
    /// What ended, in words.
    pub name: String,
    /// What is still looked at.
    pub pending: BTreeSet<Subject>,
    /// The incidents that it is about.
    pub incidents: BTreeSet<Uuid>,
}

/// What there is once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Global {
    /// Since when we are cut off.
    pub blind: Option<Timestamp>,
    /// The last id given to a suppression or window.
    pub last_id: u64,
    /// Messages that belong to no incident, for their keys.
    pub messages: u64,
    /// The incident that holds what is too much.
    pub overflow: Option<Uuid>,
    pub endings: Vec<Ending>,
}
