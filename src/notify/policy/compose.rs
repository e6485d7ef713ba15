//! Messages, complete in themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{engine::Policy, identify, incidents::whose, pieces::Key, state::Case, text};
use crate::{
    notify::{
        Kind, Line, Member, Message, Priority, Subject, message::MAX_LINES, rules::Channel,
        schedule::later,
    },
    status::Status,
};

impl Policy {
    /// What one line says of an incident.
    pub(super) fn line_of(&self, case: &Case, channel: &Channel) -> Option<Line> {
        let member = self.head(case, channel, None)?;
        let (status, since) = (self.worst_for(case, channel), member.since);
        Some(Line {
            subject: member.subject.clone(),
            status,
            since,
            output: text::line(&member.output),
        })
    }

    /// The member that a message is about first: what changed, else the worst; of those that are as bad what
    /// the incident is called after.
    pub(super) fn head<'a>(
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
        let worst = || {
            members().filter(is_bad).max_by_key(|it| {
                (it.status, it.subject == case.incident.lead, std::cmp::Reverse(it.since))
            })
        };
        changed
            .or_else(worst)
            .or_else(lead)
            .or_else(|| members().next())
            .or_else(|| case.incident.members.first())
    }

    pub(super) fn compose(
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
        let because = because.filter(|changed| match kind {
            Kind::Recovered | Kind::Improved | Kind::Reminder => false,
            Kind::Flapping | Kind::Calm => true,
            // What is said of one must not be how bad another is.
            _ => incident.members.iter().any(|it| {
                it.subject == **changed && it.recovered.is_none() && it.status == worst_now
            }),
        });
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
    pub(super) fn output_of(&self, member: Option<&Member>) -> String {
        let track = member.and_then(|member| self.tracks.get(&member.subject));
        let output = track.map(|track| track.output.clone());
        output.or_else(|| member.map(|it| it.output.clone())).unwrap_or_default()
    }

    pub(super) fn link(&self, id: Option<Uuid>) -> Option<String> {
        let url = self.rules.page_url.trim_end_matches('/');
        let page = id.map(|id| format!("/{id}")).unwrap_or_default();
        (!url.is_empty()).then(|| format!("{url}/incidents{page}"))
    }

    pub(super) fn title(
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
        let was = was.unwrap_or(Status::OK);
        // Where the word stays the same the number says what changed.
        let (is, was) = match was.level() == status.level() {
            true if was != status => (format!("{is} {status}"), was.to_string()),
            _ => (is, text::word(was).to_owned()),
        };
        let lasted = text::span(now.duration_since(incident.opened).unsigned_abs());
        let title = match kind {
            // What was told before may have been about another member.
            Kind::Worsened | Kind::Improved if incident.members.len() > 1 => {
                format!("{is}{said}{count}")
            }
            Kind::Worsened | Kind::Improved => format!("{is}, it was {was}{said}{count}"),
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
    pub(super) fn bare(
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
}

pub(super) fn thread(id: Uuid, channel: &Channel) -> String {
    format!("{id}:{}", channel.name)
}

pub(super) fn line_of_member(member: &Member) -> Line {
    let status = if member.recovered.is_some() { Status::OK } else { member.status };
    let output = text::line(&member.output);
    Line { subject: member.subject.clone(), status, since: member.since, output }
}

pub(super) fn line_of_message(message: &Message) -> Line {
    Line {
        subject: message.subject.clone(),
        status: message.status,
        since: message.since,
        output: text::line(&message.output),
    }
}
