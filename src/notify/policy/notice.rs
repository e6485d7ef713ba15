//! What is said that belongs to no incident.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Fact, World,
    chain::Chain,
    compose::{line_of_message, thread},
    engine::Policy,
    identify,
    matching::Whose,
    pace::TOKEN,
    pieces::Key,
    state::{MAX_NOTES, Note},
    text,
};
use crate::{
    notify::{Decision, Effects, Kind, Message, Outcome, Reason, rules::Channel},
    status::Status,
};

impl Policy {
    /// Tells all channels that this monitor is cut off, or is not any more. Nothing holds that back.
    pub(super) fn say_blind(
        &mut self,
        since: Option<Timestamp>,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let rules = Arc::clone(&self.rules);
        for channel in rules.channels.iter().filter(|it| !it.only_fallback && !it.reminders_only) {
            let (status, title) = match since {
                None => (
                    Status::ERROR,
                    "this monitor is blind: none of its witnesses is reached".to_owned(),
                ),
                Some(since) => {
                    let lasted = text::span(now.duration_since(since).unsigned_abs());
                    (Status::OK, format!("this monitor was blind for {lasted} and sees again"))
                }
            };
            let title = format!("{}: {title}", rules.sender);
            let mut message = self.bare(channel, Kind::Notice, status, title, now);
            message.since = since.unwrap_or(now);
            out.messages.push(message);
        }
    }

    /// Something that has no end: told at once, or not at all.
    pub(super) fn notice(
        &mut self,
        fact: &Fact,
        status: Status,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let rules = Arc::clone(&self.rules);
        let place = world.host(&fact.subject.host).unwrap_or_default();
        let group = if fact.group.is_empty() { place.group } else { fact.group.clone() };
        let whose = Whose { subject: &fact.subject, group: &group, labels: &place.labels };
        let mut chain = Chain::default();
        chain.passes(Reason::Result, text::line(&fact.message));
        if let Some((reason, cover)) = self.silenced(whose) {
            chain.stops(reason, cover.words.clone());
            self.count_held(&cover);
            return self.decide(fact.cause(status), None, chain, Outcome::Held, now, out);
        }
        let mut is_asked = false;
        for channel in rules.channels.iter().filter(|it| {
            !it.only_fallback && !it.reminders_only && !it.escalation && it.matches.matches(whose)
        }) {
            is_asked = true;
            let mut chain = chain.clone();
            chain.passes(Reason::Routed, "it is for this channel");
            let is_bad_enough = status >= channel.min_level;
            chain.ask(
                Reason::Level,
                is_bad_enough,
                format!("{status}, from {} on", channel.min_level),
            );
            chain.ask(Reason::RescueOnly, !rules.rescue_only, "notices are no recoveries");
            let mut outcome = Outcome::Held;
            let mut key = None;
            if !chain.is_over() {
                let title = format!("{}: {}", fact.subject, text::line(&fact.message));
                let mut message = self.bare(channel, Kind::Notice, status, title, now);
                let id = identify::identify(fact.origin, fact.origin_id);
                message.key = format!("{id}:1:{}", channel.name);
                message.thread = thread(id, channel);
                message.subject = fact.subject.clone();
                message.group.clone_from(&group);
                message.labels.clone_from(&place.labels);
                message.since = fact.at;
                message.output = text::cut(&fact.message, super::incidents::MAX_OUTPUT_BYTES);
                (outcome, key) = self.send_notice(id, channel, message, &mut chain, now, out);
            }
            out.decisions.push(Decision {
                at: now,
                subject: fact.subject.clone(),
                entry: Some(fact.entry),
                incident: None,
                channel: Some(channel.name.clone()),
                status,
                outcome,
                chain: chain.steps,
                message: key,
            });
        }
        if !is_asked {
            chain.stops(Reason::Routed, "it is for no channel");
            self.decide(fact.cause(status), None, chain, Outcome::Held, now, out);
        }
    }

    pub(super) fn send_notice(
        &mut self,
        id: Uuid,
        channel: &Channel,
        message: Message,
        chain: &mut Chain,
        now: Timestamp,
        out: &mut Effects,
    ) -> (Outcome, Option<String>) {
        if let Some(until) = self.quiet_for(message.status, now) {
            chain.stops(Reason::Quiet, format!("quiet hours until {until}"));
            let note = Note {
                subject: message.subject.clone(),
                status: message.status,
                since: message.since,
                over: Some(message.since),
                output: message.output.clone(),
            };
            let mouth = self.mouth(&channel.name);
            match mouth.notes.len() < MAX_NOTES {
                true => drop(mouth.notes.insert(id, note)),
                false => mouth.unnoted = mouth.unnoted.saturating_add(1),
            }
            self.dirty.insert(Key::Channel(channel.name.clone()));
            self.plan_channel(&channel.name, now);
            return (Outcome::Waiting, None);
        }
        if self.take_token(channel, TOKEN, now) {
            chain.passes(Reason::RateLimit, format!("at most {} a minute", channel.per_minute));
            let key = message.key.clone();
            out.messages.push(message);
            return (Outcome::Sent, Some(key));
        }
        chain.stops(Reason::RateLimit, "too many messages: it goes into a digest");
        let line = line_of_message(&message);
        self.digest_line(channel, id, line, now);
        (Outcome::Grouped, None)
    }
}
