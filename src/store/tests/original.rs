//! A database of an original Wigo is taken over.

use rusqlite::Connection;

use super::*;

fn original(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("wigo.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE logs(id integer not null primary key, date timestamp, level int, grp text,
                               host text, probe text, message text);
             INSERT INTO logs VALUES
                (1, 1700000010, 6, 'web', 'a', 'load', 'Probe load switched from 100 to 300 : high'),
                (2, 1700000000, 4, 'web', 'a', '',     'Wigo a DOWN'),
                (3, '2023-11-14 22:13:20', 2, 'web', 'a', 'load', 'text date'),
                (4, 1700000020, 3, 'web', 'a', 'load', x'ff41'),
                (5, NULL,       3, 'web', 'a', 'load', 'no date'),
                (6, 1700000030, 2, NULL,  'a', 'load', NULL);",
        )
        .unwrap();
    connection
}

#[test]
fn the_log_of_an_original_is_taken_over_once() {
    let folder = TempDir::new().unwrap();
    drop(original(folder.path()));
    let opened =
        Store::open_with(Settings { keep_days: 36_500, ..settings(folder.path()) }, limits());
    let next_id = opened.next_id;
    // The log may be taken over a second time, from a copy, when others know what came after it.
    assert!(next_id > 1_700_000_000_000, "{next_id}");
    assert_eq!(opened.last_seen, None);
    let [note] = &opened.store.health().notes[..] else { panic!("{}", told(&opened.store)) };
    assert!(note.text.contains("took over 4 log entries"), "{note:?}");
    assert_eq!(note.status.number(), 150);

    let entries = opened.store.logs(&LogQuery { after: Some(0), ..all() }).unwrap();
    let number = |status: Option<Status>| status.map(Status::number);
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| {
            let change = &entry.transition;
            assert_eq!((change.kind, entry.origin), (Kind::Imported, ORIGIN));
            (entry.id, change.at.as_second(), number(change.was), number(change.now))
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, 1_700_000_000, None, Some(500)),
            (2, 1_700_000_010, Some(100), Some(300)),
            (3, 1_700_000_020, None, Some(150)),
            (4, 1_700_000_030, None, Some(100)),
        ]
    );
    assert_eq!(entries[0].transition.probe, None);
    assert_eq!(entries[1].transition.message, "Probe load switched from 100 to 300 : high");
    assert_eq!(entries[2].transition.message, "\u{fffd}A");
    opened.store.close(PATIENCE).unwrap();

    let again = open(folder.path());
    assert_eq!((again.next_id, told(&again.store).as_str()), (next_id, ""));
    let copy = folder.path().join("wigo.db.before-v1");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    for path in [copy, folder.path().join("wigo.db")] {
        let rows = Connection::open(path).unwrap().query_row(
            "SELECT count(*), sum(length(message)) FROM logs",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        assert_eq!(rows, Ok((6, 71)));
    }
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let connection = Connection::open(folder.path().join("wigo.db")).unwrap();
    connection.execute_batch("CREATE TABLE journal (x); INSERT INTO journal VALUES (1)").unwrap();
    drop(connection);
    let before = std::fs::read(folder.path().join("wigo.db")).unwrap();
    let opened = open(folder.path());
    let told = told(&opened.store);
    assert!(told.contains("tables of another program"), "{told}");
    opened.store.append(entries(1..=1));
    let error = opened.store.close(Duration::ZERO).unwrap_err();
    assert!(matches!(error, StoreError::NotWritten { waiting: 1, .. }), "{error}");
    assert_eq!(std::fs::read(folder.path().join("wigo.db")).unwrap(), before);
}
