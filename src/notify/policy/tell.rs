//! What is said: messages, their pace, and what becomes of too many.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Fact, World,
    chain::Chain,
    engine::Policy,
    identify,
    incidents::whose,
    judge::{Act, Verdict},
    matching::Whose,
    pieces::Key,
    state::{Case, Digest, Mouth},
    text,
    timers::Timer,
};
use crate::{
    notify::{
        Effects, Event, Kind, Line, Member, Message, Outcome, Priority, Reason, Subject, Told,
        message::MAX_LINES, rules::Channel, schedule::later,
    },
    status::Status,
};

/// What a message costs; a channel gets back `per_minute` of it each millisecond.
const TOKEN: i64 = 60_000;

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
    fn mark_flapping(&mut self, id: Uuid, channel: &Channel, subject: Option<&Subject>) {
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

    /// What one line says of an incident.
    fn line_of(&self, case: &Case, channel: &Channel) -> Option<Line> {
        let member = self.head(case, channel, None)?;
        let (status, since) = (self.worst_for(case, channel), member.since);
        Some(Line {
            subject: member.subject.clone(),
            status,
            since,
            output: text::line(&member.output),
        })
    }

    /// The member that a message is about first: what changed, else what the incident is called after,
    /// else the worst.
    fn head<'a>(
        &self,
        case: &'a Case,
        channel: &Channel,
        because: Option<&Subject>,
    ) -> Option<&'a Member> {
        let mine = |it: &&Member| channel.matches.matches(whose(it));
        let members = || case.incident.members.iter().filter(mine);
        let is_bad = |it: &&Member| it.recovered.is_none();
        let changed = because.and_then(|subject| members().find(|it| it.subject == *subject));
        let lead = || members().find(|it| it.subject == case.incident.lead);
        let worst =
            || members().filter(is_bad).max_by_key(|it| (it.status, std::cmp::Reverse(it.since)));
        changed
            .or_else(|| lead().filter(is_bad))
            .or_else(worst)
            .or_else(lead)
            .or_else(|| members().next())
            .or_else(|| case.incident.members.first())
    }

    fn compose(
        &self,
        case: &Case,
        channel: &Channel,
        kind: Kind,
        priority: Priority,
        because: Option<&Subject>,
        now: Timestamp,
    ) -> Message {
        let incident = &case.incident;
        let told = incident.told.get(&channel.name);
        let was = told.map(|told| told.status);
        let worst_now = self.worst_for(case, channel);
        let because =
            because.filter(|_| !matches!(kind, Kind::Recovered | Kind::Improved | Kind::Reminder));
        let head = self.head(case, channel, because);
        let mine = incident.members.iter().filter(|it| channel.matches.matches(whose(it)));
        let mut others: Vec<&Member> = mine.clone().collect();
        let unlisted = if channel.matches.is_open() { incident.unlisted } else { 0 };
        let total = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(unlisted);
        let bad = mine.filter(|it| it.recovered.is_none()).count();
        let bad = u32::try_from(bad).unwrap_or(u32::MAX).saturating_add(unlisted);
        others.retain(|it| head.is_none_or(|head| head.subject != it.subject));
        others.sort_by_key(|it| {
            let status = if it.recovered.is_some() { Status::OK } else { it.status };
            (std::cmp::Reverse(status), it.since, &it.subject)
        });
        others.truncate(MAX_LINES);
        let lines = others.into_iter().map(line_of_member).collect();
        let reminder = told.map_or(0, |told| told.reminders).saturating_add(1);
        let number = incident.messages;
        let subject = head.map_or(&incident.lead, |it| &it.subject);
        let title = self.title(case, kind, head, was, (bad, total), now);
        let since = match (kind, head) {
            (Kind::Recovered, _) => incident.opened,
            (_, Some(head)) => head.since,
            _ => incident.opened,
        };
        Message {
            key: format!("{}:{number}:{}", incident.id, channel.name),
            channel: channel.name.clone(),
            kind,
            priority,
            incident: Some(incident.id),
            thread: thread(incident.id, channel),
            is_first: told.is_none(),
            at: now,
            since,
            status: worst_now,
            was: was.filter(|was| *was > Status::OK),
            worst: incident.worst,
            title,
            subject: subject.clone(),
            group: head.map(|it| it.group.clone()).unwrap_or_default(),
            labels: head.map(|it| it.labels.clone()).unwrap_or_default(),
            output: self.output_of(head),
            lines,
            total,
            bad,
            runbook: head.and_then(|it| it.runbook.clone()),
            link: self.link(Some(incident.id)),
            reminder: if kind == Kind::Reminder { reminder } else { 0 },
            sender: self.rules.sender.clone(),
            sender_uuid: self.sender,
            result: None,
            probes_in_error: Vec::new(),
            expires: later(now, self.rules.expire),
        }
    }

    /// The last that a member said, also when it is over.
    fn output_of(&self, member: Option<&Member>) -> String {
        let track = member.and_then(|member| self.tracks.get(&member.subject));
        let output = track.map(|track| track.output.clone());
        output.or_else(|| member.map(|it| it.output.clone())).unwrap_or_default()
    }

    fn link(&self, id: Option<Uuid>) -> Option<String> {
        let url = self.rules.page_url.trim_end_matches('/');
        let page = id.map(|id| format!("/{id}")).unwrap_or_default();
        (!url.is_empty()).then(|| format!("{url}/incidents{page}"))
    }

    fn title(
        &self,
        case: &Case,
        kind: Kind,
        head: Option<&Member>,
        was: Option<Status>,
        (bad, total): (u32, u32),
        now: Timestamp,
    ) -> String {
        let incident = &case.incident;
        let subject = head.map_or(&incident.lead, |head| &head.subject);
        let status = head.map_or(incident.status, |head| match head.recovered {
            Some(_) => Status::OK,
            None => head.status,
        });
        let said = text::said(head.map_or("", |head| &head.output));
        let is = text::is(subject, status);
        let count = if total > 1 { format!(" ({bad} of {total})") } else { String::new() };
        let was = text::word(was.unwrap_or(Status::OK));
        let lasted = text::span(now.duration_since(incident.opened).unsigned_abs());
        let title = match kind {
            Kind::Worsened => format!("{is}, it was {was}{said}{count}"),
            Kind::Improved => format!("{is}, it was {was}{said}{count}"),
            Kind::Joined => format!("{is}, and more broke{count}"),
            Kind::Reminder => {
                let is = is.replacen(" is ", " is still ", 1);
                format!("{is} for {lasted}{said}{count}")
            }
            Kind::Recovered => {
                let is_gone = head.is_some_and(|head| head.output == text::GONE);
                let what = match (is_gone, &subject.probe) {
                    (true, _) => "is gone".to_owned(),
                    (false, None) => "is up again".to_owned(),
                    (false, Some(_)) => "is OK again".to_owned(),
                };
                let all = if total > 1 { format!(" (all {total})") } else { String::new() };
                format!("{subject} {what} after {lasted}{all}")
            }
            Kind::Flapping => {
                format!("{subject} changes all the time, nothing more until it is calm")
            }
            Kind::Calm => format!("{is}, and does not change all the time any more{count}"),
            _ => format!("{is}{said}{count}"),
        };
        text::line_of(&title)
    }

    /// A message that is about no incident.
    fn bare(
        &mut self,
        channel: &Channel,
        kind: Kind,
        status: Status,
        title: String,
        now: Timestamp,
    ) -> Message {
        self.global.messages = self.global.messages.saturating_add(1);
        self.dirty.insert(Key::Global);
        let number = self.global.messages;
        let id = identify::own(self.sender, number);
        Message {
            key: format!("{id}:{number}:{}", channel.name),
            channel: channel.name.clone(),
            kind,
            priority: Priority::Normal,
            incident: None,
            thread: thread(id, channel),
            is_first: true,
            at: now,
            since: now,
            status,
            was: None,
            worst: status,
            title: text::line_of(&title),
            subject: Subject::host(&self.rules.sender),
            group: String::new(),
            labels: BTreeMap::new(),
            output: String::new(),
            lines: Vec::new(),
            total: 1,
            bad: u32::from(status > Status::OK),
            runbook: None,
            link: self.link(None),
            reminder: 0,
            sender: self.rules.sender.clone(),
            sender_uuid: self.sender,
            result: None,
            probes_in_error: Vec::new(),
            expires: later(now, self.rules.expire),
        }
    }

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
            out.decisions.push(crate::notify::Decision {
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

    fn send_notice(
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
            let note = super::state::Note {
                subject: message.subject.clone(),
                status: message.status,
                since: message.since,
                over: Some(message.since),
                output: message.output.clone(),
            };
            let mouth = self.mouth(&channel.name);
            match mouth.notes.len() < super::state::MAX_NOTES {
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
    fn take_token(&mut self, channel: &Channel, needed: i64, now: Timestamp) -> bool {
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

    fn digest(&mut self, channel: &Channel, message: Message, now: Timestamp) {
        let line = line_of_message(&message);
        if let Some(id) = message.incident {
            self.digest_line(channel, id, line, now);
        }
    }

    /// Adds a line to what goes out when there is room again.
    fn digest_line(&mut self, channel: &Channel, id: Uuid, line: Line, now: Timestamp) {
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
            let millis = u64::try_from(missing / rate + 1).unwrap_or_default();
            later(mouth.at, std::time::Duration::from_millis(millis))
        });
        let has_notes = !mouth.notes.is_empty() || mouth.unnoted > 0;
        let quiet = self.quiet(now).filter(|_| has_notes);
        let soon = later(now, super::behind::LOOK_AGAIN);
        let next = [room.map(|at| at.max(soon)), quiet].into_iter().flatten().min();
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

    fn say_what_was_quiet(&mut self, channel: &Channel, now: Timestamp, out: &mut Effects) {
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

    fn say_digest(&mut self, channel: &Channel, now: Timestamp, out: &mut Effects) {
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
        let is_held = status > Status::OK
            && (self.ack_of(&track).is_some()
                || self.silenced(track.whose()).is_some()
                || self.quiet_for(status, now).is_some());
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

fn thread(id: Uuid, channel: &Channel) -> String {
    format!("{id}:{}", channel.name)
}

fn line_of_member(member: &Member) -> Line {
    let status = if member.recovered.is_some() { Status::OK } else { member.status };
    let output = text::line(&member.output);
    Line { subject: member.subject.clone(), status, since: member.since, output }
}

fn line_of_message(message: &Message) -> Line {
    Line {
        subject: message.subject.clone(),
        status: message.status,
        since: message.since,
        output: text::line(&message.output),
    }
}
