//! When to come back, so that thousands who were cut off together do not come back together.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// After this many milliseconds at most, where the master has not said how many there are.
pub const RETURN_MS: u32 = 2_000;
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The pause that the first failure allows; doubled with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A person has to do something before another attempt makes sense.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Chooses pauses, and remembers what went wrong so far.
#[derive(Debug)]
pub struct Pace {
    failures: u32,
    return_ms: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { failures: 0, return_ms: RETURN_MS }
    }
}

impl Pace {
    /// There was contact. `return_ms`: how the master wants its clients to spread.
    pub fn met(&mut self, return_ms: u32) {
        (self.failures, self.return_ms) = (0, return_ms);
    }

    /// The pause after a connection that broke.
    pub fn after_loss(&self) -> Duration {
        anywhere_within(Duration::from_millis(self.return_ms.into()))
    }

    /// The pause after an attempt that failed: anywhere below a bound that grows, so that no two stay
    /// in step even when both have reached the longest.
    pub fn after_failure(&mut self) -> Duration {
        let bound = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(MAX_PAUSE);
        self.failures += 1;
        anywhere_within(bound)
    }

    /// The pause after a refusal. `retry`: trying again soon makes sense.
    pub fn after_refusal(&mut self, retry: bool) -> Duration {
        if retry {
            self.after_failure()
        } else {
            REFUSED_PAUSE / 2 + anywhere_within(REFUSED_PAUSE)
        }
    }
}

/// A random part of a time.
pub fn anywhere_within(limit: Duration) -> Duration {
    // The standard library's hashes are keyed at random, which is random enough to spread.
    let random = RandomState::new().hash_one(Instant::now());
    limit.mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_their_bounds_and_differ() {
        let mut pace = Pace::default();
        for _ in 0..40 {
            assert!(pace.after_failure() <= MAX_PAUSE);
        }
        pace.met(10_000);
        let pauses: Vec<Duration> = (0..50).map(|_| pace.after_loss()).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)));
        assert!(pauses.windows(2).any(|two| two[0] != two[1]));
    }
}
