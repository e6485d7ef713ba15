//! What can be ordered, by whom, and what comes of it: plain data that every way carries.
//!
//! An order names an installed probe and a number or two. It has no code, no path, no argument, so that a
//! master that was broken into stays a nuisance.

use std::{fmt, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::Schedule;
use crate::{
    config::Role,
    tree::{Probe, ProbeName},
};

/// Longest reason, in characters; what is longer is cut.
pub const MAX_REASON: usize = 500;
/// Longest name of an author or of an instance on the way, in characters; what is longer is cut.
pub const MAX_AUTHOR: usize = 100;
/// Instances that an order may pass.
pub const MAX_HOPS: u8 = 16;
/// How long the answer may take, for whoever gave the order.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// The longest that a probe can be disabled for until it comes back by itself.
pub const MAX_DISABLED_FOR: Duration = Duration::from_secs(366 * 24 * 3600);

/// Something that an instance shall tell or do.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Stays the same when it is tried again, so that it is carried out once.
    pub id: Uuid,
    /// The instance that it is for.
    pub target: Uuid,
    pub what: What,
    pub author: Author,
    /// Instances that it has passed.
    pub hops: u8,
    /// How long the answer may take from here on.
    pub limit: Duration,
}

/// What an instance shall tell or do.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Tell what runs when. Nothing changes.
    Schedule,
    /// Do something with a probe.
    Do(ProbeName, Action),
}

/// What can be done with a probe.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Switch it off; after this time it is switched on again.
    Disable { reason: String, back_after: Option<Duration> },
    /// Run it every so many seconds.
    Interval { seconds: u32 },
    /// Run it now.
    Run,
}

impl Action {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Disable { .. } => "disable",
            Action::Interval { .. } => "interval",
            Action::Run => "run",
        }
    }

    /// What the audit log calls it.
    pub fn audited(&self) -> &'static str {
        match self {
            Action::Disable { .. } => "probe.disable",
            Action::Interval { .. } => "probe.interval",
            Action::Run => "probe.run",
        }
    }

    /// With what, for the audit log, and by which order.
    pub fn detail(&self, order: Uuid) -> Value {
        match self {
            Action::Disable { reason, back_after } => {
                let seconds = back_after.map_or(0, |after| after.as_secs());
                json!({ "Order": order, "Reason": reason, "For": seconds })
            }
            Action::Interval { seconds } => json!({ "Order": order, "Seconds": seconds }),
            Action::Run => json!({ "Order": order }),
        }
    }

    /// How the probe runs once it is done, for the audit log, if that is changed by it.
    pub fn after(&self) -> Option<Value> {
        match self {
            Action::Disable { .. } => Some(json!({ "Interval": null })),
            Action::Interval { seconds } => Some(json!({ "Interval": seconds })),
            Action::Run => None,
        }
    }

    /// What was done, after the name of who did it.
    pub fn done(&self) -> String {
        match self {
            Action::Disable { reason, back_after } => {
                let time = back_after.map(|after| format!(" for {} s", after.as_secs()));
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                format!("disabled it{}{why}", time.unwrap_or_default())
            }
            Action::Interval { seconds } => format!("lets it run every {seconds} s"),
            Action::Run => "ran it".to_owned(),
        }
    }
}

/// Who gives an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Author {
    /// As this instance, or the first one on the way, knows them.
    pub name: String,
    pub role: Role,
    /// One word: how they are known where they gave it.
    pub how: &'static str,
    /// Where they asked from, for the audit log; empty if that is not known.
    pub address: String,
    /// The instances, or the logins of instances, that it came through.
    pub by_way_of: Vec<String>,
}

/// Everybody who may look is told this, so the address is not in it.
impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by_way_of.is_empty() {
            true => f.write_str(&self.name),
            false => write!(f, "{} (by way of {})", self.name, self.by_way_of.join(", ")),
        }
    }
}

/// What comes of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done(Answer),
    Refused(Refusal),
    /// The way to the instance is not there now, and why: nothing was done.
    Away(String),
}

/// What an instance answers that did what it was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What runs when, now.
    Schedule(Box<Schedule>),
    /// What the probe said when it was run.
    Result(Box<Probe>),
    /// It takes the order and does it in its own time: an original Wigo, in its words.
    Accepted(String),
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// A sentence for who gave it.
    pub why: String,
}

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// It makes no sense.
    Invalid,
    /// An instance does not allow it.
    Forbidden,
    /// There is no such instance or probe.
    Unknown,
    /// It cannot be done as things are.
    Conflict,
    /// The instance cannot do such things.
    Unsupported,
    /// Something failed on the way or there.
    Failed,
    /// Too much else is being done.
    Busy,
    /// It took too long; it may be done all the same.
    Late,
}

impl RefusalKind {
    const ALL: [RefusalKind; 8] = [
        RefusalKind::Invalid,
        RefusalKind::Forbidden,
        RefusalKind::Unknown,
        RefusalKind::Conflict,
        RefusalKind::Unsupported,
        RefusalKind::Failed,
        RefusalKind::Busy,
        RefusalKind::Late,
    ];

    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            RefusalKind::Invalid => "invalid",
            RefusalKind::Forbidden => "forbidden",
            RefusalKind::Unknown => "unknown",
            RefusalKind::Conflict => "conflict",
            RefusalKind::Unsupported => "unsupported",
            RefusalKind::Failed => "failed",
            RefusalKind::Busy => "busy",
            RefusalKind::Late => "late",
        }
    }

    /// What a word means; one that only later instances know is some failure.
    pub fn parse(word: &str) -> RefusalKind {
        let known = RefusalKind::ALL.into_iter().find(|kind| kind.word() == word);
        known.unwrap_or(RefusalKind::Failed)
    }

    /// A refusal of this kind.
    pub fn because(self, why: impl Into<String>) -> Refusal {
        Refusal { kind: self, why: why.into() }
    }
}

impl Order {
    /// Whether anything changes by it.
    pub fn changes(&self) -> bool {
        self.what != What::Schedule
    }

    /// The probe that it is about.
    pub fn probe(&self) -> Option<&ProbeName> {
        match &self.what {
            What::Schedule => None,
            What::Do(probe, _) => Some(probe),
        }
    }
}

/// A text of others as it can be stored and shown: without control characters, and no longer than `most`
/// characters.
pub fn plain(text: &str, most: usize) -> String {
    let text = text.trim().chars().take(most);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_named_with_the_way_but_without_the_address() {
        let mut author = Author {
            name: "alice".into(),
            role: Role::Operator,
            how: "password",
            address: "10.0.0.1".into(),
            by_way_of: vec![],
        };
        assert_eq!(author.to_string(), "alice");
        author.by_way_of = vec!["top".into(), "middle".into()];
        assert_eq!(author.to_string(), "alice (by way of top, middle)");
    }

    #[test]
    fn kinds_have_words() {
        for kind in RefusalKind::ALL {
            assert_eq!(RefusalKind::parse(kind.word()), kind);
        }
        assert_eq!(RefusalKind::parse("tomorrow"), RefusalKind::Failed);
    }

    #[test]
    fn texts_of_others_are_made_plain() {
        assert_eq!(plain(" a\nb\u{1b}[31m ", 500), "a b [31m");
        assert_eq!(plain("ééé", 2), "éé");
    }
}
