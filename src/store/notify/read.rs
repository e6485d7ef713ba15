//! The questions that people ask of notifications.

use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension, Row, params, params_from_iter,
    types::{Value, ValueRef},
};
use uuid::Uuid;

use super::{
    CURSOR, DECISION_COLUMNS, DecisionQuery, IncidentQuery, MAX_NOTIFY_PAGE, MOMENT_COLUMNS,
    NOTIFICATION_COLUMNS, Notification, NotificationQuery, Page, Resumed, State, StoredDecision,
    Try,
};
use crate::{
    notify::{Decision, Incident, Kind, Message, Moment, Subject, policy::Stored},
    status::Status,
    store::{database::meta, direct::time},
    tree::ProbeName,
};

/// Where the desk stopped.
pub(super) fn resumed(connection: &Connection) -> rusqlite::Result<Resumed> {
    let mut statement =
        connection.prepare("SELECT kind, key, value FROM notify_state ORDER BY kind, key")?;
    let pieces = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Resumed {
        cursor: meta(connection, CURSOR)?.map(i64::cast_unsigned),
        state: Stored { pieces: pieces.collect::<rusqlite::Result<_>>()? },
    })
}

/// A condition and its values, put together piece by piece.
struct Filter {
    sql: String,
    values: Vec<Value>,
}

impl Filter {
    fn new() -> Filter {
        Filter { sql: "TRUE".into(), values: Vec::new() }
    }

    fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) -> &mut Filter {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
        self
    }

    /// The rows, one more than `limit` to see whether there are more.
    fn page<T>(
        self,
        connection: &Connection,
        select: &str,
        order: &str,
        limit: usize,
        read: impl Fn(&Row<'_>) -> Option<T>,
    ) -> rusqlite::Result<Page<T>> {
        let limit = limit.min(MAX_NOTIFY_PAGE);
        let sql = format!("{select} WHERE {} ORDER BY {order} LIMIT {}", self.sql, limit + 1);
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut page = Page { items: Vec::new(), more: false };
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            match count > limit {
                true => page.more = true,
                // Rows that make no sense are left out.
                false => page.items.extend(read(row)),
            }
        }
        Ok(page)
    }
}

fn milliseconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millisecond)
}

fn bytes(id: Option<Uuid>) -> Option<Vec<u8>> {
    id.map(|id| id.as_bytes().to_vec())
}

/// Incidents that match.
pub(super) fn incidents(
    connection: &Connection,
    query: &IncidentQuery,
) -> rusqlite::Result<Page<Incident>> {
    // Open ones first, the worst first; of closed ones it is the time alone that counts.
    const RANK: &str =
        "(closed IS NULL, CASE WHEN closed IS NULL THEN status ELSE 0 END, opened, id)";
    const ORDER: &str = "closed IS NULL DESC, CASE WHEN closed IS NULL THEN status ELSE 0 END DESC, \
                         opened DESC, id DESC";
    let mut filter = Filter::new();
    match query.open {
        Some(true) => filter.sql.push_str(" AND closed IS NULL"),
        Some(false) => filter.sql.push_str(" AND closed IS NOT NULL"),
        None => {}
    }
    filter
        .and("(closed IS NULL OR closed >= ?)", milliseconds(query.since))
        .and("opened < ?", milliseconds(query.until))
        .and(
            &format!("{RANK} < (SELECT {} FROM incident WHERE id = ?)", &RANK[1..RANK.len() - 1]),
            bytes(query.before),
        );
    if query.host.is_some() || query.group.is_some() || query.probe.is_some() {
        filter.sql.push_str(" AND id IN (SELECT incident FROM incident_member WHERE TRUE");
        filter
            .and("host = ?", query.host.clone())
            .and("grp = ?", query.group.clone())
            .and("probe = ?", query.probe.clone());
        filter.sql.push(')');
    }
    filter
        .page(connection, "SELECT value FROM incident", ORDER, query.limit, |row| from_json(row, 0))
}

/// How many are open.
pub(super) fn open_incidents(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM incident INDEXED BY incident_closed WHERE closed IS NULL";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

/// One incident.
pub(super) fn incident(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<Incident>> {
    let sql = "SELECT value FROM incident WHERE id = ?1";
    let found =
        connection.query_row(sql, [id.as_bytes()], |row| Ok(from_json(row, 0))).optional()?;
    Ok(found.flatten())
}

/// Its timeline.
pub(super) fn moments(connection: &Connection, incident: Uuid) -> rusqlite::Result<Vec<Moment>> {
    let sql = format!(
        "SELECT {MOMENT_COLUMNS} FROM incident_moment WHERE incident = ?1 \
         ORDER BY id DESC LIMIT {MAX_NOTIFY_PAGE}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([incident.as_bytes()])?;
    let mut moments = Vec::new();
    while let Some(row) = rows.next()? {
        moments.extend(read_moment(row));
    }
    moments.reverse();
    Ok(moments)
}

fn read_moment(row: &Row<'_>) -> Option<Moment> {
    let host: String = row.get(4).ok()?;
    Some(Moment {
        incident: Uuid::from_bytes(row.get(1).ok()?),
        at: time(row, 2)?,
        event: from_word(row, 3)?,
        subject: match host.is_empty() {
            true => None,
            false => Some(Subject { host, probe: probe(row, 5)? }),
        },
        status: row.get::<_, Option<i64>>(6).ok()?.and_then(Status::new),
        text: row.get(7).ok()?,
        by: row.get(8).ok()?,
    })
}

/// Messages that match.
pub(super) fn notifications(
    connection: &Connection,
    query: &NotificationQuery,
) -> rusqlite::Result<Page<Notification>> {
    let mut filter = Filter::new();
    filter
        .and("host = ?", query.host.clone())
        .and("probe = ?", query.probe.clone())
        .and("incident = ?", bytes(query.incident))
        .and("channel = ?", query.channel.clone())
        .and("state = ?", query.state.map(|state| state.word().to_owned()))
        .and("at >= ?", milliseconds(query.since))
        .and("id < ?", query.before);
    let select = format!("SELECT {NOTIFICATION_COLUMNS} FROM notification");
    filter.page(connection, &select, "id DESC", query.limit, read_notification)
}

/// One message.
pub(super) fn notification(
    connection: &Connection,
    id: i64,
) -> rusqlite::Result<Option<Notification>> {
    let sql = format!("SELECT {NOTIFICATION_COLUMNS} FROM notification WHERE id = ?1");
    let found = connection.query_row(&sql, [id], |row| Ok(read_notification(row))).optional()?;
    Ok(found.flatten())
}

/// Messages with these keys.
pub(super) fn notifications_of(
    connection: &Connection,
    keys: &[String],
) -> rusqlite::Result<Vec<Notification>> {
    let sql = format!("SELECT {NOTIFICATION_COLUMNS} FROM notification WHERE key = ?1");
    let mut statement = connection.prepare(&sql)?;
    let mut found = Vec::new();
    for key in keys.iter().take(MAX_NOTIFY_PAGE) {
        let row = statement.query_row([key], |row| Ok(read_notification(row))).optional()?;
        found.extend(row.flatten());
    }
    Ok(found)
}

/// A message, and its text as it was sent.
pub(super) fn message(
    connection: &Connection,
    id: i64,
) -> rusqlite::Result<Option<(Message, String)>> {
    let sql = "SELECT message, text FROM notification WHERE id = ?1";
    let read = |row: &Row<'_>| Some((from_json(row, 0)?, row.get(1).ok()?));
    Ok(connection.query_row(sql, [id], |row| Ok(read(row))).optional()?.flatten())
}

/// The attempts to deliver a message.
pub(super) fn tries(connection: &Connection, id: i64) -> rusqlite::Result<Vec<Try>> {
    let sql = format!(
        "SELECT at, ok, text, milliseconds FROM notification_try WHERE notification = ?1 \
         ORDER BY id DESC LIMIT {MAX_NOTIFY_PAGE}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![id])?;
    let mut tries = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(at) = time(row, 0) else { continue };
        let took: i64 = row.get(3)?;
        let took = std::time::Duration::from_millis(took.unsigned_abs());
        tries.push(Try { at, ok: row.get(1)?, text: row.get(2)?, took });
    }
    tries.reverse();
    Ok(tries)
}

fn read_notification(row: &Row<'_>) -> Option<Notification> {
    Some(Notification {
        id: row.get(0).ok()?,
        key: row.get(1).ok()?,
        channel: row.get(2).ok()?,
        kind: from_word::<Kind>(row, 3)?,
        incident: row.get::<_, Option<[u8; 16]>>(4).ok()?.map(Uuid::from_bytes),
        host: row.get(5).ok()?,
        probe: probe(row, 6)?,
        title: row.get(7).ok()?,
        status: Status::new(row.get(8).ok()?)?,
        at: time(row, 9)?,
        state: State::parse(row.get_ref(10).ok()?.as_str().ok()?)?,
        attempts: row.get(11).ok()?,
        next: time(row, 12),
        delivered: time(row, 13),
        answer: row.get(14).ok()?,
        expires: time(row, 15)?,
    })
}

/// Decisions that match.
pub(super) fn decisions(
    connection: &Connection,
    query: &DecisionQuery,
) -> rusqlite::Result<Page<StoredDecision>> {
    let mut filter = Filter::new();
    filter
        .and("host = ?", query.host.clone())
        .and("probe = ?", query.probe.clone())
        .and("incident = ?", bytes(query.incident))
        .and("at >= ?", milliseconds(query.since))
        .and("at <= ?", milliseconds(query.until))
        .and("id < ?", query.before);
    let select = format!("SELECT {DECISION_COLUMNS} FROM decision");
    filter.page(connection, &select, "id DESC", query.limit, read_decision)
}

fn read_decision(row: &Row<'_>) -> Option<StoredDecision> {
    let decision = Decision {
        at: time(row, 1)?,
        subject: Subject { host: row.get(2).ok()?, probe: probe(row, 3)? },
        entry: row.get::<_, Option<i64>>(4).ok()?.map(i64::cast_unsigned),
        incident: row.get::<_, Option<[u8; 16]>>(5).ok()?.map(Uuid::from_bytes),
        channel: row.get(6).ok()?,
        status: Status::new(row.get(7).ok()?)?,
        outcome: from_word(row, 8)?,
        chain: from_json(row, 10)?,
        message: row.get(11).ok()?,
    };
    Some(StoredDecision { id: row.get(0).ok()?, decision })
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Option<T> {
    serde_json::from_str(row.get_ref(column).ok()?.as_str().ok()?).ok()
}

/// A value that is serialised to a stable word.
fn from_word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Option<T> {
    let ValueRef::Text(word) = row.get_ref(column).ok()? else { return None };
    let word = serde_json::Value::String(String::from_utf8(word.to_vec()).ok()?);
    serde_json::from_value(word).ok()
}

/// The probe in a column; the outer `None`: it makes no sense.
#[expect(clippy::option_option)]
fn probe(row: &Row<'_>, column: usize) -> Option<Option<ProbeName>> {
    match row.get_ref(column).ok()?.as_str().ok()? {
        "" => Some(None),
        name => ProbeName::parse(name).ok().map(Some),
    }
}
