//! When to try again.

use std::time::Duration;

use uuid::Uuid;

/// The longest wait after the first failure; it doubles with each…
const FIRST: Duration = Duration::from_secs(5);
/// …up to this.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// No wait is shorter, so that a receiver in trouble is left alone.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest that a receiver may ask us to wait.
const MOST_ASKED: Duration = Duration::from_secs(3600);
/// A channel that fails altogether is tried at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After so many failures in a row, of whatever messages, it is the channel that fails.
const FAILURES: u32 = 3;

/// The wait after a message has failed `failures` times: any up to a bound that doubles, so that those who
/// failed together do not come back together.
pub(super) fn wait(failures: u32) -> Duration {
    some_of(doubled(FIRST, failures.saturating_sub(1), LONGEST)).max(SHORTEST)
}

/// The wait that a receiver asked for.
pub(super) fn asked(wait: Duration) -> Duration {
    wait.clamp(SHORTEST, MOST_ASKED) + some_of(FIRST)
}

/// How long a channel is left alone after so many failures in a row; `None`: it may be the messages.
pub(super) fn pause(failures: u32) -> Option<Duration> {
    let beyond = failures.checked_sub(FAILURES)?;
    Some(some_of(doubled(FIRST, beyond, LONGEST_PAUSE)).max(SHORTEST))
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(most)
}

/// A part of a duration, by chance.
fn some_of(most: Duration) -> Duration {
    let chance = Uuid::new_v4().as_u64_pair().1 as u32;
    most.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        for failures in 1..200 {
            let wait = wait(failures);
            assert!((SHORTEST..=LONGEST).contains(&wait), "{failures}: {wait:?}");
        }
        assert!(wait(1) <= FIRST);
        let long: Vec<Duration> = (0..64).map(|_| wait(60)).collect();
        assert!(long.iter().any(|wait| *wait > FIRST * 2), "{long:?}");
        assert!(long.iter().any(|wait| *wait != long[0]), "{long:?}");
    }

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_asked_within_reason() {
        let minute = Duration::from_secs(60);
        assert!(asked(minute) >= minute);
        assert!(asked(Duration::from_secs(7 * 24 * 3600)) <= MOST_ASKED + FIRST);
        assert!(asked(Duration::ZERO) >= SHORTEST);
    }

    #[test]
    fn a_channel_pauses_after_several_failures_in_a_row() {
        assert_eq!(pause(FAILURES - 1), None);
        assert!(pause(FAILURES).is_some_and(|pause| pause <= FIRST));
        assert!(pause(u32::MAX).is_some_and(|pause| pause <= LONGEST_PAUSE));
    }
}
