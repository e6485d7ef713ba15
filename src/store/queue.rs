//! What waits to be written. Bounded: when it is full the oldest entries are dropped and counted, since
//! the newest say how things are.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;

use super::Entry;
use crate::{
    hub::Changes,
    tree::{ProbeName, ProbeResult},
};

/// The most probes whose result waits. Beyond it a further probe's result is not remembered until the
/// next one: it is repeated with every run, so nothing is lost for good.
const MAX_WAITING_RESULTS: usize = 10_000;

/// A result with the time its status began, or `None` to forget the probe.
pub(super) type Change = Option<(Arc<ProbeResult>, Timestamp)>;

/// What one transaction writes.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: VecDeque<Entry>,
    pub results: BTreeMap<ProbeName, Change>,
    /// How much had been handed in when this was taken.
    handed: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.results.is_empty()
    }
}

/// The queue between those who hand in and the writer.
pub(super) struct Queue {
    waiting: Batch,
    /// Memory that the waiting entries take.
    bytes: usize,
    /// Entries in the batch that is being written.
    in_flight: usize,
    /// How much of what was handed in is on the disk (or dropped).
    written: u64,
    /// Entries dropped, in all and since last told.
    lost: u64,
    untold: u64,
    max_entries: usize,
    max_bytes: usize,
}

impl Queue {
    pub fn new(max_entries: usize, max_bytes: usize) -> Queue {
        Queue {
            waiting: Batch::default(),
            bytes: 0,
            in_flight: 0,
            written: 0,
            lost: 0,
            untold: 0,
            max_entries,
            max_bytes,
        }
    }

    /// Takes over what changed together, so that it is written together.
    pub fn record(&mut self, changes: Changes) {
        let Changes { results, gone, entries, .. } = changes;
        for last in results {
            let name = last.result.name.clone();
            self.set_result(name, Some((last.result, last.since)));
        }
        gone.into_iter().for_each(|(_, name)| self.set_result(name, None));
        self.bytes += entries.iter().map(weight).sum::<usize>();
        self.waiting.entries.extend(entries);
        self.waiting.handed += 1;
        self.shed();
    }

    fn set_result(&mut self, name: ProbeName, change: Change) {
        let results = &mut self.waiting.results;
        if results.len() < MAX_WAITING_RESULTS || results.contains_key(&name) {
            results.insert(name, change);
        }
    }

    /// Takes everything, to be followed by [`Queue::written`] or [`Queue::put_back`].
    pub fn take(&mut self) -> Batch {
        let handed = self.waiting.handed;
        let batch = std::mem::replace(&mut self.waiting, Batch { handed, ..Batch::default() });
        self.bytes = 0;
        self.in_flight = batch.entries.len();
        batch
    }

    /// The batch that was taken is on the disk.
    pub fn written(&mut self, batch: &Batch) {
        self.in_flight = 0;
        self.written = batch.handed;
    }

    /// The batch that was taken could not be written: it waits again, before what came since.
    pub fn put_back(&mut self, mut batch: Batch) {
        self.in_flight = 0;
        self.bytes += batch.entries.iter().map(weight).sum::<usize>();
        batch.entries.append(&mut self.waiting.entries);
        self.waiting.entries = batch.entries;
        for (name, change) in batch.results {
            self.waiting.results.entry(name).or_insert(change);
        }
        self.shed();
    }

    /// Whether there is an entry to write. Results do not ask for attention.
    pub fn has_entries(&self) -> bool {
        !self.waiting.entries.is_empty()
    }

    /// Entries that are not on the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.entries.len() + self.in_flight
    }

    /// A mark for all that was handed in so far.
    pub fn handed(&self) -> u64 {
        self.waiting.handed
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

    /// Drops the oldest until the rest fits. A batch that is being written does not count: it is older,
    /// and would make the newest go.
    fn shed(&mut self) {
        while self.waiting.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.waiting.entries.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.lost += 1;
            self.untold += 1;
        }
    }
}

/// The memory an entry takes, in bytes.
fn weight(entry: &Entry) -> usize {
    let transition = &entry.transition;
    let probe = transition.probe.as_ref().map_or(0, |name| name.as_str().len());
    let texts = [&transition.group, &transition.host, &transition.message];
    size_of::<Entry>() + probe + texts.map(std::string::String::capacity).iter().sum::<usize>()
}
