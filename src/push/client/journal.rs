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
        Cursor { hub, past, durable, master, position }
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
        match found.first() {
            Some(first) => {
                self.missing(position, first.id);
                Ok(batch(position, found.iter()))
            }
            // The disk has none of them any more.
            None => {
                let next = durable.min(self.hub.oldest_recent_id() - 1);
                self.missing(position, next + 1);
                Ok(Batch { position: Some(next), ..Batch::default() })
            }
        }
    }

    /// Says so if ids between `position` and `first` are gone.
    fn missing(&self, position: u64, first: u64) {
        let count = first.saturating_sub(position).saturating_sub(1);
        if count == 0 || count > MAX_MISSING || self.position.is_none() {
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
