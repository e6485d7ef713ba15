//! Journals of our own, and what is none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{api::views, hub};

fn now() -> Timestamp {
    "2025-03-04T09:00:00Z".parse().unwrap()
}

fn read_json(list: &Value) -> Page {
    read(list.to_string().as_bytes(), now()).unwrap()
}

fn transition(kind: Kind, probe: Option<&str>, message: &str) -> Transition {
    Transition {
        kind,
        at: "2025-03-04T08:15:02.3182Z".parse().unwrap(),
        group: "core".into(),
        host: "hub".into(),
        probe: probe.map(|name| ProbeName::parse(name).unwrap()),
        was: Some(Status::OK),
        now: Some(Status::CRIT),
        message: message.into(),
    }
}

#[test]
fn what_our_own_log_tells_comes_back_as_it_was() {
    let transitions = [
        transition(Kind::ProbeChanged, Some("a : b"), "x : y"),
        transition(Kind::ProbeSeen, Some("cmk/x"), "m"),
        transition(Kind::ProbeGone, Some("p"), "removed"),
        transition(Kind::AgentStarted, None, "Probe p switched : no"),
        transition(Kind::InstanceDown, None, "silent : 60 s"),
        transition(Kind::InstanceGone, None, "removed"),
        transition(Kind::InstanceMoved, None, "heard directly again"),
    ];
    let entry = |(n, transition): (usize, &Transition)| hub::Entry {
        id: 100 - n as u64,
        origin: Uuid::from_u128(7),
        origin_id: 50 - n as u64,
        learned: now(),
        transition: transition.clone(),
    };
    let entries: Vec<_> = transitions.iter().enumerate().map(entry).collect();
    let served: Vec<_> = entries.iter().map(views::LogEntry::new).collect();
    let page = read(&serde_json::to_vec(&served).unwrap(), now()).unwrap();
    assert_eq!((page.count, page.last, page.unnumbered), (7, Some(100), false));
    let wanted: Vec<_> = entries
        .into_iter()
        .rev()
        .map(|entry| Told {
            origin: entry.origin,
            origin_id: entry.origin_id,
            transition: entry.transition,
        })
        .collect();
    assert_eq!(page.told, wanted, "oldest first");
}

#[test]
fn an_entry_that_cannot_be_used_is_passed_over_and_counts() {
    let uuid = Uuid::from_u128(7).to_string();
    let page = read_json(&json!([
        {"Id": 1, "Origin": uuid, "OriginId": 1, "Kind": "agent_started"},
        {"Id": 2, "Origin": uuid, "OriginId": 2, "Kind": "from_the_future"},
        {"Id": 3, "Origin": "?", "OriginId": 3, "Kind": "agent_started"},
        {"Id": 4, "Origin": uuid, "OriginId": -1, "Kind": "agent_started"},
        {"Id": 5, "Origin": uuid, "OriginId": 5, "Kind": "probe_gone", "Probe": "a/b/c"},
        {"Origin": uuid, "OriginId": 5, "Kind": "agent_started"},
        7, null, {"Id": {}}, [],
    ]));
    assert_eq!((page.told.len(), page.last, page.count), (1, Some(5), 10));
    assert_eq!(page.told[0].transition.at, now(), "it said no time");
}

#[test]
fn the_log_of_an_original_has_no_numbers() {
    let page = read_json(&json!([{"Date": "x", "Level": 2, "Message": "m", "Host": "h"}]));
    assert!(page.unnumbered);
    assert!(!read_json(&json!([])).unnumbered);
    for text in ["{}", "null", "", "[1"] {
        assert!(matches!(read(text.as_bytes(), now()), Err(Unreadable::NotJson(_))), "{text}");
    }
    assert_eq!(read("[".repeat(999_999).as_bytes(), now()), Err(Unreadable::TooDeep));
    let many = format!("[{}0]", "0,".repeat(MAX_ENTRIES + 99));
    assert_eq!(read(many.as_bytes(), now()).unwrap().count, MAX_ENTRIES + 100);
}

#[test]
fn it_is_read_on_where_it_ended() {
    assert_eq!(path(Some(7)), "/api/logs?after=7&limit=500");
    assert_eq!(path(None), "/api/logs?limit=1000");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, now());
    }

    #[test]
    fn no_message_makes_it_panic(message in any::<String>(), probe in "[a-z :/]{0,9}") {
        let entry = json!([{"Id": 1, "Origin": Uuid::from_u128(7).to_string(), "OriginId": 1,
            "Kind": "probe_changed", "Probe": probe, "Message": message}]);
        read_json(&entry);
    }
}
