//! How what two sets of rules tell differs: messages that appear, vanish or move.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::Said;
use crate::notify::Subject;

/// Less than this is no difference in time.
const SAME_TIME: SignedDuration = SignedDuration::from_secs(1);
/// Messages of the same kind about the same are the same if they are not further apart than this.
const MOVES_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// How long a message waits for its counterpart.
const HORIZON: SignedDuration = SignedDuration::from_hours(48);
/// The most messages of one side that wait; beyond it the oldest have no counterpart.
const MAX_WAITING: usize = 100_000;

/// Which of the two said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

/// A message that the two do not say alike.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Only the new rules say it.
    Appears(Said),
    /// Only the old ones do.
    Vanishes(Said),
    /// Both do, at other times: the old one, and when it is said by the new rules.
    Moves(Said, Timestamp),
}

impl Difference {
    /// When it matters first.
    pub fn at(&self) -> Timestamp {
        match self {
            Difference::Appears(said) | Difference::Vanishes(said) => said.at,
            Difference::Moves(said, to) => said.at.min(*to),
        }
    }

    /// The message, as the old rules say it if they do.
    pub fn said(&self) -> &Said {
        match self {
            Difference::Appears(said) | Difference::Vanishes(said) | Difference::Moves(said, _) => {
                said
            }
        }
    }
}

/// How many messages there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub old: usize,
    pub new: usize,
}

/// Both sides on their way.
#[derive(Debug, Default)]
pub struct Compare {
    old: Waiting,
    new: Waiting,
    counts: BTreeMap<String, Counts>,
    found: Vec<Difference>,
}

/// Messages that wait for their counterpart, in the order in which they were said.
#[derive(Debug, Default)]
struct Waiting {
    said: VecDeque<(u64, Said)>,
    /// The numbers of those that are alike: of one incident…
    of_thread: HashMap<Key, Vec<u64>>,
    /// …or only about the same.
    of_subject: HashMap<Key, Vec<u64>>,
    next: u64,
}

/// What those that are alike have in common.
type Key = (String, &'static str, Subject, Option<String>);

impl Compare {
    /// Takes in what one side says.
    pub fn take(&mut self, side: Side, said: Said) {
        let counts = self.counts.entry(said.channel.clone()).or_default();
        let (mine, other) = match side {
            Side::Old => {
                counts.old += 1;
                (&mut self.old, &mut self.new)
            }
            Side::New => {
                counts.new += 1;
                (&mut self.new, &mut self.old)
            }
        };
        let same = other.nearest(&thread_of(&said), &other.of_thread, said.at, SAME_TIME);
        match same {
            Some(number) => drop(other.remove(number)),
            None => mine.push(said),
        }
        if mine.said.len() > MAX_WAITING
            && let Some(oldest) = mine.pop()
        {
            self.found.push(alone(side, oldest));
        }
    }

    /// What is known to differ by now; both sides have said all that they say before `now`.
    pub fn settle(&mut self, now: Timestamp) -> Vec<Difference> {
        let before = now.saturating_sub(HORIZON).unwrap_or(Timestamp::MIN);
        self.settle_before(before);
        std::mem::take(&mut self.found)
    }

    /// What else differs, now that both sides have said all.
    pub fn end(mut self) -> (Vec<Difference>, BTreeMap<String, Counts>) {
        self.settle_before(Timestamp::MAX);
        (self.found, self.counts)
    }

    fn settle_before(&mut self, before: Timestamp) {
        for said in self.old.take_before(before) {
            let moved =
                self.new.take_like(&said).map(|new| Difference::Moves(said.clone(), new.at));
            self.found.push(moved.unwrap_or_else(|| alone(Side::Old, said)));
        }
        for said in self.new.take_before(before) {
            let moved = self.old.take_like(&said).map(|old| Difference::Moves(old, said.at));
            self.found.push(moved.unwrap_or_else(|| alone(Side::New, said)));
        }
    }
}

fn alone(side: Side, said: Said) -> Difference {
    match side {
        Side::Old => Difference::Vanishes(said),
        Side::New => Difference::Appears(said),
    }
}

fn thread_of(said: &Said) -> Key {
    (said.channel.clone(), said.kind.word(), said.subject.clone(), Some(said.thread.clone()))
}

fn subject_of(said: &Said) -> Key {
    (said.channel.clone(), said.kind.word(), said.subject.clone(), None)
}

impl Waiting {
    fn push(&mut self, said: Said) {
        self.of_thread.entry(thread_of(&said)).or_default().push(self.next);
        self.of_subject.entry(subject_of(&said)).or_default().push(self.next);
        self.said.push_back((self.next, said));
        self.next += 1;
    }

    fn pop(&mut self) -> Option<Said> {
        let number = self.said.front()?.0;
        self.remove(number)
    }

    /// The counterpart of what the other side says at another time.
    fn take_like(&mut self, said: &Said) -> Option<Said> {
        let of_thread = self.nearest(&thread_of(said), &self.of_thread, said.at, HORIZON);
        let of_subject =
            || self.nearest(&subject_of(said), &self.of_subject, said.at, MOVES_WITHIN);
        let number = of_thread.or_else(of_subject)?;
        self.remove(number)
    }

    /// Of those that are alike the one that is nearest in time, if it is near.
    fn nearest(
        &self,
        key: &Key,
        alike: &HashMap<Key, Vec<u64>>,
        to: Timestamp,
        within: SignedDuration,
    ) -> Option<u64> {
        let at = |number: u64| Some(self.said[self.place(number)?].1.at);
        let alike = alike.get(key)?;
        // They are in the order of time.
        let later = alike.partition_point(|number| at(*number).is_some_and(|at| at < to));
        let around = [later.checked_sub(1), Some(later)].into_iter().flatten();
        let around = around
            .filter_map(|place| alike.get(place))
            .filter_map(|number| Some((at(*number)?.duration_since(to).abs(), *number)));
        around.min().filter(|(distance, _)| *distance < within).map(|(_, number)| number)
    }

    fn remove(&mut self, number: u64) -> Option<Said> {
        let place = self.place(number)?;
        let (_, said) = self.said.remove(place)?;
        for (key, alike) in
            [(thread_of(&said), &mut self.of_thread), (subject_of(&said), &mut self.of_subject)]
        {
            if let Some(numbers) = alike.get_mut(&key) {
                if let Ok(place) = numbers.binary_search(&number) {
                    numbers.remove(place);
                }
                if numbers.is_empty() {
                    alike.remove(&key);
                }
            }
        }
        Some(said)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.said.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    fn take_before(&mut self, before: Timestamp) -> Vec<Said> {
        let mut taken = Vec::new();
        while self.said.front().is_some_and(|(_, said)| said.at < before) {
            taken.extend(self.pop());
        }
        taken
    }
}

#[cfg(test)]
mod tests;
