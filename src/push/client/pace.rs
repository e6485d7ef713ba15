//! When to come back, so that thousands who were cut off together do not come back together.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use crate::tree::SETTLED;

/// After this many milliseconds at most, where the master has not said how many there are.
pub const RETURN_MS: u32 = 2_000;
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The pause that the first failure allows; doubled with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that a master may tell us to stay away, in milliseconds.
const MAX_TOLD_MS: u32 = 60_000;
/// At once, for who has to keep out of step with others.
const AT_ONCE: Duration = Duration::from_millis(200);
/// A person has to do something before another attempt makes sense.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Chooses pauses, and remembers what went wrong so far.
#[derive(Debug)]
pub struct Pace {
    failures: u32,
    return_ms: u32,
    /// A connection was lost, and we have not been back since.
    lost: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { failures: 0, return_ms: RETURN_MS, lost: false }
    }
}

impl Pace {
    /// There was contact. `return_ms`: how the master wants its clients to spread.
    pub fn met(&mut self, return_ms: u32) {
        *self = Pace { failures: 0, return_ms: return_ms.min(MAX_TOLD_MS), lost: false };
    }

    /// The pause after a session that broke and had `lasted` so long. A line that broke once is tried at
    /// once; if all were cut off, that attempt fails, and we spread with the others then.
    pub fn after_loss(&mut self, lasted: Duration) -> Duration {
        self.lost = true;
        let spread = Duration::from_millis(self.return_ms.into());
        anywhere_within(if lasted > SETTLED { spread.min(AT_ONCE) } else { spread })
    }

    /// The pause after an attempt that failed: anywhere below a bound that grows, so that no two stay
    /// in step even when both have reached the longest.
    pub fn after_failure(&mut self) -> Duration {
        let mut bound = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(MAX_PAUSE);
        if self.lost {
            bound = bound.max(Duration::from_millis(self.return_ms.into()));
        }
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

/// What a master told us to wait, within reason.
pub fn told(ms: u32) -> Duration {
    Duration::from_millis(ms.min(MAX_TOLD_MS).into())
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
        let pauses: Vec<Duration> = (0..50).map(|_| pace.after_loss(SETTLED)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)));
        assert!(pauses.iter().any(|pause| *pause > AT_ONCE));
        assert!(pauses.windows(2).any(|two| two[0] != two[1]));
    }

    #[test]
    fn who_had_a_long_session_is_back_at_once_and_spreads_when_that_fails() {
        let mut pace = Pace::default();
        pace.met(30_000);
        let lasted = SETTLED + Duration::from_secs(1);
        assert!((0..50).all(|_| pace.after_loss(lasted) <= AT_ONCE));
        let pauses: Vec<Duration> = (0..50).map(|_| pace.after_failure()).collect();
        assert!(pauses[0] <= Duration::from_secs(30));
        assert!(pauses.iter().any(|pause| *pause > FIRST_PAUSE));
    }

    #[test]
    fn no_master_can_send_us_away_for_long() {
        let mut pace = Pace::default();
        pace.met(u32::MAX);
        assert!(pace.after_loss(Duration::ZERO) <= Duration::from_secs(60));
        assert_eq!(told(u32::MAX), Duration::from_secs(60));
        assert_eq!(told(7), Duration::from_millis(7));
    }
}
