//! The table `journal`: writing transitions, and the questions people ask of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Row, params, params_from_iter, types::Value,
};
use uuid::Uuid;

use super::{Entry, JOURNAL_BATCH_BYTES, MAX_ROWS};
use crate::{
    status::{Level, Status},
    tree::{Kind, ProbeName, Transition},
};

/// In the order in which a [`Row`] is read.
pub(super) const COLUMNS: &str =
    "id, origin, origin_id, at, learned, kind, grp, host, probe, was, now, message";

/// The kinds of entries that say whether a host is watched…
pub(super) const PRESENCE: &str = "'agent_started', 'agent_stopped', 'instance_seen', \
                                   'instance_up', 'instance_down', 'instance_gone'";
/// …and those of them that say that it is not.
const UNWATCHED: &str = "'agent_stopped', 'instance_down', 'instance_gone'";

/// Which entries to show. What is `None` does not matter; a probe of `""` means entries without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    pub host: Option<String>,
    pub group: Option<String>,
    pub probe: Option<String>,
    /// Happened at this time or later.
    pub since: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
    /// Only entries with a higher id, the oldest first: for following.
    pub after: Option<u64>,
    /// Only entries with a lower id: for going back, while new ones come.
    pub before: Option<u64>,
    /// Only entries that tell of this level or a worse one.
    pub level: Option<Level>,
    /// Only entries with this text in their message or in a name. The case of Latin letters does not
    /// matter.
    pub text: Option<String>,
    /// At most this many, and never more than [`MAX_ROWS`].
    pub limit: usize,
    /// Leaves out this many at the beginning.
    pub offset: usize,
}

/// The names in the journal, each list sorted, with `""` first where an entry has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    pub groups: Vec<String>,
    pub hosts: Vec<String>,
    pub probes: Vec<String>,
}

/// What happened to a host or one of its probes in a span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// The status when the span began, the worst of the probes; `None` if there was none.
    pub status_at_start: Option<Status>,
    /// The status of each probe when the span began.
    pub probes_at_start: BTreeMap<ProbeName, Status>,
    /// Nobody watched when the span began, so the status is what was known before: the agent was stopped
    /// or gone, or it did not report to this instance.
    pub stopped_at_start: bool,
    /// Changes of the probes, starts and stops of the agent, and when it was first heard of, did not
    /// report any more, reported again or left; the oldest first.
    pub changes: Vec<Entry>,
    /// There were more than [`MAX_ROWS`]; those after the last one here are missing.
    pub truncated: bool,
}

/// Writes entries, within one transaction.
pub(super) struct Inserter<'connection> {
    insert: CachedStatement<'connection>,
    is_taken: CachedStatement<'connection>,
    /// The highest id in the journal.
    highest: i64,
}

impl<'connection> Inserter<'connection> {
    pub fn new(connection: &'connection Connection) -> rusqlite::Result<Self> {
        let highest: Option<i64> = connection
            .prepare_cached("SELECT max(id) FROM journal")?
            .query_row([], |row| row.get(0))?;
        let insert = connection.prepare_cached(
            "INSERT OR IGNORE INTO journal (id, origin, origin_id, at, learned, kind, grp, host, \
             probe, was, now, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        let is_taken = connection.prepare_cached("SELECT 1 FROM journal WHERE id = ?1")?;
        Ok(Inserter { insert, is_taken, highest: highest.unwrap_or(0) })
    }

    /// Writes an entry. One that is there already (by origin and its id there) is left as it is. Should
    /// the id itself be taken by another entry, the next free one is used: better a new number than a
    /// lost entry.
    pub fn insert(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        // SQLite knows signed numbers only; those of others may be anything and have to come back.
        let mut id = entry.id.cast_signed();
        if id <= self.highest && self.is_taken.exists([id])? {
            id = self.highest + 1;
        }
        let transition = &entry.transition;
        let values = params![
            id,
            entry.origin.as_bytes(),
            entry.origin_id.cast_signed(),
            transition.at.as_millisecond(),
            entry.learned.as_millisecond(),
            transition.kind.word(),
            transition.group,
            transition.host,
            transition.probe.as_ref().map_or("", ProbeName::as_str),
            transition.was.map(Status::number),
            transition.now.map(Status::number),
            transition.message,
        ];
        if self.insert.execute(values)? > 0 {
            self.highest = self.highest.max(id);
        }
        Ok(())
    }
}

/// Entries with a higher id than `after`, in order: at most `limit`, and no more of them than have
/// [`JOURNAL_BATCH_BYTES`] of text, though always one.
pub(super) fn after(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM journal WHERE id > ?1 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while entries.len() < limit
        && let Some(row) = rows.next()?
    {
        // What makes no sense does not count: an answer without entries means that there are none.
        let Some(entry) = read(row) else { continue };
        bytes += text_bytes(&entry.transition);
        if bytes > JOURNAL_BATCH_BYTES && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn text_bytes(transition: &Transition) -> usize {
    let probe = transition.probe.as_ref().map_or(0, |name| name.as_str().len());
    let Transition { group, host, message, .. } = transition;
    probe + group.len() + host.len() + message.len()
}

/// An id after which there are `count` entries; 0 if there are not more than that.
pub(super) fn id_before_newest(connection: &Connection, count: usize) -> rusqlite::Result<u64> {
    let id: Option<i64> = connection
        .query_row(
            "SELECT id FROM journal ORDER BY id DESC LIMIT 1 OFFSET ?1",
            [i64::try_from(count).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(id.and_then(|id| u64::try_from(id).ok()).unwrap_or(0))
}

/// Entries that match.
pub(super) fn logs(connection: &Connection, query: &LogQuery) -> rusqlite::Result<Vec<Entry>> {
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let time = |time: Option<Timestamp>| time.map(|time| Value::Integer(time.as_millisecond()));
    let id = |id: Option<u64>| id.map(|id| Value::Integer(i64::try_from(id).unwrap_or(i64::MAX)));
    let level = query.level.filter(|level| *level > Level::Ok);
    let level = level.map(|level| Value::Integer(level.least().number().into()));
    let conditions = [
        (" AND host = ?", text(&query.host)),
        (" AND grp = ?", text(&query.group)),
        (" AND probe = ?", text(&query.probe)),
        (" AND at >= ?", time(query.since)),
        (" AND at < ?", time(query.until)),
        (" AND id > ?", id(query.after)),
        (" AND id < ?", id(query.before)),
        // Down is told by the kind, with or without a status.
        (" AND (now >= ? OR kind = 'instance_down')", level),
    ];
    let mut sql = format!("SELECT {COLUMNS} FROM journal WHERE 1");
    let mut values = Vec::new();
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    if let Some(text) = &query.text {
        let columns = ["message", "host", "probe", "grp"];
        let like = columns.map(|column| format!("{column} LIKE ? ESCAPE '\\'")).join(" OR ");
        sql.push_str(&format!(" AND ({like})"));
        values.extend(columns.map(|_| Value::Text(pattern(text))));
    }
    let order = if query.after.is_some() { "ASC" } else { "DESC" };
    let limit = query.limit.min(MAX_ROWS);
    let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
    sql.push_str(&format!(" ORDER BY id {order} LIMIT {limit} OFFSET {offset}"));
    entries(connection, &sql, values)
}

/// What `LIKE` takes for any text with this one in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

/// The names in the journal.
pub(super) fn indexes(connection: &Connection) -> rusqlite::Result<Indexes> {
    let names = |column: &str| -> rusqlite::Result<Vec<String>> {
        let sql =
            format!("SELECT DISTINCT {column} FROM journal ORDER BY {column} LIMIT {MAX_ROWS}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            names.extend(row.get_ref(0)?.as_str().map(str::to_owned));
        }
        Ok(names)
    };
    Ok(Indexes { groups: names("grp")?, hosts: names("host")?, probes: names("probe")? })
}

/// How many entries there are, and when the oldest of them happened.
pub(super) fn extent(connection: &Connection) -> rusqlite::Result<(u64, Option<Timestamp>)> {
    let extent = "SELECT count(*), (SELECT at FROM journal ORDER BY id LIMIT 1) FROM journal";
    connection.query_row(extent, [], |row| {
        let oldest: Option<i64> = row.get(1)?;
        let count: i64 = row.get(0)?;
        Ok((count.unsigned_abs(), oldest.and_then(|at| Timestamp::from_millisecond(at).ok())))
    })
}

/// Whether the journal names this host.
pub(super) fn knows_host(connection: &Connection, host: &str) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM journal WHERE host = ?1)", [host], |row| {
        row.get(0)
    })
}

/// The host whose history is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub host: String,
    /// The instances that may speak of it: its own and those above it. Others may use the same name.
    pub origins: Vec<Uuid>,
}

impl Subject {
    /// Its origins as a list for SQL.
    fn origins(&self) -> String {
        let literal = |origin: &Uuid| format!("x'{}'", origin.simple());
        self.origins.iter().map(literal).collect::<Vec<_>>().join(", ")
    }
}

/// What happened to `subject`, or to its `probe`, from `since` until before `until`.
pub(super) fn timeline(
    connection: &Connection,
    subject: &Subject,
    probe: Option<&str>,
    since: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Timeline> {
    let probes_at_start = probes_before(connection, subject, probe, since)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM journal WHERE host = ?1 AND at >= ?2 AND at < ?3 \
         AND (kind IN ({PRESENCE}) OR probe <> '' AND (?4 IS NULL OR probe = ?4)) \
         AND origin IN ({}) ORDER BY at, id LIMIT {}",
        subject.origins(),
        MAX_ROWS + 1
    );
    let values = vec![
        Value::Text(subject.host.clone()),
        Value::Integer(since.as_millisecond()),
        Value::Integer(until.as_millisecond()),
        probe.map_or(Value::Null, |probe| Value::Text(probe.into())),
    ];
    let mut changes = entries(connection, &sql, values)?;
    let truncated = changes.len() > MAX_ROWS;
    changes.truncate(MAX_ROWS);
    Ok(Timeline {
        status_at_start: probes_at_start.values().copied().max(),
        probes_at_start,
        stopped_at_start: stopped_before(connection, subject, since)?,
        changes,
        truncated,
    })
}

/// The status of each probe just before `time`. Of entries with the same time the later id counts.
fn probes_before(
    connection: &Connection,
    subject: &Subject,
    probe: Option<&str>,
    time: Timestamp,
) -> rusqlite::Result<BTreeMap<ProbeName, Status>> {
    // From the newest entry of each probe back to the first one that counts: nearly always the newest.
    // What somebody ordered says nothing of how the probe was.
    let sql = format!(
        "WITH named AS (
             SELECT DISTINCT probe AS name FROM journal
             WHERE host = ?1 AND at < ?2 AND probe <> '' AND (?3 IS NULL OR probe = ?3)
             LIMIT {MAX_ROWS}
         )
         SELECT name, (
             SELECT now FROM journal
             WHERE host = ?1 AND probe = name AND at < ?2 AND kind <> 'ordered' AND origin IN ({})
             ORDER BY at DESC, id DESC LIMIT 1
         ) FROM named",
        subject.origins()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![subject.host, time.as_millisecond(), probe])?;
    let mut statuses = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().ok().and_then(|name| ProbeName::parse(name).ok());
        let status = row.get::<_, Option<i64>>(1)?.and_then(Status::new);
        statuses.extend(name.zip(status));
    }
    Ok(statuses)
}

/// Whether nobody watched at that time.
fn stopped_before(
    connection: &Connection,
    subject: &Subject,
    time: Timestamp,
) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT kind IN ({UNWATCHED}) FROM journal WHERE host = ?1 AND probe = '' AND at < ?2 \
         AND kind IN ({PRESENCE}) AND origin IN ({}) ORDER BY at DESC, id DESC LIMIT 1",
        subject.origins()
    );
    let last: Option<bool> = connection
        .query_row(&sql, params![subject.host, time.as_millisecond()], |row| row.get(0))
        .optional()?;
    Ok(last == Some(true))
}

/// Runs a query for [`COLUMNS`]. Rows that make no sense are left out.
fn entries(connection: &Connection, sql: &str, values: Vec<Value>) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.extend(read(row));
    }
    Ok(entries)
}

/// The entry in a row of [`COLUMNS`]; `None` if it makes no sense.
pub(super) fn read(row: &Row<'_>) -> Option<Entry> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let id = |column| row.get::<_, i64>(column).ok().map(i64::cast_unsigned);
    let time = |column| Timestamp::from_millisecond(row.get(column).ok()?).ok();
    let status =
        |column| row.get::<_, Option<i64>>(column).ok().map(|number| number.and_then(Status::new));
    Some(Entry {
        id: id(0)?,
        origin: Uuid::from_bytes(row.get(1).ok()?),
        origin_id: id(2)?,
        learned: time(4)?,
        transition: Transition {
            kind: Kind::parse(text(5)?)?,
            at: time(3)?,
            group: text(6)?.into(),
            host: text(7)?.into(),
            probe: match text(8)? {
                "" => None,
                name => Some(ProbeName::parse(name).ok()?),
            },
            was: status(9)?,
            now: status(10)?,
            message: text(11)?.into(),
        },
    })
}
