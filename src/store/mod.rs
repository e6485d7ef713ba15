//! The store: what has to survive the process, in one SQLite file. All SQL of Wigo is in this folder.
//!
//! The journal (every transition), the last result of each probe, the instances below, who may push, and
//! when the process was last alive.
//! One thread writes ([`writer`]); whoever hands something in never waits for the disk. What cannot be
//! written waits in bounded memory ([`queue`]) until it can, and what had to be dropped is counted.
//! Queries have a connection of their own and a time limit ([`reader`]). What must be on the disk before
//! anybody acts upon it is written at once by who asks ([`direct`]): [`admission`], [`access`], [`audit`].
//!
//! What is in the database: [`schema`]. How long: [`retention`]. What there is for a full disk:
//! [`reserve`]. What happens to a damaged database: [`salvage`]. To that of an earlier Wigo:
//! [`original`].

mod access;
mod admission;
mod audit;
mod database;
mod direct;
mod history;
mod instances;
mod journal;
mod notify;
mod orders;
mod original;
mod queue;
mod reader;
mod reserve;
mod results;
mod retention;
mod salvage;
mod schema;
mod shared;
mod trouble;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;

pub use crate::hub::Entry;
use crate::{
    hub::{Changes, Journal, LastResult},
    status::Status,
    tree::Known,
};

pub use access::{
    AccessTables, AccessWatch, Accounts, ApiToken, MAX_API_TOKENS, MAX_SESSIONS,
    MAX_SESSIONS_OF_USER, MAX_USERS, Session, User, UserChange, open_access,
};
pub use admission::{
    Admission, Client, MAX_REVOKED, MAX_TOKENS, Revoked, Token, TokenUse, open_for_tokens,
};
pub use audit::{
    AUDIT_AGE, Audit, AuditQuery, AuditRow, MAX_AUDIT_PAGE, MAX_AUDIT_ROWS, open_audit,
};
pub use history::{History, open_history};
pub use journal::{Indexes, LogQuery, Subject, Timeline};
pub use notify::{
    Attempt, ChannelCount, Commit, DecisionQuery, Due, IncidentQuery, MAX_NOTIFY_PAGE,
    Notification, NotificationQuery, NotifyStore, Page, Resumed, State as DeliveryState,
    StoredDecision, Try,
};
pub use orders::{OrderStore, StoredDisabled, StoredOrder};

use shared::{Limits, Shared};
use writer::Writer;

/// Entries that wait in memory while the database cannot be written; beyond this the oldest are dropped.
pub const MAX_WAITING_ENTRIES: usize = 100_000;
/// The same bound in bytes of memory, since one message can be long.
pub const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// The most results that wait: beyond it a further one is not remembered, that of the next change is.
pub const MAX_WAITING_RESULTS: usize = 300_000;
/// The most memory of results and of what is known of instances that wait, in bytes. Most of the results
/// are held by the tree as well.
pub const MAX_WAITING_STATE_BYTES: usize = 128 * 1024 * 1024;
/// The most text that [`Store::journal_after`] returns, in bytes.
pub const JOURNAL_BATCH_BYTES: usize = 512 * 1024;
/// The most rows that a query returns.
pub const MAX_ROWS: usize = 10_000;
/// A query that takes longer is stopped.
pub const QUERY_TIME: Duration = Duration::from_secs(5);
/// The longest that a result waits before it is written. One wake-up of the writer each.
pub const RESULT_FLUSH: Duration = Duration::from_secs(60);
/// How long the start waits for another process that holds the database, such as a backup: without the
/// past every probe would be seen as for the first time.
pub const START_LOCK_TIME: Duration = Duration::from_secs(5);
/// How long [`Store::flush`] waits for the disk.
pub const FLUSH_TIME: Duration = Duration::from_secs(10);

/// Where and for whom to store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database file. Made if it is missing, its folder too.
    pub path: PathBuf,
    /// The uuid of this instance.
    pub origin: Uuid,
    /// Days that an entry is kept; 0 keeps none. The newest of each probe stays in any case.
    pub keep_days: u32,
}

/// An open store and what it remembers.
pub struct Opened {
    pub store: Store,
    /// The number for the next entry.
    pub next_id: u64,
    /// The last result of each probe, here and on the instances below.
    pub restored: Vec<LastResult>,
    /// The instances below.
    pub known: Vec<Known>,
    /// Up to which id in the journal of an instance directly below we have its entries.
    pub positions: HashMap<Uuid, u64>,
    /// The highest id that an instance gave to an entry of its own that we have.
    pub told: HashMap<Uuid, u64>,
    /// When the process before this one was last alive; `None` if there was none.
    pub last_seen: Option<LastSeen>,
}

/// The end of the process before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// When it last wrote; off by at most a minute if it was not `clean`.
    pub at: Timestamp,
    /// It said that it stopped.
    pub clean: bool,
}

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Why nothing can be written at present, and what to do; `None` when all is well.
    pub problem: Option<String>,
    /// What happened to the file since the start that a person should know; the newest few.
    pub notes: Vec<Note>,
    /// Entries that are not on the disk yet.
    pub waiting: usize,
    /// Entries dropped since the start.
    pub lost: u64,
    /// Size of the database with its write-ahead log, in bytes, at the last commit.
    pub bytes: u64,
    /// Transactions committed since the start.
    pub commits: u64,
    pub last_commit: Option<Timestamp>,
}

/// Something that happened to the database. Logged already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// WARN where something was lost or may have been, 150 (information) else.
    pub status: Status,
    /// A sentence: what happened, to which file, and what was done about it.
    pub text: String,
}

impl Note {
    fn warn(text: String) -> Note {
        Note { status: Status::WARN, text }
    }

    fn info(text: String) -> Note {
        Note { status: Status::new(150).expect("it is on the scale"), text }
    }
}

/// Why the store cannot answer, or has not written.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot read the database `{path}`: {problem}")]
    Unavailable { path: PathBuf, problem: String },
    #[error("cannot read {what} from the database `{path}`")]
    Query { what: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error(
        "reading {what} from the database `{path}` took more than {} s; ask for less, such as a \
         shorter time or one host",
        QUERY_TIME.as_secs()
    )]
    TooSlow { what: &'static str, path: PathBuf },
    #[error("{problem}")]
    Admission { problem: String },
    #[error("{waiting} entries are not written to the database `{path}` yet: {problem}")]
    NotWritten { path: PathBuf, waiting: usize, problem: String },
}

/// A handle on the store. Cheap to clone. When the last one is dropped the thread writes what waits and
/// ends; only [`Store::close`] also says that the stop was meant.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl Store {
    /// Opens the database, or makes it. Waits for a lock of another process, at most about
    /// [`START_LOCK_TIME`]. Never fails: trouble is in [`Store::health`], what is handed in meanwhile
    /// waits in memory, and the thread goes on trying. Blocks.
    pub fn open(settings: Settings) -> Opened {
        Store::open_with(settings, Limits::default())
    }

    fn open_with(settings: Settings, limits: Limits) -> Opened {
        let shared = Arc::new(Shared::new(settings, limits));
        let (writer, past) = Writer::open(Arc::clone(&shared));
        writer.start();
        Opened {
            store: Store { handle: Arc::new(Handle { shared }) },
            next_id: past.next_id(Timestamp::now()),
            restored: past.results,
            known: past.known,
            positions: past.positions,
            told: past.told,
            last_seen: past.last_seen,
        }
    }

    /// Changes how many days an entry is kept; what is older goes soon.
    pub fn set_keep_days(&self, days: u32) {
        self.handle.shared.set_keep_days(days);
    }

    /// How the store is doing. Does not touch the disk.
    pub fn health(&self) -> Health {
        self.handle.shared.health()
    }

    /// Entries that are not on the disk yet, as a share of what can wait: at 1.0 the oldest are dropped.
    pub fn pressure(&self) -> f64 {
        self.handle.shared.pressure()
    }

    /// The id up to which all entries are on the disk, as it grows. What was dropped counts as there.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.handle.shared.durable()
    }

    /// Entries dropped since this was last asked, so that the journal can say so.
    pub fn take_lost(&self) -> u64 {
        self.handle.shared.take_lost()
    }

    /// Entries that match, the newest first; with `after` set the oldest first. Blocks.
    pub fn logs(&self, query: &LogQuery) -> Result<Vec<Entry>, StoreError> {
        self.handle.shared.ask("the log", |connection| journal::logs(connection, query))
    }

    /// Entries with a higher id than `after`, in order: at most `limit`, and no more of them than have
    /// [`JOURNAL_BATCH_BYTES`] of text, though always one. None means that there are none. Blocks.
    pub fn journal_after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.handle.shared.ask("the log", |connection| journal::after(connection, after, limit))
    }

    /// An id after which the log has at most `count` entries; 0 if it has no more than that. Blocks.
    pub fn id_before_newest(&self, count: usize) -> Result<u64, StoreError> {
        self.handle.shared.ask("the log", |connection| journal::id_before_newest(connection, count))
    }

    /// Which push clients may connect, and the tokens that admit them.
    pub fn admission(&self) -> Admission {
        Admission::at(&self.handle.shared.path)
    }

    /// The orders to probes, and those that are switched off.
    pub fn orders(&self) -> OrderStore {
        OrderStore::at(&self.handle.shared.path)
    }

    /// Notifications: incidents, messages, decisions. Each call opens connections of its own.
    pub fn notify(&self) -> NotifyStore {
        NotifyStore::of(&self.handle.shared)
    }

    /// Who may use the API, besides those of the configuration.
    pub fn access(&self) -> AccessTables {
        AccessTables::at(&self.handle.shared.path)
    }

    /// Every change that somebody asked for.
    pub fn audit(&self) -> Audit {
        Audit::at(&self.handle.shared.path)
    }

    /// The groups, hosts and probes that the journal names. Blocks.
    pub fn indexes(&self) -> Result<Indexes, StoreError> {
        self.handle.shared.ask("the names in the log", journal::indexes)
    }

    /// What happened to a host, or to one of its probes, in a span of time. Blocks.
    pub fn timeline(
        &self,
        subject: &Subject,
        probe: Option<&str>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Timeline, StoreError> {
        self.handle.shared.ask("the history", |connection| {
            journal::timeline(connection, subject, probe, since, until)
        })
    }

    /// How many entries the log has on the disk, and when the oldest of them happened. Blocks.
    pub fn extent(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        self.handle.shared.ask("the size of the log", journal::extent)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.handle.shared.path
    }

    /// Whether the journal names this host. Blocks.
    pub fn knows_host(&self, host: &str) -> Result<bool, StoreError> {
        self.handle.shared.ask("the log", |connection| journal::knows_host(connection, host))
    }

    /// Waits until all that was handed in so far is on the disk, at most [`FLUSH_TIME`]. Blocks.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.handle.shared.flush(FLUSH_TIME)
    }

    /// Writes what waits, notes that the stop was meant, and ends the thread; gives up after `grace`.
    /// Calling it again does no harm. Blocks.
    pub fn close(&self, grace: Duration) -> Result<(), StoreError> {
        self.handle.shared.close(grace)
    }
}

impl Journal for Store {
    /// Hands in what changed together, to be written in one transaction: at once if there are entries,
    /// else with the next ones, at most [`RESULT_FLUSH`] later. Never waits for the disk.
    fn record(&self, changes: Changes) {
        self.handle.shared.record(changes);
    }
}

#[cfg(test)]
mod tests;
