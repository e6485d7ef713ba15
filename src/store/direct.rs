//! What must be on the disk before anybody acts upon it: written at once by who asks, not by the writer.
//!
//! Each call is a transaction of its own that is on the disk when it returns, also from another process
//! such as the command line.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior};

use super::{
    StoreError,
    database::connect,
    schema::{self, Found},
    trouble::Trouble,
};

/// Looks at a lock that others hold; one each millisecond, so that the pauses of a busy writer are met…
const LOOK_AT_LOCK: Duration = Duration::from_millis(1);
/// …and no more of them than this.
const LOOKS_AT_LOCK: i32 = 5_000;

/// The database at a path, for single calls. Every one blocks, for a lock of others up to about five
/// seconds.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    path: PathBuf,
}

impl Direct {
    pub fn at(path: &Path) -> Direct {
        Direct { path: path.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read<T>(
        &self,
        doing: &str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.connect()?;
        question(&connection).map_err(|error| self.failed(doing, &error))
    }

    pub fn write<T>(
        &self,
        doing: &str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connect()?;
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        };
        run().map_err(|error| self.failed(doing, &error))
    }

    /// A connection for one call: they are rare, and the file may have been replaced since the last.
    pub fn connect(&self) -> Result<Connection, StoreError> {
        let unusable = |why: &str| StoreError::Admission {
            problem: format!("cannot use the database `{}`: {why}", self.path.display()),
        };
        if matches!(self.path.try_exists(), Ok(false)) {
            return Err(unusable("it is not there yet; start wigo, which makes it"));
        }
        let open = || {
            let mut connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_handler(Some(wait_for_lock))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        };
        let connection = open().map_err(|error| self.failed("open", &error))?;
        match schema::examine(&connection, &self.path).map_err(|trouble| self.told(trouble))? {
            Found::Ours(schema::VERSION) => Ok(connection),
            _ => Err(unusable("it is of an earlier wigo; start wigo, which brings it up to date")),
        }
    }

    pub fn failed(&self, doing: &str, error: &rusqlite::Error) -> StoreError {
        self.told(Trouble::of(doing, &self.path, error))
    }

    pub fn told(&self, trouble: Trouble) -> StoreError {
        let problem = match trouble {
            Trouble::Passing { sentence, .. } => sentence,
            Trouble::Damaged(why) => format!(
                "the database `{}` is damaged ({why}); wigo sets it aside when it is started again",
                self.path.display()
            ),
        };
        StoreError::Admission { problem }
    }
}

fn wait_for_lock(looks: i32) -> bool {
    thread::sleep(LOOK_AT_LOCK);
    looks < LOOKS_AT_LOCK
}

/// The rows of a query; those that make no sense are left out.
pub(super) fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(read(row));
    }
    Ok(found)
}

/// A time in Unix milliseconds.
pub(super) fn time(row: &Row<'_>, column: usize) -> Option<Timestamp> {
    Timestamp::from_millisecond(row.get(column).ok()?).ok()
}
