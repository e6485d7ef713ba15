//! Documents of our own, of the original, and of nobody who means well.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::status::Status;

const TOP: &str = "5f0d6c1e-8a3b-4c57-9f21-0b7e6a4d1c32";
const EDGE: &str = "c4a9e2d7-1b60-4e8f-8d35-7f2b9c5e0a14";

fn question() -> Question {
    Question {
        me: Uuid::from_u128(1),
        endpoint: "hub:4000".into(),
        depth: None,
        now: "2025-03-04T09:00:00Z".parse().unwrap(),
    }
}

fn read_json(document: &Value) -> Document {
    read(document.to_string().as_bytes(), &question()).unwrap()
}

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

fn header(document: &Document, n: usize) -> &Header {
    document.report.accounts[n].header.as_ref().unwrap()
}

/// The one probe of a host whose probes are `probes`.
fn probe(probes: Value) -> Probe {
    let document = read_json(&json!({"Uuid": TOP, "LocalHost": {"Probes": probes}}));
    let [probe] = &document.report.accounts[0].probes[..] else { panic!("{document:?}") };
    probe.clone()
}

/// What an original answers, with a remote that is down.
fn original() -> Value {
    json!({
        "Uuid": TOP, "Version": "Wigo v0.73.31", "IsAlive": true, "GlobalStatus": 250,
        "GlobalMessage": "OK",
        "LocalHost": {
            "Name": "hub.example.net", "Group": "core", "Status": 250,
            "Probes": { "hardware_disks": {
                "Name": "hardware_disks", "Version": "0.10", "Value": "WARN",
                "Message": "disk / is 91% full", "ProbeDate": "2025-03-04T09:15:02.3182 (CET)",
                "Timestamp": 1_741_076_102,
                "Metrics": [{"Tags": {"Partition": "/dev/vda1"}, "Value": 91}],
                "Detail": {"/dev/vda1": {"Size": "40G"}}, "Status": 250, "ExitCode": 0
            }}
        },
        "RemoteWigos": { EDGE: {
            "Uuid": EDGE, "Version": "Wigo v0.73.31", "IsAlive": false, "GlobalStatus": 999,
            "GlobalMessage": "DOWN",
            "LocalHost": { "Name": "edge1.example.net", "Group": "edge", "Status": 999, "Probes": {
                "check_process": {
                    "Name": "check_process", "Version": "", "Value": null, "Message": "Probe timeout",
                    "ProbeDate": "2025-03-04T09:14:58 (CET)", "Timestamp": 1_741_076_098,
                    "Metrics": null, "Detail": "", "Status": 500, "ExitCode": -1
                }
            }},
            "RemoteWigos": {}, "Hostname": "edge1.example.net", "LastUpdate": 1_741_076_105
        }},
        "Hostname": "hub.example.net", "LastUpdate": 0
    })
}

#[test]
fn the_document_of_an_original_is_read_whole() {
    let document = read_json(&original());
    let source = &document.source;
    assert_eq!((source.uuid, &*source.name), (uuid(TOP), "hub.example.net"));
    assert!(!source.has_journal);
    assert_eq!(document.remarks, Vec::<String>::new());
    assert!(document.report.begins && document.report.ends);
    let [hub, edge] = &document.report.accounts[..] else { panic!("{document:?}") };
    assert!(hub.complete && edge.complete);
    let result = &hub.probes[0].result;
    assert_eq!((result.name.as_str(), result.status.number()), ("hardware_disks", 250));
    assert_eq!(result.message, "disk / is 91% full");
    assert_eq!(result.value.as_str(), r#""WARN""#);
    assert_eq!(result.metrics.as_str(), r#"[{"Tags":{"Partition":"/dev/vda1"},"Value":91}]"#);
    assert_eq!(result.detail.as_str(), r#"{"/dev/vda1":{"Size":"40G"}}"#);
    assert_eq!(result.date, "2025-03-04T08:15:02.3182Z".parse().unwrap());
    assert_eq!((hub.probes[0].since, hub.probes[0].stale), (result.date, false));
    let (top, below) = (header(&document, 0), header(&document, 1));
    assert_eq!((top.parent, top.presence, top.last_update), (None, Presence::Alive, None));
    assert_eq!((below.parent, below.presence), (Some(uuid(TOP)), Presence::Down));
    assert_eq!((&*below.name, &*below.group), ("edge1.example.net", "edge"));
    assert_eq!(below.last_update.unwrap().as_second(), 1_741_076_105);
    assert_eq!(edge.probes[0].result.exit_code, -1);
}

#[test]
fn what_our_own_say_beyond_that_is_taken_over() {
    let mut document = original();
    let host = &mut document["LocalHost"];
    host["Labels"] = json!({"env": "prod", "bad key": "x", "bad": "a b", "n": 1});
    host["Probes"]["hardware_disks"]["Since"] = json!(1_741_070_000);
    host["Probes"]["hardware_disks"]["Stale"] = json!(true);
    host["Probes"]["hardware_disks"]["Interval"] = json!(60);
    let edge = &mut document["RemoteWigos"][EDGE];
    (edge["Presence"], edge["Problem"]) = ("stopped".into(), "no way\nto it".into());
    let document = read_json(&document);
    assert!(document.source.has_journal);
    let probe = &document.report.accounts[0].probes[0];
    assert_eq!(
        (probe.since.as_second(), probe.stale, probe.result.interval),
        (1_741_070_000, true, 60)
    );
    let labels: Vec<_> = header(&document, 0).labels.iter().collect();
    assert_eq!(labels, [(&"env".to_owned(), &"prod".to_owned())]);
    let edge = header(&document, 1);
    assert_eq!((edge.presence, edge.problem.as_deref()), (Presence::Stopped, Some("no way to it")));
}

#[test]
fn what_our_own_api_serves_comes_back_as_it_was() {
    use crate::{
        api,
        tree::{Host, Instance, Tree},
    };
    let result = probe(json!({"p": {"Status": 300, "Message": "m", "Timestamp": 1_741_000_000,
        "Value": "v", "Metrics": [], "Detail": {"a": 1}, "ExitCode": 2, "Interval": 60}}));
    let mut me = Instance::new(uuid(TOP), "Wigo v1", Host::new("here", "group"));
    me.host.probes.insert(result.result.name.clone(), result.clone());
    let tree = Tree::new(me);
    let served = api::whole_text(tree.view());
    let document = read(&served, &question()).unwrap();
    assert!(document.source.has_journal);
    assert_eq!(document.report.accounts[0].probes, [result]);
}

#[test]
fn what_is_missing_or_null_or_of_another_type_costs_no_more_than_itself() {
    for nothing in [Value::Null, json!(5), json!("x"), json!([1, {}]), json!(true), json!(1e300)] {
        let mut document = original();
        for field in ["Version", "IsAlive", "GlobalMessage", "LastUpdate", "Hostname"] {
            document[field] = nothing.clone();
        }
        document["LocalHost"]["Labels"] = nothing.clone();
        document["RemoteWigos"][EDGE]["LocalHost"] = nothing.clone();
        document["RemoteWigos"][EDGE]["RemoteWigos"] = nothing.clone();
        let disks = &mut document["LocalHost"]["Probes"]["hardware_disks"];
        for field in ["Version", "Timestamp", "ProbeDate", "ExitCode", "Metrics", "Name"] {
            disks[field] = nothing.clone();
        }
        let document = read_json(&document);
        assert_eq!(document.report.accounts.len(), 2, "{nothing}");
        assert_eq!(document.report.accounts[0].probes[0].result.status.number(), 250);
        assert_eq!(document.report.accounts[1].probes, []);
        if nothing.is_null() {
            assert_eq!(document.source.name, "hub.example.net", "from LocalHost");
        }
    }
    let none = read_json(&json!({"LocalHost": {"Probes": null}, "RemoteWigos": null}));
    assert_eq!(none.report.accounts[0].probes, []);
    assert_eq!(none.source.uuid, placeholder("hub:4000"));
    assert_eq!(none.source.name, "hub:4000");
}

#[test]
fn a_probe_that_makes_no_sense_is_an_error_that_says_so() {
    for nonsense in [json!(5), json!(null), json!([]), json!("x")] {
        let probe = probe(json!({"p": nonsense}));
        assert_eq!(probe.result.status, Status::ERROR);
        assert!(probe.result.message.contains("cannot be read"), "{}", probe.result.message);
    }
    let status = |status: Value| {
        let probe = probe(json!({"p": {"Status": status, "Message": "m"}}));
        (probe.result.status.number(), probe.result.message.clone())
    };
    assert_eq!(status(json!(0)), (500, "Status 0 is not on the scale: m".into()));
    assert_eq!(status(json!(-1)), (500, "Status -1 is not on the scale: m".into()));
    assert_eq!(status(json!({})), (500, "the remote gives no Status for this probe: m".into()));
    assert_eq!(status(json!(999)), (998, "m".into()));
    assert_eq!(status(json!(u64::MAX)), (998, "m".into()));
    assert_eq!(status(json!("200")), (200, "m".into()));
    assert_eq!(status(json!(150.7)), (150, "m".into()));
}

#[test]
fn names_of_probes_are_made_fit_or_left_out() {
    assert_eq!(probe(json!({"a\u{1b}b": {}})).result.name.as_str(), "a b");
    assert_eq!(probe(json!({"cmk/x/y": {}})).result.name.as_str(), "cmk/x_y");
    let long = "x".repeat(300);
    assert_eq!(probe(json!({ long: {} })).result.name.as_str().len(), 255);
    let document = read_json(&json!({"LocalHost": {"Probes": {"": {}, "..": {}, "ok": {}}}}));
    assert_eq!(document.report.accounts[0].probes.len(), 1);
    assert!(document.remarks[0].starts_with("2 probes are left out"), "{:?}", document.remarks);
}

#[test]
fn instances_are_called_by_uuid_key_or_place() {
    let host = json!({"LocalHost": {"Name": "x"}});
    let named = json!({"Uuid": EDGE.to_uppercase(), "LocalHost": {}});
    let document = json!({"LocalHost": {}, "RemoteWigos": {
        "a": host, "b": named, "00000000-0000-0000-0000-000000000007": host,
        "00000000-0000-0000-0000-000000000000": host,
    }});
    let read = || {
        let document = read_json(&document);
        let mut uuids: Vec<_> = document.report.accounts[1..].iter().map(|one| one.uuid).collect();
        uuids.sort();
        uuids
    };
    let top = placeholder("hub:4000");
    let mut wanted = vec![
        Uuid::new_v5(&top, b"a"),
        Uuid::new_v5(&top, b"00000000-0000-0000-0000-000000000000"),
        uuid(EDGE),
        Uuid::from_u128(7),
    ];
    wanted.sort();
    assert_eq!(read(), wanted);
    assert_eq!(read(), wanted, "the same at each poll");
}

#[test]
fn a_cycle_ends_where_it_meets_itself() {
    let below = |uuid: &str, remotes: Value| json!({"Uuid": uuid, "LocalHost": {"Name": uuid}, "RemoteWigos": remotes});
    let me = question().me.to_string();
    let document = below(
        TOP,
        json!({
            "1": below(&me, json!({"x": below("00000000-0000-0000-0000-000000000008", json!({}))})),
            "2": below(EDGE, json!({"3": below(TOP, json!({})), "4": below(EDGE, json!({})), "5": below(&me, json!({}))})),
        }),
    );
    let uuids: Vec<_> = read_json(&document).report.accounts.iter().map(|one| one.uuid).collect();
    assert_eq!(uuids, [uuid(TOP), uuid(EDGE)]);
}

#[test]
fn parents_come_first_and_the_shortest_way_counts() {
    let leaf = json!({"Uuid": EDGE, "LocalHost": {}});
    let middle = json!({"Uuid": "00000000-0000-0000-0000-000000000002", "LocalHost": {},
        "RemoteWigos": {"x": leaf}});
    let document = json!({"Uuid": TOP, "LocalHost": {}, "RemoteWigos": {"0": middle, "1": leaf}});
    let document = read_json(&document);
    let places: Vec<_> =
        (0..3).map(|n| (document.report.accounts[n].uuid, header(&document, n).parent)).collect();
    let wanted =
        [(uuid(TOP), None), (Uuid::from_u128(2), Some(uuid(TOP))), (uuid(EDGE), Some(uuid(TOP)))];
    assert_eq!(places, wanted);
}

#[test]
fn only_as_many_levels_as_asked_for_are_kept() {
    let mut document = json!({"LocalHost": {}});
    for _ in 0..4 {
        document = json!({"LocalHost": {}, "RemoteWigos": {"x": document}});
    }
    for (depth, count) in [(None, 5), (Some(1), 1), (Some(2), 2), (Some(9), 5)] {
        let question = Question { depth, ..question() };
        let read = read(document.to_string().as_bytes(), &question).unwrap();
        assert_eq!(read.report.accounts.len(), count, "{depth:?}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let read = |text: &str| read(text.as_bytes(), &question()).unwrap_err();
    for text in ["", "{", "<html>", "{\"Uuid\":1}x", "nul"] {
        assert!(matches!(read(text), Unreadable::NotJson(_)), "{text}");
    }
    for text in ["{}", "[]", "5", "null", "\"x\"", r#"{"LocalHost":null}"#, r#"{"LocalHost":[]}"#] {
        assert_eq!(read(text), Unreadable::NotWigo, "{text}");
    }
    assert_eq!(read(&"[".repeat(1_000_000)), Unreadable::TooDeep);
    let deep = "{\"LocalHost\":{\"Probes\":{\"p\":{\"Detail\":".to_owned() + &"[".repeat(61);
    assert_eq!(read(&deep), Unreadable::TooDeep);
}

#[test]
fn everything_is_bounded() {
    let many: serde_json::Map<_, _> = (0..1_500).map(|n| (format!("p{n}"), json!({}))).collect();
    let document = read_json(&json!({"LocalHost": {"Probes": many}}));
    assert_eq!(document.report.accounts[0].probes.len(), MAX_PROBES);
    assert_eq!(document.remarks.len(), 1);
    let wide: serde_json::Map<_, _> =
        (0..MAX_INSTANCES + 5).map(|n| (n.to_string(), json!({}))).collect();
    let document = read_json(&json!({"LocalHost": {}, "RemoteWigos": wide}));
    assert_eq!(document.report.accounts.len(), MAX_INSTANCES);
    assert!(document.remarks[0].starts_with("6 instances below it are left out"));
    let metrics: Vec<_> = (0..9_000).map(|n| json!({"Tags": {"a": "b"}, "Value": n})).collect();
    let probe = probe(json!({"p": {
        "Message": "x".repeat(9_000), "Detail": "y".repeat(99_000), "Metrics": metrics
    }}));
    let result = &probe.result;
    assert_eq!(result.message.len(), 4 << 10);
    assert!(result.detail.as_str().starts_with("\"too big (99002 bytes"), "{:?}", result.detail);
    assert_eq!(result.metrics.to_value().as_array().unwrap().len(), 1_000);
}

#[test]
fn json_that_could_not_be_told_to_a_master_is_replaced_by_a_text() {
    let deep = |levels| {
        let text = format!("{}7{}", "[".repeat(levels), "]".repeat(levels));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    for (levels, stays) in [(32, true), (33, false)] {
        let json = deep(levels);
        let many = vec![json!("x".repeat(10_000)); 7];
        let big = Value::from([many, vec![deep(levels - 1)]].concat());
        for metrics in [&json, &big] {
            let probe = probe(json!({"p": {"Status": 100, "Message": "m", "Value": json,
                "Metrics": metrics, "Detail": json}}));
            let result = &probe.result;
            assert_eq!((result.status, &*result.message), (Status::OK, "m"));
            for kept in [&result.value, &result.metrics, &result.detail] {
                let says = kept.as_str().starts_with("\"nested too deep (at most 32 levels)");
                assert_eq!(!says, stays, "{levels}: {kept:?}");
                assert!(crate::json::nesting(kept.as_str()) <= 32);
            }
        }
    }
}

/// Any JSON, with the names that mean something now and then.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "Uuid",
            "LocalHost",
            "RemoteWigos",
            "Probes",
            "Status",
            "Message",
            "Labels",
            "Timestamp",
            "ProbeDate",
            "Metrics",
            "Detail",
            "Since",
            "Presence",
            "IsAlive",
            TOP,
            EDGE,
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(TOP)),
    ];
    leaf.prop_recursive(8, 200, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What the tree may rely on, whatever was sent.
fn holds(document: &Document) {
    let mut seen = HashSet::new();
    for account in &document.report.accounts {
        let header = account.header.as_ref().unwrap();
        assert_eq!(header.parent.is_none(), seen.is_empty(), "the first is the only one on top");
        assert!(header.parent.is_none_or(|parent| seen.contains(&parent)), "parents come first");
        assert!(seen.insert(account.uuid), "each once");
        assert!(!header.name.is_empty() && header.name.len() <= MAX_NAME);
        assert!(!header.name.chars().any(char::is_control));
        for probe in &account.probes {
            assert!(probe.result.status <= Status::WORST_OF_PROBE);
            assert!(not_in_the_future(probe.result.date, question().now) == probe.result.date);
        }
    }
    assert!(!seen.contains(&question().me) || document.source.uuid == question().me);
}

proptest! {
    #[test]
    fn no_json_makes_it_panic_or_lie(host in any_json(), below in any_json(), top in any_json()) {
        for document in [json!({"LocalHost": host, "RemoteWigos": below}), top] {
            if let Ok(document) = read(document.to_string().as_bytes(), &question()) {
                holds(&document);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, &question());
    }

    #[test]
    fn no_damage_to_a_good_document_makes_it_panic(
        at in 0usize..2_000,
        damage in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut text = original().to_string().into_bytes();
        let at = at.min(text.len());
        let end = (at + damage.len()).min(text.len());
        text.splice(at..end, damage);
        if let Ok(document) = read(&text, &question()) {
            holds(&document);
        }
    }
}
