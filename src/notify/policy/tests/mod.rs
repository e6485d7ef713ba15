//! A small world in which time passes as tests want.

mod basics;
mod cover;
mod delay;
mod flood;
mod outage;
mod replay;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Answer, Command, Effects, Fact, Place, Policy, Run, Stored, What, World};
use crate::{
    notify::{
        Kind, Message, Rules, Scope, Subject,
        rules::{Channel, GroupBy, Matcher},
    },
    status::Status,
    tree::ProbeName,
};

pub(super) const OK: u16 = 100;
pub(super) const WARN: u16 = 200;
pub(super) const CRIT: u16 = 300;
pub(super) const ERROR: u16 = 500;

/// Who tells what is said of a host itself.
pub(super) const MASTER: Uuid = Uuid::from_u128(1);

pub(super) fn status(number: u16) -> Status {
    Status::new(number.into()).unwrap()
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(super) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

pub(super) fn probe(host: &str, probe: &str) -> Subject {
    Subject::probe(host, ProbeName::new(probe).unwrap())
}

pub(super) fn channel(name: &str) -> Channel {
    Channel {
        name: name.to_owned(),
        matches: Matcher::default(),
        min_level: status(OK),
        escalation: false,
        reminders_only: false,
        only_fallback: false,
        hours: None,
        per_minute: 1_000,
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        sender: "master".to_owned(),
        page_url: "https://wigo.example/".to_owned(),
        min_level: status(WARN),
        on_probe_change: true,
        on_host_change: true,
        rescue_only: false,
        flapping: None,
        confirm: Vec::new(),
        group_by: GroupBy::Host,
        group_wait: Duration::ZERO,
        group_window: seconds(30),
        repeat: None,
        escalate_after: Duration::ZERO,
        quiet: None,
        dependencies: Vec::new(),
        channels: vec![channel("mail")],
        expire: minutes(1_440),
        has_witnesses: false,
    }
}

/// How a probe is: since when, how bad, and how often it runs.
#[derive(Clone, Debug)]
struct Probe {
    since: Timestamp,
    status: Status,
    interval: Duration,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Fake {
    pub now: Timestamp,
    pub places: BTreeMap<String, Place>,
    probes: BTreeMap<Subject, Probe>,
    numbers: BTreeMap<Uuid, u64>,
}

impl World for Fake {
    fn host(&self, host: &str) -> Option<Place> {
        Some(self.places.get(host).cloned().unwrap_or_else(|| Place {
            group: "prod".to_owned(),
            is_reached: true,
            ..Place::default()
        }))
    }

    fn last_run(&self, subject: &Subject) -> Option<Run> {
        let probe = self.probes.get(subject)?;
        let host = self.places.get(&subject.host);
        let is_reached = host.is_none_or(|host| host.is_reached);
        let passed = self.now.duration_since(probe.since).as_secs();
        let interval = i64::try_from(probe.interval.as_secs()).unwrap();
        let runs = if is_reached { passed / interval } else { 0 };
        let at = probe.since + SignedDuration::from_secs(runs * interval);
        let output = format!("said {}", probe.status);
        Some(Run { at, status: probe.status, interval: probe.interval, output })
    }
}

/// A policy in a world, with what came of it so far.
pub(super) struct Sim {
    pub policy: Policy,
    pub world: Fake,
    pub all: Effects,
    entry: u64,
    /// The entries that it was given.
    pub handled: BTreeSet<u64>,
    stored: BTreeMap<(String, String), String>,
    /// It is stored and loaded again after each step.
    pub restarts: bool,
}

impl Sim {
    pub fn new(rules: Rules) -> Sim {
        Sim::starting(rules, "2026-03-04T12:00:00Z")
    }

    pub fn starting(rules: Rules, time: &str) -> Sim {
        let policy = Policy::new(rules, MASTER, Stored::default());
        let world = Fake { now: at(time), ..Fake::default() };
        let (all, stored) = (Effects::default(), BTreeMap::new());
        let handled = BTreeSet::new();
        Sim { policy, world, all, entry: 0, handled, stored, restarts: false }
    }

    /// A step, after which all is stored.
    fn step<T>(
        &mut self,
        act: impl FnOnce(&mut Policy, &Fake, Timestamp, &mut Effects) -> T,
    ) -> (T, Effects) {
        let mut out = Effects::default();
        let result = act(&mut self.policy, &self.world, self.world.now, &mut out);
        self.store();
        if self.restarts {
            self.restart();
        }
        self.policy.tick(&self.world, self.world.now, &mut out);
        self.store();
        self.all.messages.extend(out.messages.clone());
        self.all.decisions.extend(out.decisions.clone());
        self.all.moments.extend(out.moments.clone());
        (result, out)
    }

    fn store(&mut self) {
        for changed in self.policy.take_changed() {
            let key = (changed.kind.to_owned(), changed.key);
            match changed.value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
    }

    pub fn stored(&self) -> Stored {
        let pieces = self.stored.iter();
        let pieces = pieces.map(|((kind, key), value)| (kind.clone(), key.clone(), value.clone()));
        Stored { pieces: pieces.collect() }
    }

    pub fn restart(&mut self) {
        let rules = self.policy.rules().clone();
        self.policy = Policy::new(rules, MASTER, self.stored());
        assert_eq!(self.policy.bad_pieces(), 0);
    }

    pub fn now(&self) -> Timestamp {
        self.world.now
    }

    pub fn fact(&mut self, origin: Uuid, subject: Subject, what: What, message: &str) -> Fact {
        self.entry += 1;
        let number = self.world.numbers.entry(origin).or_default();
        *number += 1;
        Fact {
            entry: self.entry,
            origin,
            origin_id: *number,
            at: self.world.now,
            subject,
            group: "prod".to_owned(),
            what,
            message: message.to_owned(),
        }
    }

    pub fn handle(&mut self, facts: &[Fact]) -> Vec<String> {
        self.handled.extend(facts.iter().map(|fact| fact.entry));
        let (_, out) = self.step(|policy, world, now, out| policy.handle(facts, world, now, out));
        said(&out.messages)
    }

    /// The fact of a probe's change, and the world in which it is so.
    pub fn change(&mut self, host: &str, name: &str, number: u16) -> Fact {
        let (subject, now) = (probe(host, name), self.now());
        let interval = self.world.probes.get(&subject).map_or(seconds(60), |probe| probe.interval);
        let probe = Probe { since: now, status: status(number), interval };
        let was = self.world.probes.insert(subject.clone(), probe).map(|probe| probe.status);
        let what = What::Status { was, now: status(number) };
        self.fact(origin(host), subject, what, &format!("said {number}"))
    }

    /// A probe changes.
    pub fn set(&mut self, host: &str, name: &str, number: u16) -> Vec<String> {
        let fact = self.change(host, name, number);
        self.handle(&[fact])
    }

    /// It changes, and nobody tells us yet.
    pub fn silently(&mut self, host: &str, name: &str, number: u16) {
        drop(self.change(host, name, number));
    }

    /// A host goes down, or comes back.
    pub fn host(&mut self, host: &str, what: What) -> Vec<String> {
        let default = self.world.host(host).unwrap();
        let place = self.world.places.entry(host.to_owned()).or_insert(default);
        place.is_reached = what == What::HostUp;
        let fact = self.fact(MASTER, Subject::host(host), what, "");
        self.handle(&[fact])
    }

    /// Puts a host behind others.
    pub fn below(&mut self, host: &str, above: &[&str]) {
        let mut place = self.world.host(host).unwrap();
        place.above = above.iter().map(|&name| name.to_owned()).collect();
        self.world.places.insert(host.to_owned(), place);
    }

    /// Time passes; all that it does is done when it is due.
    pub fn pass(&mut self, time: Duration) -> Vec<String> {
        let end = self.now() + SignedDuration::try_from(time).unwrap();
        let mut said_of = Vec::new();
        for steps in 0.. {
            assert!(steps < 8_000, "time never gets on: {:?}", self.policy.deadline());
            let Some(due) = self.policy.deadline().filter(|due| *due <= end) else { break };
            self.world.now = self.now().max(due);
            let (_, out) = self.step(|policy, world, now, out| policy.tick(world, now, out));
            said_of.extend(said(&out.messages));
        }
        self.world.now = end;
        said_of
    }

    pub fn command(&mut self, command: Command) -> (Answer, Vec<String>) {
        let (answer, out) =
            self.step(|policy, world, now, out| policy.command(command, world, now, out));
        (answer, said(&out.messages))
    }

    pub fn silence(&mut self, scope: Scope, time: Duration) -> u64 {
        let until = self.now() + SignedDuration::try_from(time).unwrap();
        let (author, reason) = ("alice".to_owned(), "work".to_owned());
        match self.command(Command::Silence { scope, author, reason, until }).0 {
            Answer::Done(ids) => ids[0],
            Answer::Refused(why) => panic!("{why}"),
        }
    }

    pub fn acknowledge(&mut self, subject: Subject) -> (Answer, Vec<String>) {
        let (author, reason) = ("bob".to_owned(), "on it".to_owned());
        self.command(Command::Acknowledge { subject, author, reason, until: None })
    }

    /// The last question of the last decision.
    pub fn why(&self) -> String {
        let decision = self.all.decisions.last().unwrap();
        let step = decision.reason().unwrap();
        format!("{:?} {:?}: {}", decision.outcome, step.reason, step.detail)
    }
}

/// The instance of a host.
pub(super) fn origin(host: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, host.as_bytes())
}

/// Messages in short.
pub(super) fn said(messages: &[Message]) -> Vec<String> {
    let short = |message: &Message| {
        format!("{} {}: {}", message.channel, message.kind.word(), message.title)
    };
    messages.iter().map(short).collect()
}

/// What holds of all messages ever sent, whatever happened: nobody hears that something is over that he
/// never heard of, and no key is used twice. Returns what was told and not yet taken back.
pub(super) fn check_all(all: &Effects) -> BTreeSet<(Uuid, String)> {
    let in_summary = all.moments.iter().filter_map(|moment| {
        let (channel, _) = moment.text.split_once(" was told in a summary")?;
        Some((moment.incident, channel.to_owned()))
    });
    let in_summary: BTreeSet<_> = in_summary.collect();
    let (mut keys, mut open) = (BTreeSet::new(), BTreeSet::new());
    for message in &all.messages {
        assert!(keys.insert(message.key.clone()), "{} twice", message.key);
        let Some(id) = message.incident else { continue };
        let thread = (id, message.channel.clone());
        let is_known = open.contains(&thread) || in_summary.contains(&thread);
        match message.kind {
            Kind::Problem | Kind::Flapping => drop(open.insert(thread)),
            kind => {
                assert!(is_known, "{} was not told of it: {kind:?} {}", thread.1, message.title);
                if kind == Kind::Recovered {
                    open.remove(&thread);
                }
            }
        }
    }
    open
}
