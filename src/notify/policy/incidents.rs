//! What belongs together: opened, joined, closed.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    World,
    engine::Policy,
    identify,
    matching::Whose,
    pieces::Key,
    state::{Case, MAX_OPEN},
    text,
    timers::Timer,
};
use crate::{
    notify::{
        Effects, Event, Incident, Member, Moment, Subject, incident::MAX_MEMBERS, schedule::later,
    },
    status::Status,
};

/// Members up to this one are listed with all of their output, those beyond with its beginning.
const WITH_OUTPUT: usize = 50;
/// How much output of a member is kept, in bytes.
pub(super) const MAX_OUTPUT_BYTES: usize = 2_048;
/// How much of it where there are many members.
const SHORT_OUTPUT_BYTES: usize = 200;

/// What is known of where a member is.
pub(super) fn whose(member: &Member) -> Whose<'_> {
    Whose { subject: &member.subject, group: &member.group, labels: &member.labels }
}

impl Policy {
    /// Puts a subject that broke into an incident: the one it is in, one that it belongs to, or its own.
    pub(super) fn enroll(
        &mut self,
        subject: &Subject,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Option<Uuid> {
        let track = self.tracks.get(subject)?;
        if let Some(id) = track.incident {
            return Some(id);
        }
        let (since, status, cause, opened) =
            (track.since, track.confirmed, track.cause, track.opened);
        let key = self.rules.group_by.key(track.whose());
        let place = world.host(&subject.host).unwrap_or_default();
        let runbook = subject.probe.as_ref().and_then(|probe| place.runbooks.get(probe.as_str()));
        let mut member = Member {
            subject: subject.clone(),
            group: track.group.clone(),
            labels: track.labels.clone(),
            since,
            status,
            worst: status,
            output: track.output.clone(),
            runbook: runbook.or_else(|| place.runbooks.get("*")).cloned(),
            recovered: None,
        };
        let found = self.companion(&key, since).or_else(|| self.lead_above(&place.above));
        let is_full = self.cases.len() >= MAX_OPEN;
        let found = found.or_else(|| self.global.overflow.filter(|_| is_full));
        let found =
            found.filter(|id| self.cases.get(id).is_some_and(|case| case.incident.is_open()));
        let id = match found {
            Some(id) => id,
            None => {
                let mut times = opened;
                while self.cases.contains_key(&identify::again(cause, times)) {
                    times += 1;
                }
                let id = identify::again(cause, times);
                if let Some(track) = self.tracks.get_mut(subject) {
                    track.opened = times + 1;
                }
                self.cases.insert(id, open(id, &member, now));
                if is_full {
                    self.global.overflow = Some(id);
                    self.dirty.insert(Key::Global);
                }
                id
            }
        };
        let case = self.cases.get_mut(&id)?;
        let is_first = case.incident.members.is_empty();
        let place = case.incident.members.len();
        let is_listed = place < MAX_MEMBERS;
        if place >= WITH_OUTPUT {
            member.output.truncate(text::boundary(&member.output, SHORT_OUTPUT_BYTES));
        }
        if is_listed {
            case.incident.members.push(member);
        } else {
            case.incident.unlisted = case.incident.unlisted.saturating_add(1);
            case.unlisted_worst = case.unlisted_worst.max(status);
        }
        if !is_first && case.join_due.is_none() {
            let window = self.rules.group_window;
            let end = later(case.incident.opened, window);
            case.join_due = Some(if end > now { end } else { later(now, window) });
        }
        let due = case.join_due;
        self.index_incident(key, id);
        if let Some(track) = self.tracks.get_mut(subject) {
            track.incident = Some(id);
            track.slot = is_listed.then(|| u32::try_from(place).ok()).flatten();
        }
        let event = if is_first { Event::Opened } else { Event::Joined };
        let text = text::broke(subject, status, self.tracks.get(subject).map_or("", |t| &t.output));
        self.moment(id, event, since, Some(subject.clone()), Some(status), text, None, out);
        if let Some(due) = due {
            self.timers.set(Timer::Incident(id), Some(due));
        }
        Some(id)
    }

    /// Remembers what the members of an open incident have in common.
    pub(super) fn index_incident(&mut self, key: String, id: Uuid) {
        if let Some(case) = self.cases.get(&id) {
            self.grouped.entry(key).or_default().insert((case.incident.opened, id));
        }
    }

    /// The incident that what has this in common joins: the one that was opened last within the window.
    fn companion(&self, key: &str, since: Timestamp) -> Option<Uuid> {
        let mut open = self.grouped.get(key)?.iter().rev();
        let distance = |opened: Timestamp| since.duration_since(opened).unsigned_abs();
        open.find(|(opened, _)| distance(*opened) < self.rules.group_window).map(|(_, id)| *id)
    }

    /// The incident of a host above that is down, if that is what the incident is about.
    fn lead_above(&self, above: &[String]) -> Option<Uuid> {
        above.iter().find_map(|host| {
            let host = self.tracks.get(&Subject::host(host))?;
            let id = host.incident.filter(|_| host.is_bad())?;
            (self.cases.get(&id)?.incident.lead == host.subject).then_some(id)
        })
    }

    /// Takes a subject's confirmed status into its incident.
    pub(super) fn update_member(&mut self, subject: &Subject, at: Timestamp, out: &mut Effects) {
        let Some(track) = self.tracks.get_mut(subject) else { return };
        let (Some(id), status, since) = (track.incident, track.confirmed, track.since) else {
            return;
        };
        let Some(case) = self.cases.get_mut(&id) else { return };
        let before = case.incident.status;
        let slot = track.slot.and_then(|slot| case.incident.members.get_mut(slot as usize));
        let mut was = Status::OK;
        let is_over = status == Status::OK;
        match slot {
            Some(member) => {
                if member.recovered.is_none() {
                    was = member.status;
                }
                member.status = status;
                member.worst = member.worst.max(status);
                if member.recovered.is_some() && !is_over {
                    member.since = since;
                }
                member.recovered = is_over.then_some(at);
                if !is_over || track.output == text::GONE {
                    member.output.clone_from(&track.output);
                    if case.incident.members.len() > WITH_OUTPUT {
                        let slot = track.slot.unwrap_or_default() as usize;
                        if let Some(member) = case.incident.members.get_mut(slot) {
                            let end = text::boundary(&member.output, SHORT_OUTPUT_BYTES);
                            member.output.truncate(end);
                        }
                    }
                }
            }
            // One that is not listed is simply not there any more when it is over.
            None if is_over => {
                case.incident.unlisted = case.incident.unlisted.saturating_sub(1);
                track.incident = None;
                track.heard.clear();
                was = Status::WARN;
            }
            None => {
                was = case.unlisted_worst;
                case.unlisted_worst = case.unlisted_worst.max(status);
            }
        }
        self.dirty.insert(Key::Subject(subject.clone()));
        self.refresh(id);
        let now_status = self.cases.get(&id).map_or(before, |case| case.incident.status);
        let event = match () {
            () if is_over && was > Status::OK => Event::Recovered,
            () if was > Status::OK && status > was => Event::Worsened,
            () if was > Status::OK && status < was => Event::Improved,
            () if was == Status::OK && !is_over && now_status > Status::OK => Event::Joined,
            () => return,
        };
        let text = text::changed(subject, was, status);
        self.moment(id, event, at, Some(subject.clone()), Some(status), text, None, out);
    }

    /// Reckons how an incident is from its members.
    pub(super) fn refresh(&mut self, id: Uuid) {
        let Some(case) = self.cases.get(&id) else { return };
        let bad = case.incident.members.iter().filter(|member| member.recovered.is_none());
        let listed = Status::worst(bad.clone().map(|member| member.status));
        let unlisted = if case.incident.unlisted > 0 { case.unlisted_worst } else { Status::OK };
        let ack = match self.acks.is_empty() || case.incident.unlisted > 0 {
            true => None,
            false => {
                let mut acks = bad.map(|member| self.ack_of(self.tracks.get(&member.subject)?));
                let first = acks.next().flatten().cloned();
                first.filter(|_| acks.all(|ack| ack.is_some()))
            }
        };
        let Some(case) = self.cases.get_mut(&id) else { return };
        case.incident.status = listed.max(unlisted);
        case.incident.worst = case.incident.worst.max(case.incident.status);
        case.incident.ack = ack;
        self.touch(id);
    }

    /// Notes that an incident is to be stored.
    pub(super) fn touch(&mut self, id: Uuid) {
        self.changed.insert(id);
        self.dirty.insert(Key::Incident(id));
    }

    /// Closes an incident of which all is over, once nothing in it flaps.
    pub(super) fn close_if_over(&mut self, id: Uuid, at: Timestamp, out: &mut Effects) {
        let Some(case) = self.cases.get(&id) else { return };
        if !case.incident.is_open()
            || case.incident.status > Status::OK
            || case.incident.unlisted > 0
        {
            return;
        }
        let tracks =
            case.incident.members.iter().filter_map(|member| self.tracks.get(&member.subject));
        if tracks
            .clone()
            .any(|track| track.incident == Some(id) && (track.is_flapping || track.is_bad()))
        {
            return;
        }
        let subjects: Vec<_> = tracks
            .filter(|track| track.incident == Some(id))
            .map(|track| track.subject.clone())
            .collect();
        for subject in subjects {
            if let Some(track) = self.tracks.get_mut(&subject) {
                (track.incident, track.slot) = (None, None);
                track.heard.clear();
                track.insists = false;
            }
            self.keep_or_drop(&subject);
        }
        let Some(case) = self.cases.get_mut(&id) else { return };
        case.incident.closed = Some(at.max(case.incident.opened));
        let text = text::closed(&case.incident);
        let keys: Vec<_> = case
            .incident
            .members
            .iter()
            .map(|member| self.rules.group_by.key(whose(member)))
            .collect();
        let opened = case.incident.opened;
        for key in keys {
            if let Some(open) = self.grouped.get_mut(&key) {
                open.remove(&(opened, id));
                if open.is_empty() {
                    self.grouped.remove(&key);
                }
            }
        }
        if self.global.overflow == Some(id) {
            self.global.overflow = None;
            self.dirty.insert(Key::Global);
        }
        for (name, mouth) in &mut self.mouths {
            if let Some(note) = mouth.notes.get_mut(&id) {
                note.over = Some(at);
                self.dirty.insert(Key::Channel(name.clone()));
            }
        }
        self.touch(id);
        self.moment(id, Event::Closed, at, None, None, text, None, out);
    }

    /// Forgets an incident that is closed and of which everybody was told who is to be.
    pub(super) fn forget_if_done(&mut self, id: Uuid) {
        let is_done = |case: &Case| !case.incident.is_open() && !case.is_owed;
        if self.cases.get(&id).is_some_and(is_done)
            && let Some(case) = self.cases.remove(&id)
        {
            self.closed.insert(id, case.incident);
            self.touch(id);
            self.postponed.remove(&id);
            self.timers.set(Timer::Incident(id), None);
            for ending in &mut self.global.endings {
                ending.incidents.remove(&id);
            }
        }
    }

    /// Writes a line into the timeline of an incident.
    #[expect(clippy::too_many_arguments, reason = "the fields of a moment")]
    pub(super) fn moment(
        &self,
        incident: Uuid,
        event: Event,
        at: Timestamp,
        subject: Option<Subject>,
        status: Option<Status>,
        text: String,
        by: Option<&str>,
        out: &mut Effects,
    ) {
        let by = by.map(str::to_owned);
        out.moments.push(Moment { incident, at, event, subject, status, text, by });
    }
}

fn open(id: Uuid, lead: &Member, now: Timestamp) -> Case {
    let incident = Incident {
        id,
        opened: lead.since,
        closed: None,
        status: lead.status,
        worst: lead.status,
        lead: lead.subject.clone(),
        members: Vec::new(),
        unlisted: 0,
        ack: None,
        told: std::collections::BTreeMap::new(),
        messages: 0,
    };
    Case {
        incident,
        begun: now,
        join_due: None,
        escalated: None,
        unlisted_worst: Status::OK,
        is_owed: false,
    }
}
