//! What to tell, whom, and when: a pure function of facts, state, rules and time.
//!
//! Nothing in this folder knows a file, a socket, a channel, a runtime or a clock.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Decision, Message, Moment, Subject, Window};
use crate::status::Status;

mod behind;
mod chain;
mod commands;
mod confirm;
mod cover;
mod ending;
mod engine;
mod facts;
mod flapping;
mod identify;
mod incidents;
mod judge;
mod matching;
mod pieces;
mod quiet;
mod state;
mod tell;
mod text;
mod timers;
mod track;

pub use engine::{Policy, Standing};
pub use identify::identify;

/// Something that happened, from the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The entry of our journal.
    pub entry: u64,
    /// Where it happened, and its number there.
    pub origin: Uuid,
    pub origin_id: u64,
    /// When it happened.
    pub at: Timestamp,
    pub subject: Subject,
    pub group: String,
    pub what: What,
    /// What was said.
    pub message: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A probe's status; `was` is `None` for the first result.
    Status { was: Option<Status>, now: Status },
    /// A probe is not there any more.
    Gone,
    /// A host does not report any more.
    HostDown,
    /// It reports again, or for the first time.
    HostUp,
    /// It left on purpose.
    HostGone,
    /// It said that it stops; or the agent here did.
    HostStopped,
    /// Something that has no end.
    Notice(Status),
}

/// What there is around a subject, as the policy needs it.
pub trait World {
    /// What is known of a host; `None` if it is not known any more.
    fn host(&self, host: &str) -> Option<Place>;

    /// The last run of a probe; `None` if it has not run or is not there any more.
    fn last_run(&self, subject: &Subject) -> Option<Run>;
}

/// A host among others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// The names of the hosts above it, the nearest first, this one last.
    pub above: Vec<String>,
    /// It is known to report, by itself and through all above it.
    pub is_reached: bool,
    /// Where it says what to do about each probe (`*`: about all).
    pub runbooks: BTreeMap<String, String>,
}

/// One run of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub at: Timestamp,
    pub status: Status,
    pub interval: Duration,
    pub output: String,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `status` of the acknowledgement is set by the policy.
    Acknowledge {
        subject: Subject,
        author: String,
        reason: String,
        until: Option<Timestamp>,
    },
    /// The whole incident: each of its members.
    AcknowledgeIncident {
        id: Uuid,
        author: String,
        reason: String,
        until: Option<Timestamp>,
    },
    Silence {
        scope: super::Scope,
        author: String,
        reason: String,
        until: Timestamp,
    },
    /// Lifts acknowledgements and silences of exactly this scope (of a host: of its probes too, where
    /// `probe` is none).
    Unsuppress {
        scope: super::Scope,
        author: String,
    },
    /// Lifts one.
    Lift {
        id: u64,
        author: String,
    },
    /// `id` 0: a new one.
    SetWindow {
        window: Window,
    },
    RemoveWindow {
        id: u64,
        author: String,
    },
    /// Whether the witnesses are reached.
    Blind {
        blind: bool,
    },
}

/// What came of facts, a command or time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub messages: Vec<Message>,
    pub decisions: Vec<Decision>,
    pub moments: Vec<Moment>,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done: the ids of what was made or lifted.
    Done(Vec<u64>),
    /// Not done; a sentence.
    Refused(String),
}

/// A piece of the state that changed and is to be stored: its key, and its value as JSON, `None` if it is
/// gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// `subject`, `host`, `incident`, `suppression`, `window`, `channel`, `global`.
    pub kind: &'static str,
    pub key: String,
    pub value: Option<String>,
}

/// The whole state, as it was stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// By kind and key.
    pub pieces: Vec<(String, String, String)>,
}

#[cfg(test)]
mod tests;
