//! What instances below say: their reports become part of the tree.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Account, Freshness, Header, Host, Instance, Kind, Now, Outcome, Presence, Probe, ProbeName,
    Report, Tree, What,
};

/// The most instances that one directly below may report.
pub const MAX_INSTANCES_BELOW: usize = 20_000;
/// The most probes that a host may have.
pub const MAX_PROBES_PER_HOST: usize = 1_000;
/// About the most memory that what one instance directly below reports may take, in bytes.
pub const MAX_BYTES_BELOW: usize = 256 << 20;
/// About the most memory that the probes of one host may take, in bytes.
pub const MAX_BYTES_PER_HOST: usize = 4 << 20;

impl Tree {
    /// Takes over what `link`, an instance directly below, says. With `narrate` the changes of what it
    /// says are transitions of ours, because it tells none itself.
    pub(super) fn reported(
        &mut self,
        link: Uuid,
        report: Report,
        narrate: bool,
        now: Now,
        out: &mut Outcome,
    ) {
        self.heard(link, now, out);
        let Some(known) = self.links.get_mut(&link) else { return };
        if report.begins {
            known.unmentioned = Some(known.reported.clone());
        }
        let says_something = !report.accounts.is_empty() || report.begins;
        for account in report.accounts {
            self.account(link, account, narrate, now, out);
        }
        let Some(known) = self.links.get_mut(&link) else { return };
        let mut gone = report.gone;
        if report.ends {
            gone.extend(known.unmentioned.take().into_iter().flatten());
        }
        for uuid in gone.into_iter().filter(|uuid| *uuid != link) {
            self.below_gone(link, uuid, narrate, now, out);
        }
        if says_something {
            self.with_record(link, link, |record| record.last_update = Some(now.wall));
        }
    }

    fn below_gone(&mut self, link: Uuid, uuid: Uuid, narrate: bool, now: Now, out: &mut Outcome) {
        if !self.links.get_mut(&link).is_some_and(|link| link.leaves(uuid)) {
            return;
        }
        let told = self.get(uuid).filter(|_| narrate).cloned();
        self.drop_record(link, uuid, now, out);
        // Unless it is still heard by another way.
        if let Some(host) = told.filter(|_| self.get(uuid).is_none()) {
            let was = Some(host.local_status());
            let message = "not reported any more".to_owned();
            out.about(&host, Kind::InstanceGone, now.wall, was, None, message);
        }
    }

    fn account(
        &mut self,
        link: Uuid,
        account: Account,
        narrate: bool,
        now: Now,
        out: &mut Outcome,
    ) {
        let uuid = account.uuid;
        // We know best how we are: this is a cycle.
        if uuid == self.me().uuid {
            return;
        }
        if let Some(unmentioned) =
            self.links.get_mut(&link).and_then(|link| link.unmentioned.as_mut())
        {
            unmentioned.remove(&uuid);
        }
        let Account { header, probes, complete, ran, gone, .. } = account;
        let is_new = self.record(link, uuid).is_none();
        if let Some(header) = header {
            if !self.header(link, uuid, header, narrate, now, out) {
                return;
            }
        } else if is_new {
            // Nothing is known of it, so this is below something that was left out.
            return;
        }
        self.probes(link, uuid, Probes { probes, complete, ran, gone }, narrate, now, out);
    }

    /// Takes over particulars. Returns whether there is a record afterwards.
    fn header(
        &mut self,
        link: Uuid,
        uuid: Uuid,
        mut header: Header,
        narrate: bool,
        now: Now,
        out: &mut Outcome,
    ) -> bool {
        let direct = uuid == link;
        let parent = match header.parent {
            _ if direct => self.me().uuid,
            Some(parent) if self.record(link, parent).is_some() && parent != uuid => parent,
            // Its parent was left out: it is ourselves, or there is no such thing.
            _ => return false,
        };
        let held = self.record(link, uuid).map_or(0, Instance::weight);
        if self.links.get(&link).is_some_and(|link| link.weight > MAX_BYTES_BELOW) {
            header.disabled.clear();
        }
        let Some(record) = self.record(link, uuid) else {
            let full =
                self.links.get(&link).is_none_or(|link| link.reported.len() >= MAX_INSTANCES_BELOW);
            if full {
                self.too_much(link, out);
                return false;
            }
            let mut instance = Instance::new(uuid, "", Host::new("", ""));
            instance.set_header(header);
            instance.parent = Some(parent);
            self.add_record(link, instance, now, out);
            self.weigh(link, uuid, held);
            return true;
        };
        if direct {
            // How it is heard is ours to say; it always thinks that it is well.
            header.presence = record.presence;
            header.since = record.presence_since;
            header.last_update = Some(now.wall);
            header.problem.clone_from(&record.problem);
        }
        let first = direct && record.version.is_empty();
        let (was, moved) = (record.presence, record.parent != Some(parent));
        let status = record.local_status();
        if !moved && record.is_headed(&header) {
            self.with_record(link, uuid, |record| record.last_update = header.last_update);
            return true;
        }
        self.with_record(link, uuid, |record| record.set_header(header));
        self.weigh(link, uuid, held);
        if moved && self.get(uuid).is_some_and(|chosen| chosen.via == link) {
            if let Some(mut instance) = self.get(uuid).cloned() {
                instance.parent = Some(parent);
                self.view.put(instance);
            }
        } else if moved {
            self.with_record(link, uuid, |record| record.parent = Some(parent));
        }
        self.choose(uuid, now, out);
        out.touch(uuid, What::Header);
        let Some(host) = self.get(uuid).filter(|host| host.via == link) else { return true };
        if first {
            let message = "first contact".to_owned();
            out.about(host, Kind::InstanceSeen, now.wall, None, None, message);
        } else if narrate && !direct && was != host.presence {
            let kind = match host.presence {
                Presence::Down => Kind::InstanceDown,
                Presence::Alive if was == Presence::Down => Kind::InstanceUp,
                _ => return true,
            };
            let now_status = Some(host.local_status());
            let message = "as the instance above it says".to_owned();
            out.about(host, kind, now.wall, Some(status), now_status, message);
        }
        true
    }

    fn probes(
        &mut self,
        link: Uuid,
        uuid: Uuid,
        said: Probes,
        narrate: bool,
        now: Now,
        out: &mut Outcome,
    ) {
        let held = self.record(link, uuid).map_or(0, Instance::weight);
        let below = self.links.get(&link).map_or(0, |link| link.weight);
        if !said.complete && (held > MAX_BYTES_PER_HOST || below > MAX_BYTES_BELOW) {
            return self.too_much(link, out);
        }
        let chosen = self.get(uuid).is_some_and(|chosen| chosen.via == link);
        if chosen {
            self.put_probes(uuid, said, narrate, now, out);
        } else if let Some(shadow) = self.shadows.get_mut(&(uuid, link)) {
            let shadow = Arc::make_mut(shadow);
            out.amiss |= said.put_into(shadow, |_, _, _| {});
            shadow.refresh();
        }
        self.weigh(link, uuid, held);
    }

    /// Notes how much more or less is held of an instance than before.
    fn weigh(&mut self, link: Uuid, uuid: Uuid, before: usize) {
        let now = self.record(link, uuid).map_or(0, Instance::weight);
        if let Some(link) = self.links.get_mut(&link) {
            link.weight = (link.weight + now).saturating_sub(before);
        }
    }

    /// Says on the host's page that it reports more than is taken.
    fn too_much(&mut self, link: Uuid, out: &mut Outcome) {
        if self.record(link, link).is_some_and(|record| record.problem.is_none()) {
            let problem = format!(
                "it reports more than is taken: at most {MAX_INSTANCES_BELOW} instances, \
                 {MAX_PROBES_PER_HOST} probes and {} MiB a host, {} MiB in all; the rest is left out",
                MAX_BYTES_PER_HOST >> 20,
                MAX_BYTES_BELOW >> 20
            );
            self.with_record(link, link, |record| record.problem = Some(problem));
            out.touch(link, What::Header);
        }
    }

    /// Takes over what is said of the probes of an instance, as it stands in the view.
    fn put_probes(&mut self, uuid: Uuid, said: Probes, narrate: bool, now: Now, out: &mut Outcome) {
        let (touched, amiss) = (&mut out.touched, &mut out.amiss);
        let mut changes: Vec<(ProbeName, Option<Arc<super::ProbeResult>>)> = Vec::new();
        self.view.change(uuid, |record| {
            *amiss |= said.put_into(record, |name, freshness, was| {
                if narrate && matches!(freshness, Freshness::Status | Freshness::Gone) {
                    changes.push((name.clone(), was));
                }
                touched.push(super::Touched { uuid, what: What::Probe(name.clone(), freshness) });
            });
        });
        let Some(host) = self.view.get(uuid) else { return };
        for (name, was) in changes {
            let was = was.map(|was| was.status);
            match host.host.probes.get(&name) {
                Some(probe) => {
                    let kind = if was.is_some() { Kind::ProbeChanged } else { Kind::ProbeSeen };
                    let result = &probe.result;
                    let at = result.date.min(now.wall);
                    let message = result.message.clone();
                    out.about_probe(host, kind, &name, at, was, Some(result.status), message);
                }
                None => {
                    let message = "not reported any more".to_owned();
                    let at = now.wall;
                    out.about_probe(host, Kind::ProbeGone, &name, at, was, None, message);
                }
            }
        }
    }
}

/// What an account says of probes.
struct Probes {
    probes: Vec<Probe>,
    complete: bool,
    ran: Vec<(ProbeName, jiff::Timestamp)>,
    gone: Vec<ProbeName>,
}

impl Probes {
    /// Brings the probes of a record up to date and tells of each that changed: how, and what it said
    /// before. Returns whether something is spoken of that is not known, though there is room for it.
    fn put_into(
        self,
        record: &mut Instance,
        mut tell: impl FnMut(&ProbeName, Freshness, Option<Arc<super::ProbeResult>>),
    ) -> bool {
        let known = &mut record.host.probes;
        if self.complete {
            let said: std::collections::BTreeSet<&ProbeName> = self
                .probes
                .iter()
                .map(|probe| &probe.result.name)
                .chain(self.ran.iter().map(|(name, _)| name))
                .collect();
            known.retain(|name, probe| {
                let stays = said.contains(name);
                if !stays {
                    tell(name, Freshness::Gone, Some(probe.result.clone()));
                }
                stays
            });
        }
        for probe in self.probes {
            let name = probe.result.name.clone();
            if known.len() >= MAX_PROBES_PER_HOST && !known.contains_key(&name) {
                continue;
            }
            let before = known.insert(name.clone(), probe);
            let freshness = Freshness::between(before.as_ref(), &known[&name]);
            tell(&name, freshness, before.map(|before| before.result));
        }
        let room = known.len() < MAX_PROBES_PER_HOST;
        let mut amiss = false;
        for (name, date) in self.ran {
            let Some(probe) = known.get_mut(&name) else {
                amiss |= room;
                continue;
            };
            Arc::make_mut(&mut probe.result).date = date;
            probe.stale = false;
            tell(&name, Freshness::Ran, None);
        }
        for name in self.gone {
            if let Some(probe) = known.remove(&name) {
                tell(&name, Freshness::Gone, Some(probe.result));
            }
        }
        amiss
    }
}
