//! The table `audit`: every change that somebody asked for, and every login.
//!
//! A row is on the disk before the change is made (see `direct.rs`), and is completed afterwards: what
//! cannot be written down is not done. Rows are bounded in number and age; the oldest go.

use std::{path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params, types::Value};
use tokio::sync::watch;

use super::{
    StoreError,
    direct::{Direct, time},
};

/// In the order in which a [`Row`] is read.
pub(super) const COLUMNS: &str =
    "id, at, who, role, how, address, action, target, detail, before, after, outcome";

/// The most rows.
pub const MAX_AUDIT_ROWS: i64 = 200_000;
/// How long a row is kept.
pub const AUDIT_AGE: SignedDuration = SignedDuration::from_hours(400 * 24);
/// The most rows that go with one that comes.
const PURGE_STEP: i64 = 1_000;
const PURGE_SURPLUS: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= ?1 \
                             ORDER BY id LIMIT ?2)";
const PURGE_OLD: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 \
                         ORDER BY at LIMIT ?2)";
/// The most rows that a query returns.
pub const MAX_AUDIT_PAGE: usize = 1_000;
/// The most of one text, in bytes; what is longer is cut.
const MAX_TEXT: usize = 4 * 1024;

/// Who asked for what, and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditRow {
    /// Only grows; 0 for one that is to be written.
    pub id: i64,
    pub at: Timestamp,
    pub who: String,
    /// `none`, `readonly` or `operator`.
    pub role: String,
    /// `anonymous`, `password`, `session`, `token`, `proxy`, `order` or `shell`.
    pub how: String,
    /// Where from; empty if not known.
    pub from: String,
    /// What, such as `probe.disable`.
    pub action: String,
    /// On what.
    pub target: String,
    /// With what; without secrets.
    pub detail: serde_json::Value,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
    /// `begun`, `done`, `waiting`, or `refused: ` and why.
    pub outcome: String,
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditQuery {
    /// Older than the row with this id.
    pub after: Option<i64>,
    pub limit: usize,
    pub who: Option<String>,
    /// The whole word, or its beginning up to a dot: `probe` finds `probe.disable`.
    pub action: Option<String>,
    /// A part of the text.
    pub target: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// The table. Every call but [`Audit::changes`] blocks, for a lock of others up to about five seconds.
#[derive(Clone, Debug)]
pub struct Audit {
    direct: Direct,
    changes: Arc<watch::Sender<u64>>,
}

/// For the command line: the audit log in the database at `path`.
pub fn open_audit(path: &Path) -> Audit {
    Audit::at(path)
}

impl Audit {
    pub(super) fn at(path: &Path) -> Audit {
        Audit { direct: Direct::at(path), changes: Arc::new(watch::channel(0).0) }
    }

    /// A number that grows with each row that is written by this process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Writes a row down; its id and time are given here. Returns the id.
    pub fn record(&self, row: &AuditRow) -> Result<i64, StoreError> {
        let now = Timestamp::now();
        let id = self.direct.write("write to the audit log in", |connection| {
            let sql = "INSERT INTO audit (at, who, role, how, address, action, target, detail, before, \
                       after, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let values = params![
                now.as_millisecond(),
                cut(&row.who),
                row.role,
                row.how,
                row.from,
                cut(&row.action),
                cut(&row.target),
                json(&row.detail),
                row.before.as_ref().map(json),
                row.after.as_ref().map(json),
                cut(&row.outcome),
            ];
            connection.execute(sql, values)?;
            let id = connection.last_insert_rowid();
            purge(connection, id, now)?;
            Ok(id)
        })?;
        self.changes.send_modify(|count| *count += 1);
        Ok(id)
    }

    /// Completes the row with this id: all but who, when and from where.
    pub fn finish(&self, id: i64, row: &AuditRow) -> Result<(), StoreError> {
        self.direct.write("write to the audit log in", |connection| {
            let sql = "UPDATE audit SET action = ?2, target = ?3, detail = ?4, before = ?5, after = ?6, \
                       outcome = ?7 WHERE id = ?1";
            let values = params![
                id,
                cut(&row.action),
                cut(&row.target),
                json(&row.detail),
                row.before.as_ref().map(json),
                row.after.as_ref().map(json),
                cut(&row.outcome),
            ];
            connection.execute(sql, values).map(drop)
        })?;
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The rows that match, the newest first, and how many match in all (those after the page included).
    pub fn rows(&self, query: &AuditQuery) -> Result<(Vec<AuditRow>, usize), StoreError> {
        self.direct.read("read the audit log of", |connection| {
            let (filter, mut values) = filter(query);
            let count = format!("SELECT count(*) FROM audit WHERE {filter}");
            let filled = rusqlite::params_from_iter(values.iter());
            let total: i64 = connection.query_row(&count, filled, |row| row.get(0))?;
            values.push(query.after.unwrap_or(i64::MAX).into());
            let limit = query.limit.min(MAX_AUDIT_PAGE);
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE {filter} AND id < ? ORDER BY id DESC LIMIT {limit}"
            );
            let mut statement = connection.prepare(&sql)?;
            let mut found = statement.query(rusqlite::params_from_iter(values))?;
            let mut page = Vec::new();
            while let Some(row) = found.next()? {
                page.extend(read(row));
            }
            Ok((page, total.max(0) as usize))
        })
    }

    /// All rows, the newest first, for tests.
    #[cfg(test)]
    pub(crate) fn newest(&self) -> Vec<AuditRow> {
        let all = AuditQuery { limit: MAX_AUDIT_PAGE, ..AuditQuery::default() };
        self.rows(&all).unwrap().0
    }
}

/// The condition of a query and its values, in order.
fn filter(query: &AuditQuery) -> (String, Vec<Value>) {
    let mut conditions = vec!["TRUE"];
    let mut values: Vec<Value> = Vec::new();
    if let Some(who) = &query.who {
        conditions.push("who = ?");
        values.push(who.clone().into());
    }
    if let Some(action) = &query.action {
        conditions.push("(action = ? OR substr(action, 1, length(?) + 1) = ? || '.')");
        values.extend((0..3).map(|_| Value::from(action.clone())));
    }
    if let Some(target) = &query.target {
        conditions.push("instr(lower(target), lower(?)) > 0");
        values.push(target.clone().into());
    }
    if let Some(since) = query.since {
        conditions.push("at >= ?");
        values.push(since.as_millisecond().into());
    }
    if let Some(until) = query.until {
        conditions.push("at <= ?");
        values.push(until.as_millisecond().into());
    }
    (conditions.join(" AND "), values)
}

/// Takes the rows away that are too many or too old, a few at a time. In two statements, each along an
/// index: one for both would look at every row.
fn purge(connection: &Connection, newest: i64, now: Timestamp) -> rusqlite::Result<()> {
    let old = now.saturating_sub(AUDIT_AGE).unwrap_or(Timestamp::MIN).as_millisecond();
    for (sql, bound) in [(PURGE_SURPLUS, newest - MAX_AUDIT_ROWS), (PURGE_OLD, old)] {
        connection.execute(sql, params![bound, PURGE_STEP])?;
    }
    Ok(())
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// JSON of a bounded size; what is larger is left out, and that is said.
fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.len() > MAX_TEXT { "\"(too large to be kept)\"".to_owned() } else { text }
}

fn read(row: &Row<'_>) -> Option<AuditRow> {
    let json = |column| {
        let text: Option<String> = row.get(column).ok()?;
        text.map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    };
    Some(AuditRow {
        id: row.get(0).ok()?,
        at: time(row, 1)?,
        who: row.get(2).ok()?,
        role: row.get(3).ok()?,
        how: row.get(4).ok()?,
        from: row.get(5).ok()?,
        action: row.get(6).ok()?,
        target: row.get(7).ok()?,
        detail: json(8)?,
        before: json(9),
        after: json(10),
        outcome: row.get(11).ok()?,
    })
}

#[cfg(test)]
mod tests;
