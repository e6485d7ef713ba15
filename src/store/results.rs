//! The table `last_result`: what each probe said last.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{MAX_ROWS, queue::Change};
use crate::{
    json::Json,
    status::Status,
    tree::{ProbeName, ProbeResult},
};

/// The columns after `origin`, in the order in which a [`Row`] is read.
pub(super) const COLUMNS: &str = "probe, version, value, message, date, metrics, detail, status, \
                                  exit_code, interval, since";

/// Writes the last result of a probe, or removes it.
pub(super) fn write(
    connection: &Connection,
    origin: Uuid,
    name: &ProbeName,
    change: &Change,
) -> rusqlite::Result<()> {
    let Some((result, since)) = change else {
        return connection
            .prepare_cached("DELETE FROM last_result WHERE origin = ?1 AND probe = ?2")?
            .execute(params![origin.as_bytes(), name.as_str()])
            .map(drop);
    };
    let sql = "INSERT OR REPLACE INTO last_result (origin, probe, version, value, message, date, \
               metrics, detail, status, exit_code, interval, since) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let values = params![
        origin.as_bytes(),
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

/// The last results of an instance's probes, at most [`MAX_ROWS`]. Rows that make no sense are left out.
pub(super) fn load(
    connection: &Connection,
    origin: Uuid,
) -> rusqlite::Result<Vec<(ProbeResult, Timestamp)>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM last_result WHERE origin = ?1 ORDER BY probe LIMIT {MAX_ROWS}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([origin.as_bytes()])?;
    let mut results = Vec::new();
    while let Some(row) = rows.next()? {
        results.extend(read(row));
    }
    Ok(results)
}

fn read(row: &Row<'_>) -> Option<(ProbeResult, Timestamp)> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let time = |column| Timestamp::from_millisecond(row.get(column).ok()?).ok();
    let result = ProbeResult {
        name: ProbeName::parse(text(0)?).ok()?,
        version: text(1)?.into(),
        value: Json::parse(text(2)?)?,
        message: text(3)?.into(),
        date: time(4)?,
        metrics: Json::parse(text(5)?)?,
        detail: Json::parse(text(6)?)?,
        status: Status::new(row.get(7).ok()?)?,
        exit_code: row.get(8).ok()?,
        interval: row.get(9).ok()?,
    };
    Some((result, time(10)?))
}
