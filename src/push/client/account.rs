//! What is reported of the tree: all of it, or what changed, in parts that fit into a message.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    hub::{Change, Dirty},
    push::protocol::wire::{Account, Header, MAX_LABELS, MAX_PROBES, Probe, Report, encoded_bytes},
    tree::{self, Freshness, Instance, MAX_PROBES_PER_HOST, View},
};

/// About how much of a report goes into one message, in bytes: what a slow line carries in seconds.
const PART_BYTES: u64 = 128 << 10;
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
    let mut parts = cutter.finish();
    let gone = gone.chunks(PART_ACCOUNTS);
    parts.extend(gone.map(|gone| Part { gone: gone.to_vec(), ..Part::default() }));
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
        labels: instance.host.labels.clone().into_iter().take(MAX_LABELS).collect(),
        presence: instance.presence,
        since: instance.presence_since,
        last_update: instance.last_update,
        problem: problem(instance),
        disabled: instance.host.disabled.clone(),
        remote_control: if is_me { view.over_push() } else { instance.remote_control },
    }))
}

/// What is wrong with an instance, also that not all of it is told.
fn problem(instance: &Instance) -> Option<String> {
    let count = instance.host.probes.len();
    let surplus = (count > MAX_PROBES_PER_HOST).then(|| {
        format!(
            "it has {count} probes, of which the first {MAX_PROBES_PER_HOST} by name are reported: run \
             fewer on one host"
        )
    });
    match (instance.problem.clone(), surplus) {
        (Some(problem), Some(surplus)) => Some(format!("{problem}; {surplus}")),
        (problem, surplus) => problem.or(surplus),
    }
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
    let told = instance.host.probes.iter().take(MAX_PROBES_PER_HOST);
    for probe in told.clone().map(|(_, probe)| Probe::from(probe)) {
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
        next.ran = told
            .map(|(name, probe)| (name.to_string(), probe.result.date.as_millisecond()))
            .collect();
    }
    cutter.add(next);
}

/// What changed of an instance.
fn part(view: &View, instance: &Instance, change: &Change, cutter: &mut Cutter) {
    // Which ones are told may be other ones now.
    if instance.host.probes.len() > MAX_PROBES_PER_HOST {
        return whole(view, instance, cutter);
    }
    let mut next = account(instance);
    if change.header {
        next.header = Some(header(view, instance));
    }
    let mut bytes = 0;
    for (name, freshness) in &change.probes {
        if next.gone.len().max(next.ran.len()) == MAX_PROBES {
            cutter.add(std::mem::replace(&mut next, account(instance)));
            bytes = 0;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        status::Status,
        tree::{Event, Host, Now, ProbeName, ProbeResult, Tree},
    };
    use jiff::Timestamp;
    use std::{collections::BTreeMap, time::Duration};

    fn result(name: String) -> ProbeResult {
        ProbeResult {
            name: ProbeName::new(&name).unwrap(),
            version: String::new(),
            value: Default::default(),
            message: "x".repeat(200),
            date: Timestamp::UNIX_EPOCH,
            metrics: Default::default(),
            detail: Default::default(),
            status: Status::OK,
            exit_code: 0,
            interval: 60,
        }
    }

    /// A host with this many probes.
    fn host_with(count: usize) -> View {
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", ""));
        let mut tree = Tree::new(me);
        let now = Now { wall: Timestamp::UNIX_EPOCH, boot: Duration::ZERO };
        for number in 0..count {
            let result = result(format!("p{number:05}"));
            let probe = result.name.clone();
            tree.apply(Event::Ran { probe, results: vec![result], complete: true }, now);
        }
        tree.view()
    }

    fn master() -> Uuid {
        Uuid::from_u128(2)
    }

    #[test]
    fn a_host_with_too_many_probes_tells_the_first_and_says_so() {
        let view = host_with(MAX_PROBES_PER_HOST + 7);
        let check = |parts: Vec<Part>| {
            let accounts: Vec<_> = parts.iter().flat_map(|part| &part.accounts).collect();
            let told: BTreeSet<_> = accounts
                .iter()
                .flat_map(|account| &account.probes)
                .map(|probe| &probe.name)
                .collect();
            assert_eq!(told.len(), MAX_PROBES_PER_HOST);
            assert!(accounts.iter().all(|account| account.ran.len() <= MAX_PROBES_PER_HOST));
            let problem = accounts[0].header.as_ref().unwrap().problem.as_ref().unwrap();
            assert!(problem.contains("it has 1007 probes, of which the first 1000"), "{problem}");
        };
        check(full(&view, master()));
        let last = ProbeName::new("p01006").unwrap();
        let change =
            Change { probes: BTreeMap::from([(last, Freshness::Said)]), ..Change::default() };
        let instances = [(view.me().uuid, change)].into_iter().collect();
        let dirty = Dirty { instances, ..Dirty::default() };
        check(parts_of(&view, &dirty, master(), &mut BTreeSet::from([view.me().uuid])));
    }

    #[test]
    fn a_message_is_small_enough_for_a_slow_line() {
        let parts = full(&host_with(MAX_PROBES_PER_HOST), master());
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| encoded_bytes(part) < 2 * PART_BYTES));
        assert!(parts[0].accounts[0].header.as_ref().unwrap().problem.is_none());
    }
}
