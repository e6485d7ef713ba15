//! What people want done.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Answer, Command, World,
    engine::Policy,
    pieces::Key,
    state::{Block, MAX_SUPPRESSIONS, Plan},
};
use crate::{
    notify::{Ack, Effects, Event, Scope, Silence, Subject, Window},
    status::Status,
};

impl Policy {
    pub(super) fn obey(
        &mut self,
        command: Command,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        match command {
            Command::Acknowledge { subject, author, reason, until } => {
                let by = By { author, reason, until };
                self.acknowledge(&[subject], &by, world, now, out)
            }
            Command::AcknowledgeIncident { id, author, reason, until } => {
                let by = By { author, reason, until };
                self.acknowledge_incident(id, &by, world, now, out)
            }
            Command::Silence { scope, author, reason, until } => {
                self.silence(scope, &By { author, reason, until: Some(until) }, now, out)
            }
            Command::Unsuppress { scope, author } => {
                let lifted = self.lift_scope(&scope, &author, world, now, out);
                self.set_review(now);
                match lifted.is_empty() {
                    true => Answer::Refused("nothing holds messages about this back".to_owned()),
                    false => Answer::Done(lifted),
                }
            }
            Command::Lift { id, author } => self.lift(id, &author, world, now, out),
            Command::SetWindow { window } => self.set_window(window, world, now, out),
            Command::RemoveWindow { id, author } => {
                self.remove_window(id, &author, world, now, out)
            }
            Command::Blind { blind } => {
                self.set_blind(blind, world, now, out);
                Answer::Done(Vec::new())
            }
        }
    }

    fn acknowledge(
        &mut self,
        subjects: &[Subject],
        by: &By,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        if by.until.is_some_and(|until| until <= now) {
            return Answer::Refused("the acknowledgement would be over already".to_owned());
        }
        if self.acks.len() + subjects.len() > MAX_SUPPRESSIONS {
            return Answer::Refused(full("acknowledgements"));
        }
        let mut ids = Vec::new();
        for subject in subjects {
            let status = self.status_of(subject, world);
            if status == Status::OK {
                continue;
            }
            let id = self.next_id();
            let ack = Ack {
                id,
                subject: subject.clone(),
                status,
                author: by.author.clone(),
                reason: by.reason.clone(),
                created: now,
                until: by.until,
                held: 0,
            };
            if let Some(before) = self.acks.insert(subject.clone(), ack) {
                self.dirty.insert(Key::Suppression(before.id));
            }
            self.dirty.insert(Key::Suppression(id));
            for track in self.tracks.range_mut(subject.clone()..).map(|(_, track)| track) {
                let is_theirs = track.subject == *subject
                    || subject.probe.is_none() && track.subject.host == subject.host;
                if !is_theirs {
                    break;
                }
                track.insists = false;
                self.dirty.insert(Key::Subject(track.subject.clone()));
            }
            for incident in self.incidents_of(subject) {
                let text = by.says(&format!("{subject} is looked after"));
                let (at, whom, who) = (now, Some(subject.clone()), Some(&*by.author));
                self.moment(incident, Event::Acknowledged, at, whom, Some(status), text, who, out);
                self.refresh(incident);
            }
            ids.push(id);
        }
        self.set_review(now);
        match (ids.is_empty(), subjects) {
            (false, _) => Answer::Done(ids),
            (true, [subject]) => {
                Answer::Refused(format!("{subject} is OK: there is nothing to acknowledge"))
            }
            (true, _) => Answer::Refused("all is OK: there is nothing to acknowledge".to_owned()),
        }
    }

    fn acknowledge_incident(
        &mut self,
        id: Uuid,
        by: &By,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        let Some(case) = self.cases.get(&id).filter(|case| case.incident.is_open()) else {
            return Answer::Refused(format!("there is no open incident {id}"));
        };
        let bad = case.incident.members.iter().filter(|member| member.recovered.is_none());
        let bad: Vec<_> = bad.map(|member| member.subject.clone()).collect();
        self.acknowledge(&bad, by, world, now, out)
    }

    /// How bad something is, whether that is confirmed or not; of a host: the worst of it.
    fn status_of(&self, subject: &Subject, world: &dyn World) -> Status {
        let run = self.run_of(subject, world).map(|run| run.status);
        let tracks = self.of_host(&subject.host);
        let tracks = tracks.filter(|it| subject.probe.is_none() || it.subject == *subject);
        let known = Status::worst(tracks.map(|track| track.shown.max(track.confirmed)));
        known.max(run.unwrap_or(Status::OK))
    }

    fn silence(&mut self, scope: Scope, by: &By, now: Timestamp, out: &mut Effects) -> Answer {
        let until = by.until.unwrap_or(now);
        if until <= now {
            return Answer::Refused("the silence would be over already".to_owned());
        }
        if self.silences.len() >= MAX_SUPPRESSIONS {
            return Answer::Refused(full("silences"));
        }
        let covered = self.tracks.values().filter(|track| scope.covers(track.whose()));
        let mut incidents: Vec<_> = covered.filter_map(|track| track.incident).collect();
        incidents.sort_unstable();
        incidents.dedup();
        let id = self.next_id();
        let (author, reason) = (by.author.clone(), by.reason.clone());
        let silence = Silence { id, scope, author, reason, created: now, until, held: 0 };
        self.silences.insert(id, silence);
        self.dirty.insert(Key::Suppression(id));
        for incident in incidents {
            let text = by.says(&format!("silenced until {until}"));
            self.moment(incident, Event::Silenced, now, None, None, text, Some(&by.author), out);
        }
        self.set_review(now);
        Answer::Done(vec![id])
    }

    fn lift(
        &mut self,
        id: u64,
        by: &str,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        let acked = self.acks.values().find(|ack| ack.id == id).map(|ack| ack.subject.clone());
        if let Some(acked) = acked {
            self.remove_ack(&acked, &format!("{by} did it"), Some(by), now, out);
        } else if self.silences.contains_key(&id) {
            self.lift_silence(id, by, world, now, out);
        } else {
            return Answer::Refused(format!(
                "there is no acknowledgement or silence {id} any more"
            ));
        }
        self.set_review(now);
        Answer::Done(vec![id])
    }

    fn set_window(
        &mut self,
        mut window: Window,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        if let Err(why) = window.schedule.check() {
            return Answer::Refused(why);
        }
        if window.open_at(now).is_none() && window.next(now, 1).is_empty() {
            return Answer::Refused("the window does not open any more".to_owned());
        }
        let before = self.plans.get(&window.id);
        match before {
            Some(before) => window.held = before.window.held,
            None if window.id != 0 => {
                return Answer::Refused(format!("there is no window {} any more", window.id));
            }
            None if self.plans.len() >= MAX_SUPPRESSIONS => {
                return Answer::Refused(full("windows"));
            }
            None => (window.id, window.created, window.held) = (self.next_id(), now, 0),
        }
        let id = window.id;
        let before = self.plans.insert(id, Plan { window, open: None });
        self.dirty.insert(Key::Window(id));
        let open = self.plans.get(&id).and_then(|plan| plan.window.open_at(now));
        if let Some(plan) = self.plans.get_mut(&id) {
            plan.open = open;
        }
        if let Some(before) = before
            && before.open.is_some()
        {
            // It may cover less than before, or not be open any more.
            let (name, scope) = (format!("window `{}`", before.window.name), before.window.scope);
            self.ended(&name, crate::notify::Reason::Maintenance, &scope, now, world, now, out);
        }
        self.set_review(now);
        Answer::Done(vec![id])
    }

    fn remove_window(
        &mut self,
        id: u64,
        by: &str,
        world: &dyn World,
        now: Timestamp,
        out: &mut Effects,
    ) -> Answer {
        let Some(plan) = self.plans.remove(&id) else {
            return Answer::Refused(format!("there is no window {id} any more"));
        };
        self.dirty.insert(Key::Window(id));
        if plan.open.is_some() {
            let name = format!("window `{}`, removed by {by}", plan.window.name);
            let (why, scope) = (crate::notify::Reason::Maintenance, plan.window.scope);
            self.ended(&name, why, &scope, now, world, now, out);
        }
        self.set_review(now);
        Answer::Done(vec![id])
    }

    fn set_blind(&mut self, blind: bool, world: &dyn World, now: Timestamp, out: &mut Effects) {
        match (self.global.blind, blind) {
            (None, true) => {
                self.global.blind = Some(now);
                self.dirty.insert(Key::Global);
                self.say_blind(None, now, out);
            }
            (Some(since), false) => {
                self.global.blind = None;
                self.dirty.insert(Key::Global);
                self.say_blind(Some(since), now, out);
                self.unblock(&Block::Blind, world, now, out);
            }
            _ => {}
        }
    }

    fn next_id(&mut self) -> u64 {
        self.global.last_id += 1;
        self.dirty.insert(Key::Global);
        self.global.last_id
    }
}

/// Who wants something, why, and for how long.
struct By {
    author: String,
    reason: String,
    until: Option<Timestamp>,
}

impl By {
    fn says(&self, what: &str) -> String {
        match &*self.reason {
            "" => format!("{}: {what}", self.author),
            reason => format!("{}: {what}: {reason}", self.author),
        }
    }
}

fn full(what: &str) -> String {
    format!("there are {MAX_SUPPRESSIONS} {what}, more are not kept: lift some first")
}
