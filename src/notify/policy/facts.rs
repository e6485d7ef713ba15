//! What a fact means.

use jiff::Timestamp;

use super::{
    Fact, Policy, Run, What, World,
    behind::RECHECK_INTERVALS,
    chain::Chain,
    identify::{self, identify},
    incidents::MAX_OUTPUT_BYTES,
    pieces::Key,
    state::{Block, HostNote, MAX_HOSTS, Track, Wait},
    text,
    timers::Timer,
};
use crate::{
    notify::{Decision, Effects, Outcome, Reason, Subject},
    status::Status,
};

/// What a decision is about, when it is written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    pub subject: &'a Subject,
    pub entry: Option<u64>,
    pub status: Status,
    /// When it happened.
    pub at: Timestamp,
    /// It is not there any more.
    pub is_gone: bool,
}

impl Policy {
    pub(super) fn fact(
        &mut self,
        fact: &Fact,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        self.note_origin(fact);
        match fact.what {
            What::Status { was, now: status } => {
                let was = self.counted(was.unwrap_or(Status::OK));
                self.status(fact, was, self.counted(status), world, now, out);
            }
            What::HostDown => {
                let note = self.host_note(&fact.subject.host);
                note.downs = note.downs.saturating_add(1);
                self.dirty.insert(Key::Host(fact.subject.host.clone()));
                self.status(fact, Status::OK, Status::DOWN, world, now, out);
            }
            What::HostUp => {
                let was_down = self.tracks.contains_key(&fact.subject);
                self.status(fact, Status::OK, Status::OK, world, now, out);
                if was_down {
                    self.came_back(&fact.subject.host, fact.at, world, now, out);
                }
            }
            What::Gone => self.gone(&fact.subject, Some(fact), world, now, out),
            What::HostGone => self.host_gone(fact, world, now, out),
            What::HostStopped => {
                let mut chain = Chain::default();
                chain.stops(Reason::Result, "it said that it stops: that is no problem");
                self.decide(fact.cause(Status::OK), None, chain, Outcome::Held, now, out);
            }
            What::Notice(status) => self.notice(fact, status, world, now, out),
        }
    }

    /// What is below the level of all messages is as good as OK: it opens nothing, and keeps nothing open.
    pub(super) fn counted(&self, status: Status) -> Status {
        if status < self.rules.min_level { Status::OK } else { status }
    }

    /// The last run of a probe, as far as its status counts.
    pub(super) fn run_of(&self, subject: &Subject, world: &dyn World) -> Option<Run> {
        let run = world.last_run(subject)?;
        Some(Run { status: self.counted(run.status), ..run })
    }

    /// Remembers the last that a host's own instance told, for the ids of its outages.
    fn note_origin(&mut self, fact: &Fact) {
        let is_own = matches!(fact.what, What::Status { .. } | What::Gone | What::HostStopped);
        if !is_own || fact.origin == self.sender {
            return;
        }
        let note = self.host_note(&fact.subject.host);
        if fact.origin_id > note.told {
            (note.told, note.downs) = (fact.origin_id, 0);
            self.dirty.insert(Key::Host(fact.subject.host.clone()));
        }
    }

    /// What is remembered of a host, also when it is gone: the ids of its outages must not come again.
    pub(super) fn host_note(&mut self, host: &str) -> &mut HostNote {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(host) {
            let mut idle = self.hosts.keys().filter(|name| self.of_host(name).next().is_none());
            if let Some(name) = idle.next().cloned() {
                self.hosts.remove(&name);
                self.dirty.insert(Key::Host(name));
            }
        }
        self.hosts.entry(host.to_owned()).or_default()
    }

    fn status(
        &mut self,
        fact: &Fact,
        was: Status,
        status: Status,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let subject = &fact.subject;
        let output = text::cut(&fact.message, MAX_OUTPUT_BYTES);
        let mut chain = Chain::default();
        let words = match fact.what {
            What::HostUp => "it reports".to_owned(),
            _ => text::result(was, status, &output),
        };
        chain.passes(Reason::Result, words);

        let is_new = !self.tracks.contains_key(subject);
        let mut track = self.tracks.remove(subject).unwrap_or_else(|| new_track(fact, was));
        self.place(&mut track, fact, world);
        let run = self.run_of(subject, world);
        let is_stale = !is_new
            && fact.at < track.counted
            && run.as_ref().is_some_and(|run| run.status != status);
        if is_stale {
            chain.stops(Reason::Rechecked, "it is older than the last run that was looked at");
            self.tracks.insert(subject.clone(), track);
            self.decide(fact.cause(status), None, chain, Outcome::Held, now, out);
            return;
        }
        let (_, of) = self.confirmation(&track);
        if track.runs.len() != of {
            track.fill(track.confirmed, of);
        }
        if track.wait.is_none()
            && let Some(run) = &run
        {
            track.count_until(fact.at, run.interval, of);
        }
        let leaves = track.shown == track.confirmed && status != track.confirmed;
        if leaves {
            track.left = fact.at;
        }
        if leaves || track.cause.is_nil() {
            (track.cause, track.opened) = (self.cause(fact), 0);
        }
        track.shown = status;
        track.output = output;
        track.counted = fact.at;
        let wait = track.wait.clone();
        self.tracks.insert(subject.clone(), track);
        self.dirty.insert(Key::Subject(subject.clone()));

        let was_waiting = wait.is_some();
        let wait = self.wait_for(fact, wait, world, now);
        let is_waiting = wait.is_some();
        self.set_wait(subject, wait);
        if !is_waiting && let Some(track) = self.tracks.get_mut(subject) {
            track.push(status, of);
        }
        self.settle(fact.cause(status), chain, world, now, out);
        if was_waiting && !is_waiting {
            self.after_wait(subject, now);
        }
    }

    /// What is in the way of judging this.
    fn wait_for(
        &self,
        fact: &Fact,
        wait: Option<Wait>,
        world: &dyn World,
        now: Timestamp,
    ) -> Option<Wait> {
        let subject = &fact.subject;
        if let Some(block) = self.block(subject, world) {
            return Some(Wait::Blocked(block));
        }
        // That a host reports is seen, not told: nothing has to be looked at again.
        if fact.what == What::HostUp {
            return None;
        }
        if let Some(Wait::Look { after, limit, .. }) = &wait
            && fact.at <= *after
            && limit.is_none_or(|limit| now < limit)
        {
            return wait;
        }
        let after = self.returned(subject, world).filter(|returned| *returned > fact.at)?;
        let limit = Policy::recheck_limit(subject, after, RECHECK_INTERVALS, world);
        (now < limit).then_some(Wait::Look { why: Reason::Parent, after, limit: Some(limit) })
    }

    /// The id of the incident that this opens, if it opens one.
    fn cause(&self, fact: &Fact) -> uuid::Uuid {
        match fact.what {
            What::HostDown => {
                let note = self.hosts.get(&fact.subject.host).cloned().unwrap_or_default();
                identify::outage(&fact.subject.host, note.told, note.downs)
            }
            _ => identify(fact.origin, fact.origin_id),
        }
    }

    /// Where it is, as far as that is known.
    fn place(&self, track: &mut Track, fact: &Fact, world: &dyn World) {
        if !fact.group.is_empty() {
            track.group.clone_from(&fact.group);
        }
        if let Some(place) = world.host(&fact.subject.host) {
            track.labels = place.labels;
            if fact.group.is_empty() {
                track.group = place.group;
            }
        }
    }

    /// Something is not there any more: what was said of it is over.
    fn gone(
        &mut self,
        subject: &Subject,
        fact: Option<&Fact>,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let at = fact.map_or(now, |fact| fact.at);
        let mut chain = Chain::default();
        chain.passes(Reason::Result, "it is not there any more");
        let entry = fact.map(|fact| fact.entry);
        let cause = Cause { subject, entry, status: Status::OK, at, is_gone: true };
        self.acks.get(subject).map(|ack| ack.id).into_iter().for_each(|id| {
            self.dirty.insert(Key::Suppression(id));
        });
        self.set_wait(subject, None);
        let Some(track) = self.tracks.get_mut(subject) else {
            chain.stops(Reason::Told, "nothing was said of it");
            self.decide(cause, None, chain, Outcome::Held, now, out);
            return;
        };
        track.shown = Status::OK;
        track.left = at;
        track.output = text::GONE.to_owned();
        track.is_flapping = false;
        track.changes.clear();
        track.fill(Status::OK, 1);
        self.looked_at(subject);
        self.settle_as_gone(cause, chain, world, now, out);
        self.acks.remove(subject);
        if let Some(track) = self.tracks.get_mut(subject) {
            track.runs.clear();
            track.changes.clear();
        }
        self.keep_or_drop(subject);
        self.finish_endings(world, now, out);
    }

    fn host_gone(&mut self, fact: &Fact, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let host = &fact.subject.host;
        let subjects: Vec<_> = self.of_host(host).map(|track| track.subject.clone()).collect();
        for subject in subjects.iter().filter(|subject| subject.probe.is_some()) {
            self.gone(subject, None, world, now, out);
        }
        self.gone(&fact.subject, Some(fact), world, now, out);
        self.unblock(&Block::Behind(host.clone()), world, now, out);
    }

    /// Writes a decision down.
    pub(super) fn decide(
        &self,
        cause: Cause<'_>,
        incident: Option<uuid::Uuid>,
        chain: Chain,
        outcome: Outcome,
        now: Timestamp,
        out: &mut Effects,
    ) {
        out.decisions.push(Decision {
            at: now,
            subject: cause.subject.clone(),
            entry: cause.entry,
            incident,
            channel: None,
            status: cause.status,
            outcome,
            chain: chain.steps,
            message: None,
        });
    }

    /// Keeps what has to be remembered of a subject, and drops what is simply well.
    pub(super) fn keep_or_drop(&mut self, subject: &Subject) {
        if self.tracks.get(subject).is_some_and(Track::is_well) {
            self.tracks.remove(subject);
            self.timers.set(Timer::Subject(subject.clone()), None);
        }
        self.dirty.insert(Key::Subject(subject.clone()));
    }
}

impl Fact {
    pub(super) fn cause(&self, status: Status) -> Cause<'_> {
        Cause {
            subject: &self.subject,
            entry: Some(self.entry),
            status,
            at: self.at,
            is_gone: false,
        }
    }
}

fn new_track(fact: &Fact, was: Status) -> Track {
    Track {
        subject: fact.subject.clone(),
        group: fact.group.clone(),
        labels: std::collections::BTreeMap::new(),
        shown: was,
        confirmed: was,
        since: fact.at,
        left: fact.at,
        output: String::new(),
        cause: uuid::Uuid::nil(),
        opened: 0,
        runs: Vec::new(),
        counted: fact.at,
        changes: Vec::new(),
        is_flapping: false,
        wait: None,
        incident: None,
        slot: None,
        heard: std::collections::BTreeMap::new(),
        insists: false,
    }
}
