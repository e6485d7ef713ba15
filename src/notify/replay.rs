//! What would have been told: entries of the journal go through rules once more, at the times at which they
//! were learned, with a stand-in for the tree that follows from them. No message leaves.
//!
//! Acknowledgements, silences, windows and the loss of our own network are not in the journal and so are
//! left out. [`compare`] says how what two sets of rules tell differs.

pub mod compare;
mod past;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    Kind, Message, Rules, Subject,
    fact::fact,
    policy::{Effects, Policy, Stored},
};
use crate::{hub::Entry, status::Status, tree};

pub use past::Past;

/// The least time between two looks of the policy, so that a replay always comes to its end.
const LEAST_STEP: SignedDuration = SignedDuration::from_secs(1);

/// A message that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub at: Timestamp,
    pub channel: String,
    pub kind: Kind,
    /// What makes messages belong together: of what it is one, mostly the id of an incident.
    pub thread: String,
    pub subject: Subject,
    pub status: Status,
    pub title: String,
}

impl Said {
    fn of(message: Message) -> Said {
        // `<incident>:<number>:<channel>`, and numbers depend on what else is said.
        let thread = message.key.split(':').next().unwrap_or_default().to_owned();
        let Message { at, channel, kind, subject, status, title, .. } = message;
        Said { at, channel, kind, thread, subject, status, title }
    }
}

/// One set of rules on its way through the journal.
pub struct Replay {
    policy: Policy,
    past: Past,
    sender: Uuid,
    now: Timestamp,
    /// The agent itself was stopped, so that nobody looked at the time.
    is_stopped: bool,
}

impl Replay {
    /// Begins with nothing known to be bad. `sender`: this instance.
    pub fn new(rules: Rules, sender: Uuid, past: Past) -> Replay {
        let policy = Policy::new(rules, sender, Stored::default());
        Replay { policy, past, sender, now: Timestamp::MIN, is_stopped: false }
    }

    /// The next entry: all that was said up to it and because of it. `interval`: how often its probe runs.
    pub fn take(&mut self, entry: &Entry, interval: Duration) -> Vec<Said> {
        // Clocks may have been set back.
        let at = entry.learned.max(self.now);
        let mut out = Effects::default();
        if self.now == Timestamp::MIN || std::mem::take(&mut self.is_stopped) {
            self.now = at;
        }
        self.pass(at, &mut out);
        self.past.take(entry, interval, at);
        if entry.origin == self.sender {
            self.is_stopped = entry.transition.kind == tree::Kind::AgentStopped;
        }
        if let Some(fact) = fact(entry) {
            self.policy.handle(&[fact], &self.past, at, &mut out);
        }
        self.said(out)
    }

    /// What is said until then, with nothing else happening.
    pub fn until(&mut self, end: Timestamp) -> Vec<Said> {
        let mut out = Effects::default();
        if self.now != Timestamp::MIN {
            self.pass(end.max(self.now), &mut out);
        }
        self.said(out)
    }

    /// Lets time pass, with all that the policy has to do by itself.
    fn pass(&mut self, end: Timestamp, out: &mut Effects) {
        let mut least = self.now;
        while let Some(due) =
            self.policy.deadline().map(|due| due.max(least)).filter(|due| *due <= end)
        {
            self.past.set_now(due);
            self.policy.tick(&self.past, due, out);
            least = due.saturating_add(LEAST_STEP).unwrap_or(Timestamp::MAX);
            self.forget_changes();
        }
        self.now = end;
        self.past.set_now(end);
    }

    fn said(&mut self, out: Effects) -> Vec<Said> {
        self.forget_changes();
        let told = out.messages.into_iter().filter(|message| message.kind != Kind::Test);
        told.map(Said::of).collect()
    }

    /// Nothing is stored, so what would be does not have to be kept.
    fn forget_changes(&mut self) {
        drop(self.policy.take_changed());
    }
}

#[cfg(test)]
mod tests;
