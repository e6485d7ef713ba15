//! When each probe is due. Plain data: the time is an argument, in seconds since the schedule began.
//!
//! The first runs are spread over the first seconds, from then on a probe keeps its rhythm exactly: run
//! n is due at its first run + n × interval, however long runs take. What was missed is skipped, not
//! made up for, and a probe never runs twice at the same time.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::tree::ProbeName;

/// Room for each first run in the opening spread.
const SPREAD_PER_PROBE: Duration = Duration::from_millis(200);
/// Longest opening spread.
const MAX_SPREAD: Duration = Duration::from_secs(10);
/// Shortest opening spread.
const MIN_SPREAD: Duration = Duration::from_secs(1);

/// Who is due when.
#[derive(Debug, Default)]
pub struct Schedule {
    slots: HashMap<ProbeName, Slot>,
    /// The same by time; a probe that is running is not in it.
    queue: BTreeSet<(Duration, ProbeName)>,
    /// Kept apart from the slots: a probe may be removed and added again during one run.
    running: HashSet<ProbeName>,
    /// Runs skipped of probes that are not known any more.
    skipped_before: u64,
}

#[derive(Debug)]
struct Slot {
    interval: Duration,
    /// The next point of its rhythm.
    due: Duration,
    /// Points that passed while the run before was still going on, or nobody had time.
    skipped: u64,
}

/// A run that is due.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    pub name: ProbeName,
    /// How much later than planned it is begun.
    pub late: Duration,
}

impl Schedule {
    /// Makes the schedule hold exactly `wanted`. `seed` tells hosts apart, so that a fleet that was
    /// started by one command does not beat in time.
    pub fn set<'name>(
        &mut self,
        wanted: impl Iterator<Item = (&'name ProbeName, Duration)> + Clone,
        seed: u64,
        now: Duration,
    ) {
        let names: BTreeSet<&ProbeName> = wanted.clone().map(|(name, _)| name).collect();
        let gone: Vec<ProbeName> =
            self.slots.keys().filter(|name| !names.contains(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
        let new: Vec<_> = wanted
            .filter(|(name, interval)| {
                self.slots.get(*name).is_none_or(|slot| slot.interval != *interval)
            })
            .collect();
        let spread = (SPREAD_PER_PROBE * new.len() as u32).clamp(MIN_SPREAD, MAX_SPREAD);
        for (name, interval) in new {
            self.remove(name);
            let due = now + offset(name, seed, spread.min(interval));
            self.slots.insert(name.clone(), Slot { interval, due, skipped: 0 });
            if !self.running.contains(name) {
                self.queue.insert((due, name.clone()));
            }
        }
    }

    fn remove(&mut self, name: &ProbeName) {
        if let Some(slot) = self.slots.remove(name) {
            self.skipped_before += slot.skipped;
            self.queue.remove(&(slot.due, name.clone()));
        }
    }

    /// Takes the run that has been due longest, if one is.
    pub fn take(&mut self, now: Duration) -> Option<Due> {
        let (due, _) = self.queue.first()?;
        if *due > now {
            return None;
        }
        let (due, name) = self.queue.pop_first()?;
        self.slots.get_mut(&name)?.pass(now);
        self.running.insert(name.clone());
        Some(Due { name, late: now.saturating_sub(due) })
    }

    /// Takes this probe out of turn; false if it is unknown or running. Its rhythm stays.
    pub fn take_now(&mut self, name: &ProbeName) -> bool {
        let Some(slot) = self.slots.get(name) else { return false };
        let free = self.running.insert(name.clone());
        if free {
            self.queue.remove(&(slot.due, name.clone()));
        }
        free
    }

    /// The run of this probe is over. Points that passed meanwhile are skipped.
    pub fn finished(&mut self, name: &ProbeName, now: Duration) {
        self.running.remove(name);
        if let Some(slot) = self.slots.get_mut(name) {
            if slot.due < now {
                slot.skipped += 1;
                slot.pass(now);
            }
            self.queue.insert((slot.due, name.clone()));
        }
    }

    /// When the next run is due.
    pub fn next(&self) -> Option<Duration> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// When this probe is due next, and how many of its runs were skipped.
    pub fn of(&self, name: &ProbeName) -> Option<(Duration, u64)> {
        self.slots.get(name).map(|slot| (slot.due, slot.skipped))
    }

    /// Runs skipped of all probes, those that are gone as well.
    pub fn skipped(&self) -> u64 {
        self.skipped_before + self.slots.values().map(|slot| slot.skipped).sum::<u64>()
    }

    /// Whether this probe is known.
    pub fn contains(&self, name: &ProbeName) -> bool {
        self.slots.contains_key(name)
    }
}

impl Slot {
    /// Moves on to the first point of the rhythm after `now`.
    fn pass(&mut self, now: Duration) {
        let behind = now.saturating_sub(self.due);
        let steps = behind.as_nanos() / self.interval.as_nanos().max(1);
        self.skipped += steps as u64;
        self.due += Duration::from_nanos((self.interval.as_nanos() * (steps + 1)) as u64);
    }
}

/// A place in the opening spread that is the same at each start.
fn offset(name: &ProbeName, seed: u64, spread: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    let part = hasher.finish() as u32;
    Duration::from_nanos(((spread.as_nanos() * u128::from(part)) >> 32) as u64)
}

#[cfg(test)]
mod tests;
