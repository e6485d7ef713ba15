//! The two connections that write: one for the desk, one for the workers.
//!
//! They live long, since opening one costs more than a message may. Each is thrown away after a failure,
//! and when the file at the path is another one than it has open.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};

use crate::store::{StoreError, direct::Direct};

/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 48;

/// Both connections, opened when they are needed.
pub(super) struct Connections {
    direct: Direct,
    /// What it writes is on the disk when it says so.
    desk: Mutex<Option<Open>>,
    /// What it writes outlives the process at once, and the machine with the next thing that is synced.
    outbox: Mutex<Option<Open>>,
}

struct Open {
    connection: Connection,
    /// Device and inode, to notice when the file was replaced.
    identity: Option<(u64, u64)>,
}

impl Connections {
    pub fn of(path: &Path) -> Connections {
        let direct = Direct::at(path);
        Connections { direct, desk: Mutex::new(None), outbox: Mutex::new(None) }
    }

    /// A transaction on the desk's connection.
    pub fn desk<T>(
        &self,
        doing: &str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(&self.desk, "FULL", doing, |open| {
            let connection = &mut open.connection;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        })
    }

    /// A look at the outbox.
    pub fn read_outbox<T>(
        &self,
        doing: &str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(&self.outbox, "NORMAL", doing, |open| question(&open.connection))
    }

    /// A transaction on the connection of the workers.
    pub fn write_outbox<T>(
        &self,
        doing: &str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(&self.outbox, "NORMAL", doing, |open| {
            let connection = &mut open.connection;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        })
    }

    fn run<T>(
        &self,
        slot: &Mutex<Option<Open>>,
        synchronous: &str,
        doing: &str,
        work: impl FnOnce(&mut Open) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: whatever goes wrong, the next call starts with a new connection, since nothing on a
        // handle whose sync failed can be trusted.
        let held = slot.take().filter(|open| open.identity == identity(self.direct.path()));
        let mut open = match held {
            Some(open) => open,
            None => self.open(synchronous)?,
        };
        let outcome = work(&mut open).map_err(|error| self.direct.failed(doing, &error))?;
        *slot = Some(open);
        Ok(outcome)
    }

    fn open(&self, synchronous: &str) -> Result<Open, StoreError> {
        let identity = identity(self.direct.path());
        let connection = self.direct.connect()?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        connection
            .pragma_update(None, "synchronous", synchronous)
            .map_err(|error| self.direct.failed("open", &error))?;
        Ok(Open { connection, identity })
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
