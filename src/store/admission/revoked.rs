//! Who was revoked, so that neither a token nor a line in a file lets the same client in again.

use jiff::Timestamp;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::Admission;
use crate::store::{
    StoreError,
    direct::{rows, time},
};

/// In the order in which a [`Row`] is read.
pub(in crate::store) const REVOKED_COLUMNS: &str = "uuid, key, at";

/// The most that are remembered; the oldest are forgotten for newer ones.
pub const MAX_REVOKED: usize = 10_000;

/// A push client that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub uuid: Uuid,
    /// SHA-256 of the public key it was bound to; `None` if it never had one.
    pub key: Option<[u8; 32]>,
    pub at: Timestamp,
}

impl Admission {
    /// All that are remembered, the newest first.
    pub fn revoked(&self) -> Result<Vec<Revoked>, StoreError> {
        let sql = format!(
            "SELECT {REVOKED_COLUMNS} FROM revoked_client ORDER BY at DESC LIMIT {MAX_REVOKED}"
        );
        self.direct
            .read("read the revoked push clients from", |connection| rows(connection, &sql, read))
    }

    /// Frees a client of its key and remembers that it was revoked.
    pub fn revoke_client(&self, revoked: &Revoked) -> Result<(), StoreError> {
        let Revoked { uuid, key, at } = revoked;
        self.direct.write("write a revoked push client to", |connection| {
            connection.execute("DELETE FROM client WHERE uuid = ?1", [uuid.as_bytes()])?;
            let sql = "INSERT OR REPLACE INTO revoked_client (uuid, key, at) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![uuid.as_bytes(), key, at.as_millisecond()])?;
            let sql = "DELETE FROM revoked_client WHERE uuid IN \
                       (SELECT uuid FROM revoked_client ORDER BY at DESC LIMIT -1 OFFSET ?1)";
            connection.execute(sql, [MAX_REVOKED as i64]).map(drop)
        })
    }

    /// Forgets that a client with this uuid, or with this key, was ever revoked.
    pub fn forgive_client(&self, uuid: Uuid, key: [u8; 32]) -> Result<(), StoreError> {
        self.direct.write("remove a revoked push client from", |connection| {
            let sql = "DELETE FROM revoked_client WHERE uuid = ?1 OR key = ?2";
            connection.execute(sql, params![uuid.as_bytes(), key]).map(drop)
        })
    }
}

fn read(row: &Row<'_>) -> Option<Revoked> {
    Some(Revoked {
        uuid: Uuid::from_bytes(row.get(0).ok()?),
        key: row.get(1).ok()?,
        at: time(row, 2)?,
    })
}
