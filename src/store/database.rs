//! The database file: making it, opening it, looking it over, and reading what the last process left.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use uuid::Uuid;

use super::{
    LastSeen, Note, instances, journal::Inserter, queue::Batch, results, salvage, schema,
    trouble::Trouble,
};
use crate::{hub::LastResult, tree::Known};

/// How long a lock of another process is waited for before the batch goes back to memory.
const BUSY_TIME: Duration = Duration::from_secs(1);
/// Page cache of a connection, in KiB. Small: nothing is read twice soon.
const CACHE_KIB: i64 = 256;
/// The same while much is written: entries of many hosts go to as many places of each index.
const LARGE_CACHE_KIB: i64 = 32 * 1024;
/// The write-ahead log goes into the database when it has this many pages (1 MiB at 4 KiB each)…
const CHECKPOINT_PAGES: i64 = 256;
/// …or this many (16 MiB) while much is written, since a page that changes again and again is taken over
/// once…
const LARGE_CHECKPOINT_PAGES: i64 = 4_096;
/// …and is cut to this many bytes if it ever grew beyond.
const MAX_IDLE_LOG_BYTES: i64 = 4 * 1024 * 1024;
/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 16;
/// Beyond this the database takes no more, so that it cannot fill a large disk.
pub(super) const MAX_DATABASE_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// The open database, in the hands of the writer.
pub(super) struct Database {
    pub connection: Connection,
    path: PathBuf,
    in_bulk: bool,
    /// Device and inode, to notice when the file was taken away under us.
    identity: (u64, u64),
}

/// What the processes before this one left.
#[derive(Default)]
pub(super) struct Past {
    /// The highest id ever used; `None` if that cannot be told, as in a new database.
    pub highest: Option<u64>,
    pub last_seen: Option<LastSeen>,
    pub results: Vec<LastResult>,
    pub known: Vec<Known>,
    pub positions: HashMap<Uuid, u64>,
    pub told: HashMap<Uuid, u64>,
}

impl Past {
    /// The number for the next entry. Where there is no past, or it cannot be read, it is Unix
    /// milliseconds: ids never come that fast, so it is above any that was used in a database that was
    /// deleted, which an instance above may hold, and it stays exact in JavaScript.
    pub fn next_id(&self, now: Timestamp) -> u64 {
        self.highest.map_or_else(|| fresh_ids_from(now), |highest| highest.saturating_add(1))
    }
}

/// An id that is above any that can have been used.
pub(super) fn fresh_ids_from(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(1)
}

/// A database that is ready, what is in it, and what a person should know.
pub(super) struct Begun {
    pub database: Database,
    pub past: Past,
    pub notes: Vec<Note>,
}

/// Opens the database, making or bringing it up to date as needed. One that turns out to be damaged, or
/// is known to be (`damage`), is set aside; what can be read of it is carried over to a new one.
pub(super) fn begin(
    path: &Path,
    origin: Uuid,
    max_bytes: u64,
    damage: Option<&str>,
) -> Result<Begun, Trouble> {
    let found = match damage.filter(|_| path.exists()) {
        Some(why) => why.to_owned(),
        None => match open(path, origin, max_bytes) {
            Err(Trouble::Damaged(why)) => why,
            other => return other,
        },
    };
    let broken = salvage::set_aside(path, Timestamp::now())
        .map_err(|error| Trouble::io("set aside the damaged database", path, &error))?;
    let mut begun = open(path, origin, max_bytes)?;
    let saved = salvage::carry_over(&broken, &mut begun.database.connection);
    begun.past = begun.database.past()?;
    begun.past.highest = saved.highest.max(begun.past.highest).filter(|_| saved.highest.is_some());
    begun.notes.push(Note::warn(format!(
        "the database `{}` was damaged ({found}); it is set aside as `{}` and a new one was begun; {} \
         log entries and {} results were carried over",
        path.display(),
        broken.display(),
        saved.entries,
        saved.results,
    )));
    Ok(begun)
}

fn open(path: &Path, origin: Uuid, max_bytes: u64) -> Result<Begun, Trouble> {
    prepare(path)?;
    let fail = |error: rusqlite::Error| Trouble::of("open", path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
    let found = schema::examine(&connection, path)?;
    tune(&connection, max_bytes).map_err(fail)?;
    let notes = schema::migrate(&mut connection, path, found, origin)?;
    let identity =
        identity(path).map_err(|error| Trouble::io("open the database", path, &error))?;
    let path = path.to_owned();
    let database = Database { connection, path, in_bulk: false, identity };
    let past = database.past()?;
    Ok(Begun { database, past, notes })
}

/// Makes the folder and an empty file if they are missing, for the eyes of our user only.
fn prepare(path: &Path) -> Result<(), Trouble> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Trouble::io("make the folder", folder, &error))?;
    }
    match create_private(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Trouble::io("make the database", path, &error))
        }
        _ => Ok(()),
    }
}

/// Makes an empty file that only our user may read. SQLite gives its log the same mode.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// The path with something added to the file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A connection that changes nothing by itself, not even when it is closed.
pub(super) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_TIME)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // The file may have been written by anyone: no functions out of its schema, and checked cells.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// What only the writer needs.
fn tune(connection: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", MAX_IDLE_LOG_BYTES)?;
    limit(connection, max_bytes)
}

/// The database takes no more than this.
fn limit(connection: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = max_bytes / page.max(1).unsigned_abs();
    connection.pragma_update(None, "max_page_count", i64::try_from(pages).unwrap_or(i64::MAX))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

impl Database {
    /// Whether the file we write is still the one at its path. SQLite itself goes on writing to a file
    /// that was deleted, and says that all is well.
    pub fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|now| now == self.identity)
    }

    /// Size of the database and its write-ahead log, in bytes.
    pub fn bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        size(&self.path) + size(&beside(&self.path, "-wal"))
    }

    /// Lets the database grow up to this size, in bytes.
    pub fn set_limit(&self, max_bytes: u64) -> Result<(), Trouble> {
        limit(&self.connection, max_bytes).map_err(|error| self.trouble("read", &error))
    }

    /// Takes what is in the log over into the file, so that the log is written from its beginning again
    /// instead of growing. Best effort.
    pub fn empty_log(&self) {
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }

    /// Takes more memory and a longer log while much is written, and gives them back.
    pub fn set_bulk(&mut self, bulk: bool) -> Result<(), Trouble> {
        if self.in_bulk == bulk {
            return Ok(());
        }
        let (kib, pages) = match bulk {
            true => (LARGE_CACHE_KIB, LARGE_CHECKPOINT_PAGES),
            false => (CACHE_KIB, CHECKPOINT_PAGES),
        };
        let set = |name, value| self.connection.pragma_update(None, name, value);
        set("cache_size", -kib)
            .and_then(|()| set("wal_autocheckpoint", pages))
            .and_then(|()| self.connection.execute_batch("PRAGMA shrink_memory"))
            .map_err(|error| self.trouble("read", &error))?;
        self.in_bulk = bulk;
        if !bulk {
            self.empty_log();
        }
        Ok(())
    }

    /// Looks the whole file over. Takes as long as reading it.
    pub fn check(&self) -> Result<(), Trouble> {
        let verdict: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.trouble("check", &error))?;
        if verdict == "ok" { Ok(()) } else { Err(Trouble::Damaged(verdict)) }
    }

    /// Sorts an error of this database. If a statement of ours makes no sense to it, a table is missing
    /// or is not what its version says, and no waiting helps.
    pub fn trouble(&self, doing: &str, error: &rusqlite::Error) -> Trouble {
        let text = error.to_string();
        let misses = text.contains("no such ") || text.contains("has no column ");
        if misses && error.sqlite_error_code() == Some(ErrorCode::Unknown) {
            return Trouble::Damaged(text);
        }
        Trouble::of(doing, &self.path, error)
    }

    fn past(&self) -> Result<Past, Trouble> {
        read_past(&self.connection).map_err(|error| self.trouble("read", &error))
    }
}

fn read_past(connection: &Connection) -> rusqlite::Result<Past> {
    let alive_at =
        meta(connection, "alive_at")?.and_then(|at| Timestamp::from_millisecond(at).ok());
    let clean = meta(connection, "clean_stop")? == Some(1);
    Ok(Past {
        highest: highest_id(connection)?,
        last_seen: alive_at.map(|at| LastSeen { at, clean }),
        results: results::load(connection)?,
        known: instances::load(connection)?,
        positions: instances::positions(connection)?,
        told: instances::told(connection)?,
    })
}

/// The highest id that was ever used; `None` if that was not noted. The journal alone cannot tell: it is
/// purged.
pub(super) fn highest_id(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let kept: Option<i64> =
        connection.query_row("SELECT max(id) FROM journal", [], |row| row.get(0))?;
    let noted = meta(connection, "highest_id")?;
    Ok(noted.and_then(|noted| u64::try_from(noted.max(kept.unwrap_or(0))).ok()))
}

/// A number that outlives the process.
pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    use rusqlite::OptionalExtension;
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
}

/// Writes what waited, within a transaction.
pub(super) fn write_batch(transaction: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for instance in &batch.forgotten {
        instances::forget(transaction, *instance)?;
    }
    for known in batch.known.values() {
        instances::write(transaction, known)?;
    }
    for (instance, probes) in &batch.results {
        for (name, change) in probes {
            results::write(transaction, *instance, name, change)?;
        }
    }
    for (instance, id) in &batch.positions {
        instances::set_position(transaction, *instance, *id)?;
    }
    let mut journal = Inserter::new(transaction)?;
    batch.entries.iter().try_for_each(|entry| journal.insert(entry))
}

/// Notes a number that outlives the process.
pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute((key, value))
        .map(drop)
}
