//! When things break: locks, files that are damaged, taken away or not ours.

use std::fs;

use rusqlite::Connection;

use super::{space::SmallDisk, *};

fn other_process(folder: &Path) -> Connection {
    Connection::open(folder.join("wigo.db")).unwrap()
}

/// The files in the folder whose name has `part` in it.
fn files(folder: &Path, part: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().contains(part));
    files.sort();
    files
}

/// Overwrites a part of the file, given in percent of its length.
fn damage(folder: &Path, from: usize, to: usize) {
    let path = folder.join("wigo.db");
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[length * from / 100..length * to / 100].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn entries_wait_while_another_process_holds_a_lock() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    store.flush().unwrap();
    until("the start is noted", || store.health().commits == 1);
    let other = other_process(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.append(entries(1..=3));
    store.put_result(&result("load", "x"), time(1));
    until("the problem shows", || problem(&store).contains("another process holds it"));
    assert_eq!(store.health().waiting, 3);
    assert!(problem(&store).contains("wigo.db"));
    // Questions are answered meanwhile.
    assert_eq!(ids(&store, &all()), Vec::<u64>::new());
    store.append(entries(4..=4));
    drop(other);
    store.flush().unwrap();
    until("the problem is over", || store.health().problem.is_none());
    assert_eq!(ids(&store, &all()), [4, 3, 2, 1]);
    assert_eq!(store.health().lost, 0);
    assert_eq!(open(folder.path()).restored.len(), 1);
}

#[test]
fn a_start_against_a_lock_catches_up() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    let other = other_process(folder.path());
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM last_result")
        .unwrap();
    let opened = open(folder.path());
    assert!(told(&opened.store).contains("another process holds it"), "{}", told(&opened.store));
    assert!(told(&opened.store).contains("could not be read at the start"));
    assert!(matches!(opened.store.indexes(), Err(StoreError::Unavailable { .. })));
    assert!(opened.next_id > 2_000);
    opened.store.append(entries(opened.next_id..=opened.next_id));
    drop(other);
    opened.store.flush().unwrap();
    assert_eq!(ids(&opened.store, &all())[..2], [opened.next_id, 2_000]);
    opened.store.close(PATIENCE).unwrap();
    let again = open(folder.path());
    assert_eq!((again.next_id, again.restored.len()), (opened.next_id + 1, 3));
}

#[test]
fn a_start_waits_for_a_lock_to_be_let_go_of() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    let other = other_process(folder.path());
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM last_result")
        .unwrap();
    let patient = Limits { start_lock: PATIENCE, ..limits() };
    let shared = Arc::new(Shared::new(settings(folder.path()), patient));
    let past = std::thread::scope(|scope| {
        let start = scope.spawn(|| Writer::open(Arc::clone(&shared)).1);
        let problem = || shared.health().problem.unwrap_or_default();
        until("the start met the lock", || problem().contains("another process holds it"));
        drop(other);
        start.join().unwrap()
    });
    assert_eq!((past.results.len(), past.highest), (3, Some(2_000)));
    assert_eq!(past.last_seen.map(|last| last.clean), Some(true));
    let health = shared.health();
    assert_eq!((health.notes, health.problem), (vec![], None));
}

#[test]
fn a_disk_that_is_read_only_is_caught_up_with() {
    let Some(disk) = SmallDisk::mount("2m") else {
        eprintln!("SKIPPED: this test may not mount a file system");
        return;
    };
    let remount = |mode: &str| {
        let options = format!("remount,{mode}");
        let mount =
            std::process::Command::new("mount").args(["-o", &options]).arg(disk.path()).status();
        assert!(mount.unwrap().success(), "{mode}");
    };
    filled(disk.path());
    remount("ro");
    let opened = open(disk.path());
    assert!(told(&opened.store).contains("not read-only"), "{}", told(&opened.store));
    opened.store.append(entries(opened.next_id..=opened.next_id));
    remount("rw");
    opened.store.flush().unwrap();
    assert_eq!(ids(&opened.store, &all())[..2], [opened.next_id, 2_000]);
}

#[test]
fn a_disk_that_does_not_answer_is_told_of() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { slow_round: Duration::ZERO, ..limits() };
    let shared = Shared::new(settings(folder.path()), limits);
    assert_eq!(shared.health().problem, None);
    // The writer took an order and has not come back for the next.
    shared.record(Changes::entries(entries(1..=2)));
    let _order = shared.next(Duration::ZERO, false);
    let health = shared.health();
    assert!(health.problem.unwrap().contains("has not answered"));
    assert_eq!(health.waiting, 2);
}

#[test]
fn a_path_that_cannot_be_used_is_tried_again() {
    let folder = TempDir::new().unwrap();
    let blocker = folder.path().join("data");
    fs::write(&blocker, "a file where a folder should be").unwrap();
    let opened = open(&blocker);
    assert!(told(&opened.store).contains("cannot make the folder"), "{}", told(&opened.store));
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    assert!(opened.next_id > now);
    opened.store.append(entries(1..=2));
    opened.store.put_result(&result("load", "x"), time(1));
    assert!(matches!(opened.store.logs(&all()), Err(StoreError::Unavailable { .. })));

    fs::remove_file(&blocker).unwrap();
    fs::create_dir_all(blocker.join("wigo.db")).unwrap();
    until("a folder in place of the file shows", || {
        problem(&opened.store).contains("cannot open the database")
    });
    fs::remove_dir(blocker.join("wigo.db")).unwrap();
    opened.store.flush().unwrap();
    assert_eq!(ids(&opened.store, &all()), [2, 1]);
    assert_eq!(open(&blocker).restored.len(), 1);
}

#[test]
fn a_folder_that_is_taken_away_comes_back() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    with_small_ids(&data);
    let store = open(&data).store;
    store.append(entries(1..=2));
    store.flush().unwrap();
    assert_eq!(ids(&store, &all()), [2, 1]);
    fs::remove_dir_all(&data).unwrap();
    store.append(entries(3..=4));
    store.flush().unwrap();
    assert_eq!(ids(&store, &all()), [4, 3]);
    assert!(told(&store).contains("was removed"), "{}", told(&store));
    store.close(PATIENCE).unwrap();
    assert_eq!(open(&data).next_id, 5);
}

#[test]
fn a_newer_database_is_not_touched() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    other_process(folder.path()).execute_batch("PRAGMA user_version = 99").unwrap();
    let before = fs::read(folder.path().join("wigo.db")).unwrap();
    let opened = open(folder.path());
    assert!(told(&opened.store).contains("version 99"), "{}", told(&opened.store));
    opened.store.append(entries(1..=1));
    assert!(opened.store.close(Duration::from_millis(1)).is_err());
    assert_eq!(fs::read(folder.path().join("wigo.db")).unwrap(), before);
    assert_eq!(opened.store.health().waiting, 1);
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("wigo.db"), "This is no database, not at all.".repeat(500))
        .unwrap();
    let opened = open(folder.path());
    let broken = files(folder.path(), "wigo.db.broken-");
    assert!(told(&opened.store).contains(broken[0].to_str().unwrap()), "{}", told(&opened.store));
    // Nothing says which ids were used: they start where none can have come.
    assert!(opened.next_id > 1_700_000_000_000, "{}", opened.next_id);
    opened.store.append(entries(opened.next_id..=opened.next_id));
    opened.store.close(PATIENCE).unwrap();
    assert_eq!(open(folder.path()).next_id, opened.next_id + 1);
}

#[test]
fn a_damaged_file_is_found_at_the_start_and_salvaged() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    // The last stop was not clean, so the file is looked over.
    other_process(folder.path())
        .execute_batch("UPDATE meta SET value = 0 WHERE key = 'clean_stop'")
        .unwrap();
    damage(folder.path(), 40, 50);
    let opened = open(folder.path());
    opened.store.append(entries(opened.next_id..=opened.next_id));
    opened.store.flush().unwrap();
    assert!(told(&opened.store).contains("was damaged"), "{}", told(&opened.store));
    assert!(!files(folder.path(), "wigo.db.broken-").is_empty());
    let left = ids(&opened.store, &all());
    assert_eq!(left[0], opened.next_id);
    assert!(opened.next_id > 2_000);
    assert!(left.len() > 500 && left.len() < 2_001, "{}", left.len());
    assert_eq!(opened.store.health().problem, None);
    opened.store.close(PATIENCE).unwrap();
    assert_eq!(open(folder.path()).next_id, opened.next_id + 1);
}

#[test]
fn wherever_the_damage_is_the_store_works_again() {
    for from in (0..100).step_by(10) {
        let folder = TempDir::new().unwrap();
        filled(folder.path());
        other_process(folder.path())
            .execute_batch("UPDATE meta SET value = 0 WHERE key = 'clean_stop'")
            .unwrap();
        damage(folder.path(), from, from + 5);
        let opened = open(folder.path());
        let id = opened.next_id;
        assert!(id > 2_000, "{from}");
        opened.store.append(entries(id..=id));
        opened.store.flush().unwrap();
        let health = opened.store.health();
        assert!(told(&opened.store).contains("was damaged"), "{from} {health:?}");
        assert_eq!(health.notes.iter().map(|note| note.status).max(), Some(Status::WARN), "{from}");
        assert_eq!(health.problem, None, "{from}");
        assert_eq!(ids(&opened.store, &all())[0], id, "{from}");
    }
}

#[test]
fn a_table_that_is_missing_is_damage() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    let store = open(folder.path()).store;
    until("the start is noted", || store.health().commits == 1);
    other_process(folder.path()).execute_batch("DROP TABLE last_result").unwrap();
    store.put_result(&result("load", "x"), time(1));
    store.flush().unwrap();
    assert!(told(&store).contains("no such table"), "{}", told(&store));
    assert_eq!(ids(&store, &all()).len(), 2_000);
    store.close(PATIENCE).unwrap();
    assert_eq!(open(folder.path()).restored.len(), 1);
}

#[test]
fn a_file_damaged_while_in_use_is_replaced_and_nothing_that_waits_is_lost() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    let opened = open(folder.path());
    let store = opened.store;
    store.flush().unwrap();
    until("the start is noted", || store.health().commits == 1);
    damage(folder.path(), 0, 100);
    let mut id = opened.next_id;
    until("the damage is found", || {
        store.append(entries(id..=id));
        id += 1;
        let _ = store.logs(&all());
        !store.health().notes.is_empty()
    });
    store.flush().unwrap();
    let written = ids(&store, &all());
    // What was handed in while the file was damaged may have gone into it; the last went into the new one.
    assert_eq!(written.first(), Some(&(id - 1)));
    assert_eq!(store.health().lost, 0);
    store.close(PATIENCE).unwrap();
    assert_eq!(open(folder.path()).next_id, id);
}

#[test]
fn damage_that_only_a_question_meets_is_acted_upon() {
    let folder = TempDir::new().unwrap();
    filled(folder.path());
    damage(folder.path(), 30, 60);
    let store = open(folder.path()).store;
    until("the damage is found", || {
        let _ = store.indexes();
        !store.health().notes.is_empty()
    });
    store.flush().unwrap();
    until("questions are answered", || store.logs(&all()).is_ok());
}

#[test]
fn few_broken_files_are_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    for second in 0..6 {
        fs::write(&path, "x").unwrap();
        fs::write(folder.path().join("wigo.db-wal"), "y").unwrap();
        salvage::set_aside(&path, time(1_700_000_000 + second / 2)).unwrap();
    }
    let names: Vec<_> = files(folder.path(), "")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "wigo.db.broken-20231114T221321Z-1",
            "wigo.db.broken-20231114T221321Z-1-wal",
            "wigo.db.broken-20231114T221322Z",
            "wigo.db.broken-20231114T221322Z-1",
            "wigo.db.broken-20231114T221322Z-1-wal",
            "wigo.db.broken-20231114T221322Z-wal",
        ]
    );
}
