//! A disk: what is handed in is on it only later, all of it up to some moment. A crash takes the rest.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;
use wigo::{
    hub::{Changes, Entry, Journal, LastResult, Ledger},
    push::{client::Past, server::Pressure},
    tree::{Known, ProbeName},
};

/// What has survived, and what not yet.
pub struct Disk {
    state: Mutex<State>,
    /// Nothing can be written.
    pub stuck: AtomicBool,
    pub handed_in: Notify,
    /// The id up to which all entries are on the disk.
    reached: watch::Sender<u64>,
}

impl Default for Disk {
    fn default() -> Disk {
        let reached = watch::channel(0).0;
        Disk {
            state: Mutex::default(),
            stuck: AtomicBool::new(false),
            handed_in: Notify::new(),
            reached,
        }
    }
}

#[derive(Default)]
struct State {
    durable: Durable,
    waiting: Vec<Changes>,
    /// Every entry that ever was, and when.
    ever: Vec<(Instant, Entry)>,
}

/// What a restart finds.
#[derive(Clone, Default)]
pub struct Durable {
    pub entries: Vec<Entry>,
    pub known: BTreeMap<Uuid, Known>,
    pub results: BTreeMap<(Uuid, ProbeName), LastResult>,
    positions: HashMap<Uuid, u64>,
}

impl Durable {
    fn take(&mut self, changes: Changes) {
        let Changes { results, gone, known, forgotten, entries, position } = changes;
        for uuid in forgotten {
            self.known.remove(&uuid);
            self.positions.remove(&uuid);
            self.results.retain(|(instance, _), _| *instance != uuid);
        }
        self.known.extend(known.into_iter().map(|known| (known.uuid, known)));
        for last in results {
            self.results.insert((last.instance, last.result.name.clone()), last);
        }
        gone.iter().for_each(|key| drop(self.results.remove(key)));
        for entry in entries {
            // Unique in the database, where a second one is left out.
            if self.of(entry.origin).all(|held| held.origin_id != entry.origin_id) {
                self.entries.push(entry);
            }
        }
        self.positions.extend(position);
    }

    /// The entries of one journal, in the order in which they were learned.
    pub fn of(&self, origin: Uuid) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.origin == origin)
    }

    fn highest(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.id)
    }

    /// As the store reads it.
    pub fn ledger(&self) -> Ledger {
        let mut told = HashMap::new();
        for entry in &self.entries {
            let highest = told.entry(entry.origin).or_insert(0);
            *highest = entry.origin_id.max(*highest);
        }
        Ledger { next_id: self.highest() + 1, positions: self.positions.clone(), told }
    }
}

impl Disk {
    /// Writes what waits, if that is possible.
    pub fn flush(&self) {
        if !self.stuck.load(Ordering::Relaxed) {
            let State { durable, waiting, .. } = &mut *self.state.lock().unwrap();
            waiting.drain(..).for_each(|changes| durable.take(changes));
            self.reached.send_replace(durable.highest());
        }
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub fn crash(&self) {
        self.state.lock().unwrap().waiting.clear();
    }

    pub fn look<T>(&self, look: impl FnOnce(&Durable) -> T) -> T {
        look(&self.state.lock().unwrap().durable)
    }

    pub fn ever(&self) -> Vec<(Instant, Entry)> {
        self.state.lock().unwrap().ever.clone()
    }
}

/// The disk as hub, client and server see it.
#[derive(Clone)]
pub struct OnDisk(pub Arc<Disk>);

impl Journal for OnDisk {
    fn record(&self, changes: Changes) {
        let mut state = self.0.state.lock().unwrap();
        let now = Instant::now();
        state.ever.extend(changes.entries.iter().map(|entry| (now, entry.clone())));
        state.waiting.push(changes);
        self.0.handed_in.notify_one();
    }
}

impl Past for OnDisk {
    fn after(&self, id: u64, limit: usize) -> Result<Vec<Entry>, String> {
        let later = |durable: &Durable| {
            durable.entries.iter().filter(|entry| entry.id > id).take(limit).cloned().collect()
        };
        Ok(self.0.look(later))
    }

    fn before_newest(&self, count: usize) -> Result<u64, String> {
        Ok(self
            .0
            .look(|durable| durable.entries.iter().rev().nth(count).map_or(0, |entry| entry.id)))
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.0.reached.subscribe()
    }
}

impl Pressure for OnDisk {
    fn waiting(&self) -> f64 {
        let state = self.0.state.lock().unwrap();
        let entries: usize = state.waiting.iter().map(|changes| changes.entries.len()).sum();
        entries as f64 / wigo::store::MAX_WAITING_ENTRIES as f64
    }
}
