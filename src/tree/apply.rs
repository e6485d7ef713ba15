//! The state machine: an event comes in, the tree changes, what changed goes out.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Contact, Disabled, Instance, Kind, Known, Now, Parting, Probe, ProbeName, ProbeResult,
    RemoteControl, Report, Transition, Tree,
};
use crate::status::Status;

/// Everything that can change the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A run of `probe` ended. `results` are named after the probe or its services. A service that was
    /// known and is not among them is gone if the run was `complete`, else unconfirmed.
    Ran { probe: ProbeName, results: Vec<ProbeResult>, complete: bool },
    /// A probe will not run any more: removed or disabled.
    Gone { probe: ProbeName, why: String },
    /// A result known before a restart, of this instance or of one below. Never a transition: nothing
    /// happened now.
    Restored { instance: Uuid, result: ProbeResult, since: Timestamp },
    /// The name, group or labels of this host, or how long others may be silent, were configured anew.
    Configured {
        name: String,
        group: String,
        labels: BTreeMap<String, String>,
        alive_timeout: Duration,
    },
    /// These probes of this host, and no others, are switched off by somebody.
    Disabled { probes: BTreeMap<ProbeName, Disabled> },
    /// What this instance lets others do that ask over HTTP, and masters it pushes to.
    Willing { http: RemoteControl, push: RemoteControl },
    /// An order to this instance, done or refused.
    Ordered { probe: Option<ProbeName>, message: String },
    /// The agent began to watch.
    Started { message: String },
    /// The agent stops watching, or was found to have stopped at `at`.
    Stopped { at: Timestamp, message: String },
    /// The wall clock was set by this many milliseconds, positive when it went forward.
    ClockSet { by_ms: i64 },
    /// This many entries were dropped, because of `why`.
    Lost { count: u64, why: String },
    /// News of who may report to this instance.
    Noted { kind: Kind, message: String },

    /// An instance directly below is configured and not heard of yet.
    Expected { uuid: Uuid, name: String, contact: Contact },
    /// An instance below was known before a restart; those above it come first.
    Remembered { known: Known },
    /// There is contact with an instance directly below, on the host `name`, which may be silent for
    /// `limit`, and whose connection may be broken for `grace` before it counts as down, unless it had
    /// [settled](super::SETTLED).
    Linked { link: Uuid, name: String, contact: Contact, limit: Duration, grace: Duration },
    /// An instance directly below reports. With `narrate` it has no journal of its own, so the changes
    /// of what it says are transitions of ours.
    Reported { link: Uuid, report: Report, narrate: bool },
    /// A sign of life of an instance directly below.
    Heard { link: Uuid },
    /// What is wrong with the way to an instance directly below, or that nothing is any more.
    Trouble { link: Uuid, problem: Option<String> },
    /// The connection to an instance directly below ended.
    Parted { link: Uuid, how: Parting },
    /// An instance is to go without an alarm: removed, revoked, forgotten. Without a reason nobody is
    /// told either.
    Forgotten { uuid: Uuid, why: String },
    /// Time to look who has been silent for too long.
    Tick,
}

/// What an event did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What is worth remembering, in order.
    pub transitions: Vec<Transition>,
    /// What in the tree is not as it was, in order.
    pub touched: Vec<Touched>,
    /// A report spoke of something that is not in the tree: a full account is needed.
    pub amiss: bool,
}

/// Something in the tree that is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched {
    pub uuid: Uuid,
    pub what: What,
}

/// What of an instance is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Its particulars or its presence; or it is new.
    Header,
    /// A probe.
    Probe(ProbeName, Freshness),
    /// All of it, since it is heard by another way now.
    Whole,
    /// It is not in the tree any more.
    Gone,
}

/// How a probe is not as it was; the later ones outdo the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It ran again and said the same.
    Ran,
    /// It says something else, with the same status.
    Said,
    /// Its status changed, or it is new.
    Status,
    /// It is gone.
    Gone,
}

impl Freshness {
    pub(super) fn between(before: Option<&Probe>, after: &Probe) -> Freshness {
        let Some(before) = before else { return Freshness::Status };
        let (old, new) = (&*before.result, &*after.result);
        if old.status != new.status {
            return Freshness::Status;
        }
        let same = before.since == after.since
            && before.stale == after.stale
            && old.message == new.message
            && old.value == new.value
            && old.metrics == new.metrics
            && old.detail == new.detail
            && (&old.version, old.exit_code, old.interval)
                == (&new.version, new.exit_code, new.interval);
        if same { Freshness::Ran } else { Freshness::Said }
    }
}

impl Outcome {
    pub(super) fn touch(&mut self, uuid: Uuid, what: What) {
        self.touched.push(Touched { uuid, what });
    }

    /// A transition about a host.
    pub(super) fn about(
        &mut self,
        instance: &Instance,
        kind: Kind,
        at: Timestamp,
        was: Option<Status>,
        now: Option<Status>,
        message: String,
    ) {
        let (host, group) = (instance.host.name.clone(), instance.host.group.clone());
        self.transitions.push(Transition { kind, at, group, host, probe: None, was, now, message });
    }

    /// A transition about a probe of a host.
    #[expect(clippy::too_many_arguments, reason = "a transition has that many parts")]
    pub(super) fn about_probe(
        &mut self,
        instance: &Instance,
        kind: Kind,
        probe: &ProbeName,
        at: Timestamp,
        was: Option<Status>,
        now: Option<Status>,
        message: String,
    ) {
        self.about(instance, kind, at, was, now, message);
        if let Some(transition) = self.transitions.last_mut() {
            transition.probe = Some(probe.clone());
        }
    }
}

impl Tree {
    /// Applies `event` and returns what changed by it.
    ///
    /// Applying the same event again changes nothing and tells nothing, except for the events that are
    /// themselves the news (`Started`, `Stopped`, `ClockSet`, `Lost`, `Noted`, `Ordered`).
    pub fn apply(&mut self, event: Event, now: Now) -> Outcome {
        let mut out = Outcome::default();
        match event {
            Event::Ran { probe, results, complete } => {
                self.ran(&probe, results, complete, now, &mut out);
            }
            Event::Gone { probe, why } => self.gone(&probe, &why, now, &mut out),
            Event::Restored { instance, result, since } => self.restored(instance, result, since),
            Event::Configured { name, group, labels, alive_timeout } => {
                self.alive_timeout = alive_timeout;
                self.configured(name, group, labels, &mut out);
            }
            Event::Disabled { probes } => self.disabled(probes, &mut out),
            Event::Willing { http, push } => self.willing(http, push, &mut out),
            Event::Ordered { probe, message } => {
                self.news(Kind::Ordered, now.wall, message, &mut out);
                if let Some(transition) = out.transitions.last_mut() {
                    transition.probe = probe;
                }
            }
            Event::Started { message } => {
                self.news(Kind::AgentStarted, now.wall, message, &mut out);
            }
            Event::Stopped { at, message } => {
                self.news(Kind::AgentStopped, at, message, &mut out);
            }
            Event::ClockSet { by_ms } => {
                let (seconds, way) =
                    (by_ms.abs() as f64 / 1000.0, if by_ms < 0 { "back" } else { "forward" });
                let message = format!("the wall clock was set {way} by {seconds:.1} s");
                self.news(Kind::ClockChanged, now.wall, message, &mut out);
            }
            Event::Lost { count, why } => {
                let message = format!("{count} log entries were dropped: {why}");
                self.news(Kind::EntriesLost, now.wall, message, &mut out);
            }
            Event::Noted { kind, message } => self.news(kind, now.wall, message, &mut out),
            Event::Reported { link, report, narrate } => {
                self.reported(link, report, narrate, now, &mut out);
            }
            Event::Tick => self.tick(now, &mut out),
            link => self.link_event(link, now, &mut out),
        }
        out
    }

    fn configured(
        &mut self,
        name: String,
        group: String,
        labels: BTreeMap<String, String>,
        out: &mut Outcome,
    ) {
        let host = &self.me().host;
        if (&host.name, &host.group, &host.labels) == (&name, &group, &labels) {
            return;
        }
        let me = self.me().uuid;
        self.view.change_named(me, |me| {
            (me.host.name, me.host.group, me.host.labels) = (name, group, labels);
        });
        out.touch(me, What::Header);
    }

    fn disabled(&mut self, probes: BTreeMap<ProbeName, Disabled>, out: &mut Outcome) {
        let me = self.me().uuid;
        if self.me().host.disabled != probes {
            self.view.change(me, |me| me.host.disabled = probes);
            out.touch(me, What::Header);
        }
    }

    fn willing(&mut self, http: RemoteControl, push: RemoteControl, out: &mut Outcome) {
        let me = self.me().uuid;
        if (self.me().remote_control, self.view.over_push()) != (http, push) {
            self.view.set_over_push(push);
            self.view.change(me, |me| me.remote_control = http);
            out.touch(me, What::Header);
        }
    }

    fn restored(&mut self, instance: Uuid, result: ProbeResult, since: Timestamp) {
        self.view.change(instance, |instance| {
            let probe = Probe { since, stale: true, result: Arc::new(result) };
            instance.host.probes.entry(probe.result.name.clone()).or_insert(probe);
        });
    }

    fn ran(
        &mut self,
        probe: &ProbeName,
        results: Vec<ProbeResult>,
        complete: bool,
        now: Now,
        out: &mut Outcome,
    ) {
        let missing: Vec<ProbeName> = self
            .names_of(probe)
            .into_iter()
            .filter(|name| results.iter().all(|result| result.name != *name))
            .collect();
        let me = self.me().uuid;
        for name in missing {
            if complete {
                self.remove(&name, "not reported any more", now, out);
            } else {
                self.view.change(me, |me| {
                    if let Some(known) = me.host.probes.get_mut(&name) {
                        known.stale = true;
                    }
                });
                out.touch(me, What::Probe(name, Freshness::Said));
            }
        }
        results.into_iter().for_each(|result| self.set(result, out));
    }

    fn gone(&mut self, probe: &ProbeName, why: &str, now: Now, out: &mut Outcome) {
        for name in self.names_of(probe) {
            self.remove(&name, why, now, out);
        }
    }

    /// The probe itself and the services it reports, as far as they are known.
    fn names_of(&self, probe: &ProbeName) -> Vec<ProbeName> {
        let own = |name: &ProbeName| name == probe || name.is_service_of(probe);
        self.me().host.probes.keys().filter(|name| own(name)).cloned().collect()
    }

    fn set(&mut self, result: ProbeResult, out: &mut Outcome) {
        let me = self.me();
        let known = me.host.probes.get(&result.name);
        let was = known.map(|known| known.result.status);
        let same = known.filter(|known| known.result.status == result.status);
        let since = same.map_or(result.date, |known| known.since);
        let (status, date) = (Some(result.status), result.date);
        let probe = Probe { result: Arc::new(result), since, stale: false };
        let freshness = Freshness::between(known, &probe);
        if was != status {
            let kind = if was.is_some() { Kind::ProbeChanged } else { Kind::ProbeSeen };
            let result = &probe.result;
            out.about_probe(me, kind, &result.name, date, was, status, result.message.clone());
        }
        let (me, name) = (me.uuid, probe.result.name.clone());
        out.touch(me, What::Probe(name.clone(), freshness));
        self.view.change(me, |me| me.host.probes.insert(name, probe));
    }

    fn remove(&mut self, name: &ProbeName, why: &str, now: Now, out: &mut Outcome) {
        let me = self.me().uuid;
        let removed = self.view.change(me, |me| me.host.probes.remove(name)).flatten();
        let Some(known) = removed else { return };
        let was = Some(known.result.status);
        out.about_probe(self.me(), Kind::ProbeGone, name, now.wall, was, None, why.to_owned());
        out.touch(me, What::Probe(name.clone(), Freshness::Gone));
    }

    fn news(&self, kind: Kind, at: Timestamp, message: String, out: &mut Outcome) {
        out.about(self.me(), kind, at, None, None, message);
    }
}

#[cfg(test)]
mod tests;
