//! What holds messages back: acknowledgements, silences, maintenance windows.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::{status::Status, tree::ProbeName};

/// Whom it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scope", content = "of")]
pub enum Scope {
    /// A host, or one of its probes.
    Subject(Subject),
    /// All hosts of a group, or one probe of them.
    Group { group: String, probe: Option<ProbeName> },
    /// All hosts with these labels, or one probe of them.
    Labels { labels: BTreeMap<String, String>, probe: Option<ProbeName> },
    /// Everything.
    All,
}

/// Somebody looks after it: nothing more is said until it gets worse than it was, or is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    pub id: u64,
    pub subject: Subject,
    /// How bad it was then.
    pub status: Status,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
    /// `None`: until it is over.
    pub until: Option<Timestamp>,
    /// Messages it held back.
    pub held: u64,
}

/// Nothing is said about these until then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    pub id: u64,
    pub scope: Scope,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
    pub until: Timestamp,
    /// Messages it held back.
    pub held: u64,
}

/// Either of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Suppression {
    Ack(Ack),
    Silence(Silence),
}

/// A time in which work is done and nothing is said: once, or again and again. Occurrences are computed,
/// never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub id: u64,
    pub name: String,
    pub scope: Scope,
    pub schedule: Schedule,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
    /// After this it does not come back; required of none that happens once.
    pub ends: Option<Timestamp>,
    /// Messages it held back, in all.
    pub held: u64,
}

/// When a window is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "every")]
pub enum Schedule {
    Once {
        from: Timestamp,
        to: Timestamp,
    },
    /// On these days of the week (1 Monday … 7 Sunday), from this time of the day for so many seconds.
    Week {
        days: Vec<i8>,
        at: civil::Time,
        seconds: u32,
        zone: String,
    },
    /// On these days of the month; -1 is the last.
    Month {
        days: Vec<i8>,
        at: civil::Time,
        seconds: u32,
        zone: String,
    },
}

impl Suppression {
    /// Its id.
    pub fn id(&self) -> u64 {
        match self {
            Suppression::Ack(ack) => ack.id,
            Suppression::Silence(silence) => silence.id,
        }
    }
}
