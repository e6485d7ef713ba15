//! How often one network may come back from the provider, and how much of it is told in the log: a browser
//! can come back with anything, as often as it likes.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::access::throttle::{make_room, network};

/// Answers of one network that are looked at within [`WINDOW`]; the provider is asked for each.
pub const MAX_ANSWERS: u32 = 30;
/// Refusals that are told within [`WINDOW`], whoever they are of.
pub const MAX_TOLD: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// What came within a minute.
#[derive(Debug, Default)]
pub struct Pace {
    answers: HashMap<IpAddr, (Instant, u32)>,
    told: Option<(Instant, u32)>,
    /// Refusals that were not told, since one was.
    untold: u64,
}

impl Pace {
    /// Whether an answer that comes from there is looked at.
    pub fn admit(&mut self, from: Option<IpAddr>, now: Instant) -> bool {
        let key = network(from);
        make_room(&mut self.answers, &key, now, |(since, _)| *since);
        let (since, count) = within_window(self.answers.get(&key).copied(), now);
        self.answers.insert(key, (since, count.saturating_add(1)));
        count < MAX_ANSWERS
    }

    /// Whether to tell of a refusal: with how many others that were not told before it.
    pub fn tell(&mut self, now: Instant) -> Option<u64> {
        let (since, count) = within_window(self.told, now);
        self.told = Some((since, count.saturating_add(1)));
        if count >= MAX_TOLD {
            self.untold += 1;
            return None;
        }
        Some(std::mem::take(&mut self.untold))
    }
}

fn within_window(counted: Option<(Instant, u32)>, now: Instant) -> (Instant, u32) {
    let is_fresh = |(since, _): &(Instant, u32)| now.saturating_duration_since(*since) < WINDOW;
    counted.filter(is_fresh).unwrap_or((now, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_comes_so_often_and_others_meanwhile() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let (one, other) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        assert!((0..MAX_ANSWERS).all(|_| pace.admit(one, now)));
        assert!(!pace.admit(one, now) && pace.admit(other, now));
        assert!(pace.admit(one, now + WINDOW));
    }

    #[test]
    fn refusals_are_told_up_to_a_number_and_then_counted() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!((0..MAX_TOLD).all(|_| pace.tell(now) == Some(0)));
        assert!((0..7).all(|_| pace.tell(now).is_none()));
        assert_eq!(pace.tell(now + WINDOW), Some(7));
        assert_eq!(pace.tell(now + WINDOW), Some(0));
    }
}
