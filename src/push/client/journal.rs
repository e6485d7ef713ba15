//! What is told of our journal: all that the master does not have, in order, in bounded batches.
//!
//! Only what is on our disk is told: else a crash could give the number of an entry that a master has
//! already to another one, which the master would take for the same. The newest entries are in memory as
//! well, older ones in the database only. What retention has deleted before the master could have it is
//! counted and said.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    hub::{Entry, Hub},
    push::protocol::wire,
    tree::Event,
};

/// Entries in one message.
const BATCH_ENTRIES: usize = 500;
/// How many of the newest entries a master gets that knows none.
const FIRST_ENTRIES: usize = 1_000;
/// More ids than this do not go missing: the journal began anew.
const MAX_MISSING: u64 = 10_000_000;

/// Our journal on the disk. These calls block.
pub trait Past: Send + Sync + 'static {
    /// At most `limit` entries with a higher id, in order; or why they cannot be read.
    fn after(&self, id: u64, limit: usize) -> Result<Vec<Entry>, String>;
    /// An id that at most `count` entries come after; or why it cannot be read.
    fn before_newest(&self, count: usize) -> Result<u64, String>;
    /// The id up to which everything is on the disk, as it grows.
    fn durable(&self) -> watch::Receiver<u64>;
}

/// Where a master is in our journal.
pub struct Cursor {
    hub: Arc<Hub>,
    past: Arc<dyn Past>,
    durable: watch::Receiver<u64>,
    master: String,
    /// The id up to which it has everything; `None`: it has nothing.
    position: Option<u64>,
    /// The id up to which what is missing was counted.
    counted: u64,
}

/// The next entries.
#[derive(Default)]
pub struct Batch {
    pub entries: Vec<wire::Entry>,
    /// The id up to which the master has everything when it has taken them.
    pub position: Option<u64>,
}

impl Cursor {
    /// `position` is what the master said.
    pub fn new(
        hub: Arc<Hub>,
        past: Arc<dyn Past>,
        master: String,
        position: Option<u64>,
    ) -> Cursor {
        // One that is ahead of us knows a journal that is lost.
        let position = position.filter(|position| *position <= hub.newest_id());
        let durable = past.durable();
        Cursor { hub, past, durable, master, position, counted: 0 }
    }

    /// The master has taken everything up to here.
    pub fn advance(&mut self, position: Option<u64>) {
        self.position = position.or(self.position);
    }

    /// Whether there is something to tell.
    pub fn is_behind(&self) -> bool {
        self.position.is_none_or(|position| position < *self.durable.borrow())
    }

    /// Waits until there is more to tell than when this was called last.
    pub async fn more(&mut self) {
        if self.durable.changed().await.is_err() {
            // The store is gone, so there is nothing more to come.
            std::future::pending::<()>().await;
        }
    }

    /// The next entries to tell. An error is the disk's.
    pub async fn next(&mut self) -> Result<Batch, String> {
        let position = match self.position {
            Some(position) => position,
            None => {
                let past = self.past.clone();
                blocking(move || past.before_newest(FIRST_ENTRIES)).await?
            }
        };
        // Most of the time what is in memory is all.
        let durable = *self.durable.borrow_and_update();
        if let Some(recent) = self.hub.entries_after(position, BATCH_ENTRIES) {
            let durable = recent.iter().map(AsRef::as_ref).filter(|entry| entry.id <= durable);
            return Ok(batch(position, durable));
        }
        let past = self.past.clone();
        let found = blocking(move || past.after(position, BATCH_ENTRIES)).await?;
        // Where the disk has none of them any more, what is in memory comes next.
        let in_memory = durable.min(self.hub.oldest_recent_id() - 1);
        let last = found.last().map_or(in_memory, |last| last.id);
        self.count_missing(position, last, found.len() as u64);
        Ok(Batch { position: Some(last), ..batch(position, found.iter()) })
    }

    /// Says so if there are fewer than all entries after `position` up to `last`. Once: a batch may have to
    /// be told again.
    fn count_missing(&mut self, position: u64, last: u64, found: u64) {
        let count = last.saturating_sub(position).saturating_sub(found);
        let again = last <= self.counted;
        self.counted = last.max(self.counted);
        if count == 0 || count > MAX_MISSING || self.position.is_none() || again {
            return;
        }
        let why = format!(
            "{} was away for longer than they are kept (StatusHistoryDays), so it never gets them",
            self.master
        );
        tracing::warn!("{count} log entries are lost for {}: {why}", self.master);
        self.hub.handle(Event::Lost { count, why });
    }
}

fn batch<'entry>(position: u64, entries: impl Iterator<Item = &'entry Entry>) -> Batch {
    let (mut last, mut told) = (position, Vec::new());
    for entry in entries {
        last = entry.id;
        told.push(wire::Entry::from(entry));
    }
    Batch { entries: told, position: (last != position).then_some(last) }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        hub::{Changes, Journal, Ledger},
        tree::{Host, Instance, Kind, Transition, Tree},
    };

    /// A disk on which only these ids are left.
    struct Left(Vec<u64>, watch::Sender<u64>);

    impl Past for Left {
        fn after(&self, id: u64, limit: usize) -> Result<Vec<Entry>, String> {
            let ids = self.0.iter().filter(|left| **left > id).take(limit);
            Ok(ids.map(|id| entry(*id)).collect())
        }

        fn before_newest(&self, count: usize) -> Result<u64, String> {
            Ok(self.0.iter().rev().nth(count).copied().unwrap_or(0))
        }

        fn durable(&self) -> watch::Receiver<u64> {
            self.1.subscribe()
        }
    }

    fn entry(id: u64) -> Entry {
        let transition = Transition {
            kind: Kind::ProbeChanged,
            at: Timestamp::UNIX_EPOCH,
            group: String::new(),
            host: "here".into(),
            probe: None,
            was: None,
            now: None,
            message: String::new(),
        };
        let origin = Uuid::from_u128(1);
        Entry { id, origin, origin_id: id, learned: Timestamp::UNIX_EPOCH, transition }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Journal for Kept {
        fn record(&self, changes: Changes) {
            let entries = changes.entries.into_iter();
            self.0.lock().unwrap().extend(entries.map(|entry| entry.transition.message));
        }
    }

    fn cursor(left: &[u64], durable: u64, position: Option<u64>) -> (Cursor, Kept) {
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", ""));
        let kept = Kept::default();
        let ledger = Ledger { next_id: durable + 1, ..Ledger::default() };
        let hub = Arc::new(Hub::new(Tree::new(me), ledger, Box::new(kept.clone())));
        let past = Arc::new(Left(left.to_vec(), watch::channel(durable).0));
        (Cursor::new(hub, past, "the master".into(), position), kept)
    }

    #[tokio::test]
    async fn what_was_deleted_before_the_master_could_have_it_is_said_once() {
        // Retention has kept the newest entry of a probe, 11, and deleted what came after it.
        let (mut cursor, kept) = cursor(&[11, 20, 21], 21, Some(10));
        for _ in 0..2 {
            // The second time as after a master that asked to be told again.
            let batch = cursor.next().await.unwrap();
            assert_eq!((batch.entries.len(), batch.position), (3, Some(21)));
        }
        cursor.advance(Some(21));
        let said = kept.0.lock().unwrap().clone();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("8 log entries were dropped: the master was away"), "{said:?}");
    }

    #[tokio::test]
    async fn where_nothing_is_left_the_next_is_what_is_in_memory() {
        let (mut cursor, kept) = cursor(&[], 30, Some(10));
        let batch = cursor.next().await.unwrap();
        assert_eq!((batch.entries.len(), batch.position), (0, Some(30)));
        assert!(kept.0.lock().unwrap()[0].starts_with("20 log entries"));
    }

    #[tokio::test]
    async fn who_knows_nothing_has_lost_nothing() {
        let (mut cursor, kept) = cursor(&[11, 20], 20, None);
        assert_eq!(cursor.next().await.unwrap().entries.len(), 2);
        assert!(kept.0.lock().unwrap().is_empty());
    }
}
