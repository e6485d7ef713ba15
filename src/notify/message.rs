//! What a channel is given: complete in itself, since it may be delivered hours later, by another process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Subject;
use crate::status::Status;

/// A message to one channel. It is kept in the outbox as JSON until the receiver has taken it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same at each attempt, different for each message: `<incident>:<number>:<channel>`. Receivers
    /// drop doubles by it.
    pub key: String,
    /// The name of the channel it is for.
    pub channel: String,
    pub kind: Kind,
    pub priority: Priority,
    /// What it is about; `None` for notices, tests and digests.
    pub incident: Option<Uuid>,
    /// The same for all messages of an incident to one channel: what makes them a thread.
    pub thread: String,
    /// The first of its thread.
    pub is_first: bool,
    /// When it was decided.
    pub at: Timestamp,
    /// When what it tells happened.
    pub since: Timestamp,
    /// How bad it is now.
    pub status: Status,
    /// How bad it was when this channel was last told; `None`: it was not told.
    pub was: Option<Status>,
    /// The worst it has been.
    pub worst: Status,
    /// The first line: host, what, how bad. One line.
    pub title: String,
    /// What it is about first: the incident's lead.
    pub subject: Subject,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// The last output of the lead.
    pub output: String,
    /// What else is in it, worst first; at most [`MAX_LINES`].
    pub lines: Vec<Line>,
    /// How many subjects there are in all, and how many of them are still bad.
    pub total: u32,
    pub bad: u32,
    /// Where it says what to do.
    pub runbook: Option<String>,
    /// Where to look: the incident's page.
    pub link: Option<String>,
    /// Which reminder this is; 0: none.
    pub reminder: u32,
    /// The name of the host that sends it, and its instance.
    pub sender: String,
    pub sender_uuid: Uuid,
    /// The lead's last result as `/api` shows it, JSON; filled in by the desk, for receivers of the original.
    pub result: Option<String>,
    /// Names of the probes of the lead's host that are not OK; filled in by the desk.
    pub probes_in_error: Vec<String>,
    /// After this it is not sent any more.
    pub expires: Timestamp,
}

/// The most subjects that a message lists.
pub const MAX_LINES: usize = 20;

/// One subject in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub subject: Subject,
    pub status: Status,
    pub since: Timestamp,
    pub output: String,
}

/// What kind of message it is. The words are stored and sent: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It broke.
    Problem,
    /// It got worse.
    Worsened,
    /// It got better and is still bad.
    Improved,
    /// More subjects broke that belong to it.
    Joined,
    /// It still lasts.
    Reminder,
    /// It is over.
    Recovered,
    /// It changes all the time; nothing more is told until it is calm.
    Flapping,
    /// It does not change all the time any more, and this is how it is.
    Calm,
    /// What was held back: how it is now that a silence or a window is over, or what happened in quiet hours.
    Summary,
    /// Many messages in one, because there were too many.
    Digest,
    /// Something that has no end: a client that waits, entries that were lost.
    Notice,
    /// Somebody tries the channel.
    Test,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Normal,
    /// Reminders that were told to raise it, and escalations.
    High,
}

impl Kind {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Problem => "problem",
            Kind::Worsened => "worsened",
            Kind::Improved => "improved",
            Kind::Joined => "joined",
            Kind::Reminder => "reminder",
            Kind::Recovered => "recovered",
            Kind::Flapping => "flapping",
            Kind::Calm => "calm",
            Kind::Summary => "summary",
            Kind::Digest => "digest",
            Kind::Notice => "notice",
            Kind::Test => "test",
        }
    }
}
