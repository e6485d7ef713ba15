use std::{path::Path, sync::Barrier, thread, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::{Settings, Store};

const KEY: [u8; 32] = [7; 32];
const OTHER_KEY: [u8; 32] = [8; 32];
const PATIENCE: Duration = Duration::from_secs(60);

fn store(folder: &Path) -> Store {
    let path = folder.join("wigo.db");
    Store::open(Settings { path, origin: Uuid::from_u128(1), keep_days: 30 }).store
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(1)
}

#[test]
fn a_client_is_bound_to_one_key() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let admission = store.admission();
    let uuid = Uuid::from_u128(5);
    assert_eq!(admission.clients().unwrap(), []);
    admission.bind_client(uuid, KEY, "old").unwrap();
    let since = admission.clients().unwrap()[0].since;
    until_the_clock_moves(since);
    admission.bind_client(uuid, KEY, "a").unwrap();
    let bound = Client { uuid, key: KEY, name: "a".into(), since };
    assert_eq!(admission.clients().unwrap(), [bound]);
    admission.bind_client(uuid, OTHER_KEY, "a").unwrap();
    let [client] = &admission.clients().unwrap()[..] else { panic!() };
    assert!(client.key == OTHER_KEY && client.since > since);
    store.close(PATIENCE).unwrap();

    let admission = open_for_tokens(&folder.path().join("wigo.db")).unwrap();
    assert_eq!(admission.clients().unwrap().len(), 1);
    assert!(admission.unbind_client(uuid).unwrap());
    assert!(!admission.unbind_client(uuid).unwrap());
    assert_eq!(admission.clients().unwrap(), []);
}

fn until_the_clock_moves(since: Timestamp) {
    while Timestamp::now().as_millisecond() <= since.as_millisecond() {
        thread::yield_now();
    }
}

#[test]
fn a_use_is_taken_only_when_the_token_is_good() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let admission = store.admission();
    let expires = later();
    let (group, host) = (Some("web".to_owned()), Some("www*.example.org".to_owned()));
    admission.mint_token(KEY, 2, expires, group, host).unwrap();
    let now = Timestamp::now();
    let uuid = Uuid::from_u128(5);
    let attempt = |hash, now, group, host| {
        let looked = admission.look_at_token(hash, now, group, host).unwrap();
        let used = admission.bind_by_token(hash, now, group, host, uuid, KEY).unwrap();
        assert_eq!(looked, used);
        let is_bound = admission.unbind_client(uuid).unwrap();
        assert_eq!(is_bound, used == TokenUse::Good, "use and key go together");
        used
    };
    let left = || admission.tokens().unwrap()[0].uses_left;
    assert_eq!(attempt(OTHER_KEY, now, "web", "www1.example.org"), TokenUse::Unknown);
    assert_eq!(attempt(KEY, now, "db", "www1.example.org"), TokenUse::OtherGroup);
    assert_eq!(attempt(KEY, now, "web", "db1.example.org"), TokenUse::OtherHost);
    assert_eq!(attempt(KEY, expires, "web", "www1.example.org"), TokenUse::Expired);
    assert_eq!((left(), admission.tokens().unwrap()[0].used), (2, None));
    assert_eq!(attempt(KEY, now, "web", "www1.example.org"), TokenUse::Good);
    assert_eq!(attempt(KEY, now, "web", "WWW2.example.org"), TokenUse::Good);
    assert_eq!(attempt(KEY, now, "web", "www3.example.org"), TokenUse::UsedUp);
    assert_eq!(left(), 0);
    admission.unbind_by_token(KEY, uuid).unwrap();
    assert_eq!(attempt(KEY, now, "web", "www3.example.org"), TokenUse::Good);
    assert!(admission.drop_token(KEY).unwrap());
    assert!(!admission.drop_token(KEY).unwrap());
    assert_eq!(attempt(KEY, now, "web", "www1.example.org"), TokenUse::Unknown);
}

#[test]
fn of_many_at_once_as_many_are_admitted_as_there_are_uses() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    store.admission().mint_token(KEY, 3, later(), None, None).unwrap();
    let start = Barrier::new(8);
    let attempt = || {
        start.wait();
        let (uuid, now) = (Uuid::from_u128(5), Timestamp::now());
        store.admission().bind_by_token(KEY, now, "", "", uuid, KEY).unwrap()
    };
    let outcomes: Vec<TokenUse> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!((count(TokenUse::Good), count(TokenUse::UsedUp)), (3, 5));
}

#[test]
fn a_lock_of_another_process_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let other = Connection::open(folder.path().join("wigo.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let bound = scope.spawn(|| store.admission().bind_client(Uuid::from_u128(5), KEY, "a"));
        // Reading needs no lock.
        assert_eq!(store.admission().clients().unwrap(), []);
        other.execute_batch("COMMIT").unwrap();
        bound.join().unwrap().unwrap();
    });
    assert_eq!(store.admission().clients().unwrap().len(), 1);
}

#[test]
fn tokens_of_no_use_go_after_a_day() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let admission = store.admission();
    let hash = |n: u8| [n; 32];
    let far = at(10_000_000_000);
    admission.mint_token(hash(1), 1, far, None, None).unwrap();
    admission.mint_token(hash(2), 1, far, None, None).unwrap();
    admission.mint_token(hash(3), 1, later(), None, None).unwrap();
    let connection = Connection::open(folder.path().join("wigo.db")).unwrap();
    let now = Timestamp::now();
    let used = admission.bind_by_token(hash(2), now, "", "", Uuid::from_u128(5), KEY);
    assert_eq!(used.unwrap(), TokenUse::Good);
    let left = || -> Vec<u8> {
        let mut left: Vec<u8> = admission.tokens().unwrap().iter().map(|t| t.hash[0]).collect();
        left.sort_unstable();
        left
    };
    purge_tokens(&connection, now + SignedDuration::from_hours(23)).unwrap();
    assert_eq!(left(), [1, 2, 3]);
    purge_tokens(&connection, now + SignedDuration::from_hours(24) + SignedDuration::from_secs(9))
        .unwrap();
    assert_eq!(left(), [1, 3]);
    purge_tokens(&connection, now + SignedDuration::from_hours(26)).unwrap();
    assert_eq!(left(), [1]);
    // The writer does it as well.
    admission.mint_token(hash(4), 1, at(5), None, None).unwrap();
    assert_eq!(left(), [1, 4]);
    store.close(PATIENCE).unwrap();
    let _again = self::store(folder.path());
    let start = std::time::Instant::now();
    while left() != [1] {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn there_are_no_more_tokens_than_the_bound() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let admission = store.admission();
    admission.mint_token(KEY, 1, later(), None, None).unwrap();
    let connection = Connection::open(folder.path().join("wigo.db")).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO join_token (hash, uses_left, expires, created) \
                SELECT CAST(i AS BLOB), 1, ?2, 0 FROM n";
    connection.execute(fill, (MAX_TOKENS as i64, later().as_millisecond())).unwrap();
    let error = admission.mint_token(OTHER_KEY, 1, later(), None, None).unwrap_err().to_string();
    assert!(error.contains("1000 already"), "{error}");
    assert!(admission.drop_token(KEY).unwrap());
    admission.mint_token(OTHER_KEY, 1, later(), None, None).unwrap();
}

#[test]
fn a_database_that_is_not_there_or_not_up_to_date_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    let why = || open_for_tokens(&path).unwrap_err().to_string();
    assert!(why().contains("start wigo"), "{}", why());
    assert!(!path.exists());
    store(folder.path()).close(PATIENCE).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 2").unwrap();
    assert!(why().contains("earlier wigo"), "{}", why());
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(why().contains("version 99"), "{}", why());
    drop(connection);
    std::fs::write(&path, "no database at all".repeat(100)).unwrap();
    let _ = std::fs::remove_file(folder.path().join("wigo.db-wal"));
    assert!(why().contains("damaged"), "{}", why());
}

#[test]
fn a_token_is_looked_at_while_others_write() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let other = Connection::open(folder.path().join("wigo.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let looked = store.admission().look_at_token(KEY, Timestamp::now(), "", "");
    assert_eq!(looked.unwrap(), TokenUse::Unknown);
}

#[test]
fn the_newest_revoked_are_remembered_until_they_are_forgiven() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let admission = store.admission();
    let revoked = |n, key, second| Revoked { uuid: Uuid::from_u128(n), key, at: at(second) };
    admission.bind_client(Uuid::from_u128(1), KEY, "a").unwrap();
    let (one, two) = (revoked(1, Some(KEY), 10), revoked(2, None, 20));
    admission.revoke_client(&one).unwrap();
    admission.revoke_client(&two).unwrap();
    assert_eq!(admission.clients().unwrap(), []);
    assert_eq!(admission.revoked().unwrap(), [two.clone(), one]);
    admission.forgive_client(Uuid::from_u128(9), KEY).unwrap();
    assert_eq!(admission.revoked().unwrap(), [two]);
    admission.forgive_client(Uuid::from_u128(2), KEY).unwrap();
    assert_eq!(admission.revoked().unwrap(), []);

    let connection = Connection::open(folder.path().join("wigo.db")).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO revoked_client (uuid, at) SELECT CAST(i AS BLOB), i FROM n";
    connection.execute(fill, [MAX_REVOKED as i64]).unwrap();
    admission.revoke_client(&revoked(3, None, 1_000_000)).unwrap();
    let left = "SELECT count(*), min(at) FROM revoked_client";
    let left: (i64, i64) =
        connection.query_row(left, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(left, (MAX_REVOKED as i64, 2));
}

#[test]
fn patterns_match_as_people_expect() {
    for (pattern, name) in [
        ("*", ""),
        ("*", "a"),
        ("a", "A"),
        ("web*", "web"),
        ("*.example.org", "a.b.example.org"),
        ("a*b*c", "abbc"),
        ("a**c", "ac"),
        ("*a*a", "aa"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in
        [("", "a"), ("a", "ab"), ("a*a", "a"), ("*.org", "org"), ("a*b*c", "acb"), ("?", "a")]
    {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}
