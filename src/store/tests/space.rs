//! When there is no space: on the disk, or in a database that has grown to its limit.

use std::{fs, sync::atomic::Ordering};

use super::{super::queue::Bounds, *};

/// Entries that were learned 40 days ago.
fn old(ids: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let mut entries = entries(ids);
    for entry in &mut entries {
        entry.learned -= jiff::SignedDuration::from_hours(40 * 24);
    }
    entries
}

fn kept(folder: &Path, keep_days: u32) -> Settings {
    Settings { keep_days, ..settings(folder) }
}

#[test]
fn entries_wait_while_there_is_no_space() {
    let folder = TempDir::new().unwrap();
    let waiting = Bounds { entries: 3_000, ..limits().waiting };
    let few = Limits { database_bytes: 64 * 1024, waiting, ..limits() };
    let store = Store::open_with(settings(folder.path()), few).store;
    store.append(entries(1..=2_000));
    until("the problem shows", || problem(&store).contains("free space"));
    assert_eq!((store.health().waiting, store.health().lost), (2_000, 0));
    store.append(entries(2_001..=5_000));
    until("the oldest are dropped", || store.health().lost == 2_000);
    assert_eq!((store.take_lost(), store.take_lost()), (2_000, 0));
    store.handle.shared.database_bytes.store(u64::MAX, Ordering::Relaxed);
    store.flush().unwrap();
    let health = store.health();
    assert_eq!((health.problem, health.waiting), (None, 0));
    let written = ids(&store, &all());
    assert_eq!((written.len(), written[0], written[2_999]), (3_000, 5_000, 2_001));
}

/// A small file system of its own; gone when it is dropped.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    pub fn mount(size: &str) -> Option<SmallDisk> {
        let folder = TempDir::new().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        mount.ok()?.status.success().then_some(SmallDisk(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes what is free. The disk has room again when the file returned is removed.
    fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        let filled = std::io::copy(&mut std::io::repeat(0), &mut file);
        assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a thread may still close its files.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_really_full_is_caught_up_with() {
    let Some(disk) = SmallDisk::mount("2m") else {
        eprintln!("SKIPPED: this test may not mount a file system");
        return;
    };
    with_small_ids(disk.path());
    let store = open(disk.path()).store;
    store.append(entries(1..=10));
    store.flush().unwrap();
    let ballast = disk.fill();
    store.append(entries(11..=3_000));
    until("the problem shows", || problem(&store).contains("write to the database"));
    assert_eq!(store.health().waiting, 2_990);
    fs::remove_file(&ballast).unwrap();
    store.flush().unwrap();
    assert_eq!(ids(&store, &all()).len(), 3_000);
    until("the problem is over", || store.health().problem.is_none());
    assert_eq!(store.health().notes, []);
    store.close(PATIENCE).unwrap();
    assert_eq!(open(disk.path()).next_id, 3_001);
}

#[test]
fn a_database_at_its_limit_deletes_what_is_old_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let few = Limits { database_bytes: 384 * 1024, ..limits() };
    let store = Store::open_with(kept(folder.path(), 100), few).store;
    let mut id = 0;
    until("it is full", || {
        store.append(old(id + 1..=id + 100));
        id += 100;
        until("it was tried", || store.health().waiting == 0 || store.health().problem.is_some());
        problem(&store).contains("free space")
    });
    store.append(entries(id + 1..=id + 10));
    store.set_keep_days(30);
    until("all is written", || store.health().waiting == 0);
    assert_eq!((store.health().problem, store.health().lost), (None, 0));
    // Those that waited came after the deleting, as did what made the last one old.
    let left = ids(&store, &all());
    assert_eq!(left[..10], (id + 1..=id + 10).rev().collect::<Vec<_>>());
    assert!(left.len() <= 10 + 100 + 1, "{}", left.len());
}

#[test]
fn a_full_disk_has_room_for_deleting() {
    let Some(disk) = SmallDisk::mount("8m") else {
        eprintln!("SKIPPED: this test may not mount a file system");
        return;
    };
    let reserve = disk.path().join("wigo.db.reserve");
    let first = Store::open_with(kept(disk.path(), 100), limits()).store;
    first.append(old(1..=5_000));
    first.close(PATIENCE).unwrap();
    // A new log has no space of its own yet.
    let store = Store::open_with(kept(disk.path(), 100), limits()).store;
    until("space is set aside", || reserve.exists());
    assert_eq!(fs::metadata(&reserve).unwrap().permissions().mode() & 0o777, 0o600);
    let ballast = disk.fill();
    store.append(entries(5_001..=6_000));
    until("it is full", || problem(&store).contains("free space"));
    store.set_keep_days(30);
    until("all is written", || store.health().waiting == 0);
    // The newest of the old ones was the newest of all when they were deleted.
    let left: Vec<u64> = (5_000..=6_000).rev().collect();
    assert_eq!(ids(&store, &all()), left);
    assert!(!reserve.exists());
    fs::remove_file(ballast).unwrap();
    store.append(entries(6_001..=6_001));
    until("space is set aside again", || reserve.exists());
    assert_eq!(store.health().problem, None);
}

#[test]
fn a_start_on_a_full_disk_knows_the_past() {
    let Some(disk) = SmallDisk::mount("8m") else {
        eprintln!("SKIPPED: this test may not mount a file system");
        return;
    };
    with_small_ids(disk.path());
    let first = Store::open_with(kept(disk.path(), 100), limits()).store;
    until("space is set aside", || disk.path().join("wigo.db.reserve").exists());
    first.append(old(1..=2_000));
    first.put_result(&result("load", "x"), time(1));
    first.close(PATIENCE).unwrap();
    disk.fill();
    let opened = open(disk.path());
    assert_eq!((opened.next_id, opened.restored.len()), (2_001, 1));
    opened.store.append(entries(2_001..=2_010));
    opened.store.flush().unwrap();
    until("the old ones are gone", || ids(&opened.store, &all()).len() == 10);
    assert_eq!(told(&opened.store), "");
}
