//! The outbox: what is to be delivered, and what came of attempts.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Attempt, ChannelCount, Due, commit::write_message};
use crate::{notify::Message, store::direct::time};

/// What is due at a channel, and when the next one is that is not.
pub(super) fn due(
    connection: &Connection,
    channel: &str,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<(Vec<Due>, Option<Timestamp>)> {
    let first = "NOT EXISTS (SELECT 1 FROM notification AS earlier INDEXED BY notification_order \
                 WHERE earlier.channel = waiting.channel AND earlier.incident = waiting.incident \
                 AND earlier.state = 'waiting' AND earlier.id < waiting.id)";
    let sql = format!(
        "SELECT message, attempts, EXISTS (SELECT 1 FROM notification AS same \
         INDEXED BY notification_incident WHERE same.incident = waiting.incident \
         AND same.channel = waiting.channel AND same.copied) OR copied \
         FROM notification AS waiting INDEXED BY notification_due \
         WHERE channel = ?1 AND state = 'waiting' AND next <= ?2 AND {first} \
         ORDER BY next, id LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![channel, now.as_millisecond(), limit as i64])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let message = row.get_ref(0)?.as_str().map(serde_json::from_str::<Message>);
        if let Ok(Ok(message)) = message {
            due.push(Due { message, attempts: row.get(1)?, is_copied: row.get(2)? });
        }
    }
    let later: Option<i64> = connection
        .prepare_cached(
            "SELECT min(next) FROM notification INDEXED BY notification_due \
             WHERE channel = ?1 AND state = 'waiting' AND next > ?2",
        )?
        .query_row(params![channel, now.as_millisecond()], |row| row.get(0))?;
    Ok((due, later.and_then(|at| Timestamp::from_millisecond(at).ok())))
}

/// Notes what came of attempts. One at a message that is not there (any more) does nothing.
pub(super) fn attempted(connection: &Connection, attempts: &[Attempt]) -> rusqlite::Result<()> {
    for attempt in attempts {
        if let Some(instead) = &attempt.instead {
            write_copy(connection, &attempt.key, instead)?;
        }
        let tried = attempt.tried.as_ref();
        let sql = "UPDATE notification SET state = ?2, next = ?3, attempts = attempts + ?4, \
                   delivered = coalesce(?5, delivered), answer = coalesce(?6, answer), \
                   text = coalesce(?7, text) WHERE key = ?1 RETURNING id";
        let id: Option<i64> = connection
            .prepare_cached(sql)?
            .query_row(
                params![
                    attempt.key,
                    attempt.state.word(),
                    attempt.next.map(Timestamp::as_millisecond),
                    i64::from(tried.is_some()),
                    tried.filter(|tried| tried.ok).map(|tried| tried.at.as_millisecond()),
                    tried.map(|tried| &tried.text),
                    attempt.text,
                ],
                |row| row.get(0),
            )
            .optional()?;
        if let (Some(id), Some(tried)) = (id, tried) {
            let sql = "INSERT INTO notification_try (notification, at, ok, text, milliseconds) \
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            connection.prepare_cached(sql)?.execute(params![
                id,
                tried.at.as_millisecond(),
                tried.ok,
                tried.text,
                i64::try_from(tried.took.as_millis()).unwrap_or(i64::MAX),
            ])?;
        }
    }
    Ok(())
}

fn write_copy(connection: &Connection, of: &str, message: &Message) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE notification SET copied = 1 WHERE key = ?1")?
        .execute([of])?;
    write_message(connection, message)
}

/// Puts copies into the outbox.
pub(super) fn copy(connection: &Connection, copies: &[(String, Message)]) -> rusqlite::Result<()> {
    copies.iter().try_for_each(|(of, message)| write_copy(connection, of, message))
}

/// Messages of a channel that have waited for long and of which there is no copy.
pub(super) fn overdue(
    connection: &Connection,
    channel: &str,
    since: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Message>> {
    let sql = "SELECT message FROM notification INDEXED BY notification_due WHERE channel = ?1 \
               AND state = 'waiting' AND copied = 0 AND at < ?2 ORDER BY id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![channel, since.as_millisecond(), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let message = row.get_ref(0)?.as_str().map(serde_json::from_str);
        found.extend(message.ok().and_then(Result::ok));
    }
    Ok(found)
}

/// Gives up all messages that wait for a channel.
pub(super) fn abandon(
    connection: &Connection,
    channel: &str,
    why: &str,
) -> rusqlite::Result<usize> {
    let sql = "UPDATE notification SET state = 'dead', next = NULL, answer = ?2 \
               WHERE channel = ?1 AND state = 'waiting'";
    connection.execute(sql, params![channel, why])
}

/// Has a message delivered again.
pub(super) fn resend(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    expires: Timestamp,
) -> rusqlite::Result<Option<String>> {
    let sql = "UPDATE notification SET state = 'waiting', attempts = 0, next = ?2, expires = ?3, \
               message = json_set(message, '$.expires', ?4) WHERE id = ?1 RETURNING channel";
    let values = params![id, now.as_millisecond(), expires.as_millisecond(), expires.to_string()];
    connection.query_row(sql, values, |row| row.get(0)).optional()
}

/// How many messages a channel has.
pub(super) fn count(connection: &Connection, channel: &str) -> rusqlite::Result<ChannelCount> {
    let sql = "SELECT (SELECT count(*) FROM notification INDEXED BY notification_due
                       WHERE channel = ?1 AND state = 'waiting'),
                      (SELECT count(*) FROM notification INDEXED BY notification_dead
                       WHERE channel = ?1 AND state IN ('dead', 'expired')),
                      (SELECT max(delivered) FROM notification INDEXED BY notification_delivered
                       WHERE channel = ?1 AND delivered IS NOT NULL)";
    connection.prepare_cached(sql)?.query_row([channel], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(ChannelCount { waiting: count(0)?, dead: count(1)?, delivered: time(row, 2) })
    })
}

/// The channels that messages wait for.
pub(super) fn waiting_channels(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT channel FROM notification INDEXED BY notification_due \
               WHERE state = 'waiting'";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}
