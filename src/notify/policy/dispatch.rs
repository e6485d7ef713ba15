//! Asks channels what they are due, does it, writes down why.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    chain::Chain,
    engine::Policy,
    facts::Cause,
    judge::{Act, Verdict},
    pieces::Key,
    state::{MAX_NOTES, Note},
};
use crate::{
    notify::{Decision, Effects, Kind, Outcome, Priority, Reason, Subject, rules::Channel},
    status::Status,
};

impl Policy {
    /// Asks all channels because something changed, and does what they are due.
    pub(super) fn dispatch(
        &mut self,
        cause: Cause<'_>,
        chain: Chain,
        id: Uuid,
        flaps: bool,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let rules = Arc::clone(&self.rules);
        let mut decisions = Vec::new();
        for channel in &rules.channels {
            let Some(case) = self.cases.get(&id) else { return };
            let verdict = match flaps {
                true => self.verdict_on_flapping(case, channel, cause.subject, now),
                false => self.verdict(case, channel, Some(cause.subject), now),
            };
            let (act, is_routed) = (verdict.act, verdict.is_routed);
            let (message, outcome, steps) =
                self.carry_out(id, channel, verdict, Some(cause.subject), now, out);
            let mut steps_of_all = chain.steps.clone();
            steps_of_all.extend(steps.steps);
            let decision = Decision {
                at: now,
                subject: cause.subject.clone(),
                entry: cause.entry,
                incident: Some(id),
                channel: Some(channel.name.clone()),
                status: cause.status,
                outcome,
                chain: steps_of_all,
                message,
            };
            // What time led to is worth a line only if something is said.
            if cause.entry.is_some() || matches!(act, Act::Say(_)) {
                decisions.push((is_routed, decision));
            }
        }
        self.calm_insistence(id, now);
        let says = decisions.iter().any(|(is_routed, _)| *is_routed);
        if decisions.is_empty() && cause.entry.is_some() {
            let mut chain = chain;
            chain.stops(Reason::Routed, "there is no channel");
            return self.decide(cause, Some(id), chain, Outcome::Held, now, out);
        }
        let kept = decisions.into_iter().filter(|(is_routed, _)| *is_routed || !says);
        out.decisions.extend(kept.map(|(_, decision)| decision));
    }

    /// Does what a verdict says: the key of the message, what came of it, the questions.
    pub(super) fn carry_out(
        &mut self,
        id: Uuid,
        channel: &Channel,
        mut verdict: Verdict,
        because: Option<&Subject>,
        now: Timestamp,
        out: &mut Effects,
    ) -> (Option<String>, Outcome, Chain) {
        let is_quiet = verdict
            .chain
            .steps
            .last()
            .is_some_and(|step| !step.passed && step.reason == Reason::Quiet);
        if is_quiet {
            self.note(id, channel, now);
        }
        match verdict.act {
            Act::Nothing => (None, verdict.outcome, verdict.chain),
            Act::Silently => {
                self.mark_told(id, channel, now);
                (None, verdict.outcome, verdict.chain)
            }
            Act::Say(kind) => {
                let raises = self.rules.repeat.as_ref().is_some_and(|repeat| repeat.raise);
                let is_high = channel.escalation || kind == Kind::Reminder && raises;
                let priority = if is_high { Priority::High } else { Priority::Normal };
                let said = self.say(id, channel, kind, priority, because, now, out);
                verdict.chain.ask(Reason::RateLimit, said.1 == Outcome::Sent, said.2);
                (said.0, said.1, verdict.chain)
            }
        }
    }

    /// Remembers something for the end of quiet hours.
    pub(super) fn note(&mut self, id: Uuid, channel: &Channel, now: Timestamp) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        if !case.incident.is_open() {
            if !case.is_owed {
                case.is_owed = true;
                self.touch(id);
            }
            return;
        }
        if case.incident.told.get(&channel.name).is_some_and(|told| told.status > Status::OK) {
            return;
        }
        let status = self.cases.get(&id).map_or(Status::OK, |case| self.worst_for(case, channel));
        let Some(case) = self.cases.get(&id) else { return };
        let note = Note {
            subject: case.incident.lead.clone(),
            status,
            since: case.incident.opened,
            over: None,
            output: case.incident.members.first().map(|it| it.output.clone()).unwrap_or_default(),
        };
        let mouth = self.mouth(&channel.name);
        let is_full = mouth.notes.len() >= MAX_NOTES;
        match mouth.notes.get_mut(&id) {
            Some(before) if before.status >= status => return,
            Some(before) => before.status = status,
            None if is_full => {
                mouth.unnoted = mouth.unnoted.saturating_add(1);
            }
            None => {
                mouth.notes.insert(id, note);
            }
        }
        self.dirty.insert(Key::Channel(channel.name.clone()));
        self.plan_channel(&channel.name, now);
    }

    pub(super) fn finish(
        &mut self,
        id: Uuid,
        channel: &Channel,
        verdict: Verdict,
        because: Option<&Subject>,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let is_said = matches!(verdict.act, Act::Say(_));
        let (key, outcome, chain) = self.carry_out(id, channel, verdict, because, now, out);
        if is_said {
            let verdict = Verdict { chain, act: Act::Nothing, outcome, is_routed: true };
            self.decide_by_time(id, channel, verdict, key, now, out);
        }
    }

    /// Writes down what time led to.
    pub(super) fn decide_by_time(
        &self,
        id: Uuid,
        channel: &Channel,
        verdict: Verdict,
        message: Option<String>,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let incident = self.incident(id);
        let Some(incident) = incident else { return };
        out.decisions.push(Decision {
            at: now,
            subject: incident.lead.clone(),
            entry: None,
            incident: Some(id),
            channel: Some(channel.name.clone()),
            status: incident.status,
            outcome: verdict.outcome,
            chain: verdict.chain.steps,
            message,
        });
    }
}
