//! How much may be done at once, so that nobody who gives orders keeps others from theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// Orders on their way to one instance directly below: fewer than calls, so that it can still be asked
/// whether it is there.
const MAX_TO_ONE: usize = 3;
/// Orders on their way to all instances together.
const MAX_ON_THE_WAY: usize = 64;
/// Orders that are taken from masters in a minute.
const MAX_OF_MASTERS: u32 = 600;
/// Refusals that are written to the log in a minute.
const MAX_REFUSALS: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// What is going on.
#[derive(Default)]
pub struct Quota {
    on_the_way: Arc<Mutex<HashMap<Uuid, usize>>>,
    of_masters: Mutex<Minute>,
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
    on_the_way: Arc<Mutex<HashMap<Uuid, usize>>>,
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
    pub fn enter(&self, link: Uuid) -> Option<Place> {
        let mut held = lock(&self.on_the_way);
        let all: usize = held.values().sum();
        let one = held.entry(link).or_default();
        if *one >= MAX_TO_ONE || all >= MAX_ON_THE_WAY {
            if *one == 0 {
                held.remove(&link);
            }
            return None;
        }
        *one += 1;
        Some(Place { on_the_way: self.on_the_way.clone(), link })
    }

    /// Whether another order may be taken from a master.
    pub fn one_more_of_a_master(&self) -> bool {
        lock(&self.of_masters).one_more(MAX_OF_MASTERS, Instant::now())
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
        let places: Vec<_> = (0..MAX_TO_ONE).map(|_| quota.enter(link(1)).unwrap()).collect();
        assert!(quota.enter(link(1)).is_none());
        let others: Vec<_> =
            (2..).map_while(|number| quota.enter(link(number))).take(1_000).collect();
        assert_eq!(places.len() + others.len(), MAX_ON_THE_WAY);
        drop(places);
        assert!(quota.enter(link(1)).is_some());
        drop(others);
        assert!(lock(&quota.on_the_way).is_empty());
    }

    #[test]
    fn a_minute_has_so_many() {
        let (mut minute, now) = (Minute::default(), Instant::now());
        assert!((0..5).all(|_| minute.one_more(5, now)));
        assert!(!minute.one_more(5, now + Duration::from_secs(59)));
        assert!(minute.one_more(5, now + MINUTE));
    }
}
