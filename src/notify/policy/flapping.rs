//! What changes all the time is said once, and how it is when it is calm again.

use jiff::Timestamp;

use super::{engine::Policy, state::Track};
use crate::notify::schedule::later;

/// The most changes that are remembered of a subject.
const MAX_CHANGES: usize = 100;

impl Policy {
    /// Counts a change; whether it is flapping since this one.
    pub(super) fn count_change(&self, track: &mut Track, at: Timestamp) -> bool {
        let Some(rule) = &self.rules.flapping else { return false };
        let threshold = (rule.threshold as usize).clamp(2, MAX_CHANGES);
        track.changes.push(at);
        let surplus = track.changes.len().saturating_sub(threshold);
        track.changes.drain(..surplus);
        self.forget_changes(track, at);
        let begins = !track.is_flapping && track.changes.len() >= threshold;
        track.is_flapping |= begins;
        begins
    }

    /// Leaves out changes that are too old to count.
    pub(super) fn forget_changes(&self, track: &mut Track, now: Timestamp) {
        match &self.rules.flapping {
            None => track.changes.clear(),
            Some(rule) => track.changes.retain(|at| later(*at, rule.window) > now),
        }
    }

    /// Few enough changes are left.
    pub(super) fn is_calm(&self, track: &Track) -> bool {
        self.rules.flapping.as_ref().is_none_or(|rule| {
            track.changes.len() <= (rule.threshold as usize).clamp(2, MAX_CHANGES) / 2
        })
    }

    /// When few enough changes are left, or none, of what does not flap.
    pub(super) fn calm_at(&self, track: &Track) -> Option<Timestamp> {
        let rule = self.rules.flapping.as_ref()?;
        let threshold = (rule.threshold as usize).clamp(2, MAX_CHANGES);
        let left = if track.is_flapping { threshold / 2 } else { 0 };
        let last = track.changes.len().checked_sub(left + 1)?;
        track.changes.get(last).map(|at| later(*at, rule.window))
    }
}
