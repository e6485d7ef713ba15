//! The state in pieces: only what changed is written.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Changed, Effects, Stored, World, engine::Policy, state::Wait, timers::Timer};
use crate::notify::{Subject, Suppression};

/// A piece.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Subject(Subject),
    Host(String),
    Incident(Uuid),
    Suppression(u64),
    Window(u64),
    Channel(String),
    Global,
}

impl Policy {
    /// What of the state is to be stored since the last time.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        self.changed.clear();
        self.closed.clear();
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|key| self.piece(key)).collect()
    }

    fn piece(&self, key: Key) -> Changed {
        let (kind, name, value) = match key {
            Key::Subject(subject) => {
                let value = self.tracks.get(&subject).and_then(json);
                ("subject", json(&subject).unwrap_or_default(), value)
            }
            Key::Host(host) => {
                let value = self.hosts.get(&host).and_then(json);
                ("host", host, value)
            }
            Key::Incident(id) => ("incident", id.to_string(), self.cases.get(&id).and_then(json)),
            Key::Suppression(id) => {
                let found = self.suppressions().find(|found| found.id() == id);
                ("suppression", id.to_string(), found.as_ref().and_then(json))
            }
            Key::Window(id) => ("window", id.to_string(), self.plans.get(&id).and_then(json)),
            Key::Channel(name) => {
                let value = self.mouths.get(&name).and_then(json);
                ("channel", name, value)
            }
            Key::Global => ("global", String::new(), json(&self.global)),
        };
        Changed { kind, key: name, value }
    }

    pub(super) fn load(&mut self, stored: Stored) {
        for (kind, key, value) in stored.pieces {
            if self.take_in(&kind, key, &value).is_none() {
                self.bad_pieces += 1;
            }
        }
        // What was in a piece that could not be read is not there any more.
        let Policy { tracks, cases, dirty, .. } = self;
        for (subject, track) in tracks.iter_mut() {
            if track.incident.is_some_and(|id| !cases.contains_key(&id)) {
                (track.incident, track.slot) = (None, None);
                track.heard.clear();
                dirty.insert(Key::Subject(subject.clone()));
            }
        }
        for (id, case) in cases.iter_mut() {
            for member in &mut case.incident.members {
                let is_theirs =
                    tracks.get(&member.subject).is_some_and(|track| track.incident == Some(*id));
                if member.recovered.is_none() && !is_theirs {
                    member.recovered = Some(member.since);
                    dirty.insert(Key::Incident(*id));
                }
            }
        }
        for ending in &mut self.global.endings {
            ending.pending.retain(|subject| tracks.contains_key(subject));
            ending.incidents.retain(|id| cases.contains_key(id));
        }
        for track in self.tracks.values() {
            if let Some(Wait::Blocked(block)) = &track.wait {
                self.blocked.entry(block.clone()).or_default().insert(track.subject.clone());
            }
        }
        self.index();
    }

    fn take_in(&mut self, kind: &str, key: String, value: &str) -> Option<()> {
        match kind {
            "subject" => {
                let track: super::state::Track = read(value)?;
                self.tracks.insert(track.subject.clone(), track);
            }
            "host" => {
                self.hosts.insert(key, read(value)?);
            }
            "incident" => {
                let case: super::state::Case = read(value)?;
                self.cases.insert(case.incident.id, case);
            }
            "suppression" => match read(value)? {
                Suppression::Ack(ack) => {
                    self.acks.insert(ack.subject.clone(), ack);
                }
                Suppression::Silence(silence) => {
                    self.silences.insert(silence.id, silence);
                }
            },
            "window" => {
                let plan: super::state::Plan = read(value)?;
                self.plans.insert(plan.window.id, plan);
            }
            "channel" => {
                self.mouths.insert(key, read(value)?);
            }
            "global" => self.global = read(value)?,
            _ => return None,
        }
        Some(())
    }

    /// Lets time look at everything: what is not due stays as it is.
    pub(super) fn wake_all(&mut self, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let start = Some(Timestamp::MIN);
        self.index();
        self.timers.set(Timer::Suppressions, start);
        let subjects: Vec<_> = self.tracks.keys().cloned().collect();
        for subject in subjects {
            self.calm_down(&subject, world, now, out);
            self.schedule(&subject, world, now);
        }
        for id in self.cases.keys() {
            self.timers.set(Timer::Incident(*id), start);
        }
        for name in self.mouths.keys() {
            self.timers.set(Timer::Channel(name.clone()), start);
        }
    }

    fn index(&mut self) {
        let open = self.cases.values().filter(|case| case.incident.is_open());
        let mut keys = Vec::new();
        for case in open {
            let members = case.incident.members.iter();
            let key = |member| self.rules.group_by.key(super::incidents::whose(member));
            keys.extend(members.map(|member| (key(member), case.incident.id)));
        }
        self.grouped.clear();
        for (key, id) in keys {
            self.index_incident(key, id);
        }
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn read<T: DeserializeOwned>(value: &str) -> Option<T> {
    serde_json::from_str(value).ok()
}
