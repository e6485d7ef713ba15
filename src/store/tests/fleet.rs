//! What is remembered of the instances below.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::tree::{Contact, Known};

/// What is known of an instance directly below.
pub fn known(uuid: Uuid, name: &str) -> Known {
    Known {
        uuid,
        parent: ORIGIN,
        via: uuid,
        contact: Some(Contact::Push { address: "192.0.2.1:7".into(), encrypted: true }),
        version: "Wigo v1".into(),
        name: name.into(),
        group: "web".into(),
        labels: BTreeMap::from([("rack".into(), "a \"7\"".into())]),
        down: false,
        last_update: Some(time(9)),
    }
}

fn results(instance: Uuid, names: &[&str]) -> Vec<LastResult> {
    names.iter().map(|name| last(instance, &result(name, "x"), time(1))).collect()
}

#[test]
fn a_restart_knows_the_instances_below() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let direct = known(OTHER, "b");
    let below = Known {
        uuid: Uuid::from_u128(3),
        parent: OTHER,
        via: OTHER,
        contact: None,
        labels: BTreeMap::new(),
        down: true,
        last_update: None,
        ..known(OTHER, "c")
    };
    let pulled = Known {
        contact: Some(Contact::Pull { endpoint: "http://d:4000".into(), encrypted: false }),
        ..known(Uuid::from_u128(4), "d")
    };
    store.record(Changes {
        results: [results(OTHER, &["disk", "load"]), results(below.uuid, &["load"])].concat(),
        known: vec![known(OTHER, "before"), below.clone()],
        position: Some((OTHER, 7)),
        ..Changes::entries(entries(1..=1))
    });
    store.record(Changes {
        results: results(ORIGIN, &["load"]),
        gone: vec![(OTHER, ProbeName::new("disk").unwrap())],
        known: vec![direct.clone(), pulled.clone()],
        position: Some((OTHER, u64::MAX)),
        ..Changes::default()
    });
    store.close(PATIENCE).unwrap();

    let again = open(folder.path());
    assert_eq!(again.known, [direct, below.clone(), pulled.clone()]);
    let restored = [ORIGIN, OTHER, below.uuid].map(|of| results(of, &["load"])).concat();
    assert_eq!(again.restored, restored);
    assert_eq!(again.positions, HashMap::from([(OTHER, u64::MAX)]));

    again.store.record(Changes { forgotten: vec![OTHER], ..Changes::default() });
    again.store.close(PATIENCE).unwrap();
    let after = open(folder.path());
    assert_eq!(after.known, [below.clone(), pulled]);
    assert_eq!(after.restored.len(), 2);
    assert!(after.restored.iter().all(|last| last.instance != OTHER));
    assert_eq!(after.positions, HashMap::new());
    // Its entries stay.
    assert_eq!(ids(&after.store, &all()), [1]);
}

#[test]
fn what_one_event_changed_is_written_together_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    until("the start is noted", || store.health().commits == 1);
    let connection = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    store.record(Changes {
        results: results(OTHER, &["load"]),
        known: vec![known(OTHER, "b")],
        position: Some((OTHER, 7)),
        ..Changes::entries(entries(1..=1))
    });
    until("it was tried", || store.health().problem.is_some());
    let rows = || {
        let sql = "SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM last_result), \
                   (SELECT count(*) FROM instance), (SELECT count(*) FROM position)";
        let read = |row: &rusqlite::Row<'_>| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?])
        };
        connection.query_row(sql, [], read).unwrap()
    };
    assert_eq!(rows(), [0, 0, 0, 0]);
    connection.execute_batch("DROP TRIGGER stop").unwrap();
    store.flush().unwrap();
    assert_eq!(rows(), [1, 1, 1, 1]);
}

#[test]
fn rows_that_make_no_sense_are_left_out() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let changes = Changes {
        results: results(OTHER, &["load", "disk"]),
        known: vec![known(OTHER, "b"), known(Uuid::from_u128(3), "c")],
        ..Changes::default()
    };
    store.record(changes);
    store.close(PATIENCE).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    connection
        .execute_batch(
            "UPDATE instance SET labels = '[1]' WHERE name = 'c';
             INSERT INTO instance SELECT x'00', parent, via, contact, address, encrypted, version, \
                name, grp, labels, down, last_update FROM instance WHERE name = 'b';
             INSERT INTO position VALUES (x'0102', 7);
             UPDATE last_result SET detail = '{' WHERE probe = 'disk'",
        )
        .unwrap();
    drop(connection);
    let again = open(folder.path());
    assert_eq!(again.known, [known(OTHER, "b")]);
    assert_eq!(again.restored, results(OTHER, &["load"]));
    assert_eq!(again.positions, HashMap::new());
    assert_eq!(told(&again.store), "");
}

#[test]
fn more_results_than_a_transaction_takes_are_all_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let sample = result("load", "x");
    for instance in 0..30_000 {
        let uuid = Uuid::from_u128(instance);
        store.record(Changes {
            results: vec![last(uuid, &sample, time(1))],
            known: vec![known(uuid, "x")],
            ..Changes::default()
        });
    }
    store.close(PATIENCE).unwrap();
    assert!(store.health().commits >= 3, "{}", store.health().commits);
    let again = open(folder.path());
    assert_eq!((again.restored.len(), again.known.len()), (30_000, 30_000));
    assert_eq!(again.last_seen.map(|last| last.clean), Some(true));
}
