//! What is old goes, and what history begins with stays.

use super::*;

/// An entry that was learned, and happened, this many days ago.
fn aged(id: u64, days: i64, kind: Kind, probe: &str) -> Entry {
    let mut entry = entry(id, 300);
    // By the id, so that no two happen at the same time.
    let age =
        jiff::SignedDuration::from_hours(days * 24) - jiff::SignedDuration::from_secs(id as i64);
    entry.learned -= age;
    let transition = &mut entry.transition;
    (transition.at, transition.kind) = (entry.learned, kind);
    transition.probe = ProbeName::new(probe).ok();
    if kind == Kind::ProbeGone {
        transition.now = None;
    }
    entry
}

/// A store that finds these entries when it starts, which is when it looks for old ones.
fn open_with_entries(folder: &Path, entries: Vec<Entry>) -> Store {
    let store = open(folder).store;
    store.append(entries);
    store.close(PATIENCE).unwrap();
    open(folder).store
}

#[test]
fn old_entries_go_and_ids_stay_used() {
    let folder = TempDir::new().unwrap();
    with_small_ids(folder.path());
    let mut old = entries(1..=2_500);
    for entry in &mut old {
        entry.learned = Timestamp::now() - jiff::SignedDuration::from_hours(31 * 24);
    }
    // Retention goes by when we learned of it, since that is our own clock.
    let mut late_news = entry(2_501, 300);
    late_news.transition.at = time(0);
    // The newest of the probe is among the old ones.
    let newest = 2_000;
    old[newest as usize - 1].transition.at = Timestamp::now() + Duration::from_secs(3600);
    old.push(late_news);
    let store = open_with_entries(folder.path(), old);
    until("the old ones are gone", || ids(&store, &all()) == [2_501, newest]);
    store.set_keep_days(0);
    store.append(entries(2_502..=2_600));
    until("all but the newest are gone", || ids(&store, &all()) == [newest]);
    store.close(PATIENCE).unwrap();
    assert_eq!(open(folder.path()).next_id, 2_601);
}

#[test]
fn what_a_history_begins_with_stays() {
    use Kind::*;
    let folder = TempDir::new().unwrap();
    let elsewhere = |id, days, host: &str, origin| {
        let mut entry = aged(id, days, ProbeChanged, "load");
        (entry.origin, entry.transition.host) = (origin, host.into());
        entry
    };
    let written = vec![
        aged(1, 60, AgentStarted, ""),
        aged(2, 60, ProbeSeen, "load"),
        aged(3, 59, ProbeChanged, "load"),
        aged(4, 59, ProbeSeen, "disk"),
        aged(5, 59, ProbeSeen, "temp"),
        elsewhere(6, 58, "b", ORIGIN),
        elsewhere(7, 58, "a", OTHER),
        aged(8, 57, AgentStopped, ""),
        aged(9, 56, AgentStarted, ""),
        // Newer than the start, and no start or stop.
        aged(10, 55, ClockChanged, ""),
        aged(11, 54, ProbeGone, "temp"),
        aged(12, 53, Imported, "before"),
        aged(13, 1, ProbeChanged, "disk"),
        aged(14, 1, EntriesLost, ""),
        // Newer than the status of its probe, which stays all the same.
        aged(15, 58, Ordered, "load"),
    ];
    let store = open_with_entries(folder.path(), written);
    until("the old ones are gone", || ids(&store, &all()) == [14, 13, 11, 9, 7, 6, 3]);
    let timeline = store.timeline(&host("a"), Some("load"), time(0), time(1)).unwrap();
    assert_eq!(timeline.status_at_start, None);
    let recently = Timestamp::now() - jiff::SignedDuration::from_hours(48);
    let timeline = store.timeline(&host("a"), None, recently, Timestamp::now()).unwrap();
    let names: Vec<_> = timeline.probes_at_start.keys().map(ProbeName::as_str).collect();
    assert_eq!(names, ["load"]);
    // A probe that is gone leaves nothing, once there is nothing before its end.
    store.set_keep_days(31);
    store.append(vec![aged(15, 0, ProbeChanged, "load")]);
    until("they are gone", || ids(&store, &all()) == [15, 14, 13, 9, 7, 6]);
}

#[test]
fn whether_a_host_is_watched_stays_and_a_host_that_left_does_not() {
    use Kind::*;
    let folder = TempDir::new().unwrap();
    let of = |host: &str, mut entry: Entry| {
        entry.transition.host = host.into();
        entry
    };
    let other = |entry: Entry| Entry { origin: OTHER, ..entry };
    let written = vec![
        // Down for long.
        aged(1, 60, InstanceSeen, ""),
        aged(2, 59, InstanceDown, ""),
        other(aged(3, 61, AgentStarted, "")),
        other(aged(4, 60, ProbeSeen, "load")),
        // Gone for long.
        of("b", aged(5, 60, InstanceSeen, "")),
        of("b", other(aged(6, 60, AgentStarted, ""))),
        of("b", other(aged(7, 59, ProbeSeen, "load"))),
        of("b", aged(8, 58, InstanceGone, "")),
        // Gone for long, and back.
        of("c", aged(9, 58, InstanceGone, "")),
        of("c", aged(10, 57, InstanceSeen, "")),
        of("c", other(aged(11, 57, ProbeSeen, "load"))),
        // Gone a moment ago.
        of("d", other(aged(12, 57, ProbeSeen, "load"))),
        of("d", aged(13, 1, InstanceGone, "")),
    ];
    let store = open_with_entries(folder.path(), written);
    until("the old ones are gone", || ids(&store, &all()) == [13, 11, 10, 8, 4, 3, 2]);
    // The end of a host goes last, when nothing is left of it.
    store.set_keep_days(31);
    store.append(vec![aged(14, 0, ClockChanged, "")]);
    until("it is gone", || ids(&store, &all()) == [14, 13, 11, 10, 4, 3, 2]);
    let now = Timestamp::now();
    assert!(store.timeline(&host("a"), None, now, now).unwrap().stopped_at_start);
    assert!(!store.timeline(&host("c"), None, now, now).unwrap().stopped_at_start);
}

#[test]
fn others_who_use_the_name_do_not_make_history_go() {
    use Kind::*;
    let folder = TempDir::new().unwrap();
    let (liar, left) = (Uuid::from_u128(66), Uuid::from_u128(3));
    let of = |origin, entry: Entry| Entry { origin, ..entry };
    let known = |uuid| Known {
        uuid,
        parent: ORIGIN,
        via: uuid,
        contact: None,
        version: String::new(),
        name: "a".into(),
        group: String::new(),
        labels: Default::default(),
        down: false,
        last_update: None,
    };
    let store = open(folder.path()).store;
    store.record(Changes { known: vec![known(OTHER), known(liar)], ..Changes::default() });
    store.append(vec![
        of(ORIGIN, aged(1, 60, ProbeSeen, "load")),
        of(OTHER, aged(2, 60, ProbeSeen, "load")),
        of(OTHER, aged(3, 59, AgentStarted, "")),
        // Not below us any more, whoever said that it left.
        of(left, aged(4, 60, ProbeSeen, "load")),
        of(liar, aged(5, 58, ProbeGone, "load")),
        of(liar, aged(6, 57, InstanceGone, "")),
    ]);
    store.close(PATIENCE).unwrap();
    let store = open(folder.path()).store;
    // What the liar said of itself is gone too, and its last word with it when nothing is left to take.
    until("what left is gone", || !ids(&store, &all()).contains(&4));
    store.set_keep_days(31);
    store.append(vec![aged(7, 0, ClockChanged, "")]);
    until("the lies are gone", || ids(&store, &all()) == [7, 3, 2, 1]);
}

#[test]
fn many_that_stay_do_not_keep_others_from_going() {
    let folder = TempDir::new().unwrap();
    let about = |id| aged(id, 40, Kind::ProbeSeen, &format!("p{}", id % 1_500));
    let store = open_with_entries(folder.path(), (1..=4_500).map(about).collect());
    let stay: Vec<u64> = (3_001..=4_500).rev().collect();
    until("only the newest of each are left", || ids(&store, &all()) == stay);
}

#[test]
fn a_database_without_the_index_is_given_it() {
    let folder = TempDir::new().unwrap();
    open_with_entries(folder.path(), entries(1..=3)).close(PATIENCE).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    connection
        .execute_batch(
            "DROP INDEX journal_probe; DROP TABLE instance; DROP TABLE position; DROP TABLE client; \
             DROP TABLE revoked_client; DROP TABLE join_token; DROP TABLE user; DROP TABLE session; \
             DROP TABLE api_token; DROP TABLE audit; DROP TABLE disabled_probe; \
             DROP TABLE probe_order; DROP TABLE notify_state; DROP TABLE incident; \
             DROP TABLE incident_member; DROP TABLE incident_moment; DROP TABLE notification; \
             DROP TABLE notification_try; DROP TABLE decision; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(connection);
    let store = open(folder.path()).store;
    assert_eq!(told(&store), "");
    assert_eq!(ids(&store, &all()), [3, 2, 1]);
    store.close(PATIENCE).unwrap();
    assert!(folder.path().join("wigo.db.before-v2").exists());
    let connection = rusqlite::Connection::open(folder.path().join("wigo.db")).unwrap();
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE name = 'journal_probe'";
    assert_eq!(connection.query_row(indexes, [], |row| row.get(0)), Ok(1));
}
