//! Transitions that belong together, from the first bad one to the recovery.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Subject, suppression::Ack};
use crate::status::Status;

/// What people are told about: everything that broke together.
///
/// Its id follows from what opened it, so two masters that learn of the same transition speak of the same
/// incident: UUID version 5 of the origin and its number there (see `policy::identify`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: Uuid,
    /// When the first of it happened.
    pub opened: Timestamp,
    /// When the last of it was over; `None` while it is open.
    pub closed: Option<Timestamp>,
    /// The worst of its members now (confirmed).
    pub status: Status,
    /// The worst it ever was.
    pub worst: Status,
    /// What broke first: the incident is called after it.
    pub lead: Subject,
    /// What is in it, in the order in which it came; at most [`MAX_MEMBERS`].
    pub members: Vec<Member>,
    /// Members that are not listed, because there are too many.
    pub unlisted: u32,
    /// Who looks after it.
    pub ack: Option<Ack>,
    /// What each channel was told last.
    pub told: BTreeMap<String, Told>,
    /// Grows with each message of it: part of the keys of messages.
    pub messages: u32,
}

/// The most members of an incident that are listed.
pub const MAX_MEMBERS: usize = 1_000;

/// A subject that is part of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub subject: Subject,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// When it broke.
    pub since: Timestamp,
    /// How it is now (confirmed).
    pub status: Status,
    /// The worst it was in this incident.
    pub worst: Status,
    /// What it said last, at most a few KiB.
    pub output: String,
    /// Where it says what to do.
    pub runbook: Option<String>,
    /// When it was over; `None` while it lasts.
    pub recovered: Option<Timestamp>,
}

/// What a channel was told of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The status that it was told last.
    pub status: Status,
    /// How many members it was told of.
    pub members: u32,
    /// When it was told first and last.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Reminders so far.
    pub reminders: u32,
    /// The identification of the first message, by which later ones are threads of it.
    pub thread: String,
}

/// One line of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    pub incident: Uuid,
    /// When it happened.
    pub at: Timestamp,
    pub event: Event,
    pub subject: Option<Subject>,
    pub status: Option<Status>,
    /// One sentence for people.
    pub text: String,
    /// Who did it, where somebody did.
    pub by: Option<String>,
}

/// What happened to an incident. The words are stored: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Opened,
    /// Another subject broke that belongs to it.
    Joined,
    Worsened,
    Improved,
    /// A member is over.
    Recovered,
    Acknowledged,
    /// The acknowledgement is over: something got worse, it expired, or somebody took it back.
    Unacknowledged,
    Silenced,
    Flapping,
    /// Flapping is over.
    Calm,
    /// A channel is told something.
    Told,
    /// Something was not told: why is in the decision.
    Held,
    Escalated,
    Closed,
}

impl Incident {
    /// Whether it lasts.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// How many members are in it, and how many of them are not over.
    pub fn count(&self) -> (u32, u32) {
        let all = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let over = self.members.iter().filter(|member| member.recovered.is_some()).count();
        let over = u32::try_from(over).unwrap_or(u32::MAX);
        (all.saturating_add(self.unlisted), all.saturating_sub(over).saturating_add(self.unlisted))
    }
}
