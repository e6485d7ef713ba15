//! Deleting what is old, in small steps. What waits to be delivered stays, and so do open incidents.

use rusqlite::{Connection, params};

/// The most decisions.
const MAX_DECISIONS: i64 = 500_000;
/// The most messages that do not wait any more.
const MAX_MESSAGES: i64 = 200_000;
/// The most incidents that are closed.
const MAX_INCIDENTS: i64 = 100_000;
/// The most lines of timelines.
const MAX_MOMENTS: i64 = 500_000;

/// Deletes at most `step` rows each of what happened before `cutoff` (Unix milliseconds) or is too much.
/// Returns whether there may be more.
pub(in crate::store) fn purge(
    connection: &Connection,
    cutoff: i64,
    step: usize,
) -> rusqlite::Result<bool> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let mut more = false;
    let mut run = |sql: &str, bound: i64| -> rusqlite::Result<()> {
        let deleted = connection.prepare_cached(sql)?.execute(params![bound, step])?;
        more |= deleted as i64 >= step;
        Ok(())
    };
    run(
        "DELETE FROM decision WHERE id IN (SELECT id FROM decision INDEXED BY decision_at \
         WHERE at < ?1 ORDER BY at LIMIT ?2)",
        cutoff,
    )?;
    run(
        "DELETE FROM notification WHERE id IN (SELECT id FROM notification INDEXED BY notification_at \
         WHERE at < ?1 AND state <> 'waiting' ORDER BY at LIMIT ?2)",
        cutoff,
    )?;
    run(
        "DELETE FROM incident WHERE id IN (SELECT id FROM incident INDEXED BY incident_closed \
         WHERE closed < ?1 ORDER BY closed LIMIT ?2)",
        cutoff,
    )?;
    // Beyond the bounds the oldest go.
    for (table, most, unless) in [
        ("decision", MAX_DECISIONS, ""),
        ("notification", MAX_MESSAGES, "AND state <> 'waiting'"),
        ("incident_moment", MAX_MOMENTS, ""),
    ] {
        let highest: Option<i64> =
            connection.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0))?;
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id <= ?1 {unless} \
             ORDER BY id LIMIT ?2)"
        );
        run(&sql, highest.unwrap_or(0).saturating_sub(most))?;
    }
    let kept: Option<i64> = {
        let sql = "SELECT closed FROM incident INDEXED BY incident_closed WHERE closed IS NOT NULL \
                   ORDER BY closed DESC LIMIT 1 OFFSET ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([MAX_INCIDENTS])?;
        rows.next()?.map(|row| row.get(0)).transpose()?
    };
    if let Some(oldest) = kept {
        run(
            "DELETE FROM incident WHERE id IN (SELECT id FROM incident INDEXED BY incident_closed \
             WHERE closed <= ?1 ORDER BY closed LIMIT ?2)",
            oldest,
        )?;
    }
    Ok(more)
}
