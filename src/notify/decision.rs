//! Why something was sent, or not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Subject;
use crate::status::Status;

/// A decision with its chain: from the result to what was told or held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    pub subject: Subject,
    /// The entry of our journal that led to it; `None` where time did.
    pub entry: Option<u64>,
    pub incident: Option<Uuid>,
    /// The channel it is about; `None`: it ended before a channel was asked.
    pub channel: Option<String>,
    /// How bad the subject was.
    pub status: Status,
    pub outcome: Outcome,
    /// The questions that were asked, in order, the last of which decided.
    pub chain: Vec<Step>,
    /// The key of the message, if there is one.
    pub message: Option<String>,
}

/// What came of it. The words are stored: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A message is in the outbox.
    Sent,
    /// It waits for something: confirmation, the end of quiet hours, of a window.
    Waiting,
    /// It is part of a message of its incident that comes later, or of a digest.
    Grouped,
    /// Nothing is said.
    Held,
}

/// One question of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub reason: Reason,
    /// Whether it let pass; the first that did not is the reason why nothing was sent.
    pub passed: bool,
    /// What it was decided by, in words: `2 of 3 runs`, `silenced by alice until …`.
    pub detail: String,
}

/// What was asked. The words are stored: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// What the result said.
    Result,
    /// Messages of this kind are switched on (OnProbeChange, OnHostChange).
    Enabled,
    Confirmed,
    Flapping,
    /// The monitor is not cut off itself.
    Blind,
    /// What it depends on is up.
    Parent,
    /// After its parent came back, it was looked at again.
    Rechecked,
    Acknowledged,
    Silenced,
    Maintenance,
    Quiet,
    /// Which incident it went into.
    Incident,
    /// The channel is for this (hosts, groups, labels, times).
    Routed,
    /// It is bad enough.
    Level,
    RescueOnly,
    /// Whether the channel knows already.
    Told,
    /// It is time for a reminder.
    Repeat,
    Escalation,
    Grouping,
    RateLimit,
}

impl Decision {
    /// What decided: the last question.
    pub fn reason(&self) -> Option<&Step> {
        self.chain.last()
    }
}
