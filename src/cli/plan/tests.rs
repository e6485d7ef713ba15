use std::time::Duration as Seconds;

use jiff::tz::TimeZone;

use super::*;
use crate::{
    hub::{Changes, Journal as _},
    status::Status,
    store::{Settings, Store},
    tree::{Kind, Transition},
};

const ME: Uuid = Uuid::from_u128(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn entry(id: u64, second: i64, kind: Kind, probe: &str, statuses: [Option<i64>; 2]) -> Entry {
    let [was, now] = statuses.map(|status| status.and_then(Status::new));
    Entry {
        id,
        origin: ME,
        origin_id: id,
        learned: at(second),
        transition: Transition {
            kind,
            at: at(second),
            group: "db".into(),
            host: "top".into(),
            probe: ProbeName::parse(probe).ok(),
            was,
            now,
            message: "95 % used\u{1b}".into(),
        },
    }
}

/// A configuration with a database in this folder.
fn config(folder: &Path, notifications: &str) -> Config {
    let text = format!(
        "[Global]\nHostname = \"top\"\nDatabase = \"{}\"\n[Notifications]\nOnProbeChange = true\n\
         HttpEnabled = 1\nHttpUrl = \"http://127.0.0.1:9/\"\n{notifications}",
        folder.join("wigo.db").display()
    );
    config::parse(&text, "wigo.conf".as_ref()).unwrap().config
}

fn filled(folder: &Path) -> Store {
    let settings = Settings { path: folder.join("wigo.db"), origin: ME, keep_days: 0 };
    let store = Store::open(Settings { keep_days: 3_650, ..settings }).store;
    let entries = vec![
        entry(1, 0, Kind::AgentStarted, "", [None, None]),
        entry(2, 1, Kind::ProbeSeen, "disk", [None, Some(100)]),
        entry(3, 600, Kind::ProbeChanged, "disk", [Some(100), Some(250)]),
        entry(4, 1_200, Kind::ProbeChanged, "disk", [Some(250), Some(100)]),
        entry(5, 1_800, Kind::ProbeChanged, "disk", [Some(100), Some(300)]),
    ];
    store.record(Changes { entries, ..Changes::default() });
    store.flush().unwrap();
    store
}

const DAY: Seconds = Seconds::from_secs(86_400);

#[test]
fn what_another_configuration_would_have_said_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    // It is open all the while, as it is when the agent runs.
    let _store = filled(folder.path());
    let old = config(folder.path(), "");
    let same = compared(&old, &old, DAY, at(3_600)).unwrap();
    assert!(!same.differs(), "{same:?}");
    assert_eq!((same.entries, same.counts["http"]), (5, Counts { old: 3, new: 3 }));
    let new = config(folder.path(), "MinLevelToSend = 300\nRenotifyInterval = 1000");
    let outcome = compared(&old, &new, DAY, at(3_600)).unwrap();
    let text = outcome.text(&Look { colour: false, zone: TimeZone::UTC });
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("-  2023-11-14T22:23:20 (UTC)  http  problem    WARN  top / disk")
    );
    assert!(
        lines[1].starts_with("-  2023-11-14T22:33:20 (UTC)  http  recovered  OK    top / disk")
    );
    assert!(
        lines[2].starts_with("+  2023-11-14T23:00:00 (UTC)  http  reminder   CRIT  top / disk")
    );
    assert!(text.contains("\n\n5 entries since 2023-11-14T22:13:20 (UTC)\n"), "{text}");
    assert!(text.ends_with("http  3 messages  2 then\n1 appear, 2 vanish, 0 move\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn only_the_time_that_is_asked_for_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let _store = filled(folder.path());
    let config = config(folder.path(), "");
    let outcome = compared(&config, &config, Seconds::from_secs(1_000), at(2_000)).unwrap();
    assert_eq!(outcome.entries, 2);
}

#[test]
fn a_database_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    let error = compared(&config, &config, DAY, at(0)).unwrap_err();
    let expected = format!("`{}`", folder.path().join("wigo.db").display());
    assert!(error.to_string().contains(&expected), "{error}");
}
