//! The tables `instance` and `position`: who is below this instance, and how far we know their journals.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use crate::tree::{Contact, Known};

/// In the order in which a [`Row`] is read.
pub(super) const COLUMNS: &str = "uuid, parent, via, contact, address, encrypted, version, name, \
                                  grp, labels, down, last_update";

/// The most instances that are read at the start.
const MAX_INSTANCES: usize = 100_000;

/// Writes what is known of an instance.
pub(super) fn write(connection: &Connection, known: &Known) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO instance (uuid, parent, via, contact, address, encrypted, \
               version, name, grp, labels, down, last_update) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let (contact, address, encrypted) = match &known.contact {
        None => ("", "", false),
        Some(Contact::Push { address, encrypted }) => ("push", address.as_str(), *encrypted),
        Some(Contact::Pull { endpoint, encrypted }) => ("pull", endpoint.as_str(), *encrypted),
    };
    let values = params![
        known.uuid.as_bytes(),
        known.parent.as_bytes(),
        known.via.as_bytes(),
        contact,
        address,
        encrypted,
        known.version,
        known.name,
        known.group,
        // Texts alone: they always become JSON.
        serde_json::to_string(&known.labels).unwrap_or_default(),
        known.down,
        known.last_update.map(Timestamp::as_millisecond),
    ];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Removes an instance, its last results and how far its journal is known.
pub(super) fn forget(connection: &Connection, instance: Uuid) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM instance WHERE uuid = ?1",
        "DELETE FROM last_result WHERE origin = ?1",
        "DELETE FROM position WHERE uuid = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([instance.as_bytes()])?;
    }
    Ok(())
}

/// Notes up to which id we have the entries of an instance directly below.
pub(super) fn set_position(
    connection: &Connection,
    instance: Uuid,
    id: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO position (uuid, id) VALUES (?1, ?2)")?
        // SQLite knows signed numbers only; those of others may be anything and have to come back.
        .execute(params![instance.as_bytes(), id.cast_signed()])
        .map(drop)
}

/// What is known of the instances below. Rows that make no sense are left out.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<Known>> {
    let sql = format!("SELECT {COLUMNS} FROM instance ORDER BY uuid LIMIT {MAX_INSTANCES}");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut known = Vec::new();
    while let Some(row) = rows.next()? {
        known.extend(read(row));
    }
    Ok(known)
}

/// Up to which id we have the entries of each instance directly below.
pub(super) fn positions(connection: &Connection) -> rusqlite::Result<HashMap<Uuid, u64>> {
    pairs(connection, &format!("SELECT uuid, id FROM position LIMIT {MAX_INSTANCES}"))
}

/// The highest id that each instance gave to an entry that the journal has of it. Jumps in the index
/// from one instance to the next, so that it takes no longer the more entries each has.
pub(super) fn told(connection: &Connection) -> rusqlite::Result<HashMap<Uuid, u64>> {
    // Of numbers without a sign that are stored with one, the negative ones are the higher half.
    let sql = format!(
        "WITH RECURSIVE one (origin) AS (
             SELECT min(origin) FROM journal
             UNION ALL
             SELECT (SELECT min(origin) FROM journal WHERE origin > one.origin) FROM one
             WHERE one.origin IS NOT NULL LIMIT {MAX_INSTANCES}
         )
         SELECT origin, coalesce(
             (SELECT max(origin_id) FROM journal
              WHERE journal.origin = one.origin AND origin_id < 0),
             (SELECT max(origin_id) FROM journal WHERE journal.origin = one.origin)
         ) FROM one WHERE origin IS NOT NULL"
    );
    pairs(connection, &sql)
}

/// Rows of a uuid and an id.
fn pairs(connection: &Connection, sql: &str) -> rusqlite::Result<HashMap<Uuid, u64>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut pairs = HashMap::new();
    while let Some(row) = rows.next()? {
        let uuid = row.get(0).ok().map(Uuid::from_bytes);
        let id = row.get::<_, i64>(1).ok().map(i64::cast_unsigned);
        pairs.extend(uuid.zip(id));
    }
    Ok(pairs)
}

fn read(row: &Row<'_>) -> Option<Known> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let uuid = |column| row.get(column).ok().map(Uuid::from_bytes);
    let address = || text(4).map(str::to_owned);
    let encrypted = row.get(5).ok()?;
    let labels: BTreeMap<String, String> = serde_json::from_str(text(9)?).ok()?;
    let last_update: Option<i64> = row.get(11).ok()?;
    Some(Known {
        uuid: uuid(0)?,
        parent: uuid(1)?,
        via: uuid(2)?,
        contact: match text(3)? {
            "" => None,
            "push" => Some(Contact::Push { address: address()?, encrypted }),
            "pull" => Some(Contact::Pull { endpoint: address()?, encrypted }),
            _ => return None,
        },
        version: text(6)?.into(),
        name: text(7)?.into(),
        group: text(8)?.into(),
        labels,
        down: row.get(10).ok()?,
        last_update: last_update.and_then(|time| Timestamp::from_millisecond(time).ok()),
    })
}
