//! What somebody holds back: acknowledgements, silences, windows, and their ends.

use jiff::Timestamp;

use super::{World, engine::Policy, matching::Whose, pieces::Key, state::Track, timers::Timer};
use crate::notify::{Ack, Effects, Event, Reason, Scope, Subject};

/// A silence, or a window that is open.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    id: u64,
    pub words: String,
}

impl Policy {
    /// The silence or the open window that covers something.
    pub(super) fn silenced(&self, whose: Whose<'_>) -> Option<(Reason, Cover)> {
        let silence = self.silences.values().find(|silence| silence.scope.covers(whose));
        if let Some(silence) = silence {
            let words = words(&silence.author, Some(silence.until), &silence.reason);
            return Some((Reason::Silenced, Cover { id: silence.id, words }));
        }
        let plans = self.plans.values();
        plans.filter(|plan| plan.window.scope.covers(whose)).find_map(|plan| {
            let (_, to) = plan.open?;
            let words = format!("window `{}` until {to}", plan.window.name);
            Some((Reason::Maintenance, Cover { id: plan.window.id, words }))
        })
    }

    /// Counts something that was held back.
    pub(super) fn count_held(&mut self, cover: &Cover) {
        if let Some(silence) = self.silences.get_mut(&cover.id) {
            silence.held = silence.held.saturating_add(1);
            self.dirty.insert(Key::Suppression(cover.id));
        } else if let Some(plan) = self.plans.get_mut(&cover.id) {
            plan.window.held = plan.window.held.saturating_add(1);
            self.dirty.insert(Key::Window(cover.id));
        }
    }

    /// The acknowledgement that covers how a subject is: its own, or that of its host.
    pub(super) fn ack_of(&self, track: &Track) -> Option<&Ack> {
        let own = self.acks.get(&track.subject);
        let hosts = track.subject.probe.as_ref();
        let hosts = hosts.and_then(|_| self.acks.get(&Subject::host(&track.subject.host)));
        [own, hosts].into_iter().flatten().find(|ack| track.confirmed <= ack.status)
    }

    /// Counts what an acknowledgement held back.
    pub(super) fn count_acked(&mut self, subject: &Subject) {
        if let Some(ack) = self.acks.get_mut(subject) {
            ack.held = ack.held.saturating_add(1);
            self.dirty.insert(Key::Suppression(ack.id));
        }
    }

    /// Takes back acknowledgements that a change ended: something is worse, or all is over. Whether it
    /// got worse than was acknowledged.
    pub(super) fn clear_acks(
        &mut self,
        subject: &Subject,
        at: Timestamp,
        out: &mut Effects,
    ) -> bool {
        let Some(track) = self.tracks.get(subject) else { return false };
        let status = track.confirmed;
        let mut is_worse = false;
        let host = Subject::host(&subject.host);
        let mut whom = vec![subject.clone()];
        if host != *subject {
            whom.push(host);
        }
        for acked in whom {
            let Some(ack) = self.acks.get(&acked) else { continue };
            let is_over = match acked.probe {
                Some(_) => !self.tracks.get(&acked).is_some_and(Track::is_bad),
                None => !self.of_host(&acked.host).any(Track::is_bad),
            };
            let got_worse = status > ack.status;
            is_worse |= got_worse;
            let why = match (got_worse, is_over) {
                (true, _) => "it got worse than it was",
                (_, true) => "it is over",
                _ => continue,
            };
            self.remove_ack(&acked, why, None, at, out);
        }
        is_worse
    }

    /// What is remembered of a host and its probes.
    pub(super) fn of_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Track> {
        let tracks = self.tracks.range(Subject::host(host)..);
        tracks.map(|(_, track)| track).take_while(move |track| track.subject.host == host)
    }

    /// Removes an acknowledgement, and writes that into the incidents it was about.
    pub(super) fn remove_ack(
        &mut self,
        acked: &Subject,
        why: &str,
        by: Option<&str>,
        at: Timestamp,
        out: &mut Effects,
    ) {
        let Some(ack) = self.acks.remove(acked) else { return };
        self.dirty.insert(Key::Suppression(ack.id));
        let of_host = self.of_host(&acked.host).filter(|track| track.is_flapping);
        for subject in of_host.map(|track| track.subject.clone()).collect::<Vec<_>>() {
            self.timers.set(Timer::Subject(subject), Some(at));
        }
        for id in self.incidents_of(acked) {
            let text = format!("The acknowledgement of {acked} is taken back: {why}.");
            let event = Event::Unacknowledged;
            self.moment(id, event, at, Some(acked.clone()), None, text, by, out);
            self.refresh(id);
            self.wake_case(id, at);
        }
    }

    /// The open incidents that a subject is in, or for a host itself: it and its probes.
    pub(super) fn incidents_of(&self, subject: &Subject) -> Vec<uuid::Uuid> {
        let mut ids: Vec<_> = match subject.probe {
            Some(_) => {
                self.tracks.get(subject).and_then(|track| track.incident).into_iter().collect()
            }
            None => self.of_host(&subject.host).filter_map(|track| track.incident).collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Ends what is over, and opens windows whose time has come.
    pub(super) fn review(&mut self, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let over = self.acks.values().filter(|ack| ack.until.is_some_and(|until| until <= now));
        for acked in over.map(|ack| ack.subject.clone()).collect::<Vec<_>>() {
            self.remove_ack(&acked, "its time is over", None, now, out);
        }
        let over = self.silences.values().filter(|silence| silence.until <= now);
        for id in over.map(|silence| silence.id).collect::<Vec<_>>() {
            if let Some(silence) = self.silences.remove(&id) {
                self.dirty.insert(Key::Suppression(id));
                let name = format!("silence by {}", silence.author);
                self.ended(&name, Reason::Silenced, &silence.scope, silence.until, world, now, out);
            }
        }
        for id in self.plans.keys().copied().collect::<Vec<_>>() {
            self.review_window(id, world, now, out);
        }
        self.set_review(now);
    }

    fn review_window(&mut self, id: u64, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let Some(plan) = self.plans.get_mut(&id) else { return };
        let was = plan.open;
        let open = plan.window.open_at(now);
        let is_last = open.is_none() && plan.window.next(now, 1).is_empty();
        let (name, scope) = (format!("window `{}`", plan.window.name), plan.window.scope.clone());
        if was != open {
            plan.open = open;
            self.dirty.insert(Key::Window(id));
        }
        if is_last {
            // It does not come back: nor does it if the clock is set back.
            self.plans.remove(&id);
            self.dirty.insert(Key::Window(id));
        }
        if let (Some((_, to)), None) = (was, open) {
            self.ended(&name, Reason::Maintenance, &scope, to.min(now), world, now, out);
        }
    }

    /// When a suppression ends next, or a window opens.
    pub(super) fn set_review(&mut self, now: Timestamp) {
        let acks = self.acks.values().filter_map(|ack| ack.until);
        let silences = self.silences.values().map(|silence| silence.until);
        let windows = self.plans.values().filter_map(|plan| {
            let opens = plan.window.next(now, 1).first().map(|(from, _)| *from);
            let closes = plan.open.map(|(_, to)| to);
            [opens, closes].into_iter().flatten().min()
        });
        let next = acks.chain(silences).chain(windows).min();
        self.timers.set(Timer::Suppressions, next);
    }

    /// Removes a silence before its time.
    pub(super) fn lift_silence(
        &mut self,
        id: u64,
        by: &str,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(silence) = self.silences.remove(&id) else { return };
        self.dirty.insert(Key::Suppression(id));
        let name = format!("silence by {}, lifted by {by}", silence.author);
        self.ended(&name, Reason::Silenced, &silence.scope, now, world, now, out);
    }

    /// Lifts what is in force for exactly this scope.
    pub(super) fn lift_scope(
        &mut self,
        scope: &Scope,
        by: &str,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Vec<u64> {
        let is_it = |found: &Scope| match (scope, found) {
            (Scope::Subject(wanted), Scope::Subject(found)) if wanted.probe.is_none() => {
                wanted.host == found.host
            }
            _ => scope == found,
        };
        let acks = self.acks.values().filter(|ack| is_it(&Scope::Subject(ack.subject.clone())));
        let acks: Vec<_> = acks.map(|ack| (ack.id, ack.subject.clone())).collect();
        let silences = self.silences.values().filter(|silence| is_it(&silence.scope));
        let silences: Vec<_> = silences.map(|silence| silence.id).collect();
        let mut lifted = silences.clone();
        for (id, acked) in acks {
            lifted.push(id);
            self.remove_ack(&acked, &format!("{by} did it"), Some(by), now, out);
        }
        for id in silences {
            self.lift_silence(id, by, world, now, out);
        }
        lifted.sort_unstable();
        lifted
    }
}

/// Who acknowledged, until when, why.
pub(super) fn words_of_ack(ack: &Ack) -> String {
    words(&ack.author, ack.until, &ack.reason)
}

fn words(author: &str, until: Option<Timestamp>, reason: &str) -> String {
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("{author}{until}{reason}")
}
