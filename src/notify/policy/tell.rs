//! What a channel is told, and what it knows from then on.

use jiff::Timestamp;
use uuid::Uuid;

use super::{compose::thread, engine::Policy, incidents::whose, pace::TOKEN, pieces::Key, text};
use crate::{
    notify::{
        Effects, Event, Kind, Outcome, Priority, Subject, Told, message::MAX_LINES, rules::Channel,
    },
    status::Status,
};

impl Policy {
    /// Tells a channel of an incident: the key of the message, what became of it, and that in words.
    #[expect(clippy::too_many_arguments, reason = "what is said, and the surroundings")]
    pub(super) fn say(
        &mut self,
        id: Uuid,
        channel: &Channel,
        kind: Kind,
        priority: Priority,
        because: Option<&Subject>,
        now: Timestamp,
        out: &mut Effects,
    ) -> (Option<String>, Outcome, String) {
        let Some(case) = self.cases.get_mut(&id) else {
            return (None, Outcome::Held, String::new());
        };
        case.incident.messages = case.incident.messages.saturating_add(1);
        let Some(case) = self.cases.get(&id) else { return (None, Outcome::Held, String::new()) };
        let message = self.compose(case, channel, kind, priority, because, now);
        let needed =
            if kind == Kind::Reminder { i64::from(channel.per_minute) * TOKEN / 2 } else { TOKEN };
        let is_free = self.take_token(channel, needed.max(TOKEN), now);
        let (key, status) = (message.key.clone(), message.status);
        let text = format!("{} was told: {}", channel.name, message.title);
        let result = match (is_free, kind) {
            (true, _) => {
                out.messages.push(message);
                (Some(key), Outcome::Sent, format!("at most {} a minute", channel.per_minute))
            }
            (false, Kind::Reminder) => {
                (None, Outcome::Held, "too many messages: a reminder is left out".to_owned())
            }
            (false, _) => {
                self.digest(channel, message, now);
                (None, Outcome::Grouped, "too many messages: it goes into a digest".to_owned())
            }
        };
        self.mark_told(id, channel, now);
        if kind == Kind::Reminder
            && let Some(told) =
                self.cases.get_mut(&id).and_then(|case| case.incident.told.get_mut(&channel.name))
        {
            told.reminders = told.reminders.saturating_add(1);
        }
        if matches!(kind, Kind::Flapping) {
            self.mark_flapping(id, channel, because);
        }
        if result.1 != Outcome::Held {
            self.moment(id, Event::Told, now, because.cloned(), Some(status), text, None, out);
        }
        result
    }

    /// Notes that a channel knows how an incident is now.
    pub(super) fn mark_told(&mut self, id: Uuid, channel: &Channel, now: Timestamp) {
        let Some(case) = self.cases.get(&id) else { return };
        let status = self.worst_for(case, channel);
        let mine = case.incident.members.iter().filter(|it| channel.matches.matches(whose(it)));
        let count = u32::try_from(mine.clone().count()).unwrap_or(u32::MAX);
        let count = count.saturating_add(case.incident.unlisted);
        let bad = mine.filter(|member| member.recovered.is_none());
        let bad: Vec<_> = bad.map(|member| member.subject.clone()).collect();
        for subject in bad {
            if let Some(track) = self.tracks.get_mut(&subject)
                && track.incident == Some(id)
                && track.heard.get(&channel.name) != Some(&track.confirmed)
            {
                track.heard.insert(channel.name.clone(), track.confirmed);
                self.dirty.insert(Key::Subject(subject));
            }
        }
        let Some(case) = self.cases.get_mut(&id) else { return };
        let thread = thread(id, channel);
        let told = case.incident.told.entry(channel.name.clone()).or_insert(Told {
            status,
            members: count,
            first: now,
            last: now,
            reminders: 0,
            thread,
        });
        (told.status, told.members, told.last) = (status, count, now);
        self.touch(id);
    }

    /// Of the one that flaps the channel knows, and that it is bad, so that it hears the end.
    pub(super) fn mark_flapping(&mut self, id: Uuid, channel: &Channel, subject: Option<&Subject>) {
        let track = subject.and_then(|subject| self.tracks.get_mut(subject));
        if let Some(track) = track {
            track.heard.insert(channel.name.clone(), track.confirmed);
            let key = Key::Subject(track.subject.clone());
            self.dirty.insert(key);
        }
        self.touch(id);
    }

    /// One message about many incidents.
    pub(super) fn say_summary(
        &mut self,
        ids: &[Uuid],
        channel: &Channel,
        name: &str,
        now: Timestamp,
        out: &mut Effects,
    ) -> (Option<String>, Outcome) {
        let cases = ids.iter().filter_map(|id| self.cases.get(id));
        let mut lines: Vec<_> = cases.filter_map(|case| self.line_of(case, channel)).collect();
        lines.sort_by(|a, b| (b.status, &a.subject).cmp(&(a.status, &b.subject)));
        let worst = Status::worst(lines.iter().map(|line| line.status));
        let total = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let title = format!("After {name}: {total} incidents, the worst {}", text::word(worst));
        let mut message = self.bare(channel, Kind::Summary, worst, title, now);
        (message.lines, message.total, message.bad) = (lines, total, total);
        message.lines.truncate(MAX_LINES);
        let key = message.key.clone();
        for id in ids {
            if let Some(case) = self.cases.get_mut(id) {
                case.incident.messages = case.incident.messages.saturating_add(1);
            }
            let text = format!("{} was told in a summary: {}", channel.name, message.title);
            self.moment(*id, Event::Told, now, None, None, text, None, out);
        }
        if self.take_token(channel, TOKEN, now) {
            out.messages.push(message);
            return (Some(key), Outcome::Sent);
        }
        for id in ids {
            if let Some(line) = self.cases.get(id).and_then(|case| self.line_of(case, channel)) {
                self.digest_line(channel, *id, line, now);
            }
        }
        (None, Outcome::Grouped)
    }
}
