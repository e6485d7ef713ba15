//! A look at what a database remembers, beside the running agent: nothing is written.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use uuid::Uuid;

use super::{
    Entry, StoreError,
    database::connect,
    direct::Direct,
    instances, journal,
    reader::Reader,
    schema::{self, Found},
};
use crate::tree::{Known, ProbeName};

/// The journal and what is known of the instances, to be read only.
pub struct History {
    reader: Reader,
}

/// Opens the database at `path` for reading. Blocks, as do all questions.
pub fn open_history(path: &Path) -> Result<History, StoreError> {
    let direct = Direct::at(path);
    let unusable = |why: &str| StoreError::Admission {
        problem: format!("cannot use the database `{}`: {why}", path.display()),
    };
    if matches!(path.try_exists(), Ok(false)) {
        return Err(unusable("it is not there; name a configuration whose Database is"));
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| direct.failed("open", &error))?;
    match schema::examine(&connection, path).map_err(|trouble| direct.told(trouble))? {
        Found::Ours(schema::VERSION) => Ok(History { reader: Reader::new(path.to_owned()) }),
        _ => Err(unusable("it is of an earlier wigo; start wigo, which brings it up to date")),
    }
}

impl History {
    /// The instance whose journal it is; `None`: it has not started yet.
    pub fn origin(&self) -> Result<Option<Uuid>, StoreError> {
        self.reader.ask("the log", |connection| {
            let sql = "SELECT origin FROM journal WHERE kind = 'agent_started' AND origin_id = id \
                       ORDER BY id DESC LIMIT 1";
            let row = connection.query_row(sql, [], |row| row.get(0).map(Uuid::from_bytes));
            row.optional()
        })
    }

    /// The id after which everything was learned at this time or later, but for what clocks say.
    pub fn id_before(&self, since: Timestamp) -> Result<u64, StoreError> {
        self.reader.ask("the log", |connection| first_since(connection, since))
    }

    /// Entries with a higher id than `after`, in order, as [`super::Store::journal_after`] tells them.
    pub fn after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.reader.ask("the log", |connection| journal::after(connection, after, limit))
    }

    /// The instances below.
    pub fn known(&self) -> Result<Vec<Known>, StoreError> {
        self.reader.ask("the instances", instances::load)
    }

    /// How often a probe of an instance ran last; `None`: it is not there any more.
    pub fn interval(
        &self,
        origin: Uuid,
        probe: &ProbeName,
    ) -> Result<Option<Duration>, StoreError> {
        self.reader.ask("the last results", |connection| {
            let sql = "SELECT interval FROM last_result WHERE origin = ?1 AND probe = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let values = params![origin.as_bytes(), probe.as_str()];
            let seconds: Option<u32> = statement.query_row(values, |row| row.get(0)).optional()?;
            Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
        })
    }
}

fn first_since(connection: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    let sql = "SELECT min(id) FROM journal INDEXED BY journal_learned WHERE learned >= ?1";
    let first: Option<i64> =
        connection.query_row(sql, [since.as_millisecond()], |row| row.get(0))?;
    let none = "SELECT max(id) FROM journal";
    let before = match first {
        Some(first) => first.saturating_sub(1),
        None => connection.query_row(none, [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0),
    };
    Ok(u64::try_from(before).unwrap_or(0))
}
