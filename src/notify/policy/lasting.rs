//! What time does to an incident: further people, reminders, what waited.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    World,
    behind::{BLOCKED_LOOK, LOOK_AGAIN, RECHECK_INTERVALS},
    chain::Chain,
    engine::Policy,
    incidents::whose,
    judge::{Act, Verdict},
    pieces::Key,
    state::Case,
    text,
    timers::Timer,
};
use crate::{
    notify::{
        Effects, Event, Kind, Outcome, Reason, Subject,
        rules::{Backoff, Channel, Repeat},
        schedule::later,
    },
    status::Status,
};

impl Policy {
    /// Looks at an incident because its time has come.
    pub(super) fn evaluate(
        &mut self,
        id: Uuid,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        // What is looked at again after a silence is told once that is done.
        self.postponed.remove(&id);
        let is_ending = self.is_ending(id).is_some();
        if !is_ending {
            self.escalate(id, now, out);
        }
        let rules = Arc::clone(&self.rules);
        if let Some(case) = self.cases.get_mut(&id)
            && case.is_owed
            && self.rules.quiet.as_ref().and_then(|quiet| quiet.until(now)).is_none()
        {
            case.is_owed = false;
            self.touch(id);
        }
        for channel in &rules.channels {
            let Some(case) = self.cases.get(&id) else { break };
            let verdict = self.verdict(case, channel, None, now);
            self.finish(id, channel, verdict, None, now, out);
        }
        self.calm_insistence(id, now);
        if !is_ending {
            self.remind(id, world, now, out);
        }
        if let Some(case) = self.cases.get_mut(&id)
            && case.join_due.is_some_and(|due| due <= now)
        {
            case.join_due = None;
            self.touch(id);
        }
        self.forget_if_done(id);
        self.plan_case(id, now);
    }

    /// What got worse than was acknowledged has been told, unless it still waits.
    pub(super) fn calm_insistence(&mut self, id: Uuid, now: Timestamp) {
        let Some(case) = self.cases.get(&id) else { return };
        if self.quiet(now).is_some() || self.is_ending(id).is_some() {
            return;
        }
        for member in &case.incident.members {
            if let Some(track) = self.tracks.get_mut(&member.subject)
                && track.insists
            {
                track.insists = false;
                self.dirty.insert(Key::Subject(member.subject.clone()));
            }
        }
    }

    /// Raises an incident to the channels for escalation, if it has lasted long enough and nobody looks
    /// after it.
    pub(super) fn escalate(&mut self, id: Uuid, now: Timestamp, out: &mut Effects) {
        let Some(case) = self.cases.get(&id) else { return };
        let is_due = self.escalation_due(case).is_some_and(|due| due <= now);
        if !is_due || !self.may_speak(case) {
            return;
        }
        let status = case.incident.status;
        if let Some(case) = self.cases.get_mut(&id) {
            case.escalated = Some(now);
        }
        self.touch(id);
        let text = format!("It lasts for {}: told further", text::span(self.rules.escalate_after));
        self.moment(id, Event::Escalated, now, None, Some(status), text, None, out);
    }

    pub(super) fn escalation_due(&self, case: &Case) -> Option<Timestamp> {
        let after = self.rules.escalate_after;
        let is_wanted = !after.is_zero() && self.rules.channels.iter().any(|it| it.escalation);
        let lasts = case.incident.is_open() && case.escalated.is_none();
        (is_wanted && lasts).then(|| later(case.incident.opened, after))
    }

    /// Whether anything bad in it may speak.
    pub(super) fn may_speak(&self, case: &Case) -> bool {
        let bad = case.incident.members.iter().filter(|member| member.recovered.is_none());
        let mut tracks = bad.filter_map(|member| self.tracks.get(&member.subject));
        tracks.any(|track| self.silence_of(track).is_none())
    }

    /// When a channel is to be reminded of an incident.
    pub(super) fn reminder_due(&self, case: &Case, channel: &Channel) -> Option<Timestamp> {
        let repeat = self.rules.repeat.as_ref()?;
        let told = case.incident.told.get(&channel.name)?;
        let lasts = case.incident.is_open() && told.status > Status::OK;
        let is_on = lasts && !self.rules.rescue_only && !channel.only_fallback;
        is_on.then(|| later(told.last, wait_before(repeat, told.reminders)))
    }

    pub(super) fn remind(
        &mut self,
        id: Uuid,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let rules = Arc::clone(&self.rules);
        for channel in &rules.channels {
            let Some(case) = self.cases.get(&id) else { return };
            if self.reminder_due(case, channel).is_none_or(|due| due > now) {
                continue;
            }
            let bad = case.incident.members.iter().filter(|it| it.recovered.is_none());
            let mine = bad.filter(|it| channel.matches.matches(whose(it)));
            let tracks = mine.filter_map(|member| self.tracks.get(&member.subject));
            let tracks = tracks.filter(|track| self.silence_of(track).is_none());
            let unseen: Vec<_> =
                tracks.map(|track| self.unseen_until(&track.subject, world, now)).collect();
            let is_quiet = self.quiet_for(self.worst_for(case, channel), now).is_some();
            let is_closed = channel.hours.as_ref().is_some_and(|hours| !hours.contains(now));
            if unseen.is_empty() || is_quiet || is_closed {
                continue;
            }
            if unseen.iter().all(Option::is_some)
                && let Some(next) = unseen.into_iter().flatten().min()
            {
                self.postponed.insert(id, next);
                continue;
            }
            let mut chain = Chain::default();
            chain.passes(Reason::Repeat, "it still lasts");
            let verdict = Verdict {
                chain,
                act: Act::Say(Kind::Reminder),
                outcome: Outcome::Sent,
                is_routed: true,
            };
            self.finish(id, channel, verdict, None, now, out);
        }
    }

    /// When to look whether a subject is seen again, if something is in the way of seeing it, or it was not
    /// seen since that was so.
    pub(super) fn unseen_until(
        &self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if self.block(subject, world).is_some() {
            return Some(later(now, BLOCKED_LOOK));
        }
        let returned = self.returned(subject, world)?;
        let limit = Policy::recheck_limit(subject, returned, RECHECK_INTERVALS, world);
        let run = world.last_run(subject);
        if limit <= now || run.as_ref().is_some_and(|run| run.at > returned) {
            return None;
        }
        let next = run.map_or(limit, |run| later(run.at, run.interval)).min(limit);
        Some(next.max(later(now, LOOK_AGAIN)))
    }

    /// Lets an incident be looked at as a whole, at once: something may be said now that could not.
    pub(super) fn wake_case(&mut self, id: Uuid, now: Timestamp) {
        self.postponed.insert(id, now);
        self.timers.set(Timer::Incident(id), Some(now));
    }

    /// Sets when an incident is looked at next.
    pub(super) fn plan_case(&mut self, id: Uuid, now: Timestamp) {
        let next = self.cases.get(&id).and_then(|case| self.next_for_case(case, now));
        let is_overdue = self.cases.get(&id).is_some_and(|case| {
            let is_due = self.escalation_due(case).is_some_and(|due| due <= now);
            is_due && self.is_ending(id).is_none() && self.may_speak(case)
        });
        let next = if is_overdue { Some(now) } else { next };
        let next = next.into_iter().chain(self.postponed.get(&id).copied()).min();
        self.timers.set(Timer::Incident(id), next);
    }

    pub(super) fn next_for_case(&self, case: &Case, now: Timestamp) -> Option<Timestamp> {
        let first = later(case.begun, self.rules.group_wait);
        let quiet = self.quiet(now);
        let reminders = self.rules.channels.iter().filter_map(|channel| {
            let due = self.reminder_due(case, channel)?;
            match &channel.hours {
                Some(hours) if !hours.contains(due.max(now)) => hours.opens(due.max(now)),
                _ => Some(due),
            }
        });
        let times = [case.join_due, self.escalation_due(case), Some(first), quiet];
        times.into_iter().flatten().chain(reminders).filter(|at| *at > now).min()
    }
}

/// How long after the last message a reminder comes.
fn wait_before(repeat: &Repeat, reminders: u32) -> std::time::Duration {
    let n = reminders.saturating_add(1).min(repeat.limit.max(1));
    let power = match repeat.backoff {
        Backoff::None => 0,
        Backoff::Linear => 1,
        Backoff::Square => 2,
        Backoff::Cubic => 3,
    };
    repeat.interval.saturating_mul(n.saturating_pow(power))
}
