//! What is reported of the tree: all of it, or what changed, in parts that fit into a message.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    hub::{Change, Dirty},
    push::protocol::wire::{Account, Header, Probe, Report, encoded_bytes},
    tree::{self, Freshness, Instance, View},
};

/// About how much of a report goes into one message, in bytes.
const PART_BYTES: u64 = 512 << 10;
/// Most instances in one message.
const PART_ACCOUNTS: usize = 2_000;

/// One message's worth of a report.
pub type Part = Report;

/// Cuts accounts into parts.
#[derive(Default)]
struct Cutter {
    parts: Vec<Part>,
    part: Part,
    bytes: u64,
}

impl Cutter {
    fn add(&mut self, account: Account) {
        let bytes = encoded_bytes(&account);
        if self.bytes + bytes > PART_BYTES || self.part.accounts.len() >= PART_ACCOUNTS {
            self.cut();
        }
        self.bytes += bytes;
        self.part.accounts.push(account);
    }

    fn cut(&mut self) {
        if !self.part.accounts.is_empty() {
            self.parts.push(std::mem::take(&mut self.part));
            self.bytes = 0;
        }
    }

    fn finish(mut self) -> Vec<Part> {
        self.cut();
        self.parts
    }
}

/// Everything that `master` is to know, which is all but what we know from itself.
pub fn full(view: &View, master: Uuid) -> Vec<Part> {
    let mut cutter = Cutter::default();
    for instance in view.instances() {
        if is_for(view, instance, master) {
            whole(view, instance, &mut cutter);
        }
    }
    let mut parts = cutter.finish();
    if let Some(first) = parts.first_mut() {
        first.begins = true;
    }
    if let Some(last) = parts.last_mut() {
        last.ends = true;
    }
    parts
}

/// What of `dirty` the `master` is to know. `told` are the instances that it knows of; it is brought up
/// to date.
pub fn parts_of(view: &View, dirty: &Dirty, master: Uuid, told: &mut BTreeSet<Uuid>) -> Vec<Part> {
    if dirty.all {
        let parts = full(view, master);
        let accounts = parts.iter().flat_map(|part| &part.accounts);
        *told = accounts.map(|account| account.uuid).collect();
        return parts;
    }
    let mut cutter = Cutter::default();
    // Those above come before those below them.
    let mut changed: Vec<(usize, &Instance, &Change)> = Vec::new();
    let mut gone = Vec::new();
    for (uuid, change) in &dirty.instances {
        match view.get(*uuid).filter(|instance| is_for(view, instance, master)) {
            Some(instance) => changed.push((depth(view, instance), instance, change)),
            None if told.remove(uuid) => gone.push(*uuid),
            None => {}
        }
    }
    changed.sort_by_key(|(depth, ..)| *depth);
    for (_, instance, change) in changed {
        if told.insert(instance.uuid) || change.whole {
            whole(view, instance, &mut cutter);
        } else {
            part(view, instance, change, &mut cutter);
        }
    }
    cutter.part.gone = gone;
    let rest = std::mem::take(&mut cutter.part);
    let mut parts = std::mem::take(&mut cutter.parts);
    if !rest.accounts.is_empty() || !rest.gone.is_empty() {
        parts.push(rest);
    }
    parts
}

/// Whether `master` is to hear of an instance from us: not what it told us itself.
fn is_for(view: &View, instance: &Instance, master: Uuid) -> bool {
    let is_me = instance.uuid == view.me().uuid;
    is_me || (instance.uuid != master && instance.via != master)
}

fn depth(view: &View, instance: &Instance) -> usize {
    let mut at = Some(instance);
    std::iter::from_fn(|| {
        at = at.and_then(|instance| view.get(instance.parent?));
        at
    })
    .count()
}

fn header(view: &View, instance: &Instance) -> Box<Header> {
    let is_me = instance.uuid == view.me().uuid;
    Box::new(Header::from(&tree::Header {
        parent: instance.parent.filter(|_| !is_me),
        version: instance.version.clone(),
        name: instance.host.name.clone(),
        group: instance.host.group.clone(),
        labels: instance.host.labels.clone(),
        presence: instance.presence,
        since: instance.presence_since,
        last_update: instance.last_update,
        problem: instance.problem.clone(),
    }))
}

fn account(instance: &Instance) -> Account {
    Account {
        uuid: instance.uuid,
        header: None,
        probes: Vec::new(),
        complete: false,
        ran: Vec::new(),
        gone: Vec::new(),
    }
}

/// All of an instance. If it is too much for one message the last part says what there is in all, so that
/// nothing seems to be gone meanwhile.
fn whole(view: &View, instance: &Instance, cutter: &mut Cutter) {
    let mut next = Account { header: Some(header(view, instance)), ..account(instance) };
    let mut bytes = 0;
    let mut several = false;
    for probe in instance.host.probes.values().map(Probe::from) {
        let more = encoded_bytes(&probe);
        if bytes + more > PART_BYTES && !next.probes.is_empty() {
            cutter.add(std::mem::replace(&mut next, account(instance)));
            (bytes, several) = (0, true);
        }
        bytes += more;
        next.probes.push(probe);
    }
    next.complete = true;
    if several {
        let names = instance.host.probes.iter();
        next.ran = names
            .map(|(name, probe)| (name.to_string(), probe.result.date.as_millisecond()))
            .collect();
    }
    cutter.add(next);
}

/// What changed of an instance.
fn part(view: &View, instance: &Instance, change: &Change, cutter: &mut Cutter) {
    let mut next = account(instance);
    if change.header {
        next.header = Some(header(view, instance));
    }
    let mut bytes = 0;
    for (name, freshness) in &change.probes {
        match (instance.host.probes.get(name), freshness) {
            (None, _) => next.gone.push(name.to_string()),
            (Some(probe), Freshness::Ran) => {
                next.ran.push((name.to_string(), probe.result.date.as_millisecond()));
            }
            (Some(probe), _) => {
                let probe = Probe::from(probe);
                let more = encoded_bytes(&probe);
                if bytes + more > PART_BYTES && !next.probes.is_empty() {
                    cutter.add(std::mem::replace(&mut next, account(instance)));
                    bytes = 0;
                }
                bytes += more;
                next.probes.push(probe);
            }
        }
    }
    cutter.add(next);
}
