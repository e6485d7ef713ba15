//! A subject's way from what was heard of it to what counts.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    World,
    behind::{BLOCKED_LOOK, LOOK_AGAIN, RECHECK_INTERVALS},
    chain::Chain,
    engine::Policy,
    facts::Cause,
    incidents::MAX_OUTPUT_BYTES,
    pieces::Key,
    state::{Block, Track, Wait},
    text,
    timers::Timer,
};
use crate::{
    notify::{Effects, Event, Outcome, Reason, Subject, schedule::later},
    status::Status,
};

/// After so many intervals without a run it is looked at once each interval only.
const PATIENCE: u32 = 10;

impl Policy {
    /// Looks at a subject because its time has come, or what it waited for has happened.
    pub(super) fn look(
        &mut self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(track) = self.tracks.get(subject) else { return };
        match track.wait.clone() {
            Some(Wait::Blocked(was)) => match self.block(subject, world) {
                Some(block) if block == was => self.schedule(subject, world, now),
                Some(block) => {
                    self.set_wait(subject, Some(Wait::Blocked(block)));
                    self.schedule(subject, world, now);
                }
                None => {
                    let returned = self.returned(subject, world).filter(|_| was != Block::Blind);
                    let why = if was == Block::Blind { Reason::Blind } else { Reason::Parent };
                    let after = returned.unwrap_or(now);
                    let limit = Policy::recheck_limit(subject, after, RECHECK_INTERVALS, world);
                    let wait = Wait::Look { why, after, limit: Some(limit) };
                    self.set_wait(subject, Some(wait));
                    self.look_again(subject, world, now, out);
                }
            },
            Some(Wait::Look { .. }) => self.look_again(subject, world, now, out),
            None => {
                self.count_runs(subject, world, now, out);
                self.calm_down(subject, world, now, out);
                self.forget_history(subject, world, now);
                self.keep_or_drop(subject);
                self.schedule(subject, world, now);
            }
        }
    }

    /// Takes the run that was waited for, if there is one, or what is known when time is up.
    fn look_again(
        &mut self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(track) = self.tracks.get(subject) else { return };
        let Some(Wait::Look { after, limit, .. }) = &track.wait else { return };
        let is_late = limit.is_some_and(|limit| limit <= now);
        let run = self.run_of(subject, world);
        let found = match (&run, &subject.probe) {
            (Some(run), Some(_)) if run.at > *after || is_late => {
                Some((run.status, run.at, Some(run.output.clone())))
            }
            (None, None) if world.host(&subject.host).is_some_and(|host| host.is_reached) => {
                Some((Status::OK, now, None))
            }
            (None, Some(_)) => Some((track.shown, now, None)),
            _ if is_late => Some((track.shown, now, None)),
            _ => None,
        };
        let Some((status, at, output)) = found else { return self.schedule(subject, world, now) };
        self.set_wait(subject, None);
        let Some(track) = self.tracks.get(subject) else { return };
        let (_, of) = self.confirmation(track);
        let Some(track) = self.tracks.get_mut(subject) else { return };
        if track.shown == track.confirmed && status != track.confirmed {
            track.left = at;
        }
        let came_back = subject.probe.is_none() && track.shown > status;
        track.shown = status;
        if let Some(output) = output {
            track.output = text::cut(&output, MAX_OUTPUT_BYTES);
        }
        track.counted = track.counted.max(at);
        track.fill(track.confirmed, of);
        track.push(status, of);
        let mut chain = Chain::default();
        chain.passes(Reason::Result, text::looked(status, &track.output));
        let cause = Cause { subject, entry: None, status, at, is_gone: false };
        self.settle(cause, chain, world, now, out);
        self.after_wait(subject, now);
        if came_back {
            self.came_back(&subject.host, at, world, now, out);
        }
    }

    /// What waited may be reminded of again.
    pub(super) fn after_wait(&mut self, subject: &Subject, now: Timestamp) {
        if let Some(id) = self.tracks.get(subject).and_then(|track| track.incident) {
            self.wake_case(id, now);
        }
    }

    /// Counts runs of which nothing was said because they changed nothing.
    fn count_runs(
        &mut self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(track) = self.tracks.get(subject) else { return };
        let (_, of) = self.confirmation(track);
        let Some(run) = self.run_of(subject, world) else { return };
        let Some(track) = self.tracks.get_mut(subject) else { return };
        let is_pending = track.shown != track.confirmed;
        if !is_pending || run.at <= track.counted || run.status != track.shown {
            return;
        }
        track.count_until(run.at, run.interval, of);
        track.push(run.status, of);
        track.counted = run.at;
        let status = track.shown;
        let mut chain = Chain::default();
        chain.passes(Reason::Result, text::result(track.confirmed, status, &track.output));
        self.dirty.insert(Key::Subject(subject.clone()));
        let cause = Cause { subject, entry: None, status, at: run.at, is_gone: false };
        self.settle(cause, chain, world, now, out);
    }

    /// Lets go of runs that were different, once they are too long ago to count.
    fn forget_history(&mut self, subject: &Subject, world: &dyn World, now: Timestamp) {
        let Some(until) = self.history_until(subject, world) else { return };
        if until <= now
            && let Some(track) = self.tracks.get_mut(subject)
        {
            track.fill(track.confirmed, track.runs.len());
            self.dirty.insert(Key::Subject(subject.clone()));
        }
    }

    fn history_until(&self, subject: &Subject, world: &dyn World) -> Option<Timestamp> {
        let track = self.tracks.get(subject)?;
        let is_settled = track.shown == track.confirmed && track.wait.is_none();
        let is_mixed = track.runs.iter().any(|run| *run != track.confirmed);
        let runs = u32::try_from(track.runs.len()).unwrap_or(u32::MAX);
        let interval = self.run_of(subject, world).map_or(Duration::ZERO, |run| run.interval);
        (is_settled && is_mixed).then(|| later(track.counted, interval.saturating_mul(runs)))
    }

    /// Sets when a subject is looked at next.
    pub(super) fn schedule(&mut self, subject: &Subject, world: &dyn World, now: Timestamp) {
        let next = self.tracks.get(subject).and_then(|track| self.next_look(track, world, now));
        self.timers.set(Timer::Subject(subject.clone()), next);
    }

    fn next_look(&self, track: &Track, world: &dyn World, now: Timestamp) -> Option<Timestamp> {
        let soon = later(now, LOOK_AGAIN);
        let run = self.run_of(&track.subject, world);
        match &track.wait {
            Some(Wait::Blocked(Block::Blind)) => return None,
            Some(Wait::Blocked(_)) => return Some(later(now, BLOCKED_LOOK)),
            Some(Wait::Look { limit, .. }) => {
                let next = run.map_or(soon, |run| later(run.at, run.interval).max(soon));
                return Some(limit.map_or(next, |limit| next.min(limit.max(soon))));
            }
            None => {}
        }
        let pending = run.filter(|_| track.shown != track.confirmed).map(|run| {
            let next = later(track.counted, run.interval);
            if later(next, run.interval.saturating_mul(PATIENCE)) >= now {
                return next.max(soon);
            }
            // It does not run any more, as it seems: from now on at whole intervals.
            let passed = now.duration_since(track.counted).unsigned_abs();
            let interval = run.interval.max(LOOK_AGAIN);
            let runs = passed.as_millis() / interval.as_millis() + 1;
            later(track.counted, interval.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX)))
        });
        let history = self.history_until(&track.subject, world).map(|at| at.max(soon));
        let calm = match self.calm_at(track) {
            Some(at) if at > now => Some(at),
            // It is calm, and its last word is due, or waits.
            _ if track.is_flapping => self.last_word_at(track, soon, now),
            at => at.map(|_| soon),
        };
        [pending, history, calm].into_iter().flatten().min()
    }

    /// Finds out whether what was heard counts, and does what follows.
    pub(super) fn settle(
        &mut self,
        cause: Cause<'_>,
        mut chain: Chain,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let subject = cause.subject;
        let Some(track) = self.tracks.get(subject) else { return };
        let (n, of) = self.confirmation(track);
        let (before, agreed) = (track.confirmed, track.agreed(n));
        let (shown, incident) = (track.shown, track.incident);
        let takes_back = agreed == Status::OK && incident.is_some_and(|id| self.was_told(id));
        let (is_enabled, key) = match subject.probe {
            Some(_) => (self.rules.on_probe_change, "OnProbeChange"),
            None => (self.rules.on_host_change, "OnHostChange"),
        };
        let words = match (is_enabled, takes_back) {
            (false, false) => format!("{key} is switched off"),
            (false, true) => "what was told is taken back".to_owned(),
            (true, _) => format!("{key} is on"),
        };
        let is_asked = chain.ask(Reason::Enabled, is_enabled || takes_back, words);
        let alike = track.alike();
        let outcome = if let Some(wait) = &track.wait {
            let (reason, words) = Policy::words_of_wait(wait);
            chain.stops(reason, words);
            Outcome::Waiting
        } else if agreed != before {
            let words =
                if of == 1 { "one run is enough".to_owned() } else { format!("{n} of {of} runs") };
            chain.passes(Reason::Confirmed, words);
            self.change(cause, chain, agreed, world, now, out);
            self.keep_or_drop(subject);
            return self.schedule(subject, world, now);
        } else if shown != before {
            chain.stops(Reason::Confirmed, format!("{alike} of {of} runs, {n} are needed"));
            Outcome::Waiting
        } else {
            let words = format!("it is {} as before", text::word(before));
            chain.stops(Reason::Confirmed, words);
            Outcome::Held
        };
        if cause.entry.is_some() {
            let outcome = if is_asked { outcome } else { Outcome::Held };
            self.decide(cause, incident, chain, outcome, now, out);
        }
        self.keep_or_drop(subject);
        // It was looked at again after a silence, and is as it was.
        if self.tracks.get(subject).is_none_or(|track| track.wait.is_none())
            && self.looked_at(subject).is_some()
        {
            self.finish_endings(world, now, out);
        }
        self.schedule(subject, world, now);
    }

    /// As [`Policy::settle`], for what is not there any more: no runs are needed, nothing flaps.
    pub(super) fn settle_as_gone(
        &mut self,
        cause: Cause<'_>,
        mut chain: Chain,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(track) = self.tracks.get(cause.subject) else { return };
        if track.incident.is_none() {
            chain.stops(Reason::Told, "nothing was said of it");
            if let Some(track) = self.tracks.get_mut(cause.subject) {
                track.confirmed = Status::OK;
            }
            if cause.entry.is_some() {
                self.decide(cause, None, chain, Outcome::Held, now, out);
            }
            return;
        }
        self.change(cause, chain, Status::OK, world, now, out);
    }

    /// A change counts: it goes into its incident, and people are told, or not.
    fn change(
        &mut self,
        cause: Cause<'_>,
        mut chain: Chain,
        agreed: Status,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let subject = cause.subject;
        let Some(mut track) = self.tracks.remove(subject) else { return };
        let flips = (track.confirmed == Status::OK) != (agreed == Status::OK);
        track.confirmed = agreed;
        track.since = track.left;
        if track.shown != agreed {
            track.left = cause.at;
        }
        let begins = flips && !cause.is_gone && self.count_change(&mut track, cause.at);
        let (is_flapping, was_in) = (track.is_flapping, track.incident);
        let changes = track.changes.len();
        self.tracks.insert(subject.clone(), track);
        self.dirty.insert(Key::Subject(subject.clone()));
        let id = match was_in {
            Some(_) => {
                self.update_member(subject, cause.at, out);
                was_in
            }
            None if agreed > Status::OK => self.enroll(subject, world, now, out),
            None => None,
        };
        if self.clear_acks(subject, now, out)
            && let Some(track) = self.tracks.get_mut(subject)
        {
            track.insists = true;
        }
        let ending = self.looked_at(subject);
        let Some(id) = id else {
            chain.stops(Reason::Incident, "it is in no incident: nobody was told of it");
            if cause.entry.is_some() {
                self.decide(cause, None, chain, Outcome::Held, now, out);
            }
            return;
        };
        self.refresh(id);
        if is_flapping {
            let words = format!("it changes all the time: {changes} times lately");
            chain.ask(Reason::Flapping, begins, words);
        }
        let outcome = self.ask_cover(subject, agreed, ending.as_deref(), &mut chain);
        if begins {
            let text = text::flaps(subject, changes);
            self.moment(
                id,
                Event::Flapping,
                cause.at,
                Some(subject.clone()),
                Some(agreed),
                text,
                None,
                out,
            );
        }
        self.close_if_over(id, cause.at, out);
        if chain.is_over() {
            if cause.entry.is_some() {
                self.decide(cause, Some(id), chain, outcome, now, out);
            }
        } else {
            self.dispatch(cause, chain, id, begins, now, out);
        }
        // It may be over for channels that this change is not for.
        let is_closed = self.cases.get(&id).is_some_and(|case| !case.incident.is_open());
        if is_closed && self.was_told(id) {
            self.evaluate(id, world, now, out);
        }
        self.forget_if_done(id);
        self.plan_case(id, now);
        if ending.is_some() {
            self.finish_endings(world, now, out);
        }
    }

    /// Asks whether somebody holds it back; what it comes to if so.
    fn ask_cover(
        &mut self,
        subject: &Subject,
        status: Status,
        ending: Option<&str>,
        chain: &mut Chain,
    ) -> Outcome {
        let Some(track) = self.tracks.get(subject) else { return Outcome::Held };
        let is_over = status == Status::OK;
        let ack =
            self.ack_of(track).map(|ack| (ack.subject.clone(), super::cover::words_of_ack(ack)));
        let cover = self.silenced(track.whose());
        if chain.is_over() {
            return Outcome::Held;
        }
        if let Some((acked, words)) = ack.filter(|_| !is_over) {
            chain.stops(Reason::Acknowledged, format!("acknowledged by {words}"));
            self.count_acked(&acked);
        } else if let Some((reason, cover)) = cover {
            match is_over {
                true => chain.passes(reason, format!("{}, but recoveries go out", cover.words)),
                false => {
                    chain.stops(reason, cover.words.clone());
                    self.count_held(&cover);
                }
            }
        } else if let Some(name) = ending.filter(|_| !is_over) {
            chain.stops(Reason::Grouping, format!("told with all that {name} held back"));
            return Outcome::Grouped;
        }
        Outcome::Held
    }

    /// Whether anybody was told of an incident and not yet that it is over.
    pub(super) fn was_told(&self, id: uuid::Uuid) -> bool {
        let case = self.cases.get(&id);
        case.is_some_and(|case| case.incident.told.values().any(|told| told.status > Status::OK))
    }
}
