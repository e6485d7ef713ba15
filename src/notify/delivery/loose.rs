//! Messages that are not on the disk, since it cannot be written: they go out from memory, and what came of
//! them is kept until they are on the disk.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    notify::Message,
    store::{Attempt, DeliveryState, Due},
};

/// The most messages that go out from memory. Further ones wait for the disk.
pub(super) const MAX_LOOSE: usize = 1_000;
/// The most of all, those that are delivered included.
const MAX_KEPT: usize = 5_000;

/// The messages, in the order in which they were decided.
#[derive(Default)]
pub(super) struct Loose(Vec<Entry>);

struct Entry {
    message: Message,
    attempts: u32,
    state: DeliveryState,
    next: Timestamp,
    /// What is to be noted once it is on the disk.
    made: Vec<Attempt>,
}

impl Loose {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn holds(&self, key: &str) -> bool {
        self.0.iter().any(|entry| entry.message.key == key)
    }

    /// Takes a message over; `false`: there are too many.
    pub fn add(&mut self, message: &Message) -> bool {
        if self.holds(&message.key) {
            return true;
        }
        // What is delivered is kept until it is on the disk: else it would be taken for new.
        let waiting = self.0.iter().filter(|entry| entry.state == DeliveryState::Waiting).count();
        if waiting >= MAX_LOOSE || self.0.len() >= MAX_KEPT {
            return false;
        }
        self.0.push(Entry {
            message: message.clone(),
            attempts: 0,
            state: DeliveryState::Waiting,
            next: message.at,
            made: Vec::new(),
        });
        true
    }

    /// What is due at a channel, those in `flying` left out, and when the next one is.
    pub fn due(
        &self,
        channel: &str,
        now: Timestamp,
        limit: usize,
        flying: &HashSet<String>,
    ) -> (Vec<Due>, Option<Timestamp>) {
        let (mut due, mut later) = (Vec::new(), None);
        let mut before = BTreeSet::<Uuid>::new();
        let waiting = self.0.iter().filter(|entry| {
            entry.message.channel == channel && entry.state == DeliveryState::Waiting
        });
        for entry in waiting {
            // Each incident in order.
            let is_first = entry.message.incident.is_none_or(|incident| before.insert(incident));
            if !is_first || flying.contains(&entry.message.key) {
                continue;
            }
            if entry.next > now {
                later = Some(later.map_or(entry.next, |later: Timestamp| later.min(entry.next)));
            } else if due.len() < limit {
                let (message, attempts) = (entry.message.clone(), entry.attempts);
                due.push(Due { message, attempts, is_copied: false });
            }
        }
        (due, later)
    }

    /// Notes an attempt; gives it back if its message is not here.
    pub fn attempted(&mut self, attempt: Attempt) -> Option<Attempt> {
        let entry = self.0.iter_mut().find(|entry| entry.message.key == attempt.key);
        let Some(entry) = entry else { return Some(attempt) };
        entry.attempts += 1;
        entry.state = attempt.state;
        entry.next = attempt.next.unwrap_or(entry.next);
        let instead = attempt.instead.clone();
        entry.made.push(attempt);
        if let Some(instead) = instead {
            self.add(&instead);
        }
        None
    }

    /// These are on the disk now. Returns what is to be noted of them.
    pub fn landed(&mut self, keys: &HashSet<&str>) -> Vec<Attempt> {
        let mut made = Vec::new();
        // Copies were made here, and come to the disk with the attempts.
        let copies: HashSet<String> = self
            .0
            .iter()
            .filter(|entry| keys.contains(entry.message.key.as_str()))
            .flat_map(|entry| entry.made.iter().filter_map(|attempt| attempt.instead.as_deref()))
            .map(|copy| copy.key.clone())
            .collect();
        self.0.retain_mut(|entry| {
            let key = &entry.message.key;
            let is_here = keys.contains(key.as_str()) || copies.contains(key);
            if is_here {
                made.append(&mut entry.made);
            }
            !is_here
        });
        made
    }
}
