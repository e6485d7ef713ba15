//! The instances directly below: when each was heard, when it is down, and when it is gone.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Contact, Event, Host, Instance, Kind, Known, Now, Outcome, Parting, Presence, Tree, What,
};
use crate::status::Status;

/// How long a broken connection may take to come back, at least, before the instance is called down.
pub const PARTING_GRACE: Duration = Duration::from_millis(500);
/// Who was connected for longer than this and is lost comes back at once, so nobody waits for it any longer
/// than [`PARTING_GRACE`].
pub const SETTLED: Duration = Duration::from_secs(60);
/// When nobody looked for silence for longer than this, it was us who slept, and the others get that
/// time on top.
const OVERSLEPT: Duration = Duration::from_secs(3);

/// Instances that left which are remembered for each way.
const MAX_FORMER: usize = 1_000;

/// What is known of the way to an instance directly below.
#[derive(Debug)]
pub(super) struct Link {
    /// When there was a sign of life; before the first one when we began to listen.
    pub heard: Duration,
    /// How long it may be silent.
    pub limit: Duration,
    /// How long its connection may be broken, if it was not [`SETTLED`].
    pub grace: Duration,
    /// When it was connected.
    pub since: Duration,
    pub state: State,
    /// It was told to be down before a restart of ours, and that has not been taken back.
    pub told_down: bool,
    /// The instances below it that it reports.
    pub reported: BTreeSet<Uuid>,
    /// About how much memory what it reports takes, in bytes.
    pub weight: usize,
    /// Those that it has reported, whose last entries may still come; at most [`MAX_FORMER`].
    pub former: BTreeSet<Uuid>,
    /// Those that the full account which is being given has not mentioned yet.
    pub unmentioned: Option<BTreeSet<Uuid>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// Not heard of since we began to listen.
    Awaited,
    Up,
    /// The connection broke at this time.
    Lost(Duration),
    /// It said at this time that it stops for a while.
    Stopping(Duration),
    Down,
}

impl State {
    fn presence(self) -> Presence {
        match self {
            State::Awaited => Presence::Unknown,
            State::Up | State::Lost(_) => Presence::Alive,
            State::Stopping(_) => Presence::Stopped,
            State::Down => Presence::Down,
        }
    }
}

impl Link {
    /// An instance is not reported any more. Returns whether it was.
    pub fn leaves(&mut self, uuid: Uuid) -> bool {
        let was = self.reported.remove(&uuid);
        if was && self.former.len() < MAX_FORMER {
            self.former.insert(uuid);
        }
        was
    }

    /// How long its connection may be broken that broke `at`.
    fn grace_at(&self, at: Duration) -> Duration {
        if at.saturating_sub(self.since) > SETTLED { PARTING_GRACE } else { self.grace }
    }

    /// Gives it more time.
    fn put_off(&mut self, by: Duration) {
        self.heard += by;
        if let State::Lost(at) | State::Stopping(at) = &mut self.state {
            *at += by;
        }
    }

    fn awaited(now: Now, limit: Duration) -> Link {
        Link {
            heard: now.boot,
            limit,
            grace: PARTING_GRACE,
            since: now.boot,
            state: State::Awaited,
            told_down: false,
            reported: BTreeSet::new(),
            weight: 0,
            former: BTreeSet::new(),
            unmentioned: None,
        }
    }
}

impl Tree {
    /// Events about the ways to instances directly below.
    pub(super) fn link_event(&mut self, event: Event, now: Now, out: &mut Outcome) {
        if self.links.is_empty() {
            // Nobody looked for silence, because nobody could be silent.
            self.last_tick = None;
        }
        match event {
            Event::Expected { uuid, name, contact } => self.expected(uuid, name, contact, now, out),
            Event::Remembered { known } => self.remembered(known, now),
            Event::Linked { link, name, contact, limit, grace } => {
                self.linked(link, &name, contact, limit, now, out);
                if let Some(link) = self.links.get_mut(&link) {
                    link.grace = grace.max(PARTING_GRACE);
                }
            }
            Event::Heard { link } => self.heard(link, now, out),
            Event::Trouble { link, problem } => self.trouble(link, problem, out),
            Event::Parted { link, how } => self.parted(link, how, now, out),
            Event::Forgotten { uuid, why } => self.forgotten(uuid, &why, now, out),
            _ => {}
        }
    }

    fn expected(
        &mut self,
        uuid: Uuid,
        name: String,
        contact: Contact,
        now: Now,
        out: &mut Outcome,
    ) {
        if uuid == self.me().uuid {
            return;
        }
        let limit = self.alive_timeout;
        self.links.entry(uuid).or_insert_with(|| Link::awaited(now, limit));
        let mut instance = Instance::new(uuid, "", Host::new(name, ""));
        instance.presence = Presence::Unknown;
        instance.contact = Some(Box::new(contact.clone()));
        instance.parent = Some(self.me().uuid);
        if self.record(uuid, uuid).is_none() {
            self.add_record(uuid, instance, now, out);
        } else {
            self.with_record(uuid, uuid, |record| record.contact = Some(Box::new(contact)));
        }
        out.touch(uuid, What::Header);
    }

    /// Nothing happened now: no transition, and nobody is told.
    fn remembered(&mut self, known: Known, now: Now) {
        if known.uuid == self.me().uuid || self.get(known.uuid).is_some() {
            return;
        }
        let mut instance = Instance::remembered(&known);
        if known.via == known.uuid {
            let mut link = Link::awaited(now, self.alive_timeout);
            link.told_down = known.down;
            self.links.insert(known.uuid, link);
            instance.parent = Some(self.me().uuid);
        } else if let Some(link) = self.links.get_mut(&known.via) {
            link.reported.insert(known.uuid);
        } else {
            // Nobody is left who could report it.
            return;
        }
        self.view.put(instance);
    }

    fn linked(
        &mut self,
        uuid: Uuid,
        name: &str,
        contact: Contact,
        limit: Duration,
        now: Now,
        out: &mut Outcome,
    ) {
        if uuid == self.me().uuid {
            return;
        }
        let silence = self.alive_timeout;
        let link = self.links.entry(uuid).or_insert_with(|| Link::awaited(now, silence));
        (link.heard, link.limit, link.since) = (now.boot, limit, now.boot);
        link.state = State::Up;
        let back = std::mem::take(&mut link.told_down);
        if self.record(uuid, uuid).is_none() {
            let mut instance = Instance::new(uuid, "", Host::new(name, ""));
            instance.parent = Some(self.me().uuid);
            self.add_record(uuid, instance, now, out);
        }
        self.with_record(uuid, uuid, |record| {
            record.presence = Presence::Alive;
            record.contact = Some(Box::new(contact));
            record.problem = None;
            record.last_update = Some(now.wall);
            if back {
                record.presence_since = Some(now.wall);
            }
        });
        self.choose(uuid, now, out);
        self.choose_all_through(uuid, now, out);
        out.touch(uuid, What::Header);
        let host = self.get(uuid).filter(|instance| instance.via == uuid);
        if back && let Some(host) = host {
            let status = Some(host.local_status());
            let message = "it reports again".to_owned();
            out.about(host, Kind::InstanceUp, now.wall, Some(Status::DOWN), status, message);
        }
    }

    pub(super) fn heard(&mut self, uuid: Uuid, now: Now, out: &mut Outcome) {
        let Some(link) = self.links.get_mut(&uuid) else { return };
        link.heard = now.boot;
        if link.state == State::Up {
            return;
        }
        let (limit, record) = (link.limit, self.record(uuid, uuid));
        let contact = record.and_then(|record| record.contact.as_deref().cloned());
        if let Some(contact) = contact {
            self.linked(uuid, "", contact, limit, now, out);
        }
    }

    fn trouble(&mut self, uuid: Uuid, problem: Option<String>, out: &mut Outcome) {
        let changed = self.record(uuid, uuid).is_some_and(|record| record.problem != problem);
        if changed {
            self.with_record(uuid, uuid, |record| record.problem = problem);
            out.touch(uuid, What::Header);
        }
    }

    fn parted(&mut self, uuid: Uuid, how: Parting, now: Now, out: &mut Outcome) {
        let Some(link) = self.links.get_mut(&uuid) else { return };
        link.unmentioned = None;
        match how {
            Parting::Goodbye => self.forgotten(uuid, "it said goodbye", now, out),
            Parting::Lost if link.state == State::Up => link.state = State::Lost(now.boot),
            Parting::Lost => {}
            Parting::Stopping => {
                link.state = State::Stopping(now.boot);
                self.show_state(uuid, None, now, out);
            }
        }
    }

    /// Looks for those that have been silent for too long.
    pub(super) fn tick(&mut self, now: Now, out: &mut Outcome) {
        let slept = self.last_tick.replace(now.boot).map(|last| now.boot.saturating_sub(last));
        if let Some(slept) = slept.filter(|slept| *slept > OVERSLEPT) {
            self.links.values_mut().for_each(|link| link.put_off(slept));
        }
        let timeout = self.alive_timeout;
        let silent = |link: &Link| now.boot.saturating_sub(link.heard);
        let late: Vec<(Uuid, String)> = self
            .links
            .iter()
            .filter_map(|(uuid, link)| {
                let why = match link.state {
                    State::Up if silent(link) > link.limit => {
                        format!("silent for {} s", silent(link).as_secs())
                    }
                    State::Lost(at) if now.boot.saturating_sub(at) > link.grace_at(at) => {
                        "the connection broke".to_owned()
                    }
                    State::Stopping(at) if now.boot.saturating_sub(at) > timeout => {
                        "it stopped and did not come back".to_owned()
                    }
                    State::Awaited if silent(link) > timeout => {
                        format!("not heard of for {} s", silent(link).as_secs())
                    }
                    _ => return None,
                };
                Some((*uuid, why))
            })
            .collect();
        for (uuid, why) in late {
            self.fell_silent(uuid, why, now, out);
        }
    }

    fn fell_silent(&mut self, uuid: Uuid, why: String, now: Now, out: &mut Outcome) {
        let Some(link) = self.links.get_mut(&uuid) else { return };
        link.state = State::Down;
        let before = self.get(uuid).map(Instance::local_status);
        self.show_state(uuid, Some(now.wall), now, out);
        // If it is heard by another way, it is not down.
        self.tell_down(uuid, before, &why, now, out);
    }

    /// Says that an instance directly below is down, if it is and that was not said.
    pub(super) fn tell_down(
        &mut self,
        uuid: Uuid,
        before: Option<Status>,
        why: &str,
        now: Now,
        out: &mut Outcome,
    ) {
        let host = self.view.get(uuid).filter(|host| host.via == uuid);
        let host = host.filter(|host| host.presence == Presence::Down);
        let Some((host, link)) = host.zip(self.links.get_mut(&uuid)) else { return };
        if std::mem::replace(&mut link.told_down, true) {
            return;
        }
        let problem = host.problem.as_ref();
        let message = problem.map_or(why.to_owned(), |problem| format!("{why}: {problem}"));
        out.about(host, Kind::InstanceDown, now.wall, before, Some(Status::DOWN), message);
    }

    /// Lets the record of an instance directly below show the state of its link.
    fn show_state(&mut self, uuid: Uuid, since: Option<Timestamp>, now: Now, out: &mut Outcome) {
        let Some(presence) = self.links.get(&uuid).map(|link| link.state.presence()) else {
            return;
        };
        self.with_record(uuid, uuid, |record| {
            record.presence = presence;
            record.presence_since = since.or(record.presence_since);
        });
        self.choose(uuid, now, out);
        self.choose_all_through(uuid, now, out);
        out.touch(uuid, What::Header);
    }

    /// Removes an instance and what is heard through it alone. Without a reason nobody is told.
    fn forgotten(&mut self, uuid: Uuid, why: &str, now: Now, out: &mut Outcome) {
        if uuid == self.me().uuid {
            return;
        }
        let told = self.get(uuid).cloned();
        let reported = self.links.remove(&uuid).map(|link| link.reported).unwrap_or_default();
        for below in reported {
            self.drop_record(uuid, below, now, out);
        }
        if self.record(uuid, uuid).is_some() {
            self.drop_record(uuid, uuid, now, out);
        } else if let Some(via) = self.get(uuid).map(|instance| instance.via) {
            // Not directly below: until it is reported again.
            if let Some(link) = self.links.get_mut(&via) {
                link.reported.remove(&uuid);
            }
            self.drop_record(via, uuid, now, out);
        }
        if let Some(host) = told.filter(|_| !why.is_empty()) {
            let was = Some(host.local_status());
            out.about(&host, Kind::InstanceGone, now.wall, was, None, why.to_owned());
        }
    }
}

impl Tree {
    /// What the database is to remember of an instance below this one. One that reports directly to us
    /// is remembered as such, though it may be heard by another way just now.
    pub fn known(&self, uuid: Uuid) -> Option<Known> {
        let own = self.links.get(&uuid);
        let instance = self.record(uuid, uuid).filter(|_| own.is_some()).or(self.get(uuid))?;
        Some(Known {
            uuid,
            parent: instance.parent?,
            via: instance.via,
            contact: instance.contact.as_deref().cloned(),
            version: instance.version.clone(),
            name: instance.host.name.clone(),
            group: instance.host.group.clone(),
            labels: instance.host.labels.clone(),
            down: own.is_some_and(|link| link.told_down),
            last_update: instance.last_update,
        })
    }

    /// Whether what `link` tells of `origin` is to be believed: of itself, and of what it reports or has
    /// reported; not of us, nor of an instance that reports to us itself, now or when it is back: else
    /// another could take the numbers of its entries.
    pub fn may_tell(&self, link: Uuid, origin: Uuid) -> bool {
        if origin == self.me().uuid {
            return false;
        }
        let Some(of_link) = self.links.get(&link) else { return false };
        let reports = of_link.reported.contains(&origin) || of_link.former.contains(&origin);
        origin == link || reports && !self.links.contains_key(&origin)
    }
}
