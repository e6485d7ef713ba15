//! What waits is bounded, stays together, and comes in the order in which it was handed in.

use super::{
    super::queue::{Batch, Bounds, MAX_BATCH_ROWS, Queue},
    *,
};
use crate::tree::Known;

const UNBOUNDED: Bounds = Bounds {
    entries: usize::MAX,
    entry_bytes: usize::MAX,
    results: usize::MAX,
    state_bytes: usize::MAX,
};

fn results(instance: Uuid, names: std::ops::Range<usize>, message: &str) -> Changes {
    let one = |n| last(instance, &result(&format!("p{n}"), message), time(1));
    Changes { results: names.map(one).collect(), ..Changes::default() }
}

fn known(uuid: u128, name: &str) -> Known {
    fleet::known(Uuid::from_u128(uuid), name)
}

fn taken(queue: &mut Queue) -> Vec<u64> {
    queue.take().entries.iter().map(|entry| entry.id).collect()
}

fn count(batch: &Batch) -> usize {
    batch.results.values().map(std::collections::BTreeMap::len).sum()
}

fn with_ten(bounds: Bounds) -> Queue {
    let mut queue = Queue::new(bounds);
    queue.record(Changes::entries(entries(1..=10)));
    queue
}

#[test]
fn the_oldest_entries_are_dropped_and_counted() {
    let mut by_count = with_ten(Bounds { entries: 3, ..UNBOUNDED });
    assert_eq!((by_count.lost(), by_count.take_lost(), by_count.take_lost()), (7, 7, 0));
    assert_eq!(taken(&mut by_count), [8, 9, 10]);

    let one = size_of::<Entry>() + 100;
    let mut by_bytes = with_ten(Bounds { entry_bytes: 2 * one, ..UNBOUNDED });
    assert_eq!(by_bytes.lost(), 8);
    assert_eq!(taken(&mut by_bytes), [9, 10]);
}

#[test]
fn a_batch_that_fails_comes_back_before_what_came_since() {
    let mut queue = with_ten(Bounds { entries: 12, ..UNBOUNDED });
    queue.record(Changes::result(&result("p", "old"), time(1)));
    let batch = queue.take();
    queue.record(Changes::entries(entries(11..=15)));
    queue.record(Changes::gone("p"));
    assert_eq!(queue.waiting(), 15);
    queue.put_back(batch);
    // It gives way first.
    assert_eq!((queue.waiting(), queue.take_lost()), (12, 3));
    let batch = queue.take();
    let ids: Vec<_> = batch.entries.iter().map(|e| e.id).collect();
    assert_eq!(ids, (4..=15).collect::<Vec<_>>());
    assert!(batch.results[&ORIGIN].values().all(Option::is_none));
    assert!(queue.is_empty());
}

#[test]
fn a_batch_is_no_larger_than_a_transaction_may_be() {
    let mut queue = Queue::new(UNBOUNDED);
    let size = MAX_BATCH_ROWS as u64 * 2 / 5;
    for part in 0..4 {
        let entries = entries(part * size + 1..=(part + 1) * size);
        let results = vec![last(ORIGIN, &result("load", &part.to_string()), time(1))];
        queue.record(Changes { results, ..Changes::entries(entries) });
    }
    let message = |batch: &Batch| batch.results[&ORIGIN]["load"].clone().unwrap().0.message.clone();
    let first = queue.take();
    assert!(first.rows() <= MAX_BATCH_ROWS && first.entries.len() as u64 == 2 * size);
    assert_eq!(message(&first), "1");
    assert!(queue.is_pressing() && !queue.is_empty());
    queue.written(&first);
    let second = queue.take();
    assert_eq!((second.entries[0].id, message(&second).as_str()), (2 * size + 1, "3"));
    assert!(queue.is_empty() && !queue.is_written(queue.handed()));
    queue.written(&second);
    assert!(queue.is_written(queue.handed()));
}

#[test]
fn what_was_handed_in_together_stays_together() {
    let mut queue = with_ten(UNBOUNDED);
    queue.record(results(OTHER, 0..2 * MAX_BATCH_ROWS, "x"));
    assert_eq!(taken(&mut queue).len(), 10);
    assert_eq!(count(&queue.take()), 2 * MAX_BATCH_ROWS);
}

#[test]
fn results_alone_press_only_when_a_batch_is_full_or_somebody_waits() {
    let mut queue = Queue::new(UNBOUNDED);
    queue.record(results(OTHER, 0..MAX_BATCH_ROWS, "x"));
    assert!(!queue.is_pressing());
    queue.record(results(ORIGIN, 0..1, "x"));
    assert!(queue.is_pressing());
    let batch = queue.take();
    queue.written(&batch);
    assert!(!queue.is_pressing());
    queue.want(queue.handed());
    assert!(queue.is_pressing());
}

#[test]
fn results_beyond_the_bounds_are_left_as_they_are_on_the_disk() {
    let mut by_count = Queue::new(Bounds { results: 3, ..UNBOUNDED });
    by_count.record(results(OTHER, 0..5, "one"));
    by_count.record(results(OTHER, 2..5, "two"));
    let batch = by_count.take();
    let said: Vec<_> = batch.results[&OTHER]
        .values()
        .map(|change| change.as_ref().unwrap().0.message.clone())
        .collect();
    assert_eq!(said, ["one", "one", "two"]);

    let mut by_bytes = Queue::new(Bounds { state_bytes: 4_000, ..UNBOUNDED });
    by_bytes.record(results(OTHER, 0..50, &"x".repeat(1_000)));
    by_bytes.record(Changes { known: vec![known(7, "late")], ..Changes::default() });
    // No larger ones in place of those that are there; smaller ones make room again.
    by_bytes.record(results(OTHER, 0..1, &"y".repeat(2_000)));
    by_bytes.record(results(OTHER, 1..4, "small"));
    by_bytes.record(Changes { known: vec![known(8, "now")], ..Changes::default() });
    let batch = by_bytes.take();
    assert!((2..5).contains(&count(&batch)), "{}", count(&batch));
    assert_eq!(batch.results[&OTHER]["p0"].clone().unwrap().0.message.len(), 1_000);
    assert_eq!(batch.known.keys().copied().collect::<Vec<_>>(), [Uuid::from_u128(8)]);
}

#[test]
fn what_is_forgotten_does_not_come_back_and_what_comes_back_is_not_forgotten() {
    let mut queue = Queue::new(UNBOUNDED);
    let all_of = |instance| Changes {
        known: vec![fleet::known(instance, "x")],
        position: Some((instance, 5)),
        ..results(instance, 0..2, "x")
    };
    queue.record(all_of(OTHER));
    queue.record(Changes { forgotten: vec![OTHER], ..Changes::default() });
    queue.record(results(OTHER, 1..2, "again"));
    let batch = queue.take();
    assert_eq!((count(&batch), batch.known.len(), batch.positions.len()), (1, 0, 0));
    assert!(batch.forgotten.contains(&OTHER));
    // The same when a batch comes back.
    queue.record(Changes { forgotten: vec![OTHER], ..Changes::default() });
    queue.put_back(batch);
    let batch = queue.take();
    assert_eq!((count(&batch), batch.rows()), (0, 1));
}
