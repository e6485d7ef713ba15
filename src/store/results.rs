//! The table `last_result`: what each probe said last, here and on the instances below.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::queue::Change;
use crate::{
    hub::LastResult,
    json::Json,
    status::Status,
    tree::{ProbeName, ProbeResult},
};

/// In the order in which a [`Row`] is read.
pub(super) const COLUMNS: &str = "origin, probe, version, value, message, date, metrics, detail, \
                                  status, exit_code, interval, since";

/// The most results that are read at the start: as many as 50,000 hosts of 20 probes have.
const MAX_RESULTS: usize = 1_000_000;

/// Writes the last result of a probe, or removes it.
pub(super) fn write(
    connection: &Connection,
    instance: Uuid,
    name: &ProbeName,
    change: &Change,
) -> rusqlite::Result<()> {
    let Some((result, since)) = change else {
        return connection
            .prepare_cached("DELETE FROM last_result WHERE origin = ?1 AND probe = ?2")?
            .execute(params![instance.as_bytes(), name.as_str()])
            .map(drop);
    };
    let sql = "INSERT OR REPLACE INTO last_result (origin, probe, version, value, message, date, \
               metrics, detail, status, exit_code, interval, since) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let values = params![
        instance.as_bytes(),
        name.as_str(),
        result.version,
        result.value.as_str(),
        result.message,
        result.date.as_millisecond(),
        result.metrics.as_str(),
        result.detail.as_str(),
        result.status.number(),
        result.exit_code,
        result.interval,
        since.as_millisecond(),
    ];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// The last results of all probes of all instances. Rows that make no sense are left out.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<LastResult>> {
    let sql =
        format!("SELECT {COLUMNS} FROM last_result ORDER BY origin, probe LIMIT {MAX_RESULTS}");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut results = Vec::new();
    while let Some(row) = rows.next()? {
        results.extend(read(row));
    }
    Ok(results)
}

fn read(row: &Row<'_>) -> Option<LastResult> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let time = |column| Timestamp::from_millisecond(row.get(column).ok()?).ok();
    let result = ProbeResult {
        name: ProbeName::parse(text(1)?).ok()?,
        version: text(2)?.into(),
        value: Json::parse(text(3)?)?,
        message: text(4)?.into(),
        date: time(5)?,
        metrics: Json::parse(text(6)?)?,
        detail: Json::parse(text(7)?)?,
        status: Status::new(row.get(8).ok()?)?,
        exit_code: row.get(9).ok()?,
        interval: row.get(10).ok()?,
    };
    let instance = Uuid::from_bytes(row.get(0).ok()?);
    Some(LastResult { instance, result: Arc::new(result), since: time(11)? })
}
