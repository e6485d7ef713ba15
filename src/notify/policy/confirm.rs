//! A change counts when enough of the last runs say so.

use std::time::Duration;

use jiff::Timestamp;

use super::{engine::Policy, state::Track};
use crate::status::Status;

/// The most runs that are looked back.
pub(super) const MAX_RUNS: usize = 100;

impl Policy {
    /// N of M for this subject. Whether a host reports is known without runs.
    pub(super) fn confirmation(&self, track: &Track) -> (usize, usize) {
        let rule = self.rules.confirm.iter().find(|rule| rule.matches.matches(track.whose()));
        let (Some(rule), true) = (rule, track.subject.probe.is_some()) else { return (1, 1) };
        let of = (rule.of as usize).clamp(1, MAX_RUNS);
        // More than half, or the same runs could say two things.
        ((rule.runs as usize).clamp(of / 2 + 1, of), of)
    }
}

impl Track {
    /// Counts runs of which nothing was said, since they changed nothing: one each interval until then,
    /// without the one at that time.
    pub(super) fn count_until(&mut self, until: Timestamp, interval: Duration, of: usize) {
        let passed = until.duration_since(self.counted).as_millis();
        let interval = i128::try_from(interval.as_millis()).unwrap_or(i128::MAX).max(1);
        let runs = (passed + interval / 2) / interval - 1;
        for _ in 0..runs.clamp(0, of as i128) {
            self.push(self.shown, of);
        }
    }

    /// Counts a run.
    pub(super) fn push(&mut self, status: Status, of: usize) {
        self.runs.push(status);
        let surplus = self.runs.len().saturating_sub(of);
        self.runs.drain(..surplus);
    }

    /// As if it had been like this for long.
    pub(super) fn fill(&mut self, status: Status, of: usize) {
        self.runs = vec![status; of];
    }

    /// What `n` of the last runs agree on: the status that counts from now on.
    pub(super) fn agreed(&self, n: usize) -> Status {
        let mut sorted = self.runs.clone();
        sorted.sort_unstable();
        let lowest = sorted.get(n.saturating_sub(1)).copied();
        let highest = sorted.len().checked_sub(n).and_then(|at| sorted.get(at)).copied();
        match (highest, lowest) {
            (Some(at_least), _) if at_least > self.confirmed => at_least,
            (_, Some(at_most)) if at_most < self.confirmed => at_most,
            _ => self.confirmed,
        }
    }

    /// How many of the last runs are as it is now: for the trace.
    pub(super) fn alike(&self) -> usize {
        let is_worse = self.shown > self.confirmed;
        let beyond = |run: &&Status| match is_worse {
            true => **run > self.confirmed,
            false => **run < self.confirmed,
        };
        self.runs.iter().filter(beyond).count()
    }
}
