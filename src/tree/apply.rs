//! The state machine: an event comes in, the tree changes, what changed goes out.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Kind, Now, Probe, ProbeName, ProbeResult, Transition, Tree};
use crate::status::Status;

/// Everything that can change the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A run of `probe` ended. `results` are named after the probe or its services. A service that was
    /// known and is not among them is gone if the run was `complete`, else unconfirmed.
    Ran { probe: ProbeName, results: Vec<ProbeResult>, complete: bool },
    /// A probe will not run any more: removed or disabled.
    Gone { probe: ProbeName, why: String },
    /// What was known before a restart. Never a transition: nothing happened now.
    Restored { result: ProbeResult, since: Timestamp },
    /// The name, group or labels of this host were configured anew.
    Named { name: String, group: String, labels: BTreeMap<String, String> },
    /// The agent began to watch.
    Started { message: String },
    /// The agent stops watching, or was found to have stopped at `at`.
    Stopped { at: Timestamp, message: String },
    /// The wall clock was set by this many milliseconds, positive when it went forward.
    ClockSet { by_ms: i64 },
    /// This many transitions could not be stored and were dropped.
    Lost { count: u64 },
}

impl Tree {
    /// Applies `event` and returns what is worth remembering of it, in order.
    ///
    /// Applying the same event again changes nothing and returns nothing, except for the events that
    /// are themselves the news (`Started`, `Stopped`, `ClockSet`, `Lost`).
    pub fn apply(&mut self, event: Event, now: Now) -> Vec<Transition> {
        match event {
            Event::Ran { probe, results, complete } => self.ran(&probe, results, complete, now),
            Event::Gone { probe, why } => self.gone(&probe, &why, now),
            Event::Restored { result, since } => {
                self.me.host.probes.entry(result.name.clone()).or_insert(Probe {
                    result: Arc::new(result),
                    since,
                    stale: true,
                });
                Vec::new()
            }
            Event::Named { name, group, labels } => {
                let host = &mut self.me.host;
                (host.name, host.group, host.labels) = (name, group, labels);
                Vec::new()
            }
            Event::Started { message } => vec![self.news(Kind::AgentStarted, now.wall, message)],
            Event::Stopped { at, message } => vec![self.news(Kind::AgentStopped, at, message)],
            Event::ClockSet { by_ms } => {
                let (seconds, way) =
                    (by_ms.abs() as f64 / 1000.0, if by_ms < 0 { "back" } else { "forward" });
                let message = format!("the wall clock was set {way} by {seconds:.1} s");
                vec![self.news(Kind::ClockChanged, now.wall, message)]
            }
            Event::Lost { count } => {
                let message =
                    format!("{count} log entries were dropped: the database could not be written");
                vec![self.news(Kind::EntriesLost, now.wall, message)]
            }
        }
    }

    fn ran(
        &mut self,
        probe: &ProbeName,
        results: Vec<ProbeResult>,
        complete: bool,
        now: Now,
    ) -> Vec<Transition> {
        let missing: Vec<ProbeName> = self
            .names_of(probe)
            .into_iter()
            .filter(|name| results.iter().all(|result| result.name != *name))
            .collect();
        let mut transitions = Vec::new();
        for name in missing {
            if complete {
                transitions.extend(self.remove(&name, "not reported any more", now));
            } else if let Some(known) = self.me.host.probes.get_mut(&name) {
                known.stale = true;
            }
        }
        transitions.extend(results.into_iter().filter_map(|result| self.set(result)));
        transitions
    }

    fn gone(&mut self, probe: &ProbeName, why: &str, now: Now) -> Vec<Transition> {
        let names = self.names_of(probe);
        names.iter().filter_map(|name| self.remove(name, why, now)).collect()
    }

    /// The probe itself and the services it reports, as far as they are known.
    fn names_of(&self, probe: &ProbeName) -> Vec<ProbeName> {
        let own = |name: &ProbeName| name == probe || name.is_service_of(probe);
        self.me.host.probes.keys().filter(|name| own(name)).cloned().collect()
    }

    fn set(&mut self, result: ProbeResult) -> Option<Transition> {
        let known = self.me.host.probes.get(&result.name);
        let was = known.map(|known| known.result.status);
        let same = known.filter(|known| known.result.status == result.status);
        let since = same.map_or(result.date, |known| known.since);
        let transition = (was != Some(result.status)).then(|| {
            let kind = if was.is_some() { Kind::ProbeChanged } else { Kind::ProbeSeen };
            self.about(kind, &result.name, was, Some(result.status), result.date, &result.message)
        });
        let name = result.name.clone();
        let probe = Probe { result: Arc::new(result), since, stale: false };
        self.me.host.probes.insert(name, probe);
        transition
    }

    fn remove(&mut self, name: &ProbeName, why: &str, now: Now) -> Option<Transition> {
        let known = self.me.host.probes.remove(name)?;
        Some(self.about(Kind::ProbeGone, name, Some(known.result.status), None, now.wall, why))
    }

    fn about(
        &self,
        kind: Kind,
        probe: &ProbeName,
        was: Option<Status>,
        now: Option<Status>,
        at: Timestamp,
        message: &str,
    ) -> Transition {
        let mut transition = self.news(kind, at, message.into());
        transition.probe = Some(probe.clone());
        (transition.was, transition.now) = (was, now);
        transition
    }

    fn news(&self, kind: Kind, at: Timestamp, message: String) -> Transition {
        let host = &self.me.host;
        Transition {
            kind,
            at,
            group: host.group.clone(),
            host: host.name.clone(),
            probe: None,
            was: None,
            now: None,
            message,
        }
    }
}

#[cfg(test)]
mod tests;
