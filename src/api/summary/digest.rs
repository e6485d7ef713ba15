//! What lists need of one instance, computed once for each of its revisions: so that nobody walks through
//! all probes of a fleet to count them.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{
    status::{Level, Status},
    tree::{Instance, Probe, ProbeName},
};

use super::rows::{Counts, seconds};

/// An instance in short.
#[derive(Debug)]
pub struct Digest {
    /// Of the instance that this is of.
    pub revision: u64,
    /// The name of its host, for sorting, and its group.
    pub name: Box<str>,
    pub group: Box<str>,
    /// Its probes by level; stale ones as far as the instance itself says so.
    pub probes: Counts,
    /// Its worst probe, of several the one that became so last; `None` if all are well.
    pub worst: Option<ProbeName>,
    /// When the status of its host began, in Unix seconds, as far as its probes can tell; 0 if it has none.
    pub since: i64,
    /// When its presence began, in Unix seconds; 0 if it was never otherwise.
    pub presence_since: i64,
    /// Its probes that are not OK.
    pub problems: Vec<Troubled>,
    /// Stands for all that a list shows of it, but not for when it was last heard.
    pub face: u64,
}

/// A probe that is not OK.
#[derive(Clone, Debug)]
pub struct Troubled {
    pub name: ProbeName,
    pub status: Status,
    /// Unix seconds.
    pub since: i64,
}

impl Digest {
    /// Looks at all probes of an instance.
    pub fn of(instance: &Instance) -> Digest {
        let host = &instance.host;
        let mut probes = Counts::default();
        let mut problems = Vec::new();
        for (name, probe) in &host.probes {
            let status = probe.result.status;
            probes.add(status.level());
            probes.stale += u32::from(probe.stale);
            if status.level() > Level::Ok {
                let since = probe.since.as_second();
                problems.push(Troubled { name: name.clone(), status, since });
            }
        }
        let worst = problems.iter().max_by_key(|one| (one.status, one.since));
        let worst = worst.map(|one| one.name.clone());
        let since = since(host.probes.values(), host.status());
        let mut digest = Digest {
            revision: instance.revision,
            name: host.name.as_str().into(),
            group: host.group.as_str().into(),
            probes,
            worst,
            since,
            presence_since: seconds(instance.presence_since),
            problems,
            face: 0,
        };
        digest.face = digest.face(instance);
        digest
    }

    fn face(&self, instance: &Instance) -> u64 {
        let mut hasher = DefaultHasher::new();
        let host = &instance.host;
        let worst = self.worst.as_ref().and_then(|name| host.probes.get(name));
        (&host.name, &host.group, &host.labels).hash(&mut hasher);
        (instance.presence, instance.presence_since).hash(&mut hasher);
        (&instance.version, &instance.problem).hash(&mut hasher);
        (self.probes, &self.worst, self.since).hash(&mut hasher);
        worst.map(|probe| &probe.result.message).hash(&mut hasher);
        hasher.finish()
    }
}

/// When the worst of `probes` became `status`: bad since the first of those that are as bad, well since the
/// last of all became well.
fn since<'tree>(probes: impl Iterator<Item = &'tree Probe>, status: Status) -> i64 {
    let same = probes.filter(|probe| probe.result.status == status);
    let times = same.map(|probe| probe.since.as_second());
    let since = if status == Status::OK { times.max() } else { times.min() };
    since.unwrap_or(0)
}
