//! Counters that only grow, and the rates between two readings of them.

use std::collections::BTreeMap;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::file;

/// All counters at one moment: what is kept as state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Which start of the machine this belongs to; counters begin anew with each.
    pub(super) boot: String,
    /// Time since that start, in seconds.
    pub(super) at_seconds: f64,
    /// Name of a device → its counters, in the order of the kernel's columns.
    pub(super) counters: BTreeMap<String, Vec<u64>>,
}

impl Reading {
    /// A reading of this moment.
    pub(super) fn now(counters: BTreeMap<String, Vec<u64>>) -> Reading {
        // Some containers hide it; then only the clock tells one start from another.
        let boot = file::read_proc("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let clock = clock_gettime(ClockId::Boottime);
        let at_seconds = clock.tv_sec as f64 + clock.tv_nsec as f64 / 1e9;
        Reading { boot: boot.trim().to_owned(), at_seconds, counters }
    }

    /// Seconds since `earlier`; `None` when it is not from an earlier moment of the same start.
    pub(super) fn seconds_since(&self, earlier: &Reading) -> Option<f64> {
        let seconds = self.at_seconds - earlier.at_seconds;
        (self.boot == earlier.boot && seconds > 0.0).then_some(seconds)
    }
}

/// What was added in each column; `None` when a counter that should grow went back, as one does that
/// overflowed or belongs to another device of the same name. Columns in `gauges` may go either way
/// and count as 0.
pub(super) fn growth(before: &[u64], after: &[u64], gauges: &[usize]) -> Option<Vec<u64>> {
    if before.len() != after.len() {
        return None;
    }
    let columns = before.iter().zip(after).enumerate();
    columns
        .map(|(column, (before, after))| match gauges.contains(&column) {
            true => Some(0),
            false => after.checked_sub(*before),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot: &str, at_seconds: f64) -> Reading {
        Reading { boot: boot.into(), at_seconds, counters: BTreeMap::new() }
    }

    #[test]
    fn time_passes_only_within_one_start_of_the_machine() {
        assert_eq!(reading("a", 20.0).seconds_since(&reading("a", 15.0)), Some(5.0));
        assert_eq!(reading("a", 20.0).seconds_since(&reading("a", 20.0)), None);
        assert_eq!(reading("a", 20.0).seconds_since(&reading("a", 25.0)), None);
        assert_eq!(reading("b", 20.0).seconds_since(&reading("a", 15.0)), None);
    }

    #[test]
    fn a_counter_that_went_back_spoils_its_device_and_a_gauge_does_not() {
        assert_eq!(growth(&[1, 9], &[3, 9], &[]), Some(vec![2, 0]));
        assert_eq!(growth(&[1, 9], &[3, 8], &[]), None);
        assert_eq!(growth(&[1, 9], &[3, 8], &[1]), Some(vec![2, 0]));
        assert_eq!(growth(&[1], &[3, 8], &[]), None);
        assert_eq!(growth(&[0], &[u64::MAX], &[]), Some(vec![u64::MAX]));
    }
}
