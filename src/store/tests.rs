//! The store on real files. Failures are in [`trouble`], the log of an original Wigo in [`original`].

use std::{os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use super::*;
use crate::{
    json::Json,
    status::{Level, Status},
    tree::{Kind, ProbeName, ProbeResult, Transition},
};

mod catching_up;
mod fleet;
mod original;
mod queue;
mod retention;
mod space;
mod trouble;

const ORIGIN: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
/// How long a condition may take to come true; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 3600);

fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("wigo.db"), origin: ORIGIN, keep_days: 30 }
}

/// Retries are quick, and nothing is written by the clock.
fn limits() -> Limits {
    Limits {
        result_flush: NEVER,
        first_retry: Duration::from_millis(5),
        longest_retry: Duration::from_millis(20),
        start_lock: Duration::ZERO,
        ..Limits::default()
    }
}

fn open(folder: &Path) -> Opened {
    Store::open_with(settings(folder), limits())
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An entry about the probe `load` of host `a`, which happened a moment ago.
fn entry(id: u64, now: u16) -> Entry {
    let at = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    Entry {
        id,
        origin: ORIGIN,
        origin_id: id,
        learned: at,
        transition: Transition {
            kind: Kind::ProbeChanged,
            at,
            group: "web".into(),
            host: "a".into(),
            probe: Some(ProbeName::new("load").unwrap()),
            was: Some(Status::OK),
            now: Status::new(now.into()),
            message: format!("load is {id}"),
        },
    }
}

/// A host of which this instance and [`OTHER`] may speak.
fn host(name: &str) -> Subject {
    Subject { host: name.into(), origins: vec![ORIGIN, OTHER] }
}

fn entries(ids: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    ids.map(|id| entry(id, 300)).collect()
}

fn result(name: &str, message: &str) -> Arc<ProbeResult> {
    Arc::new(ProbeResult {
        name: ProbeName::parse(name).unwrap(),
        version: "1.0".into(),
        value: Json::parse("[1, 2.50]").unwrap(),
        message: message.into(),
        date: time(1_700_000_000),
        metrics: Json::parse(r#"[{"Tags":{},"Value":1}]"#).unwrap(),
        detail: Json::parse(r#"{"b":1,"a":null}"#).unwrap(),
        status: Status::WARN,
        exit_code: -1,
        interval: 60,
    })
}

fn last(instance: Uuid, result: &Arc<ProbeResult>, since: Timestamp) -> LastResult {
    LastResult { instance, result: Arc::clone(result), since }
}

impl Changes {
    fn entries(entries: Vec<Entry>) -> Changes {
        Changes { entries, ..Changes::default() }
    }

    fn result(result: &Arc<ProbeResult>, since: Timestamp) -> Changes {
        Changes { results: vec![last(ORIGIN, result, since)], ..Changes::default() }
    }

    fn gone(name: &str) -> Changes {
        Changes { gone: vec![(ORIGIN, ProbeName::new(name).unwrap())], ..Changes::default() }
    }
}

impl Store {
    fn append(&self, entries: Vec<Entry>) {
        self.record(Changes::entries(entries));
    }

    fn put_result(&self, result: &Arc<ProbeResult>, since: Timestamp) {
        self.record(Changes::result(result, since));
    }
}

fn problem(store: &Store) -> String {
    store.health().problem.unwrap_or_default()
}

/// A database without entries whose ids begin at 1, as those of earlier versions did.
fn with_small_ids(folder: &Path) {
    open(folder).store.close(PATIENCE).unwrap();
    let connection = rusqlite::Connection::open(folder.join("wigo.db")).unwrap();
    connection.execute_batch("UPDATE meta SET value = 0 WHERE key = 'highest_id'").unwrap();
}

/// A database with 2,000 entries and 3 results that was closed.
fn filled(folder: &Path) {
    with_small_ids(folder);
    let store = open(folder).store;
    store.append(entries(1..=2_000));
    for name in ["a", "b", "c"] {
        store.put_result(&result(name, "x"), time(1));
    }
    store.close(PATIENCE).unwrap();
}

/// What the store says about itself: the notes and the problem.
fn told(store: &Store) -> String {
    let health = store.health();
    health.notes.into_iter().map(|note| note.text).chain(health.problem).collect()
}

fn all() -> LogQuery {
    LogQuery { limit: MAX_ROWS, ..LogQuery::default() }
}

fn ids(store: &Store, query: &LogQuery) -> Vec<u64> {
    store.logs(query).unwrap().iter().map(|entry| entry.id).collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_new_database_is_empty_and_private() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/folder");
    let opened = open(&path);
    assert_eq!(told(&opened.store), "");
    // Above any that can have been used in a database that was here before.
    assert!(opened.next_id > 1_700_000_000_000, "{}", opened.next_id);
    assert_eq!(opened.last_seen, None);
    assert_eq!(ids(&opened.store, &all()), Vec::<u64>::new());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["wigo.db", "wigo.db-wal"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let Opened { store, next_id, .. } = open(folder.path());
    let mut from_elsewhere = entry(2, 999);
    from_elsewhere.origin = OTHER;
    from_elsewhere.origin_id = u64::MAX;
    from_elsewhere.transition.probe = None;
    from_elsewhere.transition.was = None;
    let written = vec![entry(1, 300), from_elsewhere];
    store.append(written.clone());
    store.put_result(&result("load", "old"), time(5));
    store.put_result(&result("load", "high"), time(6));
    store.put_result(&result("gone", "x"), time(6));
    store.put_result(&result("cmk/disk é", "y"), time(7));
    store.record(Changes::gone("gone"));
    let before = Timestamp::now().as_millisecond();
    store.close(PATIENCE).unwrap();
    store.close(PATIENCE).unwrap();
    assert_eq!(store.health().waiting, 0);

    let again = open(folder.path());
    assert_eq!(again.next_id, next_id);
    let last_seen = again.last_seen.unwrap();
    assert!(last_seen.clean && last_seen.at.as_millisecond() >= before, "{last_seen:?}");
    let expected = [(result("cmk/disk é", "y"), time(7)), (result("load", "high"), time(6))];
    assert_eq!(again.restored, expected.map(|(result, since)| last(ORIGIN, &result, since)));
    let query = LogQuery { after: Some(0), ..all() };
    assert_eq!(again.store.logs(&query).unwrap(), written);
}

#[test]
fn a_stop_that_was_not_meant_shows() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).store.close(PATIENCE).unwrap();
    let Opened { store, next_id, .. } = open(folder.path());
    let id = next_id;
    store.append(entries(id..=id));
    store.flush().unwrap();
    drop(store);
    let again = open(folder.path());
    assert_eq!(again.last_seen.map(|last| last.clean), Some(false));
    assert_eq!(again.next_id, id + 1);
}

#[test]
fn an_entry_that_comes_twice_is_one() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    store.append(entries(1..=3));
    let again = Entry { id: 4, ..entry(2, 100) };
    store.append(vec![again, entry(3, 100)]);
    store.flush().unwrap();
    let entries = store.logs(&all()).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 2, 1]);
    assert!(entries.iter().all(|entry| entry.transition.now == Some(Status::CRIT)));
}

#[test]
fn an_id_that_is_taken_does_not_lose_the_entry() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let other = Entry { origin: OTHER, ..entry(1, 100) };
    store.append(vec![entry(1, 300), entry(7, 300), other.clone()]);
    store.flush().unwrap();
    assert_eq!(store.logs(&all()).unwrap()[0], Entry { id: 8, ..other });
}

#[test]
fn everything_that_waits_is_one_transaction() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    until("the start is noted", || store.health().commits == 1);
    for n in 0..100 {
        store.put_result(&result(&format!("p{n}"), "x"), time(1));
    }
    store.append(entries(1..=5_000));
    store.flush().unwrap();
    let health = store.health();
    assert_eq!((health.commits, health.waiting, health.lost), (2, 0, 0));
    assert!(health.bytes > 0 && health.last_commit.is_some() && health.problem.is_none());
    drop(store);
    assert_eq!(open(folder.path()).restored.len(), 100);
}

#[test]
fn a_result_and_its_transition_go_into_one_transaction() {
    const LAST: u64 = 20_000;
    let folder = TempDir::new().unwrap();
    let shared = Shared::new(settings(folder.path()), limits());
    let hand_in = || {
        for id in 1..=LAST {
            let results = vec![last(ORIGIN, &result("load", &id.to_string()), time(1))];
            shared.record(Changes { results, ..Changes::entries(entries(id..=id)) });
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(hand_in);
        // As a writer takes it, whenever it comes.
        let mut newest = None;
        while newest != Some(LAST) {
            let batch = shared.next(Duration::ZERO, true).batch;
            let said = batch.results.get(&ORIGIN).and_then(|probes| probes["load"].clone());
            newest = batch.entries.back().map(|entry| entry.id);
            assert_eq!(newest.map(|id| id.to_string()), said.map(|(r, _)| r.message.clone()));
        }
    });
}

#[test]
fn results_are_written_by_the_clock_without_an_entry() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { result_flush: Duration::from_millis(5), ..limits() };
    let store = Store::open_with(settings(folder.path()), limits).store;
    until("the start is noted", || store.health().commits == 1);
    store.put_result(&result("load", "x"), time(1));
    until("the result is written", || store.health().commits >= 2);
    assert_eq!(open(folder.path()).restored.len(), 1);
}

#[test]
fn the_log_can_be_asked_for_a_part() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let mut written = entries(1..=4);
    written[1].transition.host = "b".into();
    written[1].transition.group = "db".into();
    written[2].transition.probe = None;
    written[0].transition.message = "100%_\\ full".into();
    for (entry, now) in written.iter_mut().zip([100, 300, 200, 250]) {
        entry.transition.now = Status::new(now);
    }
    for (n, entry) in written.iter_mut().enumerate() {
        entry.transition.at = time(100 * n as i64);
    }
    store.append(written);
    store.flush().unwrap();
    let check = |query: LogQuery, expected: &[u64]| {
        assert_eq!(ids(&store, &query), expected, "{query:?}");
    };
    check(all(), &[4, 3, 2, 1]);
    check(LogQuery { limit: 2, offset: 1, ..all() }, &[3, 2]);
    check(LogQuery { limit: 0, ..all() }, &[]);
    check(LogQuery { limit: usize::MAX, offset: usize::MAX, ..all() }, &[]);
    check(LogQuery { host: Some("b".into()), ..all() }, &[2]);
    check(LogQuery { host: Some("' OR 1 --".into()), ..all() }, &[]);
    check(LogQuery { group: Some("web".into()), ..all() }, &[4, 3, 1]);
    check(LogQuery { probe: Some("load".into()), ..all() }, &[4, 2, 1]);
    check(LogQuery { probe: Some("".into()), ..all() }, &[3]);
    check(LogQuery { since: Some(time(100)), until: Some(time(300)), ..all() }, &[3, 2]);
    check(LogQuery { after: Some(1), limit: 2, ..all() }, &[2, 3]);
    check(LogQuery { after: Some(u64::MAX), ..all() }, &[]);
    check(LogQuery { before: Some(3), ..all() }, &[2, 1]);
    check(LogQuery { level: Some(Level::Ok), ..all() }, &[4, 3, 2, 1]);
    check(LogQuery { level: Some(Level::Crit), ..all() }, &[2]);
    check(LogQuery { level: Some(Level::Error), ..all() }, &[]);
    check(LogQuery { text: Some("DB".into()), ..all() }, &[2]);
    check(LogQuery { text: Some("100%_\\".into()), ..all() }, &[1]);
    check(LogQuery { text: Some("%".into()), ..all() }, &[1]);

    let strings =
        |names: &[&str]| names.iter().map(std::string::ToString::to_string).collect::<Vec<_>>();
    let indexes = store.indexes().unwrap();
    assert_eq!(indexes.groups, strings(&["db", "web"]));
    assert_eq!(indexes.hosts, strings(&["a", "b"]));
    assert_eq!(indexes.probes, strings(&["", "load"]));
    assert!(store.knows_host("b").unwrap());
    assert!(!store.knows_host("c").unwrap());
}

#[test]
fn no_answer_is_longer_than_the_limit() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let count = MAX_ROWS as u64 + 5;
    store.append(entries(1..=count));
    store.flush().unwrap();
    let entries = ids(&store, &LogQuery { limit: usize::MAX, ..all() });
    assert_eq!((entries.len(), entries[0]), (MAX_ROWS, count));
    let timeline = store.timeline(&host("a"), None, time(0), Timestamp::MAX).unwrap();
    assert_eq!((timeline.changes.len(), timeline.truncated), (MAX_ROWS, true));
    assert_eq!(timeline.changes[0].id, 1);
}

#[test]
fn a_question_that_takes_too_long_is_stopped() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let endless =
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i FROM n) SELECT max(i) FROM n";
    let answer = store.handle.shared.ask("a riddle", |connection| {
        connection.query_row(endless, [], |row| row.get::<_, i64>(0))
    });
    assert!(matches!(answer, Err(StoreError::TooSlow { .. })), "{answer:?}");
    assert_eq!(ids(&store, &all()), Vec::<u64>::new());
}

#[test]
fn a_timeline_knows_how_it_began() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let about = |id, second, kind, probe: &str, now: Option<i64>| {
        let mut entry = entry(id, 100);
        let transition = &mut entry.transition;
        (transition.at, transition.kind) = (time(second), kind);
        transition.probe = ProbeName::new(probe).ok();
        transition.now = now.and_then(Status::new);
        entry
    };
    let mut elsewhere = about(9, 15, Kind::ProbeChanged, "load", Some(500));
    elsewhere.transition.host = "b".into();
    store.append(vec![
        about(1, 1, Kind::AgentStarted, "", None),
        about(2, 2, Kind::ProbeSeen, "load", Some(300)),
        // Late news: known after what follows, happened before it.
        about(3, 7, Kind::ProbeChanged, "disk", Some(100)),
        about(4, 6, Kind::ProbeChanged, "disk", Some(500)),
        // Within one moment the later id counts.
        about(5, 8, Kind::ProbeChanged, "load", Some(300)),
        about(6, 8, Kind::ProbeChanged, "load", Some(200)),
        about(7, 8, Kind::ProbeSeen, "temp", Some(998)),
        about(8, 9, Kind::ProbeGone, "temp", None),
        about(14, 9, Kind::Ordered, "load", None),
        elsewhere,
        about(10, 11, Kind::ClockChanged, "", None),
        about(11, 12, Kind::ProbeChanged, "disk", Some(300)),
        about(12, 13, Kind::AgentStopped, "", None),
        about(13, 20, Kind::ProbeChanged, "load", Some(100)),
    ]);
    store.flush().unwrap();

    let whole = store.timeline(&host("a"), None, time(10), time(20)).unwrap();
    assert_eq!(whole.status_at_start, Some(Status::WARN));
    let names: Vec<_> = whole.probes_at_start.keys().map(ProbeName::as_str).collect();
    assert_eq!(names, ["disk", "load"]);
    let changed = |timeline: &Timeline| timeline.changes.iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(changed(&whole), [11, 12]);
    assert!(!whole.stopped_at_start && !whole.truncated);

    let probe = store.timeline(&host("a"), Some("load"), time(14), time(30)).unwrap();
    assert_eq!(probe.status_at_start, Some(Status::WARN));
    assert_eq!(changed(&probe), [13]);
    assert!(probe.stopped_at_start);

    let gone = store.timeline(&host("a"), Some("temp"), time(10), time(30)).unwrap();
    assert_eq!(gone.status_at_start, None);
    let unknown = store.timeline(&host("nobody"), None, time(0), time(30)).unwrap();
    assert_eq!(unknown, Timeline::default());
}

#[test]
fn a_timeline_knows_when_nobody_watched() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let kinds = [
        (1, Kind::InstanceSeen),
        (2, Kind::InstanceDown),
        (3, Kind::InstanceMoved),
        (4, Kind::InstanceUp),
        (5, Kind::AgentStopped),
        (6, Kind::AgentStarted),
        (7, Kind::InstanceGone),
        (8, Kind::InstanceSeen),
    ];
    let about = |(second, kind): (i64, Kind)| {
        let mut entry = entry(second as u64, 100);
        let transition = &mut entry.transition;
        (transition.at, transition.kind, transition.probe) = (time(second), kind, None);
        // What the host says of itself, and what is said of it.
        entry.origin = if second == 5 || second == 6 { OTHER } else { ORIGIN };
        entry
    };
    store.append(kinds.map(about).to_vec());
    let mut elsewhere = about((9, Kind::InstanceDown));
    elsewhere.transition.host = "b".into();
    store.append(vec![elsewhere]);
    store.flush().unwrap();
    let unwatched = |second| {
        store.timeline(&host("a"), None, time(second), time(second)).unwrap().stopped_at_start
    };
    let seen: Vec<i64> = (1..=10).filter(|second| unwatched(*second)).collect();
    assert_eq!(seen, [3, 4, 6, 8]);
    let timeline = store.timeline(&host("a"), Some("load"), time(0), time(10)).unwrap();
    let seconds: Vec<i64> =
        timeline.changes.iter().map(|entry| entry.transition.at.as_second()).collect();
    assert_eq!(seconds, [1, 2, 4, 5, 6, 7, 8]);
}

#[test]
fn a_timeline_is_not_written_by_others_who_use_the_name() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).store;
    let liar = Uuid::from_u128(66);
    let about = |id, second, kind, now: u16, origin| {
        let mut entry = Entry { origin, ..entry(id, now) };
        (entry.transition.at, entry.transition.kind) = (time(second), kind);
        if kind != Kind::ProbeChanged {
            entry.transition.probe = None;
        }
        entry
    };
    store.append(vec![
        about(1, 1, Kind::ProbeChanged, 300, OTHER),
        about(2, 2, Kind::ProbeChanged, 100, liar),
        about(3, 3, Kind::InstanceGone, 100, liar),
        about(4, 12, Kind::AgentStopped, 100, liar),
        about(5, 13, Kind::ProbeChanged, 100, liar),
        // By us, for one that tells nothing itself.
        about(6, 14, Kind::ProbeChanged, 100, ORIGIN),
        about(7, 15, Kind::InstanceDown, 100, ORIGIN),
    ]);
    store.flush().unwrap();
    let timeline = store.timeline(&host("a"), None, time(10), time(20)).unwrap();
    assert_eq!(timeline.status_at_start, Status::new(300));
    assert!(!timeline.stopped_at_start);
    let ids: Vec<u64> = timeline.changes.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [6, 7]);
    let of_nobody = Subject { origins: vec![], ..host("a") };
    let nothing = store.timeline(&of_nobody, None, time(0), time(20)).unwrap();
    assert_eq!(nothing, Timeline::default());
}
