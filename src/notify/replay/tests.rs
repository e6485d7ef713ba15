use std::collections::BTreeMap;

use super::*;
use crate::{
    config,
    tree::{Kind as Happened, Known, ProbeName, Transition},
};

const ME: Uuid = Uuid::from_u128(1);
const BELOW: Uuid = Uuid::from_u128(2);
const INTERVAL: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// The journal, from what happened to the disk of a host below: second and status.
fn journal(changes: &[(i64, u16)]) -> Vec<Entry> {
    let mut was = None;
    let mut entries = Vec::new();
    for (number, (second, status)) in (1..).zip(changes) {
        let now = Status::new((*status).into());
        entries.push(Entry {
            id: number,
            origin: BELOW,
            origin_id: number,
            learned: at(*second),
            transition: Transition {
                kind: if was.is_none() { Happened::ProbeSeen } else { Happened::ProbeChanged },
                at: at(*second),
                group: "db".into(),
                host: "db1".into(),
                probe: ProbeName::parse("disk").ok(),
                was,
                now,
                message: "95 % used".into(),
            },
        });
        was = now;
    }
    entries
}

fn replay(notifications: &str) -> Replay {
    let text = format!(
        "[Global]\nHostname = \"top\"\n[Notifications]\nOnProbeChange = true\nHttpEnabled = 1\n\
         HttpUrl = \"http://127.0.0.1:9/\"\n{notifications}"
    );
    let config = config::parse(&text, "wigo.conf".as_ref()).unwrap().config;
    let known = Known {
        uuid: BELOW,
        parent: ME,
        via: BELOW,
        contact: None,
        version: String::new(),
        name: "db1".into(),
        group: "db".into(),
        labels: BTreeMap::new(),
        down: false,
        last_update: None,
    };
    Replay::new(Rules::of(&config), ME, Past::new("top", "none", &BTreeMap::new(), &[known]))
}

/// What is said of it: when, and what.
fn said(notifications: &str, changes: &[(i64, u16)], end: i64) -> Vec<(i64, Kind)> {
    let mut replay = replay(notifications);
    let mut all: Vec<Said> =
        journal(changes).iter().flat_map(|entry| replay.take(entry, INTERVAL)).collect();
    all.extend(replay.until(at(end)));
    let second = |said: &Said| said.at.as_second() - 1_700_000_000;
    all.iter().map(|said| (second(said), said.kind)).collect()
}

#[test]
fn what_happened_is_told_when_it_was_learned() {
    let changes = [(0, 100), (600, 300), (1_200, 100)];
    let expected = [(600, Kind::Problem), (1_200, Kind::Recovered)];
    assert_eq!(said("", &changes, 3_600), expected);
}

#[test]
fn what_time_does_happens_at_its_time() {
    let changes = [(0, 100), (600, 300), (8_000, 100)];
    let told = said("RenotifyInterval = 3600", &changes, 9_000);
    let expected = [
        (600, Kind::Problem),
        (4_200, Kind::Reminder),
        (7_800, Kind::Reminder),
        (8_000, Kind::Recovered),
    ];
    assert_eq!(told, expected);
}

#[test]
fn runs_between_two_changes_are_filled_in() {
    let changes = [(0, 100), (600, 300), (1_200, 100)];
    let told = said("ConfirmRuns = 3\nConfirmOf = 3", &changes, 3_600);
    let kinds: Vec<Kind> = told.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [Kind::Problem, Kind::Recovered]);
    // The third run is two intervals after the first.
    assert_eq!(told[0].0 / 60, (600 + 2 * 60) / 60, "{told:?}");
    let short = [(0, 100), (600, 300), (660, 100)];
    assert_eq!(said("ConfirmRuns = 3\nConfirmOf = 3", &short, 3_600), []);
}

#[test]
fn the_same_journal_says_the_same() {
    let changes: Vec<(i64, u16)> =
        (0..50).map(|n| (n * 700, if n % 3 == 0 { 100 } else { 250 + n as u16 })).collect();
    let rules = "RenotifyInterval = 600\nFlapThreshold = 4";
    assert_eq!(said(rules, &changes, 90_000), said(rules, &changes, 90_000));
}

#[test]
fn a_host_that_is_down_has_no_runs() {
    let mut past = Past::new("top", "none", &BTreeMap::new(), &[]);
    let mut entries = journal(&[(0, 300)]);
    past.take(&entries[0], INTERVAL, at(0));
    let subject = Subject::probe("db1", ProbeName::parse("disk").unwrap());
    use crate::notify::policy::World as _;
    past.set_now(at(150));
    let run = past.last_run(&subject).unwrap();
    assert_eq!((run.at, run.status, run.interval), (at(120), Status::CRIT, INTERVAL));
    let mut down = entries.remove(0);
    (down.transition.kind, down.transition.probe) = (Happened::InstanceDown, None);
    past.take(&down, INTERVAL, at(200));
    past.set_now(at(1_000));
    assert_eq!(past.last_run(&subject).unwrap().at, at(180));
    assert!(!past.host("db1").unwrap().is_reached);
    assert!(past.host("nobody").is_none());
}
