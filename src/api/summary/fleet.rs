//! The whole tree in short, computed once for each revision that somebody looks at: counts, groups, and the
//! orders in which lists are read.
//!
//! It holds nothing of the tree itself, so that a look does not keep old results in memory.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use uuid::Uuid;

use super::{
    digest::Digest,
    rows::{Counts, GroupRow},
};
use crate::{
    status::{Level, Status},
    tree::{Instance, Presence, ProbeName, View},
};

/// Walks up the tree end here at the latest; the tree is never as deep.
const MAX_DEPTH: usize = 100;

/// The tree in short, as it was at one revision.
#[derive(Debug, Default)]
pub struct Fleet {
    pub revision: u64,
    pub hosts: Counts,
    pub probes: Counts,
    /// Worst first.
    pub groups: Vec<GroupRow>,
    /// In the order of uuids.
    pub rows: Vec<Row>,
    problems: OnceLock<Vec<Problem>>,
    by_status: OnceLock<Vec<u32>>,
    by_name: OnceLock<Vec<u32>>,
}

/// An instance in short, with what depends on others.
#[derive(Clone, Debug)]
pub struct Row {
    pub uuid: Uuid,
    pub parent: Option<Uuid>,
    pub digest: Arc<Digest>,
    /// As it is seen from the top.
    pub presence: Presence,
    /// Whether all above it report.
    pub is_reached: bool,
    pub status: Status,
    pub global: Status,
    /// Instances below it, at all levels, and the worst status of those.
    pub below: u32,
    pub below_status: Option<Status>,
    /// The revision of the tree at which this row was first seen as it is, all but when the host was last
    /// heard.
    pub changed_at: u64,
}

/// A place in the list of problems. Ordered as the list is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub status: Reverse<Status>,
    /// Unix seconds.
    pub since: Reverse<i64>,
    pub uuid: Uuid,
    /// `None`: the host itself.
    pub probe: Option<ProbeName>,
}

impl Row {
    /// Its probes by level. Of one that does not report, all are stale.
    pub fn probes(&self) -> Counts {
        let counts = self.digest.probes;
        let stale = if self.presence == Presence::Alive { counts.stale } else { counts.total };
        Counts { stale, ..counts }
    }

    /// Whether a list shows the same of both, but for when it was last heard.
    fn looks_like(&self, other: &Row) -> bool {
        let look = |row: &Row| {
            let above = (row.parent, row.presence, row.is_reached);
            (row.uuid, row.digest.face, above, row.global, row.below, row.below_status)
        };
        look(self) == look(other)
    }
}

impl Fleet {
    /// The tree in short. Of what has not changed since `before`, nothing is computed again.
    pub fn of(tree: &View, before: &Fleet) -> Fleet {
        let mut known = before.rows.iter().peekable();
        let mut digest = |instance: &Instance| {
            while known.peek().is_some_and(|row| row.uuid < instance.uuid) {
                known.next();
            }
            let same = known.peek().filter(|row| {
                row.uuid == instance.uuid && row.digest.revision == instance.revision
            });
            same.map_or_else(|| Arc::new(Digest::of(instance)), |row| row.digest.clone())
        };
        let row = |instance: &Instance| Row {
            uuid: instance.uuid,
            parent: instance.parent,
            digest: digest(instance),
            presence: instance.presence,
            is_reached: true,
            status: instance.local_status(),
            global: instance.global_status(),
            below: 0,
            below_status: None,
            changed_at: tree.revision(),
        };
        let mut fleet = Fleet {
            revision: tree.revision(),
            rows: tree.all().map(row).collect(),
            ..Fleet::default()
        };
        fleet.look_up();
        fleet.compare(before);
        fleet.count(tree);
        fleet
    }

    /// Fills in what depends on those above and below.
    fn look_up(&mut self) {
        let place = |uuid: Uuid| self.rows.binary_search_by_key(&uuid, |row| row.uuid).ok();
        // Rows with one parent are often looked at one after the other.
        let mut last = (None, None);
        let mut parents = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            if row.parent != last.0 {
                last = (row.parent, row.parent.and_then(place));
            }
            parents.push(last.1);
        }
        let own: Vec<Presence> = self.rows.iter().map(|row| row.presence).collect();
        for number in 0..self.rows.len() {
            let status = self.rows[number].status;
            let mut is_reached = true;
            let above = std::iter::successors(parents[number], |at| parents[*at]);
            for at in above.take(MAX_DEPTH) {
                is_reached &= own[at] == Presence::Alive;
                let row = &mut self.rows[at];
                row.below += 1;
                row.below_status = row.below_status.max(Some(status));
            }
            let row = &mut self.rows[number];
            row.is_reached = is_reached;
            if !is_reached && row.presence != Presence::Down {
                row.presence = Presence::Unknown;
            }
        }
    }

    /// Notes which rows are as they were.
    fn compare(&mut self, before: &Fleet) {
        let mut known = before.rows.iter().peekable();
        for row in &mut self.rows {
            while known.peek().is_some_and(|known| known.uuid < row.uuid) {
                known.next();
            }
            if let Some(known) = known.peek().filter(|known| row.looks_like(known)) {
                row.changed_at = known.changed_at;
            }
        }
    }

    fn count(&mut self, tree: &View) {
        let mut groups: HashMap<&str, (Status, Counts)> = HashMap::new();
        // The same order.
        for (row, instance) in self.rows.iter().zip(tree.all()) {
            let level = row.status.level();
            self.hosts.add_host(row.presence, level);
            self.probes.add_all(&row.probes());
            let group = instance.host.group.as_str();
            if !group.is_empty() {
                let held = groups.entry(group).or_insert((Status::OK, Counts::default()));
                held.0 = held.0.max(row.status);
                held.1.add_host(row.presence, level);
            }
        }
        let group = |(name, (status, hosts)): (&str, (Status, Counts))| GroupRow {
            name: name.to_owned(),
            status: status.number(),
            hosts,
        };
        self.groups = groups.into_iter().map(group).collect();
        self.groups
            .sort_unstable_by(|a, b| b.status.cmp(&a.status).then_with(|| a.name.cmp(&b.name)));
    }

    /// The row of an instance.
    pub fn row(&self, uuid: Uuid) -> Option<&Row> {
        let place = self.rows.binary_search_by_key(&uuid, |row| row.uuid).ok()?;
        self.rows.get(place)
    }

    /// What is wrong, worst first, of that the newest first.
    pub fn problems(&self) -> &[Problem] {
        self.problems.get_or_init(|| {
            let mut problems: Vec<Problem> = self.rows.iter().flat_map(Row::problems).collect();
            problems.sort_unstable();
            problems
        })
    }

    /// Hosts, worst first, then by name.
    pub fn by_status(&self) -> impl Iterator<Item = &Row> {
        let order = self.by_status.get_or_init(|| {
            self.ordered(|a, b| b.status.cmp(&a.status).then_with(|| a.cmp_name(b)))
        });
        order.iter().map(|place| &self.rows[*place as usize])
    }

    /// Hosts by name.
    pub fn by_name(&self) -> impl Iterator<Item = &Row> {
        let order = self.by_name.get_or_init(|| self.ordered(Row::cmp_name));
        order.iter().map(|place| &self.rows[*place as usize])
    }

    fn ordered(&self, compare: impl Fn(&Row, &Row) -> std::cmp::Ordering) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        order.sort_unstable_by(|a, b| compare(&self.rows[*a as usize], &self.rows[*b as usize]));
        order
    }
}

impl Row {
    fn cmp_name(&self, other: &Row) -> std::cmp::Ordering {
        (&self.digest.name, self.uuid).cmp(&(&other.digest.name, other.uuid))
    }

    /// The host, if it does not report and that is no consequence of another one that does not; or its
    /// probes that are not OK.
    fn problems(&self) -> Vec<Problem> {
        let (digest, uuid) = (&self.digest, self.uuid);
        match self.presence {
            Presence::Alive => {}
            Presence::Down => return vec![self.as_problem()],
            Presence::Unknown | Presence::Stopped if self.is_reached => {
                return vec![self.as_problem()];
            }
            Presence::Unknown | Presence::Stopped => return Vec::new(),
        }
        let problem = |one: &super::digest::Troubled| Problem {
            status: Reverse(one.status),
            since: Reverse(one.since),
            uuid,
            probe: Some(one.name.clone()),
        };
        digest.problems.iter().map(problem).collect()
    }

    fn as_problem(&self) -> Problem {
        let since = Reverse(self.digest.presence_since);
        Problem { status: Reverse(self.status), since, uuid: self.uuid, probe: None }
    }

    /// Whether it is at this level or worse.
    pub fn is_at_least(&self, level: Level) -> bool {
        self.status.level() >= level
    }
}

/// The newest look at the tree, shared by all that read.
#[derive(Debug, Default)]
pub struct Fleets(Mutex<Arc<Fleet>>);

impl Fleets {
    /// This tree in short.
    pub fn of(&self, tree: &View) -> Arc<Fleet> {
        // Others wait meanwhile, since what they want is the same.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.revision == tree.revision() && !held.rows.is_empty() {
            return held.clone();
        }
        let fleet = Arc::new(Fleet::of(tree, &held));
        if fleet.revision >= held.revision {
            *held = fleet.clone();
        }
        fleet
    }
}
