//! Not too much at once: what a channel takes, and what becomes of the rest.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    compose::line_of_message,
    engine::Policy,
    pieces::Key,
    state::{Digest, Mouth},
    text,
    timers::Timer,
};
use crate::{
    notify::{Effects, Kind, Line, Message, message::MAX_LINES, rules::Channel, schedule::later},
    status::Status,
};

/// What a message costs; a channel gets back `per_minute` of it each millisecond.
pub(super) const TOKEN: i64 = 60_000;

impl Policy {
    pub(super) fn mouth(&mut self, channel: &str) -> &mut Mouth {
        self.mouths.entry(channel.to_owned()).or_insert_with(|| Mouth {
            tokens: i64::MAX,
            at: Timestamp::MIN,
            digest: None,
            notes: BTreeMap::new(),
            unnoted: 0,
        })
    }

    /// Takes what a message costs, if `needed` is there and nothing waits before it.
    pub(super) fn take_token(&mut self, channel: &Channel, needed: i64, now: Timestamp) -> bool {
        let rate = i64::from(channel.per_minute.max(1));
        let mouth = self.mouth(&channel.name);
        let passed = now.as_millisecond().saturating_sub(mouth.at.as_millisecond()).max(0);
        let tokens = mouth.tokens.saturating_add(passed.saturating_mul(rate)).min(rate * TOKEN);
        let is_free = tokens >= needed && mouth.digest.is_none();
        mouth.tokens = if is_free { tokens - TOKEN } else { tokens };
        mouth.at = now;
        self.dirty.insert(Key::Channel(channel.name.clone()));
        is_free
    }

    pub(super) fn digest(&mut self, channel: &Channel, message: Message, now: Timestamp) {
        let line = line_of_message(&message);
        if let Some(id) = message.incident {
            self.digest_line(channel, id, line, now);
        }
    }

    /// Adds a line to what goes out when there is room again.
    pub(super) fn digest_line(&mut self, channel: &Channel, id: Uuid, line: Line, now: Timestamp) {
        let mouth = self.mouth(&channel.name);
        let digest = mouth.digest.get_or_insert_with(|| Digest {
            since: now,
            lines: BTreeMap::new(),
            count: 0,
            worst: Status::OK,
        });
        digest.count = digest.count.saturating_add(1);
        digest.worst = digest.worst.max(line.status);
        let is_full = digest.lines.len() >= MAX_LINES && !digest.lines.contains_key(&id);
        if is_full {
            // The worst are worth a line.
            let least = digest.lines.iter().min_by_key(|(id, line)| (line.status, **id));
            let least = least.map(|(id, line)| (*id, line.status));
            match least {
                Some((least, status)) if status < line.status => digest.lines.remove(&least),
                _ => None,
            };
        }
        if !is_full || digest.lines.len() < MAX_LINES {
            digest.lines.insert(id, line);
        }
        self.dirty.insert(Key::Channel(channel.name.clone()));
        self.plan_channel(&channel.name, now);
    }

    /// Sets when a channel has room again, or may speak again.
    pub(super) fn plan_channel(&mut self, name: &str, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let channel = rules.channels.iter().find(|channel| channel.name == name);
        let rate = channel.map_or(1, |channel| i64::from(channel.per_minute.max(1)));
        let Some(mouth) = self.mouths.get(name) else { return };
        let room = mouth.digest.is_some().then(|| {
            let missing = TOKEN.saturating_sub(mouth.tokens).max(0);
            let millis = u64::try_from((missing + rate - 1) / rate).unwrap_or_default();
            later(mouth.at, std::time::Duration::from_millis(millis))
        });
        let has_notes = !mouth.notes.is_empty() || mouth.unnoted > 0;
        let quiet = self.quiet(now).filter(|_| has_notes);
        let next = [room, quiet].into_iter().flatten().min();
        self.timers.set(Timer::Channel(name.to_owned()), next);
    }

    /// Says what a channel could not say before: what came and went in quiet hours, the digest.
    pub(super) fn flush(&mut self, name: &str, now: Timestamp, out: &mut Effects) {
        let rules = Arc::clone(&self.rules);
        let Some(channel) = rules.channels.iter().find(|channel| channel.name == name) else {
            // Nobody can be told this way any more.
            self.mouths.remove(name);
            self.dirty.insert(Key::Channel(name.to_owned()));
            return;
        };
        if self.quiet(now).is_none() {
            self.say_what_was_quiet(channel, now, out);
        }
        self.say_digest(channel, now, out);
        self.plan_channel(name, now);
    }

    pub(super) fn say_what_was_quiet(
        &mut self,
        channel: &Channel,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let mouth = self.mouth(&channel.name);
        if mouth.notes.is_empty() && mouth.unnoted == 0 {
            return;
        }
        let unnoted = std::mem::take(&mut mouth.unnoted);
        let notes = std::mem::take(&mut mouth.notes);
        self.dirty.insert(Key::Channel(channel.name.clone()));
        let zone = self.rules.quiet.as_ref().map(|quiet| quiet.zone.clone());
        let clock = |at: Timestamp| match &zone {
            Some(zone) => at.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
            None => at.to_string(),
        };
        let mut lines = Vec::new();
        for note in notes.values() {
            let Some(over) = note.over else { continue };
            let said = text::said(&note.output);
            let output = match over > note.since {
                true => format!("from {} to {}, over{said}", clock(note.since), clock(over)),
                false => format!("at {}{said}", clock(note.since)),
            };
            let (subject, status, since) = (note.subject.clone(), note.status, note.since);
            lines.push(Line { subject, status, since, output });
        }
        let total = u32::try_from(lines.len()).unwrap_or(u32::MAX).saturating_add(unnoted);
        if total == 0 {
            return;
        }
        lines.sort_by(|a, b| (b.status, &a.subject).cmp(&(a.status, &b.subject)));
        lines.truncate(MAX_LINES);
        let title = match (&lines[..], total) {
            ([line], 1) => format!(
                "In quiet hours: {}: {}",
                text::is(&line.subject, line.status).replacen(" is ", " was ", 1),
                line.output
            ),
            _ => format!("In quiet hours: {total} incidents came and went"),
        };
        let worst = Status::worst(lines.iter().map(|line| line.status));
        let mut message = self.bare(channel, Kind::Summary, Status::OK, title, now);
        (message.worst, message.total, message.bad) = (worst, total, 0);
        message.since = lines.iter().map(|line| line.since).min().unwrap_or(now);
        message.lines = lines;
        self.take_token(channel, i64::MIN, now);
        out.messages.push(message);
    }

    pub(super) fn say_digest(&mut self, channel: &Channel, now: Timestamp, out: &mut Effects) {
        let mouth = self.mouth(&channel.name);
        let Some(digest) = mouth.digest.take() else { return };
        if !self.take_token(channel, TOKEN, now) {
            self.mouth(&channel.name).digest = Some(digest);
            return;
        }
        let mut lines: Vec<_> = digest.lines.into_values().collect();
        lines.sort_by(|a, b| (b.status, &a.subject).cmp(&(a.status, &b.subject)));
        let title =
            format!("{} messages in one, the worst {}", digest.count, text::word(digest.worst));
        let mut message = self.bare(channel, Kind::Digest, digest.worst, title, now);
        message.bad =
            u32::try_from(lines.iter().filter(|it| it.status > Status::OK).count()).unwrap_or(0);
        (message.lines, message.total, message.since) = (lines, digest.count, digest.since);
        out.messages.push(message);
    }
}
