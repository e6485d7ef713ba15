//! The policy as callers see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Answer, Command, Effects, Fact, Stored, World,
    pieces::Key,
    state::{Block, Case, Global, HostNote, Mouth, Plan, Track, Wait},
    timers::{Timer, Timers},
};
use crate::{
    notify::{Ack, Incident, Rules, Silence, Subject, Suppression, Window},
    status::Status,
};

/// What to tell, whom, and when.
///
/// The same facts, commands and ticks at the same times have the same effects, whatever process they
/// happen in: what it remembers is stored with [`Policy::take_changed`] and comes back with
/// [`Policy::new`].
pub struct Policy {
    pub(super) rules: Arc<Rules>,
    pub(super) sender: Uuid,
    pub(super) tracks: BTreeMap<Subject, Track>,
    pub(super) hosts: BTreeMap<String, HostNote>,
    /// Those that are open, and those that are closed and of which somebody must still be told.
    pub(super) cases: BTreeMap<Uuid, Case>,
    /// At most one for each subject; that of a host covers its probes.
    pub(super) acks: BTreeMap<Subject, Ack>,
    pub(super) silences: BTreeMap<u64, Silence>,
    pub(super) plans: BTreeMap<u64, Plan>,
    pub(super) mouths: BTreeMap<String, Mouth>,
    pub(super) global: Global,

    // What follows from the rest, or from what was done since the last look.
    pub(super) timers: Timers,
    pub(super) dirty: BTreeSet<Key>,
    pub(super) changed: BTreeSet<Uuid>,
    pub(super) closed: BTreeMap<Uuid, Incident>,
    /// What waits until this is over.
    pub(super) blocked: BTreeMap<Block, BTreeSet<Subject>>,
    /// Open incidents by what is in common (`GroupBy::key`), and when they were opened.
    pub(super) grouped: BTreeMap<String, BTreeSet<(Timestamp, Uuid)>>,
    /// Incidents that are to be looked at, and when: those whose reminders wait until something is seen
    /// again, those of which something may be said now that could not.
    pub(super) postponed: BTreeMap<Uuid, Timestamp>,
    pub(super) bad_pieces: usize,
    /// All is looked at again at the next chance: after a start or when rules changed.
    pub(super) is_fresh: bool,
}

/// How a subject stands, for people who ask why.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// As pages show it.
    pub shown: Status,
    /// As far as messages are concerned.
    pub confirmed: Status,
    pub since: Timestamp,
    pub flapping: bool,
    /// What silences it, in words: who or which window, until when, why.
    pub silenced: Option<String>,
    /// Who looks after it, in words.
    pub acked: Option<String>,
    /// What is in the way of knowing: a host that is down.
    pub behind: Option<String>,
}

impl Policy {
    /// Goes on from what was stored. Pieces that cannot be read are left out, see [`Policy::bad_pieces`].
    pub fn new(rules: Rules, sender: Uuid, stored: Stored) -> Policy {
        let mut policy = Policy {
            rules: Arc::new(rules),
            sender,
            tracks: BTreeMap::new(),
            hosts: BTreeMap::new(),
            cases: BTreeMap::new(),
            acks: BTreeMap::new(),
            silences: BTreeMap::new(),
            plans: BTreeMap::new(),
            mouths: BTreeMap::new(),
            global: Global::default(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            closed: BTreeMap::new(),
            blocked: BTreeMap::new(),
            grouped: BTreeMap::new(),
            postponed: BTreeMap::new(),
            bad_pieces: 0,
            is_fresh: true,
        };
        policy.load(stored);
        policy
    }

    /// How many of the stored pieces could not be read.
    pub fn bad_pieces(&self) -> usize {
        self.bad_pieces
    }

    /// Goes by other rules from now on. What was told stays told.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = Arc::new(rules);
        self.is_fresh = true;
    }

    /// What it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes in what happened, in the order of the journal.
    pub fn handle(&mut self, facts: &[Fact], world: &dyn World, now: Timestamp, out: &mut Effects) {
        self.tick(world, now, out);
        for fact in facts {
            self.fact(fact, world, now, out);
        }
    }

    /// Does what somebody wants.
    pub fn command(
        &mut self,
        command: Command,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        self.tick(world, now, out);
        self.obey(command, world, now, out)
    }

    /// Does what time does: what is due by now.
    pub fn tick(&mut self, world: &dyn World, now: Timestamp, out: &mut Effects) {
        if std::mem::take(&mut self.is_fresh) {
            self.wake_all(world, now, out);
        }
        let due = self.timers.due(now);
        // Suppressions come first in their order, then subjects, then incidents, then channels.
        for timer in due {
            match timer {
                Timer::Suppressions => self.review(world, now, out),
                Timer::Subject(subject) => self.look(&subject, world, now, out),
                Timer::Incident(id) => self.evaluate(id, world, now, out),
                Timer::Channel(name) => self.flush(&name, now, out),
            }
        }
    }

    /// When [`Policy::tick`] has something to do next; `None`: nothing, whatever time it is.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.is_fresh {
            true => Some(Timestamp::UNIX_EPOCH),
            false => self.timers.next(),
        }
    }

    /// Incidents that are open.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.cases.values().map(|case| &case.incident).filter(|incident| incident.is_open())
    }

    /// An incident that is open, or was closed since the last [`Policy::take_changed`].
    pub fn incident(&self, id: Uuid) -> Option<&Incident> {
        self.cases.get(&id).map(|case| &case.incident).or_else(|| self.closed.get(&id))
    }

    /// Incidents that changed since the last [`Policy::take_changed`], closed ones too: to be asked for
    /// before that.
    pub fn changed_incidents(&self) -> Vec<&Incident> {
        self.changed.iter().filter_map(|id| self.incident(*id)).collect()
    }

    /// Acknowledgements and silences.
    pub fn suppressions(&self) -> impl Iterator<Item = Suppression> + '_ {
        let acks = self.acks.values().cloned().map(Suppression::Ack);
        acks.chain(self.silences.values().cloned().map(Suppression::Silence))
    }

    /// Windows of maintenance, whether open or not.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.plans.values().map(|plan| &plan.window)
    }

    /// What changes all the time.
    pub fn flapping(&self) -> Vec<Subject> {
        let flapping = self.tracks.values().filter(|track| track.is_flapping);
        flapping.map(|track| track.subject.clone()).collect()
    }

    /// Hosts of which something waits or lasts while something that they are behind is down, and what.
    pub fn behind(&self, world: &dyn World) -> Vec<(String, String)> {
        let mut found = BTreeMap::new();
        for track in self.tracks.values() {
            let host = &track.subject.host;
            if found.contains_key(host) {
                continue;
            }
            if let Some(Block::Behind(what)) = self.block(&Subject::host(host), world) {
                found.insert(host.clone(), what);
            }
        }
        found.into_iter().collect()
    }

    /// Whether we are cut off.
    pub fn is_blind(&self) -> bool {
        self.global.blind.is_some()
    }

    /// How a subject stands; `None` if it is simply well, or not known.
    pub fn standing(&self, subject: &Subject) -> Option<Standing> {
        let track = self.tracks.get(subject)?;
        let behind = match &track.wait {
            Some(Wait::Blocked(Block::Behind(what))) => Some(what.clone()),
            _ => None,
        };
        Some(Standing {
            shown: track.shown,
            confirmed: track.confirmed,
            since: track.since,
            flapping: track.is_flapping,
            silenced: self.silenced(track.whose()).map(|(_, by)| by.words),
            acked: self.ack_of(track).map(super::cover::words_of_ack),
            behind,
        })
    }

    /// Until when it is quiet, if it is.
    pub fn quiet(&self, now: Timestamp) -> Option<Timestamp> {
        self.rules.quiet.as_ref().and_then(|quiet| quiet.until(now))
    }
}
