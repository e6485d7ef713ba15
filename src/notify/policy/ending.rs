//! When a silence or a window ends: look again first, compare with what was told, say it once.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    World,
    behind::{HOST_RECHECK, LOOK_AGAIN},
    engine::Policy,
    judge::Act,
    pieces::Key,
    state::{Ending, Wait},
    timers::Timer,
};
use crate::notify::{Effects, Kind, Reason, Scope, Subject, schedule::later};

/// How many intervals a run is waited for when a silence or a window is over.
const INTERVALS: u32 = 2;

impl Policy {
    /// A silence or window is over that covered this.
    #[expect(clippy::too_many_arguments, reason = "what ended, and the surroundings")]
    pub(super) fn ended(
        &mut self,
        name: &str,
        why: Reason,
        scope: &Scope,
        at: Timestamp,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let covered = self.tracks.values().filter(|track| scope.covers(track.whose()));
        let covered = covered.filter(|track| track.incident.is_some());
        let covered: Vec<_> =
            covered.map(|track| (track.subject.clone(), track.incident, track.is_bad())).collect();
        // What is calm by now, and could not say so.
        let flapping: Vec<_> = self.flapping();
        for subject in flapping.into_iter().filter(|it| covered.iter().any(|(of, ..)| of == it)) {
            self.timers.set(Timer::Subject(subject), Some(now));
        }
        let incidents: BTreeSet<_> = covered.iter().filter_map(|(_, id, _)| *id).collect();
        if incidents.is_empty() {
            return;
        }
        let mut pending = BTreeSet::new();
        for (subject, _, is_bad) in covered {
            let run = world.last_run(&subject);
            let is_old = run.as_ref().is_some_and(|run| run.at < at);
            let wait = self.tracks.get(&subject).and_then(|track| track.wait.as_ref());
            let is_blocked = matches!(wait, Some(Wait::Blocked(_)));
            if is_bad && subject.probe.is_some() && is_old && !is_blocked {
                let interval = run.map_or(HOST_RECHECK, |run| run.interval);
                let limit = later(at, interval.saturating_mul(INTERVALS)).max(later(now, interval));
                self.set_wait(&subject, Some(Wait::Look { why, after: at, limit: Some(limit) }));
                self.timers.set(Timer::Subject(subject.clone()), Some(later(now, LOOK_AGAIN)));
                pending.insert(subject);
            }
        }
        match self.global.endings.iter_mut().find(|ending| ending.at == at) {
            Some(ending) => {
                ending.pending.extend(pending);
                ending.incidents.extend(incidents);
            }
            None => {
                let ending = Ending { at, name: name.to_owned(), pending, incidents };
                self.global.endings.push(ending);
            }
        }
        self.dirty.insert(Key::Global);
        self.finish_endings(world, now, out);
    }

    /// What ended, if an incident waits for subjects that are looked at again since.
    pub(super) fn is_ending(&self, id: uuid::Uuid) -> Option<&Ending> {
        let mut endings = self.global.endings.iter();
        endings.find(|ending| ending.incidents.contains(&id) && !ending.pending.is_empty())
    }

    /// A subject was looked at; what had ended, if that was why.
    pub(super) fn looked_at(&mut self, subject: &Subject) -> Option<String> {
        let mut name = None;
        for ending in &mut self.global.endings {
            if ending.pending.remove(subject) {
                name = Some(ending.name.clone());
                self.dirty.insert(Key::Global);
            }
        }
        name
    }

    /// Says what is left of what was held back, where all was looked at again.
    pub(super) fn finish_endings(&mut self, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let endings = std::mem::take(&mut self.global.endings);
        let (done, left): (Vec<_>, _) =
            endings.into_iter().partition(|ending| ending.pending.is_empty());
        self.global.endings = left;
        if done.is_empty() {
            return;
        }
        self.dirty.insert(Key::Global);
        for ending in done {
            self.summarize(&ending, now, out);
            for id in ending.incidents {
                self.evaluate(id, world, now, out);
            }
        }
    }

    /// One message a channel, if there is more than one incident to tell it.
    fn summarize(&mut self, ending: &Ending, now: Timestamp, out: &mut Effects) {
        let rules = std::sync::Arc::clone(&self.rules);
        for channel in &rules.channels {
            let mut verdicts = Vec::new();
            for id in &ending.incidents {
                let Some(case) = self.cases.get(id) else { continue };
                let verdict = self.verdict(case, channel, None, now);
                if matches!(verdict.act, Act::Say(Kind::Problem | Kind::Worsened | Kind::Joined)) {
                    verdicts.push((*id, verdict));
                }
            }
            if verdicts.len() < 2 {
                continue;
            }
            let ids: Vec<_> = verdicts.iter().map(|(id, _)| *id).collect();
            let (key, outcome) = self.say_summary(&ids, channel, &ending.name, now, out);
            for (id, mut verdict) in verdicts {
                verdict
                    .chain
                    .passes(Reason::Grouping, format!("one message for all after {}", ending.name));
                verdict.outcome = outcome;
                self.mark_told(id, channel, now);
                self.decide_by_time(id, channel, verdict, key.clone(), now, out);
            }
        }
    }
}
