//! What is behind something that is down is not judged, and looked at once more when that is back.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    World,
    engine::Policy,
    matching::Whose,
    state::{Block, Wait},
};
use crate::{
    notify::{Effects, Reason, Subject, schedule::later},
    status::Status,
};

/// How many intervals a run is waited for when what it is behind is back.
pub(super) const RECHECK_INTERVALS: u32 = 3;
/// How long a host may take to report when what it is behind is back.
pub(super) const HOST_RECHECK: Duration = Duration::from_secs(60);
/// How often something is looked at that is behind something that is down: the tree may have changed.
pub(super) const BLOCKED_LOOK: Duration = Duration::from_secs(60);
/// How often something is looked at whose time has come and that has not run.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Policy {
    /// Whether a host does not report, as far as we have heard.
    fn is_down(&self, host: &str) -> bool {
        let host = self.tracks.get(&Subject::host(host));
        host.is_some_and(|track| track.shown > Status::OK)
    }

    /// What is in the way of knowing how a subject is.
    pub(super) fn block(&self, subject: &Subject, world: &dyn World) -> Option<Block> {
        if self.global.blind.is_some() {
            return Some(Block::Blind);
        }
        let parents = self.parents(subject, world);
        parents.into_iter().find(|parent| self.is_down(parent)).map(Block::Behind)
    }

    /// When the last of what it is behind came back.
    pub(super) fn returned(&self, subject: &Subject, world: &dyn World) -> Option<Timestamp> {
        let parents = self.parents(subject, world).into_iter();
        parents.filter_map(|parent| self.hosts.get(&parent)?.returned).max()
    }

    /// What it is behind: for a probe its host, then the hosts above, then those that rules name.
    fn parents(&self, subject: &Subject, world: &dyn World) -> Vec<String> {
        let place = world.host(&subject.host).unwrap_or_default();
        let whose = Whose { subject, group: &place.group, labels: &place.labels };
        let mut parents: Vec<_> = subject.probe.iter().map(|_| subject.host.clone()).collect();
        parents.extend(place.above.iter().filter(|above| **above != subject.host).cloned());
        let rules = self.rules.dependencies.iter().filter(|rule| rule.is_about(whose));
        parents.extend(rules.flat_map(|rule| &rule.on).filter(|on| **on != subject.host).cloned());
        parents
    }

    /// Until when a run after this time is waited for; `None` while the interval is not known.
    pub(super) fn recheck_limit(
        subject: &Subject,
        after: Timestamp,
        intervals: u32,
        world: &dyn World,
    ) -> Timestamp {
        match (world.last_run(subject), &subject.probe) {
            (Some(run), Some(_)) => later(after, run.interval.saturating_mul(intervals)),
            (None, Some(_)) => after,
            (_, None) => later(after, HOST_RECHECK),
        }
    }

    /// Remembers that a host is back, and lets all look again that waited for it.
    pub(super) fn came_back(
        &mut self,
        host: &str,
        at: Timestamp,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let note = self.host_note(host);
        note.returned = Some(note.returned.map_or(at, |before| before.max(at)));
        self.dirty.insert(super::pieces::Key::Host(host.to_owned()));
        self.unblock(&Block::Behind(host.to_owned()), world, now, out);
    }

    /// Lets all look again that waited for this.
    pub(super) fn unblock(
        &mut self,
        block: &Block,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        for subject in self.blocked.remove(block).unwrap_or_default() {
            self.look(&subject, world, now, out);
        }
        for id in std::mem::take(&mut self.postponed).into_keys() {
            self.wake_case(id, now);
        }
    }

    /// Notes that nothing is judged of a subject while this is so.
    pub(super) fn set_wait(&mut self, subject: &Subject, wait: Option<Wait>) {
        let Some(track) = self.tracks.get_mut(subject) else { return };
        if let Some(Wait::Blocked(before)) = &track.wait
            && let Some(waiting) = self.blocked.get_mut(before)
        {
            waiting.remove(subject);
        }
        if let Some(Wait::Blocked(block)) = &wait {
            self.blocked.entry(block.clone()).or_default().insert(subject.clone());
        }
        track.wait = wait;
        self.dirty.insert(super::pieces::Key::Subject(subject.clone()));
    }

    /// The question of the trace that a wait answers.
    pub(super) fn words_of_wait(wait: &Wait) -> (Reason, String) {
        match wait {
            Wait::Blocked(Block::Blind) => {
                (Reason::Blind, "this monitor is cut off, so nothing is known".to_owned())
            }
            Wait::Blocked(Block::Behind(host)) => {
                (Reason::Parent, format!("it is behind {host}, which is down"))
            }
            Wait::Look { why, limit, .. } => {
                let why = match why {
                    Reason::Parent => "what it is behind was down",
                    Reason::Blind => "this monitor was cut off",
                    Reason::Maintenance => "a window of maintenance ended",
                    _ => "a silence ended",
                };
                let until = limit.map(|at| format!(", until {at} at the latest"));
                (
                    Reason::Rechecked,
                    format!("{why}: its next run decides{}", until.unwrap_or_default()),
                )
            }
        }
    }
}
