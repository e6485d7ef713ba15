//! What waits to be written. Bounded: when it is full the oldest entries are dropped and counted, since
//! the newest say how things are, and what else is to be remembered is left as the database has it.
//!
//! It waits in batches, each for one transaction. What was handed in together stays together.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::Entry;
use crate::{
    hub::Changes,
    tree::{Known, ProbeName, ProbeResult},
};

/// Rows of one transaction, unless more were handed in together. More take a disk for too long.
pub(super) const MAX_BATCH_ROWS: usize = 20_000;
/// What a label takes besides its texts, in bytes.
const LABEL_BYTES: usize = 2 * size_of::<String>();

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Entries; beyond it the oldest are dropped.
    pub entries: usize,
    /// Memory of the entries, in bytes.
    pub entry_bytes: usize,
    /// Results. Beyond it a result is not remembered: that of the probe's next change is.
    pub results: usize,
    /// Memory of results and of what is known of instances, in bytes. Beyond it a result or an instance
    /// that is new here, or needs more, is not remembered: after a restart it is as the database has it
    /// until it is heard again.
    pub state_bytes: usize,
}

/// A result with the time its status began, or `None` to forget the probe.
pub(super) type Change = Option<(Arc<ProbeResult>, Timestamp)>;

/// What one transaction writes: first what is forgotten, then the rest.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: VecDeque<Entry>,
    pub forgotten: BTreeSet<Uuid>,
    pub known: BTreeMap<Uuid, Known>,
    pub results: BTreeMap<Uuid, BTreeMap<ProbeName, Change>>,
    pub positions: BTreeMap<Uuid, u64>,
    /// Changes of results in all instances.
    result_count: usize,
    /// Memory of the entries, in bytes.
    entry_bytes: usize,
    /// Memory of all else, in bytes.
    state_bytes: usize,
    /// How much had been handed in with this.
    handed: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Rows that it writes.
    pub fn rows(&self) -> usize {
        let state = self.forgotten.len() + self.known.len() + self.positions.len();
        self.entries.len() + self.result_count + state
    }

    fn push(&mut self, entry: Entry) {
        self.entry_bytes += weight_of_entry(&entry);
        self.entries.push_back(entry);
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.entry_bytes -= weight_of_entry(&oldest);
        }
    }

    fn forget(&mut self, instance: Uuid) {
        if let Some(results) = self.results.remove(&instance) {
            self.result_count -= results.len();
            self.state_bytes -=
                results.iter().map(|(name, change)| weight_of_result(name, change)).sum::<usize>();
        }
        self.state_bytes -= self.known.remove(&instance).map_or(0, |known| weight_of_known(&known));
        self.positions.remove(&instance);
        self.forgotten.insert(instance);
    }

    /// Takes over the last result of a probe; if it needs more memory than the one before, only if
    /// there is `room`.
    fn set_result(&mut self, instance: Uuid, name: ProbeName, change: Change, room: bool) {
        let before = self.results.get(&instance).and_then(|probes| probes.get(&name));
        let freed = before.map(|before| weight_of_result(&name, before));
        let taken = weight_of_result(&name, &change);
        if !room && freed.is_none_or(|freed| freed < taken) {
            return;
        }
        self.result_count += usize::from(freed.is_none());
        self.state_bytes = self.state_bytes + taken - freed.unwrap_or(0);
        self.results.entry(instance).or_default().insert(name, change);
    }

    /// Takes over what is known of an instance; if it needs more memory than before, only if there is
    /// `room`.
    fn set_known(&mut self, known: Known, room: bool) {
        let freed = self.known.get(&known.uuid).map(weight_of_known);
        let taken = weight_of_known(&known);
        if !room && freed.is_none_or(|freed| freed < taken) {
            return;
        }
        self.state_bytes = self.state_bytes + taken - freed.unwrap_or(0);
        self.known.insert(known.uuid, known);
    }

    /// Takes over what was handed in after this.
    fn absorb(&mut self, newer: Batch) {
        newer.forgotten.into_iter().for_each(|instance| self.forget(instance));
        newer.known.into_values().for_each(|known| self.set_known(known, true));
        for (instance, probes) in newer.results {
            for (name, change) in probes {
                self.set_result(instance, name, change, true);
            }
        }
        self.positions.extend(newer.positions);
        self.entries.extend(newer.entries);
        self.entry_bytes += newer.entry_bytes;
        self.handed = newer.handed;
    }
}

/// The queue between those who hand in and the writer.
pub(super) struct Queue {
    /// The oldest first. All but the last are about as large as a transaction may be.
    waiting: VecDeque<Batch>,
    /// Entries in the batch that is being written.
    in_flight: usize,
    /// How much was handed in.
    handed: u64,
    /// How much of it is on the disk (or dropped).
    written: u64,
    /// How much of it somebody waits for.
    wanted: u64,
    /// Entries dropped, in all and since last told.
    lost: u64,
    untold: u64,
    bounds: Bounds,
}

impl Queue {
    pub fn new(bounds: Bounds) -> Queue {
        Queue {
            waiting: VecDeque::new(),
            in_flight: 0,
            handed: 0,
            written: 0,
            wanted: 0,
            lost: 0,
            untold: 0,
            bounds,
        }
    }

    /// Takes over what changed together, so that it is written together.
    pub fn record(&mut self, changes: Changes) {
        let Changes { results, gone, known, forgotten, entries, position } = changes;
        self.handed += 1;
        let rows = entries.len() + results.len() + gone.len() + known.len() + forgotten.len();
        let fits = |last: &Batch| last.is_empty() || last.rows() + rows <= MAX_BATCH_ROWS;
        if !self.waiting.back().is_some_and(fits) {
            self.waiting.push_back(Batch::default());
        }
        let mut count = self.sum(|batch| batch.result_count);
        let mut bytes = self.sum(|batch| batch.state_bytes);
        let Bounds { results: max_count, state_bytes: max_bytes, .. } = self.bounds;
        let Some(batch) = self.waiting.back_mut() else { return };
        // What else waits stays the same while this batch grows.
        (count, bytes) = (count - batch.result_count, bytes - batch.state_bytes);
        let has_room = |batch: &Batch| bytes + batch.state_bytes < max_bytes;
        forgotten.into_iter().for_each(|instance| batch.forget(instance));
        for known in known {
            let room = has_room(batch);
            batch.set_known(known, room);
        }
        let put = results
            .into_iter()
            .map(|last| (last.instance, last.result.name.clone(), Some((last.result, last.since))));
        let removed = gone.into_iter().map(|(instance, name)| (instance, name, None));
        for (instance, name, change) in put.chain(removed) {
            let room = has_room(batch) && count + batch.result_count < max_count;
            batch.set_result(instance, name, change, room);
        }
        batch.positions.extend(position);
        entries.into_iter().for_each(|entry| batch.push(entry));
        batch.handed = self.handed;
        self.shed();
    }

    /// Takes what the next transaction writes, to be followed by [`Queue::written`] or
    /// [`Queue::put_back`].
    pub fn take(&mut self) -> Batch {
        let none = Batch { handed: self.handed, ..Batch::default() };
        let batch = self.waiting.pop_front().unwrap_or(none);
        self.in_flight = batch.entries.len();
        batch
    }

    /// The batch that was taken is on the disk.
    pub fn written(&mut self, batch: &Batch) {
        self.in_flight = 0;
        self.written = batch.handed;
    }

    /// The batch that was taken could not be written: it waits again, before what came since.
    pub fn put_back(&mut self, batch: Batch) {
        self.in_flight = 0;
        self.waiting.push_front(batch);
        self.join_oldest();
        self.shed();
    }

    /// Whether there is something that should not wait: an entry, a full batch, or what somebody waits
    /// for. Results alone do not ask for attention.
    pub fn is_pressing(&self) -> bool {
        let entries = self.waiting.iter().any(|batch| !batch.entries.is_empty());
        entries || self.waiting.len() > 1 || self.written < self.wanted
    }

    /// Whether nothing waits (one batch may be in the hands of the writer).
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Entries that are not on the disk.
    pub fn waiting(&self) -> usize {
        self.sum(|batch| batch.entries.len()) + self.in_flight
    }

    /// How full it is with entries: 0.0 is empty, at 1.0 the oldest are dropped. Those that are just being
    /// written count by their number.
    pub fn pressure(&self) -> f64 {
        let count = self.waiting() as f64 / self.bounds.entries as f64;
        let bytes = self.sum(|batch| batch.entry_bytes) as f64 / self.bounds.entry_bytes as f64;
        count.max(bytes).min(1.0)
    }

    /// A mark for all that was handed in so far.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Somebody waits for all that was handed in up to `mark`.
    pub fn want(&mut self, mark: u64) {
        self.wanted = self.wanted.max(mark);
    }

    /// Whether all that was handed in up to `mark` is on the disk.
    pub fn is_written(&self, mark: u64) -> bool {
        self.written >= mark
    }

    /// Entries dropped since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Entries dropped since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// Few batches wait: no more than the bounds have room for.
    fn sum(&self, of: impl Fn(&Batch) -> usize) -> usize {
        self.waiting.iter().map(of).sum()
    }

    /// Drops the oldest entries until the rest fits. A batch that is being written does not count: it is
    /// older, and would make the newest go.
    fn shed(&mut self) {
        let mut entries = self.sum(|batch| batch.entries.len());
        let mut bytes = self.sum(|batch| batch.entry_bytes);
        while entries > self.bounds.entries || bytes > self.bounds.entry_bytes {
            let oldest = self.waiting.iter_mut().find(|batch| !batch.entries.is_empty());
            let Some(batch) = oldest else { break };
            let before = batch.entry_bytes;
            batch.drop_oldest();
            (entries, bytes) = (entries - 1, bytes - (before - batch.entry_bytes));
            self.lost += 1;
            self.untold += 1;
            self.join_oldest();
        }
    }

    /// Makes one of the two oldest batches if a transaction has room for both.
    fn join_oldest(&mut self) {
        let rows = |place| self.waiting.get(place).map(Batch::rows);
        if rows(0).zip(rows(1)).is_some_and(|(older, newer)| older + newer <= MAX_BATCH_ROWS)
            && let (Some(mut older), Some(newer)) =
                (self.waiting.pop_front(), self.waiting.pop_front())
        {
            older.absorb(newer);
            self.waiting.push_front(older);
        }
    }
}

/// The memory an entry takes, in bytes.
fn weight_of_entry(entry: &Entry) -> usize {
    let transition = &entry.transition;
    let probe = transition.probe.as_ref().map_or(0, |name| name.as_str().len());
    let texts = [&transition.group, &transition.host, &transition.message];
    size_of::<Entry>() + probe + texts.map(String::capacity).iter().sum::<usize>()
}

/// The memory a result takes, in bytes, if nobody else holds it.
fn weight_of_result(name: &ProbeName, change: &Change) -> usize {
    let result = change.as_ref().map_or(0, |(result, _)| {
        let json = [&result.value, &result.metrics, &result.detail];
        let texts = result.version.len() + result.message.len() + name.as_str().len();
        size_of::<ProbeResult>()
            + texts
            + json.map(|json| json.as_str().len()).iter().sum::<usize>()
    });
    size_of::<(ProbeName, Change)>() + name.as_str().len() + result
}

/// The memory that what is known of an instance takes, in bytes.
fn weight_of_known(known: &Known) -> usize {
    let labels = known.labels.iter().map(|(key, value)| key.len() + value.len() + LABEL_BYTES);
    let texts = known.version.len() + known.name.len() + known.group.len();
    size_of::<(Uuid, Known)>() + texts + labels.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Kind, Transition};

    fn entry(id: u64, bytes: usize) -> Changes {
        let transition = Transition {
            kind: Kind::AgentStarted,
            at: jiff::Timestamp::UNIX_EPOCH,
            group: String::new(),
            host: String::new(),
            probe: None,
            was: None,
            now: None,
            message: "x".repeat(bytes),
        };
        let learned = jiff::Timestamp::UNIX_EPOCH;
        let entry = Entry { id, origin: Uuid::nil(), origin_id: id, learned, transition };
        Changes { entries: vec![entry], ..Changes::default() }
    }

    #[test]
    fn pressure_is_that_of_the_bound_that_is_nearer() {
        let bounds =
            Bounds { entries: 4, entry_bytes: 1 << 20, results: 10, state_bytes: 1 << 20 };
        let mut queue = Queue::new(bounds);
        assert_eq!(queue.pressure(), 0.0);
        queue.record(entry(1, 0));
        assert_eq!(queue.pressure(), 0.25);
        queue.record(entry(2, 1 << 19));
        assert!(queue.pressure() >= 0.5);
        queue.record(entry(3, 1 << 18));
        assert!(queue.pressure() > 0.75);
        let batch = queue.take();
        assert!(queue.pressure() > 0.5, "what is being written counts until it is");
        queue.written(&batch);
        assert_eq!(queue.pressure(), 0.0);
    }
}
