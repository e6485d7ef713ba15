//! The tree as far as it follows from the journal.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    hub::Entry,
    notify::{
        Subject,
        policy::{Place, Run, World},
    },
    status::Status,
    tree::{Kind, Known},
};

/// The most of what a run said that is kept, in bytes.
const MAX_OUTPUT: usize = 512;

/// Hosts and runs as they were at a moment.
#[derive(Clone, Debug)]
pub struct Past {
    now: Timestamp,
    /// The host that remembers all this: above all others.
    top: String,
    hosts: HashMap<String, Host>,
    runs: BTreeMap<Subject, Last>,
}

#[derive(Clone, Debug)]
struct Host {
    place: Place,
    down_since: Option<Timestamp>,
}

/// The last change of a probe, after which it ran at its interval.
#[derive(Clone, Debug)]
struct Last {
    at: Timestamp,
    status: Status,
    interval: Duration,
    output: String,
}

impl Past {
    /// With the hosts that are known now: `top` with its group and labels, and those below it.
    pub fn new(top: &str, group: &str, labels: &BTreeMap<String, String>, known: &[Known]) -> Past {
        let by_uuid: HashMap<Uuid, &Known> =
            known.iter().map(|known| (known.uuid, known)).collect();
        let place = |group: &str, labels: &BTreeMap<_, _>, above| Place {
            group: group.to_owned(),
            labels: labels.clone(),
            above,
            is_reached: true,
            runbooks: BTreeMap::new(),
        };
        let host = |place| Host { place, down_since: None };
        let mut hosts: HashMap<String, Host> = known
            .iter()
            .map(|known| {
                let above = above(known, &by_uuid, top);
                (known.name.clone(), host(place(&known.group, &known.labels, above)))
            })
            .collect();
        hosts.insert(top.to_owned(), host(place(group, labels, Vec::new())));
        Past { now: Timestamp::MIN, top: top.to_owned(), hosts, runs: BTreeMap::new() }
    }

    /// Time has passed.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Something happened.
    pub fn take(&mut self, entry: &Entry, interval: Duration, now: Timestamp) {
        self.now = now;
        let transition = &entry.transition;
        let name = &transition.host;
        match transition.kind {
            Kind::InstanceGone => {
                self.hosts.remove(name);
                let first = Subject::host(name.clone());
                let of_host = self.runs.range(first..).take_while(|(one, _)| one.host == *name);
                let gone: Vec<Subject> = of_host.map(|(subject, _)| subject.clone()).collect();
                gone.iter().for_each(|subject| drop(self.runs.remove(subject)));
                return;
            }
            Kind::InstanceDown => self.host_of(entry).down_since = Some(now),
            Kind::InstanceUp | Kind::InstanceSeen => self.host_of(entry).down_since = None,
            Kind::ProbeSeen | Kind::ProbeChanged | Kind::ProbeGone => drop(self.host_of(entry)),
            _ => {}
        }
        let Some(probe) = &transition.probe else { return };
        let subject = Subject::probe(name.clone(), probe.clone());
        match (transition.kind, transition.now) {
            (Kind::ProbeSeen | Kind::ProbeChanged, Some(status)) => {
                let output = super::super::fact::cut(&transition.message, MAX_OUTPUT).to_owned();
                let last = Last { at: transition.at, status, interval, output };
                self.runs.insert(subject, last);
            }
            (Kind::ProbeGone, _) => drop(self.runs.remove(&subject)),
            _ => {}
        }
    }

    /// The host of an entry, which may be gone by now and so not be known.
    fn host_of(&mut self, entry: &Entry) -> &mut Host {
        let place = || Place {
            group: entry.transition.group.clone(),
            above: vec![self.top.clone()],
            is_reached: true,
            ..Place::default()
        };
        let host = || Host { place: place(), down_since: None };
        self.hosts.entry(entry.transition.host.clone()).or_insert_with(host)
    }
}

/// The names of the hosts above one, the nearest first.
fn above(of: &Known, by_uuid: &HashMap<Uuid, &Known>, top: &str) -> Vec<String> {
    let mut above = Vec::new();
    let mut parent = by_uuid.get(&of.parent);
    while let Some(known) = parent {
        above.push(known.name.clone());
        // Whatever a database says, this ends.
        parent = by_uuid.get(&known.parent).filter(|_| above.len() < by_uuid.len());
    }
    above.push(top.to_owned());
    above
}

impl World for Past {
    fn host(&self, host: &str) -> Option<Place> {
        let found = self.hosts.get(host)?;
        let is_down =
            |name: &String| self.hosts.get(name).is_some_and(|host| host.down_since.is_some());
        let is_reached = found.down_since.is_none() && !found.place.above.iter().any(is_down);
        Some(Place { is_reached, ..found.place.clone() })
    }

    /// Between two changes a probe ran at its interval, and said the same; while its host was down it was
    /// not heard.
    fn last_run(&self, subject: &Subject) -> Option<Run> {
        let last = self.runs.get(subject)?;
        let down_since = self.hosts.get(&subject.host).and_then(|host| host.down_since);
        let until = down_since.unwrap_or(self.now).max(last.at);
        let passed = until.duration_since(last.at).as_secs();
        let interval = i64::try_from(last.interval.as_secs()).unwrap_or(i64::MAX).max(1);
        let at = last.at.saturating_add(SignedDuration::from_secs(passed / interval * interval));
        let (status, output) = (last.status, last.output.clone());
        Some(Run { at: at.unwrap_or(last.at), status, interval: last.interval, output })
    }
}
