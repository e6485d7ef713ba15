//! Whether a channel is told of an incident, and what.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    World,
    chain::Chain,
    engine::Policy,
    facts::Cause,
    incidents::whose,
    pieces::Key,
    state::{Case, Note, Track},
    text,
    timers::Timer,
};
use crate::{
    notify::{
        Decision, Effects, Event, Kind, Member, Outcome, Priority, Reason, Subject,
        rules::{Backoff, Channel, Repeat},
        schedule::later,
    },
    status::Status,
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    /// Nothing is said, and it counts as told.
    Silently,
    Say(Kind),
}

/// What a channel is told of an incident, and why.
pub(super) struct Verdict {
    pub chain: Chain,
    pub act: Act,
    pub outcome: Outcome,
    /// It is for this channel at all.
    pub is_routed: bool,
}

impl Verdict {
    fn stop(
        mut chain: Chain,
        reason: Reason,
        words: impl Into<String>,
        outcome: Outcome,
    ) -> Verdict {
        chain.stops(reason, words);
        Verdict { chain, act: Act::Nothing, outcome, is_routed: reason != Reason::Routed }
    }
}

impl Policy {
    /// What a channel is to be told of an incident: because of a change of one member or, without, as it
    /// is now. Asking changes nothing.
    pub(super) fn verdict(
        &self,
        case: &Case,
        channel: &Channel,
        because: Option<&Subject>,
        now: Timestamp,
    ) -> Verdict {
        use Outcome::{Grouped, Held, Waiting};
        let incident = &case.incident;
        let mut chain = Chain::default();
        chain.passes(Reason::Incident, format!("incident of {}", incident.lead));
        if channel.only_fallback {
            let words = "it is told only when another channel has failed";
            return Verdict::stop(chain, Reason::Routed, words, Held);
        }
        let is_mine = |member: &&Member| channel.matches.matches(whose(member));
        let because = because.and_then(|subject| self.tracks.get(subject));
        if because.is_some_and(|track| !channel.matches.matches(track.whose())) {
            return Verdict::stop(chain, Reason::Routed, "it is not for this channel", Held);
        }
        let told = incident.told.get(&channel.name);
        let told_status = told.map_or(Status::OK, |told| told.status);
        let is_known = told_status > Status::OK;
        let worst = self.worst_for(case, channel);
        if !is_known && !incident.members.iter().any(|member| is_mine(&member)) {
            return Verdict::stop(chain, Reason::Routed, "none of it is for this channel", Held);
        }
        let level = self.rules.min_level.max(channel.min_level);

        if worst == Status::OK {
            chain.passes(Reason::Routed, "it is for this channel");
            if !is_known {
                let words = "it was not told that anything broke";
                return Verdict::stop(chain, Reason::Told, words, Held);
            }
            if channel.reminders_only {
                let words = "it is told nothing but reminders";
                return Verdict {
                    act: Act::Silently,
                    ..Verdict::stop(chain, Reason::Repeat, words, Held)
                };
            }
            chain.passes(Reason::Told, format!("it was told {}", text::word(told_status)));
            return self.unless_quiet(chain, Kind::Recovered, told_status, now);
        }

        // Bad: who may speak? After a change only what changed may; else everything that is bad.
        let changed = because.filter(|track| track.is_bad());
        let speakers: Vec<&Track> = match changed {
            Some(track) => vec![track],
            None => {
                let bad = incident.members.iter().filter(|member| member.recovered.is_none());
                bad.filter(is_mine).filter_map(|member| self.tracks.get(&member.subject)).collect()
            }
        };
        let is_timely = |track: &&Track| {
            let since = case.escalated.filter(|_| channel.escalation).unwrap_or(track.since);
            channel.hours.as_ref().is_none_or(|hours| hours.contains(since))
        };
        if !is_known && !speakers.is_empty() && !speakers.iter().any(is_timely) {
            let words = "it happened outside of the hours of this channel";
            return Verdict::stop(chain, Reason::Routed, words, Held);
        }
        chain.passes(Reason::Routed, "it is for this channel");
        let speakers: Vec<_> = speakers
            .into_iter()
            .filter(is_timely)
            .filter(|track| self.silence_of(track).is_none())
            .collect();
        let spoken = Status::worst(speakers.iter().map(|track| track.confirmed));
        let insists = speakers.iter().any(|track| {
            let heard = track.heard.get(&channel.name).copied().unwrap_or(Status::OK);
            track.insists && heard < track.confirmed
        });
        let kind = if !is_known {
            match spoken {
                Status::OK => {
                    let words = "all that is bad in it is held back";
                    return Verdict::stop(chain, Reason::Silenced, words, Held);
                }
                _ => Kind::Problem,
            }
        } else if spoken > told_status || insists {
            Kind::Worsened
        } else if spoken > Status::OK && worst < told_status {
            Kind::Improved
        } else if speakers.iter().any(|track| !track.heard.contains_key(&channel.name)) {
            Kind::Joined
        } else {
            let words = format!("it was told {} already", text::word(told_status));
            return Verdict::stop(chain, Reason::Told, words, Held);
        };
        if matches!(kind, Kind::Problem | Kind::Worsened) && spoken < level {
            let words = format!("{spoken} is below {level}");
            return Verdict::stop(chain, Reason::Level, words, Held);
        }
        chain.passes(Reason::Level, format!("{spoken}, from {level} on"));
        if channel.escalation && case.escalated.is_none() {
            let after = text::span(self.rules.escalate_after);
            let words = match self.rules.escalate_after.is_zero() {
                true => "escalation is switched off".to_owned(),
                false => format!("it is told what lasts for {after}"),
            };
            return Verdict::stop(chain, Reason::Escalation, words, Waiting);
        }
        if self.rules.rescue_only {
            let words = "only recoveries are sent";
            return Verdict {
                act: Act::Silently,
                ..Verdict::stop(chain, Reason::RescueOnly, words, Held)
            };
        }
        if channel.reminders_only {
            let words = "it is told nothing but reminders";
            return Verdict {
                act: Act::Silently,
                ..Verdict::stop(chain, Reason::Repeat, words, Held)
            };
        }
        chain.passes(
            Reason::Told,
            match is_known {
                true => format!("it was told {} before", text::word(told_status)),
                false => "it knows nothing of it yet".to_owned(),
            },
        );
        if because.is_none()
            && let Some(ending) = self.is_ending(incident.id).filter(|it| !it.pending.is_empty())
        {
            let words = format!("told with all that {} held back", ending.name);
            return Verdict::stop(chain, Reason::Rechecked, words, Waiting);
        }
        let wait = later(case.begun, self.rules.group_wait);
        if kind == Kind::Problem && told.is_none() && wait > now && case.escalated.is_none() {
            let words = format!("told with what joins until {wait}");
            return Verdict::stop(chain, Reason::Grouping, words, Grouped);
        }
        if kind == Kind::Joined
            && let Some(due) = case.join_due.filter(|due| *due > now)
        {
            let words = format!("told with what joins until {due}");
            return Verdict::stop(chain, Reason::Grouping, words, Grouped);
        }
        self.unless_quiet(chain, kind, spoken.max(worst), now)
    }

    fn unless_quiet(
        &self,
        mut chain: Chain,
        kind: Kind,
        status: Status,
        now: Timestamp,
    ) -> Verdict {
        if let Some(until) = self.quiet_for(status, now) {
            let words = format!("quiet hours until {until}");
            return Verdict::stop(chain, Reason::Quiet, words, Outcome::Waiting);
        }
        if self.rules.quiet.is_some() {
            chain.passes(Reason::Quiet, "no quiet hours for this");
        }
        Verdict { chain, act: Act::Say(kind), outcome: Outcome::Sent, is_routed: true }
    }

    /// How bad an incident is as far as it is for this channel. What flaps counts as bad as it was, so that
    /// its ups and downs are no news.
    pub(super) fn worst_for(&self, case: &Case, channel: &Channel) -> Status {
        let mine = case.incident.members.iter().filter(|it| channel.matches.matches(whose(it)));
        let listed = mine.map(|member| {
            let flaps = self
                .tracks
                .get(&member.subject)
                .is_some_and(|track| track.is_flapping && track.incident == Some(case.incident.id));
            match member.recovered {
                _ if flaps => member.worst,
                Some(_) => Status::OK,
                None => member.status,
            }
        });
        let has_unlisted = case.incident.unlisted > 0 && channel.matches.is_open();
        let unlisted = if has_unlisted { case.unlisted_worst } else { Status::OK };
        Status::worst(listed).max(unlisted)
    }

    /// Why a subject that is bad may not speak, if it may not.
    pub(super) fn silence_of(&self, track: &Track) -> Option<Reason> {
        let is_enabled = match track.subject.probe {
            Some(_) => self.rules.on_probe_change,
            None => self.rules.on_host_change,
        };
        match () {
            () if !is_enabled => Some(Reason::Enabled),
            () if track.is_flapping => Some(Reason::Flapping),
            () if track.wait.is_some() => Some(Reason::Rechecked),
            () if self.ack_of(track).is_some() => Some(Reason::Acknowledged),
            () => self.silenced(track.whose()).map(|(reason, _)| reason),
        }
    }

    /// Asks all channels because something changed, and does what they are due.
    #[expect(clippy::too_many_arguments, reason = "what changed, and the surroundings")]
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
    #[expect(clippy::too_many_arguments, reason = "what is done, and the surroundings")]
    fn carry_out(
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
    fn note(&mut self, id: Uuid, channel: &Channel, now: Timestamp) {
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
        let is_full = mouth.notes.len() >= super::state::MAX_NOTES;
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

    /// Looks at an incident because its time has come.
    pub(super) fn evaluate(
        &mut self,
        id: Uuid,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        self.escalate(id, now, out);
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
        self.remind(id, world, now, out);
        if let Some(case) = self.cases.get_mut(&id)
            && case.join_due.is_some_and(|due| due <= now)
        {
            case.join_due = None;
            self.touch(id);
        }
        self.forget_if_done(id);
        self.plan_case(id, now);
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

    /// What got worse than was acknowledged has been told, unless it still waits.
    fn calm_insistence(&mut self, id: Uuid, now: Timestamp) {
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

    /// Raises an incident to the channels for escalation, if it has lasted long enough and nobody looks
    /// after it.
    fn escalate(&mut self, id: Uuid, now: Timestamp, out: &mut Effects) {
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

    fn escalation_due(&self, case: &Case) -> Option<Timestamp> {
        let after = self.rules.escalate_after;
        let is_wanted = !after.is_zero() && self.rules.channels.iter().any(|it| it.escalation);
        let lasts = case.incident.is_open() && case.escalated.is_none();
        (is_wanted && lasts).then(|| later(case.incident.opened, after))
    }

    /// Whether anything bad in it may speak.
    fn may_speak(&self, case: &Case) -> bool {
        let bad = case.incident.members.iter().filter(|member| member.recovered.is_none());
        let mut tracks = bad.filter_map(|member| self.tracks.get(&member.subject));
        tracks.any(|track| self.silence_of(track).is_none())
    }

    /// When a channel is to be reminded of an incident.
    fn reminder_due(&self, case: &Case, channel: &Channel) -> Option<Timestamp> {
        let repeat = self.rules.repeat.as_ref()?;
        let told = case.incident.told.get(&channel.name)?;
        let lasts = case.incident.is_open() && told.status > Status::OK;
        let is_on = lasts && !self.rules.rescue_only && !channel.only_fallback;
        is_on.then(|| later(told.last, wait_before(repeat, told.reminders)))
    }

    fn remind(&mut self, id: Uuid, world: &dyn World, now: Timestamp, out: &mut Effects) {
        let rules = Arc::clone(&self.rules);
        for channel in &rules.channels {
            let Some(case) = self.cases.get(&id) else { return };
            if self.reminder_due(case, channel).is_none_or(|due| due > now) {
                continue;
            }
            let bad = case.incident.members.iter().filter(|it| it.recovered.is_none());
            let mine = bad.filter(|it| channel.matches.matches(whose(it)));
            let tracks = mine.filter_map(|member| self.tracks.get(&member.subject));
            let mut tracks = tracks.filter(|track| self.silence_of(track).is_none()).peekable();
            let is_quiet = self.quiet_for(self.worst_for(case, channel), now).is_some();
            let is_closed = channel.hours.as_ref().is_some_and(|hours| !hours.contains(now));
            if tracks.peek().is_none() || is_quiet || is_closed {
                continue;
            }
            if !tracks.any(|track| self.is_seen(&track.subject, world, now)) {
                self.postponed.insert(id);
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

    /// Nothing is in the way of seeing a subject, and it was seen since that was so.
    fn is_seen(&self, subject: &Subject, world: &dyn World, now: Timestamp) -> bool {
        if self.block(subject, world).is_some() {
            return false;
        }
        let returned = self.returned(subject, world);
        let run = world.last_run(subject).map(|run| run.at);
        returned.is_none_or(|returned| {
            let limit =
                Policy::recheck_limit(subject, returned, super::behind::RECHECK_INTERVALS, world);
            run.is_some_and(|run| run > returned) || limit <= now
        })
    }

    /// Sets when an incident is looked at next.
    pub(super) fn plan_case(&mut self, id: Uuid, now: Timestamp) {
        let next = self.cases.get(&id).and_then(|case| self.next_for_case(case, now));
        let next = match (next, self.postponed.contains(&id)) {
            (next, true) => {
                Some(next.unwrap_or(Timestamp::MAX).min(later(now, super::behind::LOOK_AGAIN * 60)))
            }
            (next, false) => next,
        };
        self.timers.set(Timer::Incident(id), next);
    }

    fn next_for_case(&self, case: &Case, now: Timestamp) -> Option<Timestamp> {
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
