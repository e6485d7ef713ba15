//! What time does next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::notify::Subject;

/// What is looked at when its time comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Acknowledgements, silences and windows: the next that begins or ends.
    Suppressions,
    Subject(Subject),
    Incident(Uuid),
    Channel(String),
}

/// At most one time for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Timestamp, Timer)>,
    of: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Option<Timestamp>) {
        if let Some(before) = self.of.remove(&timer) {
            self.by_time.remove(&(before, timer.clone()));
        }
        if let Some(at) = at {
            self.of.insert(timer.clone(), at);
            self.by_time.insert((at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes all that are due.
    pub(super) fn due(&mut self, now: Timestamp) -> BTreeSet<Timer> {
        let mut due = BTreeSet::new();
        while let Some((at, timer)) = self.by_time.pop_first() {
            if at > now {
                self.by_time.insert((at, timer));
                break;
            }
            self.of.remove(&timer);
            due.insert(timer);
        }
        due
    }
}
