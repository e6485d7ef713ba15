//! How much may be done at once, so that nobody who gives orders keeps others from theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// Orders on their way to one instance directly below, and to all together. To one there are fewer than
/// calls, of both kinds together, so that it can still be asked whether it is there.
const MAX_CHANGES: (usize, usize) = (2, 48);
/// The same for those that only ask, which more people may give.
const MAX_READS: (usize, usize) = (1, 16);
/// Orders of each kind that are taken from masters in a minute.
const MAX_OF_MASTERS: u32 = 600;
/// Refusals that are written to the log in a minute.
const MAX_REFUSALS: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// How many orders are on their way to whom.
type OnTheWay = Arc<Mutex<HashMap<Uuid, usize>>>;

/// What is going on. What only asks never takes the place of what changes something.
#[derive(Default)]
pub struct Quota {
    changes: OnTheWay,
    reads: OnTheWay,
    changes_of_masters: Mutex<Minute>,
    reads_of_masters: Mutex<Minute>,
    refusals: Mutex<Minute>,
}

/// How often something happened in a minute.
#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    count: u32,
}

impl Minute {
    fn one_more(&mut self, most: u32, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            *self = Minute { began: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

/// An order that is on its way, until this is dropped.
pub struct Place {
    on_the_way: OnTheWay,
    link: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.on_the_way);
        if let Some(count) = held.get_mut(&self.link) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.link);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Quota {
    /// A place for an order to an instance directly below, if there is one.
    pub fn enter(&self, link: Uuid, changes: bool) -> Option<Place> {
        let (on_the_way, (most_to_one, most)) = match changes {
            true => (&self.changes, MAX_CHANGES),
            false => (&self.reads, MAX_READS),
        };
        let mut held = lock(on_the_way);
        let all: usize = held.values().sum();
        let one = held.entry(link).or_default();
        if *one >= most_to_one || all >= most {
            if *one == 0 {
                held.remove(&link);
            }
            return None;
        }
        *one += 1;
        Some(Place { on_the_way: on_the_way.clone(), link })
    }

    /// Whether another order may be taken from a master.
    pub fn one_more_of_a_master(&self, changes: bool) -> bool {
        let minute = if changes { &self.changes_of_masters } else { &self.reads_of_masters };
        lock(minute).one_more(MAX_OF_MASTERS, Instant::now())
    }

    /// Whether another refusal may be written down.
    pub fn one_more_refusal(&self) -> bool {
        lock(&self.refusals).one_more(MAX_REFUSALS, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let quota = Quota::default();
        let link = Uuid::from_u128;
        for (changes, (most_to_one, most)) in [(true, MAX_CHANGES), (false, MAX_READS)] {
            let enter = |number| quota.enter(link(number), changes);
            let places: Vec<_> = (0..most_to_one).map(|_| enter(1).unwrap()).collect();
            assert!(enter(1).is_none());
            let others: Vec<_> = (2..).map_while(enter).take(1_000).collect();
            assert_eq!(places.len() + others.len(), most);
            // Those of the other kind have places of their own.
            assert!(quota.enter(link(1), !changes).is_some());
            drop(places);
            assert!(enter(1).is_some());
        }
        assert!(lock(&quota.changes).is_empty() && lock(&quota.reads).is_empty());
    }

    #[test]
    fn what_asks_does_not_use_up_what_may_change() {
        let quota = Quota::default();
        while quota.one_more_of_a_master(false) {}
        assert!(quota.one_more_of_a_master(true));
    }

    #[test]
    fn a_minute_has_so_many() {
        let (mut minute, now) = (Minute::default(), Instant::now());
        assert!((0..5).all(|_| minute.one_more(5, now)));
        assert!(!minute.one_more(5, now + Duration::from_secs(59)));
        assert!(minute.one_more(5, now + MINUTE));
    }
}
