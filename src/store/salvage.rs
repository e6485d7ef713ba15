//! A damaged database: it is set aside for a person to look at, and what can be read is carried over.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    access, admission, audit,
    database::{beside, connect, highest_id},
    instances,
    journal::{self, Inserter},
    notify, orders, results,
    schema::{self, Found},
};

/// The most log entries carried over, the newest ones.
const MAX_ENTRIES: usize = 100_000;
/// The most rows of each other table carried over.
const MAX_OTHER_ROWS: usize = 300_000;
/// No longer than this is spent on a damaged file: the agent waits for it.
const SALVAGE_TIME: Duration = Duration::from_secs(5);
/// Files set aside that are kept, so that a failing disk is not filled as well.
const MAX_BROKEN_FILES: usize = 3;

/// What could be read.
pub(super) struct Saved {
    pub entries: usize,
    pub results: usize,
    /// The highest id ever used; `None` if that cannot be told any more.
    pub highest: Option<u64>,
}

/// Renames the database, with its log, to `<name>.broken-<time>`. Returns the new name.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut broken = beside(path, &format!(".broken-{time}"));
    for attempt in 1.. {
        if !broken.try_exists()? {
            break;
        }
        broken = beside(path, &format!(".broken-{time}-{attempt}"));
    }
    for part in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, part), beside(&broken, part)) {
            Err(error) if part.is_empty() || error.kind() != io::ErrorKind::NotFound => {
                return Err(error);
            }
            _ => {}
        }
    }
    remove_oldest(path);
    Ok(broken)
}

/// Removes all but the newest files set aside.
fn remove_oldest(path: &Path) {
    for name in set_aside_names(path).iter().rev().skip(MAX_BROKEN_FILES) {
        for part in ["-wal", "-shm", ""] {
            // Best effort: the next damaged file tries again.
            let _ = fs::remove_file(path.with_file_name(format!("{name}{part}")));
        }
    }
}

/// The names of the files set aside, the oldest first.
fn set_aside_names(path: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let prefix = format!("{}.broken-", name.to_string_lossy());
    let names = fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let mut broken: Vec<String> = names
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    // The time is in them.
    broken.sort_unstable();
    broken
}

/// Whether a damaged database was set aside here.
pub(super) fn was_set_aside(path: &Path) -> bool {
    !set_aside_names(path).is_empty()
}

/// Copies what can be read of a damaged database. Never fails: what cannot be read is left behind.
pub(super) fn carry_over(broken: &Path, into: &mut Connection) -> Saved {
    let mut saved = Saved { entries: 0, results: 0, highest: None };
    let deadline = Instant::now() + SALVAGE_TIME;
    let Ok(mut from) = connect(broken, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return saved };
    if from.progress_handler(1_000, Some(move || Instant::now() >= deadline)).is_err() {
        return saved;
    }
    saved.highest = highest_id(&from).ok().flatten();
    // At once and by itself: until then nobody is known, and nobody may do anything.
    let _ = carry_over_accounts(&from, broken, into);
    let Ok(transaction) = into.transaction_with_behavior(TransactionBehavior::Immediate) else {
        return saved;
    };
    // Before the journal, which may take all the time there is: who may connect, and who did what.
    for (table, columns) in [
        ("client", admission::CLIENT_COLUMNS),
        ("revoked_client", admission::REVOKED_COLUMNS),
        ("join_token", admission::TOKEN_COLUMNS),
        ("probe_order", orders::ORDER_COLUMNS),
        ("disabled_probe", orders::DISABLED_COLUMNS),
        ("audit", audit::COLUMNS),
    ] {
        let _ = copy_rows(&from, &transaction, table, columns);
    }
    // What people were told of, and what they are still to be told.
    for (table, columns) in notify::TABLES {
        let _ = copy_rows(&from, &transaction, table, columns);
    }
    let _ = notify::carry_over_cursor(&from, &transaction);
    // From both ends: the first damaged page stops a pass, and an entry that comes twice is one.
    for order in ["DESC", "ASC"] {
        let _ = copy_entries(&from, &transaction, order);
    }
    // Not how far the journals of others are known: entries may be missing, and are told again this way.
    for (table, columns) in [("instance", instances::COLUMNS), ("last_result", results::COLUMNS)] {
        let _ = copy_rows(&from, &transaction, table, columns);
    }
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        transaction.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_or(0, |n| n.max(0) as usize)
    };
    let (entries, results) = (count("journal"), count("last_result"));
    if transaction.commit().is_ok() {
        (saved.entries, saved.results) = (entries, results);
    }
    saved
}

/// Copies users, tokens and sessions. Where the users cannot be read the new database goes on saying that
/// they may be lost.
fn carry_over_accounts(
    from: &Connection,
    broken: &Path,
    into: &mut Connection,
) -> rusqlite::Result<()> {
    let transaction = into.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let had_none = match schema::examine(from, broken) {
        Ok(Found::Original) => true,
        Ok(Found::Ours(version)) => version < schema::ACCOUNTS_SINCE,
        _ => false,
    };
    let users = copy_rows(from, &transaction, "user", access::USER_COLUMNS);
    for (table, columns) in
        [("api_token", access::TOKEN_COLUMNS), ("session", access::SESSION_COLUMNS)]
    {
        let _ = copy_rows(from, &transaction, table, columns);
    }
    if had_none || users.is_ok_and(|copied| copied.taken == copied.read) {
        access::accounts_are_known(&transaction)?;
    }
    access::raise_revision(&transaction)?;
    transaction.commit()
}

/// Rows of a table.
struct Copied {
    read: usize,
    taken: usize,
}

fn copy_entries(from: &Connection, into: &Connection, order: &str) -> rusqlite::Result<()> {
    let columns = journal::COLUMNS;
    // No index is used: it may be what is damaged.
    let sql = format!(
        "SELECT {columns} FROM journal NOT INDEXED ORDER BY id {order} LIMIT {MAX_ENTRIES}"
    );
    let mut statement = from.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut journal = Inserter::new(into)?;
    while let Some(row) = rows.next()? {
        if let Some(entry) = journal::read(row) {
            journal.insert(&entry)?;
        }
    }
    Ok(())
}

fn copy_rows(
    from: &Connection,
    into: &Connection,
    table: &str,
    columns: &str,
) -> rusqlite::Result<Copied> {
    let sql = format!("SELECT {columns} FROM {table} NOT INDEXED LIMIT {MAX_OTHER_ROWS}");
    let mut read = from.prepare(&sql)?;
    let width = read.column_count();
    let marks = vec!["?"; width].join(", ");
    let mut write =
        into.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"))?;
    let mut rows = read.query([])?;
    let mut copied = Copied { read: 0, taken: 0 };
    while let Some(row) = rows.next()? {
        copied.read += 1;
        let values: Vec<rusqlite::types::Value> =
            (0..width).map(|column| row.get(column)).collect::<Result<_, _>>()?;
        // A value of the wrong type does not get into a strict table; the others do.
        copied.taken += write.execute(rusqlite::params_from_iter(values)).unwrap_or(0);
    }
    Ok(copied)
}
