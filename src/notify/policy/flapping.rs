//! What changes all the time is said once, and how it is when it is calm again.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    World,
    chain::Chain,
    engine::Policy,
    judge::{Act, Verdict},
    pieces::Key,
    state::{Case, Track},
    text,
};
use crate::{
    notify::{Effects, Event, Kind, Outcome, Reason, Subject, rules::Channel, schedule::later},
    status::Status,
};

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

    /// When the last word of something that is calm can be said; `None`: when what holds it back ends, which
    /// looks at it itself.
    pub(super) fn last_word_at(
        &self,
        track: &Track,
        soon: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let status = track.confirmed;
        if status == Status::OK {
            return Some(soon);
        }
        if self.ack_of(track).is_some() || self.silenced(track.whose()).is_some() {
            return None;
        }
        Some(self.quiet_for(status, now).unwrap_or(soon))
    }

    /// What a channel is told when something begins to change all the time.
    pub(super) fn verdict_on_flapping(
        &self,
        case: &Case,
        channel: &Channel,
        subject: &Subject,
        now: Timestamp,
    ) -> Verdict {
        let mut chain = Chain::default();
        chain.passes(Reason::Incident, format!("incident of {}", case.incident.lead));
        let held = Verdict {
            chain: Chain::default(),
            act: Act::Nothing,
            outcome: Outcome::Held,
            is_routed: true,
        };
        let Some(track) = self.tracks.get(subject) else { return held };
        let is_routed = !channel.only_fallback && channel.matches.matches(track.whose());
        if !chain.ask(Reason::Routed, is_routed, "whether it is for this channel") {
            return Verdict { chain, is_routed, ..held };
        }
        let slot = track.slot.and_then(|slot| case.incident.members.get(slot as usize));
        let worst = slot.map_or(track.confirmed, |member| member.worst);
        let told = case.incident.told.get(&channel.name).is_some_and(|it| it.status > Status::OK);
        let is_timely = channel.hours.as_ref().is_none_or(|hours| hours.contains(track.since));
        let level = self.rules.min_level.max(channel.min_level);
        chain.ask(Reason::Level, told || worst >= level, format!("{worst}, from {level} on"));
        chain.ask(
            Reason::Routed,
            told || is_timely,
            "within the hours of this channel, or told before",
        );
        chain.ask(Reason::RescueOnly, !self.rules.rescue_only, "only recoveries are sent, if so");
        let is_escalated = !channel.escalation || case.escalated.is_some();
        chain.ask(Reason::Escalation, is_escalated, "it is told what lasts, if it is for that");
        chain.ask(Reason::Repeat, !channel.reminders_only, "it is told only reminders, if so");
        let quiet = self.quiet_for(worst, now).map(|until| format!("quiet hours until {until}"));
        chain.ask(
            Reason::Quiet,
            quiet.is_none(),
            quiet.unwrap_or_else(|| "no quiet hours".to_owned()),
        );
        match chain.is_over() {
            true => Verdict { chain, ..held },
            false => {
                Verdict { chain, act: Act::Say(Kind::Flapping), outcome: Outcome::Sent, is_routed }
            }
        }
    }

    /// Ends flapping when a subject is calm: one last word to those who know of it.
    pub(super) fn calm_down(
        &mut self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(mut track) = self.tracks.remove(subject) else { return };
        let before = track.changes.len();
        self.forget_changes(&mut track, now);
        let is_changed = track.changes.len() != before;
        let is_calm = track.is_flapping && self.is_calm(&track) && track.wait.is_none();
        let (status, id) = (track.confirmed, track.incident);
        let is_held = self.last_word_at(&track, now, now) != Some(now);
        let ends = is_calm && !is_held;
        track.is_flapping &= !ends;
        let heard = track.heard.clone();
        self.tracks.insert(subject.clone(), track);
        if is_changed || ends {
            self.dirty.insert(Key::Subject(subject.clone()));
        }
        let (true, Some(id)) = (ends, id) else { return };
        let text =
            format!("{}, and does not change all the time any more", text::is(subject, status));
        self.moment(id, Event::Calm, now, Some(subject.clone()), Some(status), text, None, out);
        self.refresh(id);
        self.close_if_over(id, now, out);
        let rules = Arc::clone(&self.rules);
        for channel in &rules.channels {
            let Some(case) = self.cases.get(&id) else { break };
            let told =
                case.incident.told.get(&channel.name).is_some_and(|it| it.status > Status::OK);
            let is_over = self.worst_for(case, channel) == Status::OK;
            if !told || is_over || !heard.contains_key(&channel.name) {
                continue;
            }
            let mut chain = Chain::default();
            chain.passes(Reason::Flapping, "it does not change all the time any more");
            let is_silent = rules.rescue_only || channel.reminders_only;
            let act = if is_silent { Act::Silently } else { Act::Say(Kind::Calm) };
            let verdict = Verdict { chain, act, outcome: Outcome::Sent, is_routed: true };
            self.finish(id, channel, verdict, Some(subject), now, out);
        }
        self.evaluate(id, world, now, out);
    }
}
