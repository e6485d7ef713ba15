//! The tables `probe_order` and `disabled_probe`: orders that wait or were carried out lately, and the probes
//! of this host that somebody has switched off.
//!
//! As with who may push, each call is on the disk when it returns: an order counts as done only after that.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    StoreError,
    direct::{Direct, rows, time},
};
use crate::tree::{Disabled, ProbeName};

/// In the order in which a [`Row`] is read.
pub(super) const ORDER_COLUMNS: &str =
    "id, instance, host, probe, what, author, address, created, expires, state, finished, answer";
/// In the order in which a [`Row`] is read.
pub(super) const DISABLED_COLUMNS: &str = "probe, reason, author, interval, target, created, until";

/// The most orders that are read: those that wait and those that were carried out.
const MAX_ORDERS: usize = 4_000;
/// The most probes that are read: no host has more.
const MAX_DISABLED: usize = 1_000;

/// An order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    pub id: Uuid,
    /// The instance it is for.
    pub instance: Uuid,
    /// The name of its host.
    pub host: String,
    pub probe: ProbeName,
    /// JSON.
    pub what: String,
    pub author: String,
    /// Where the author asked from; empty if that is not known.
    pub address: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// One word.
    pub state: String,
    pub finished: Option<Timestamp>,
    /// Why it waits, or what came of it.
    pub answer: String,
}

/// A probe of this host that is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDisabled {
    pub probe: ProbeName,
    pub disabled: Disabled,
    /// Where its link pointed to; empty for one that lies in `examples/`.
    pub target: String,
}

/// Both tables. Every call blocks, for a lock of others up to about five seconds.
#[derive(Clone, Debug)]
pub struct OrderStore(Direct);

impl OrderStore {
    pub(super) fn at(path: &Path) -> OrderStore {
        OrderStore(Direct::at(path))
    }

    /// All orders, the newest first.
    pub fn orders(&self) -> Result<Vec<StoredOrder>, StoreError> {
        let sql = format!(
            "SELECT {ORDER_COLUMNS} FROM probe_order ORDER BY created DESC LIMIT {MAX_ORDERS}"
        );
        self.0.read("read the orders from", |connection| rows(connection, &sql, read_order))
    }

    /// Keeps an order, or how it is now.
    pub fn put_order(&self, order: &StoredOrder) -> Result<(), StoreError> {
        self.0.write("write an order to", |connection| put_order(connection, order))
    }

    /// Forgets an order.
    pub fn remove_order(&self, id: Uuid) -> Result<(), StoreError> {
        self.0.write("remove an order from", |connection| {
            let sql = "DELETE FROM probe_order WHERE id = ?1";
            connection.execute(sql, [id.as_bytes()]).map(drop)
        })
    }

    /// Forgets the orders that were finished before `cutoff`.
    pub fn purge_orders(&self, cutoff: Timestamp) -> Result<(), StoreError> {
        let cutoff = cutoff.as_millisecond();
        self.0.write("remove old orders from", |connection| {
            let sql = "DELETE FROM probe_order WHERE finished < ?1";
            connection.execute(sql, [cutoff]).map(drop)
        })
    }

    /// The probes that are switched off.
    pub fn disabled(&self) -> Result<Vec<StoredDisabled>, StoreError> {
        let sql = format!("SELECT {DISABLED_COLUMNS} FROM disabled_probe LIMIT {MAX_DISABLED}");
        self.0.read("read the disabled probes from", |connection| {
            rows(connection, &sql, read_disabled)
        })
    }

    /// Notes that a probe is switched off.
    pub fn put_disabled(&self, stored: &StoredDisabled) -> Result<(), StoreError> {
        let StoredDisabled { probe, disabled, target } = stored;
        self.0.write("write a disabled probe to", |connection| {
            let sql = format!(
                "INSERT OR REPLACE INTO disabled_probe ({DISABLED_COLUMNS}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            );
            let (created, until) = (disabled.created, disabled.until);
            let values = params![
                probe.as_str(),
                disabled.reason,
                disabled.author,
                disabled.interval,
                target,
                created.as_millisecond(),
                until.map(Timestamp::as_millisecond),
            ];
            connection.execute(&sql, values).map(drop)
        })
    }

    /// Notes that a probe is switched on again.
    pub fn remove_disabled(&self, probe: &ProbeName) -> Result<(), StoreError> {
        self.0.write("remove a disabled probe from", |connection| {
            let sql = "DELETE FROM disabled_probe WHERE probe = ?1";
            connection.execute(sql, [probe.as_str()]).map(drop)
        })
    }
}

fn put_order(connection: &Connection, order: &StoredOrder) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO probe_order ({ORDER_COLUMNS}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    let values = params![
        order.id.as_bytes(),
        order.instance.as_bytes(),
        order.host,
        order.probe.as_str(),
        order.what,
        order.author,
        order.address,
        order.created.as_millisecond(),
        order.expires.as_millisecond(),
        order.state,
        order.finished.map(Timestamp::as_millisecond),
        order.answer,
    ];
    connection.execute(&sql, values).map(drop)
}

fn read_order(row: &Row<'_>) -> Option<StoredOrder> {
    Some(StoredOrder {
        id: Uuid::from_bytes(row.get(0).ok()?),
        instance: Uuid::from_bytes(row.get(1).ok()?),
        host: row.get(2).ok()?,
        probe: ProbeName::parse(&row.get::<_, String>(3).ok()?).ok()?,
        what: row.get(4).ok()?,
        author: row.get(5).ok()?,
        address: row.get(6).ok()?,
        created: time(row, 7)?,
        expires: time(row, 8)?,
        state: row.get(9).ok()?,
        finished: time(row, 10),
        answer: row.get(11).ok()?,
    })
}

fn read_disabled(row: &Row<'_>) -> Option<StoredDisabled> {
    Some(StoredDisabled {
        probe: ProbeName::new(&row.get::<_, String>(0).ok()?).ok()?,
        disabled: Disabled {
            reason: row.get(1).ok()?,
            author: row.get(2).ok()?,
            interval: row.get(3).ok()?,
            created: time(row, 5)?,
            until: time(row, 6),
        },
        target: row.get(4).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Settings, Store};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_again_until_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wigo.db");
        let opened = Store::open(Settings { path, origin: Uuid::from_u128(1), keep_days: 1 });
        opened.store.flush().unwrap();
        let orders = opened.store.orders();
        let waiting = StoredOrder {
            id: Uuid::from_u128(7),
            instance: Uuid::from_u128(2),
            host: "leaf".into(),
            probe: ProbeName::new("it's; \"load\"").unwrap(),
            what: "{}".into(),
            author: "alice".into(),
            address: "10.0.0.1".into(),
            created: at(10),
            expires: at(20),
            state: "waiting".into(),
            finished: None,
            answer: "away".into(),
        };
        orders.put_order(&waiting).unwrap();
        let done = StoredOrder {
            id: Uuid::from_u128(8),
            created: at(11),
            state: "done".into(),
            finished: Some(at(12)),
            ..waiting.clone()
        };
        orders.put_order(&done).unwrap();
        assert_eq!(orders.orders().unwrap(), [done.clone(), waiting.clone()]);
        let cancelled =
            StoredOrder { state: "cancelled".into(), finished: Some(at(15)), ..waiting };
        orders.put_order(&cancelled).unwrap();
        orders.purge_orders(at(13)).unwrap();
        assert_eq!(orders.orders().unwrap(), [cancelled]);

        let disabled = StoredDisabled {
            probe: done.probe,
            disabled: Disabled {
                reason: "it is slow".into(),
                author: "alice".into(),
                interval: 60,
                created: at(10),
                until: Some(at(70)),
            },
            target: "../../far".into(),
        };
        orders.put_disabled(&disabled).unwrap();
        assert_eq!(orders.disabled().unwrap(), std::slice::from_ref(&disabled));
        orders.remove_disabled(&disabled.probe).unwrap();
        assert_eq!(orders.disabled().unwrap(), []);
    }
}
