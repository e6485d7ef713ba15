//! Reading the journal in order, and what is there of others.

use std::collections::HashMap;

use super::*;

#[test]
fn the_log_is_read_on_in_parts() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    // Not all ids are there.
    store.append([entries(1..=3), entries(10..=12)].concat());
    store.flush().unwrap();
    let after = |id, limit| -> Vec<u64> {
        store.journal_after(id, limit).unwrap().iter().map(|entry| entry.id).collect()
    };
    assert_eq!(after(0, 2), [1, 2]);
    assert_eq!(after(2, 2), [3, 10]);
    assert_eq!(after(10, 100), [11, 12]);
    assert_eq!((after(12, 100), after(u64::MAX, 100), after(0, 0)), (vec![], vec![], vec![]));

    let newest = |count| store.id_before_newest(count).unwrap();
    assert_eq!([newest(0), newest(2), newest(3), newest(5)], [12, 10, 3, 1]);
    assert_eq!([newest(6), newest(7), newest(usize::MAX)], [0, 0, 0]);
}

#[test]
fn a_part_is_bounded_by_its_text_and_never_empty_before_the_end() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let mut written = entries(1..=6);
    for entry in &mut written[..4] {
        entry.transition.message = "x".repeat(JOURNAL_BATCH_BYTES / 2);
    }
    written[3].transition.message = "y".repeat(2 * JOURNAL_BATCH_BYTES);
    store.append(written);
    store.flush().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    connection.execute_batch("UPDATE journal SET kind = 'nonsense' WHERE id = 5").unwrap();
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(newest) = {
        let part = store.journal_after(at, 1_000).unwrap();
        parts.push(part.iter().map(|entry| entry.id).collect::<Vec<_>>());
        part.last().map(|entry| entry.id)
    } {
        at = newest;
    }
    assert_eq!(parts, [vec![1], vec![2], vec![3], vec![4], vec![6], vec![]]);
}

#[test]
fn a_start_knows_how_much_each_instance_has_told() {
    let folder = TempDir::new().unwrap();
    let opened = open(folder.path());
    assert_eq!(opened.told, HashMap::new());
    let of = |id, origin, origin_id| Entry { origin, origin_id, ..entry(id, 300) };
    let third = Uuid::from_u128(3);
    opened.store.append(vec![
        of(1, OTHER, 50),
        of(2, ORIGIN, 2),
        of(3, third, u64::MAX - 5),
        of(4, third, 9),
        of(5, OTHER, 40),
    ]);
    opened.store.close(PATIENCE).unwrap();
    let told = HashMap::from([(ORIGIN, 2), (OTHER, 50), (third, u64::MAX - 5)]);
    assert_eq!(open(folder.path()).told, told);
}

#[test]
fn a_database_made_anew_uses_no_id_again() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path());
    let id = first.next_id;
    first.store.append(entries(id..=id + 100));
    first.store.close(PATIENCE).unwrap();
    drop(first);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    until("the clock is further than the ids", || {
        Timestamp::now().as_millisecond() as u64 > id + 100
    });
    let second = open(folder.path());
    assert!(second.next_id > id + 100);
    // What was given out and not used is not given out again.
    second.store.flush().unwrap();
    until("the start is noted", || second.store.health().commits == 1);
    let next_id = second.next_id;
    drop(second);
    assert_eq!(open(folder.path()).next_id, next_id);
}
